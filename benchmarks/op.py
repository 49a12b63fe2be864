"""Speed of `firstspike.fire` against a dense layer of the same size in PyTorch.

A batch of MNIST images through 784-400 neurons: `fire` (Numba) against ``Linear`` and ``ReLU``,
forward alone and forward plus backward, with the same number of threads. The work depends on the
share of neurons that fire, which the output states: about 0.85 with the weights drawn here, as in
a trained layer that keeps its neurons alive, and 0.3 with a fresh `FirstSpikeLinear`'s. Before
anything is timed, Numba's result is compared with the reference's. Weights are stored by input
(`fs.nn.by_input`), as in networks of ``firstspike train``; "as made" is the same layer without
that call, which transposes them in each pass.

    python benchmarks/op.py --repeats 100

prints JSON; times are medians in milliseconds, ratios are medians over neighbouring turns. Where
other jobs share the cores, measure ``--threads 1 --cpu``: time of the calling thread alone.
With one thread it also tells how far the forward pass is from what the machine allows
(`_limit.py`). The same images in 16 times as many steps show that a step without a spike costs
nothing.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import time
from collections.abc import Callable

import torch
from _limit import seconds_per_addition
from _timing import alternate, median_ratio

import firstspike as fs
from firstspike.data import load_mnist

WEIGHTS = (-0.1, 0.125)  # uniform
MORE_STEPS = 16


def main() -> None:
    options = _options()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    pixels = load_mnist("train").images[: options.batch].flatten(1)
    plain = fs.nn.FirstSpikeLinear(
        pixels.shape[1], options.neurons, t_max=options.t_max, init=WEIGHTS
    )
    layer = fs.nn.by_input(copy.deepcopy(plain))
    finer = copy.deepcopy(layer)
    finer.t_max *= MORE_STEPS
    dense = torch.nn.Sequential(torch.nn.Linear(pixels.shape[1], options.neurons), torch.nn.ReLU())
    times = fs.encode(pixels, options.t_max).requires_grad_(options.input_grad)
    intensities = (pixels / 255).requires_grad_(options.input_grad)
    finer_times = fs.encode(pixels, finer.t_max)
    first_call = _seconds(lambda: layer(times).sum().backward())
    fired = _check_against_reference(layer, times)
    error = torch.randn(len(pixels), options.neurons)

    def train(model: torch.nn.Module, inputs: torch.Tensor) -> None:
        model.zero_grad()
        inputs.grad = None
        model(inputs).backward(error)

    measured = alternate(
        {
            "fire forward": torch.no_grad()(lambda: layer(times)),
            "as made forward": torch.no_grad()(lambda: plain(times)),
            "as made forward+backward": lambda: train(plain, times),
            "fire forward, more steps": torch.no_grad()(lambda: finer(finer_times)),
            "dense forward": torch.no_grad()(lambda: dense(intensities)),
            "fire forward+backward": lambda: train(layer, times),
            "dense forward+backward": lambda: train(dense, intensities),
        },
        options.repeats,
        time.thread_time if options.cpu else time.perf_counter,
    )
    result = {
        "what": f"{pixels.shape[1]}-{options.neurons}, {options.batch} MNIST images",
        **vars(options),
        "share of neurons that fire": round((fired < options.t_max).float().mean().item(), 3),
        "events per image": round((times < options.t_max).sum().item() / len(times), 1),
        "first call, s": round(first_call, 2),
        "ms": {name: round(statistics.median(ms), 4) for name, ms in measured.items()},
        **{
            f"ratio {side}/dense": {
                part: round(median_ratio(measured[f"{side} {part}"], measured[f"dense {part}"]), 3)
                for part in ("forward", "forward+backward")
            }
            for side in ("fire", "as made")
        },
        f"ratio {finer.t_max} steps/{layer.t_max}": round(
            median_ratio(measured["fire forward, more steps"], measured["fire forward"]), 3
        ),
    }
    if options.threads == 1:
        additions = (times < options.t_max).sum().item() * options.neurons
        result["limit"] = _limit(additions, layer.weight.nbytes, result["ms"]["fire forward"])
    print(json.dumps(result, indent=2))


def _limit(additions: int, size: int, forward: float) -> dict[str, float]:
    """Milliseconds of the forward pass's additions alone; the real time as a multiple of them."""
    in_l1, in_l2 = (seconds_per_addition(part) * additions * 1e3 for part in (16 << 10, size))
    return {
        "million additions": round(additions / 1e6, 2),
        "ms in L1": round(in_l1, 4),
        "ms in the caches that hold the weights": round(in_l2, 4),
        "distance": round(forward / max(in_l1, in_l2), 2),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=100, help="images")
    parser.add_argument("--neurons", type=int, default=400)
    parser.add_argument("--t-max", type=int, default=256, help="time steps")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=50, help="turns")
    parser.add_argument("--input-grad", action="store_true", help="also the gradient of the input")
    parser.add_argument("--cpu", action="store_true", help="CPU time of the thread, not wall time")
    return parser.parse_args()


def _check_against_reference(layer: fs.nn.FirstSpikeLinear, times: torch.Tensor) -> torch.Tensor:
    """Spike times, which must be those of the reference exactly; gradients to rounding."""
    error = torch.randn(len(times), layer.out_features)
    results = []
    for layer.impl in ("reference", "numba"):
        fired = layer(times)
        results.append((fired, *torch.autograd.grad(fired, list(layer.parameters()), error)))
    (slow, *slow_grads), (fast, *fast_grads) = results
    assert torch.equal(slow, fast)
    for a, b in zip(slow_grads, fast_grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    return fast.detach()


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
