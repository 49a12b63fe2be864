"""Speed of a Spiking-GAN training step against that of its dense twin of the same size.

A step is one update of the discriminator and one of the generator on a batch of MNIST's threes (of
all digits where networks are told the class), with Adam and the averaging of weights, as the
commands make it: ``firstspike train gan`` and ``train ann-gan`` of ramp neurons, dense or
convolutional, conditional or not; of step neurons; and ``train gan --neuron step --loss potential``
and ``train ann-gan --loss cross-entropy``. Four steps are timed at once: in the game of ramp
neurons penalties come in every fourth. All networks train for a while first, as the cost of step
neurons follows their spikes, which the output states. That it computes what plain PyTorch does is
tested in tests/training/test_adversary.py and test_relativistic.py.

    python benchmarks/gan.py --threads 1 --cpu

prints a table for each game; times are medians in milliseconds of four steps, ratios medians over
neighbouring turns.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable
from typing import Any

import torch
from _table import measure, show
from rich.console import Console

from firstspike.data import load_mnist
from firstspike.training.config import ann_gan_defaults, gan_defaults
from firstspike.training.gan import AnnGan, Gan, SpikingGan

STEPS = 4  # at once
TOLD: dict[str, Any] = {"digit": "all", "conditional": True}
PLAIN: dict[str, Any] = {"digit": 3}
# What is chosen of `train gan`, and of its twin; both take the second.
GAMES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "ramp": ({}, {}, PLAIN),
    "ramp, conditional": ({}, {}, TOLD),
    "ramp, convolutional": ({}, {}, {"network": "conv", **PLAIN}),
    "ramp, convolutional, conditional": ({}, {}, {"network": "conv", **TOLD}),
    "step": ({"neuron": "step"}, {}, PLAIN),
    "step, potential": (
        {"neuron": "step", "loss": "potential"},
        {"loss": "cross-entropy"},
        PLAIN,
    ),
}


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    console = Console()
    for name in options.games:
        spiking, dense = players(name, options.batch)
        rows = measure(
            {
                side: _steps(gan, options.warm_up)
                for side, gan in (("spiking", spiking), ("dense", dense))
            },
            "dense",
            options.repeats,
            time.thread_time if options.cpu else time.perf_counter,
        )
        show(f"{name}: GAN, batch {options.batch}, {options.threads} thread(s)", rows, console)
        spikes = spiking.spikes(spiking.latents(1000, torch.Generator().manual_seed(1)))
        console.print(
            f"spikes per image: generator {spikes['generator_spikes']:.0f}, "
            f"discriminator until its verdict {spikes['discriminator_spikes']:.0f}"
        )


def players(name: str, batch: int) -> tuple[Gan, Gan]:
    """Spiking-GAN and its twin."""
    own, twins, shared = GAMES[name]
    spiking = dataclasses.replace(gan_defaults(own | shared), batch=batch, **shared)
    dense = dataclasses.replace(ann_gan_defaults(twins | shared), batch=batch, **shared)
    return SpikingGan(spiking), AnnGan(dense)


def _steps(gan: Gan, warm_up: int) -> Callable[[], object]:
    """Some steps on random batches, after others that warm up the network and the machine."""
    images = load_mnist("train")
    data = gan.prepare(images if gan.config.digit == "all" else images.select(gan.config.digit))
    rng = torch.Generator().manual_seed(0)
    gan.start_epoch(1)

    def step() -> object:
        return gan.step(data[torch.randint(len(data), (gan.config.batch,), generator=rng)], rng)

    def steps() -> None:
        for _ in range(STEPS):
            step()

    for _ in range(warm_up):
        step()
    return steps


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", nargs="+", choices=GAMES, default=list(GAMES))
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--warm-up", type=int, default=500, help="steps before any is timed")
    parser.add_argument("--cpu", action="store_true", help="CPU time of the calling thread")
    return parser.parse_args()


if __name__ == "__main__":
    main()
