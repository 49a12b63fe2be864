"""Speed of a Spiking-GAN training step against that of its dense twin of the same size.

A step is one update of the discriminator and one of the generator on a batch of MNIST's threes,
with Adam and the averaging of weights, as ``firstspike train gan --neuron step --loss potential``
and ``train ann-gan --loss cross-entropy`` make it.
Both networks train for a while first, as the cost follows the spikes, which the output states. That
it computes what the plain PyTorch step does is tested in tests/training/test_adversary.py.

    python benchmarks/gan.py --threads 1 --cpu

prints a table; times are medians in milliseconds, ratios medians over neighbouring turns.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable

import torch
from _table import measure, show
from rich.console import Console

from firstspike.data import load_mnist
from firstspike.training.config import ann_gan_defaults, gan_defaults
from firstspike.training.gan import AnnGan, Gan, SpikingGan

DIGIT = 3


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    chosen = gan_defaults({"neuron": "step", "loss": "potential"})
    step = dataclasses.replace(chosen, batch=options.batch)
    twin = dataclasses.replace(ann_gan_defaults({"loss": "cross-entropy"}), batch=options.batch)
    spiking, dense = SpikingGan(step), AnnGan(twin)
    rows = measure(
        {"spiking": _step(spiking, options.warm_up), "dense": _step(dense, options.warm_up)},
        "dense",
        options.repeats,
        time.thread_time if options.cpu else time.perf_counter,
    )
    console = Console()
    title = f"GAN training step, batch {options.batch}, {options.threads} threads"
    show(title, rows, console)
    spikes = spiking.spikes(spiking.latents(1000, torch.Generator().manual_seed(1)))
    console.print(
        f"spikes per image: generator {spikes['generator_spikes']:.0f}, "
        f"discriminator until its verdict {spikes['discriminator_spikes']:.0f}"
    )


def _step(gan: Gan, warm_up: int) -> Callable[[], object]:
    """One step on a random batch, after some that warm up the network and the machine."""
    data = gan.prepare(load_mnist("train").select(DIGIT))
    rng = torch.Generator().manual_seed(0)
    gan.start_epoch(1)

    def step() -> object:
        return gan.step(data[torch.randint(len(data), (gan.config.batch,), generator=rng)], rng)

    for _ in range(warm_up):
        step()
    return step


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--warm-up", type=int, default=500, help="steps before any is timed")
    parser.add_argument("--cpu", action="store_true", help="CPU time of the calling thread")
    return parser.parse_args()


if __name__ == "__main__":
    main()
