"""Speed of layers of ramp neurons against dense layers of the same size with ReLU.

Each layer, forward alone and forward plus backward, on the same random inputs: *in a network*,
where spikes are handled as levels (`firstspike.nn.neurons`), and *alone*, from times to times.
The dense counterpart has the same weights; `EarliestPool2d` moves spikes without neurons, so that
max pooling alone stands beside it. Images are channels-last, as training has them. Before anything
is timed, the levels are compared with what the dense layer computes, rounded down and clipped.

    python benchmarks/layers.py --threads 1 --repeats 30

prints ratios, ours / dense: of the least times of all turns, which other jobs disturb
least, and medians over neighbouring turns.

    python benchmarks/layers.py --threads 1 --compile

does so for a training step of whole networks, loss and gradients without the optimiser, eager and
by ``torch.compile``, which needs a C++ compiler.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from _table import measure, show, significant
from _timing import alternate, median_ratio
from rich.console import Console
from torch import Tensor, nn

import firstspike as fs
from firstspike.models import networks
from firstspike.training.rules.exact import exact_loss, scores_and_level

T_MAX = 64
PLACES = "in a network", "alone"
RAMP: dict[str, Any] = {"neuron": "ramp", "t_max": T_MAX}
NETWORKS = {"dense 784-400-10": "400", "convolutional": "24c3p2-48c3p2"}  # of a training step


class Skip(nn.Module):
    """Two convolutions beside a shortcut, and ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, last = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.body = nn.Sequential(first, nn.ReLU(), last)

    def forward(self, values: Tensor) -> Tensor:
        return nn.functional.relu(self.body(values) + values)


@dataclass(frozen=True)
class Pair:
    """A layer of ramp neurons, its dense counterpart, and the size of a sample.

    Args:
        same: whether the levels are those of the dense layer, rounded down and clipped.
    """

    ramp: Any
    dense: nn.Module
    size: tuple[int, ...]
    same: bool = True


def pairs() -> dict[str, Pair]:
    """What is measured, by name; sizes as in the networks that the commands train."""
    conv = fs.nn.FirstSpikeConv2d
    residual = fs.nn.Residual(*(conv(48, 48, 3, padding=1, **RAMP) for _ in range(2)))
    norm = fs.nn.window_norm(48, 2)
    plain_norm = nn.BatchNorm2d(48)
    return {
        "linear 784-400": Pair(
            fs.nn.FirstSpikeLinear(784, 400, **RAMP),
            nn.Sequential(nn.Linear(784, 400), nn.ReLU()),
            (784,),
        ),
        "conv 24-48, 3x3, 14x14": Pair(
            conv(24, 48, 3, padding=1, **RAMP),
            nn.Sequential(nn.Conv2d(24, 48, 3, padding=1), nn.ReLU()),
            (24, 14, 14),
        ),
        "the same, normalised": Pair(
            conv(24, 48, 3, padding=1, norm=norm, **RAMP),
            nn.Sequential(nn.Conv2d(24, 48, 3, padding=1, bias=False), plain_norm, nn.ReLU()),
            (24, 14, 14),
            same=False,
        ),
        "conv 24-48, 3x3, 14x14, pool 2": Pair(
            conv(24, 48, 3, padding=1, pool=2, **RAMP),
            nn.Sequential(nn.Conv2d(24, 48, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()),
            (24, 14, 14),
        ),
        "transposed conv 48-24, 4x4, 7x7 to 14x14": Pair(
            fs.nn.FirstSpikeConvTranspose2d(48, 24, 4, stride=2, padding=1, **RAMP),
            nn.Sequential(nn.ConvTranspose2d(48, 24, 4, stride=2, padding=1), nn.ReLU()),
            (48, 7, 7),
        ),
        "residual, 2 conv 48-48, 3x3, 14x14": Pair(residual, Skip(48), (48, 14, 14), same=False),
        "mean pool 2, 48x14x14": Pair(
            fs.nn.MeanPool2d(2, t_max=T_MAX),
            nn.Sequential(nn.AvgPool2d(2), nn.ReLU()),
            (48, 14, 14),
        ),
        "earliest pool 2, 48x14x14": Pair(
            fs.nn.EarliestPool2d(2, t_max=T_MAX), nn.MaxPool2d(2), (48, 14, 14)
        ),
    }


def functions(pair: Pair, batch: int) -> dict[str, Callable[[], object]]:
    """What to time of a pair: passes of our layer and of the dense one, by name."""
    last = torch.channels_last if len(pair.size) == 3 else torch.contiguous_format
    for module in (pair.ramp, pair.dense):
        module.to(memory_format=last)  # type: ignore[call-overload]
    levels = torch.randint(T_MAX + 1, (batch, *pair.size)).float().contiguous(memory_format=last)
    _same_weights(pair.ramp, pair.dense)
    if pair.same:
        _check(pair, levels)
    times, values = T_MAX - levels, levels / T_MAX
    error = torch.randn_like(pair.dense(values))
    sides: dict[str, tuple[Any, Callable[[Tensor], Tensor], Tensor]] = {
        "in a network": (pair.ramp, pair.ramp.levels, levels),
        "alone": (pair.ramp, pair.ramp, times),
        "dense": (pair.dense, pair.dense, values),
    }
    found: dict[str, Callable[[], object]] = {}
    for name, (module, call, inputs) in sides.items():
        found[f"{name}, forward"] = _forward(call, inputs)
        found[f"{name}, forward+backward"] = _both(module, call, inputs, error)
    return found


def _forward(call: Callable[[Tensor], Tensor], inputs: Tensor) -> Callable[[], object]:
    return torch.no_grad()(lambda: call(inputs))


def _both(
    module: nn.Module, call: Callable[[Tensor], Tensor], inputs: Tensor, error: Tensor
) -> Callable[[], object]:
    """Gradients of the weights and of the inputs, as of a layer in the middle."""
    leaf = inputs.clone().requires_grad_()

    def run() -> None:
        module.zero_grad()
        leaf.grad = None
        call(leaf).backward(error)

    return run


@torch.no_grad()
def _same_weights(ramp: nn.Module, dense: nn.Module) -> None:
    ours, theirs = list(ramp.parameters()), list(dense.parameters())
    for one, other in zip(ours, theirs, strict=True):
        other.copy_(one)


@torch.no_grad()
def _check(pair: Pair, levels: Tensor) -> None:
    """Our levels are those of the dense layer, but for potentials within rounding of a step."""
    exact = (pair.dense(levels / T_MAX) * T_MAX).floor().clamp(max=T_MAX)
    share = (pair.ramp.levels(levels) != exact).float().mean()
    assert share < 1e-3, f"{pair.ramp}: {share:.2%} of the levels differ"


def steps(line: str, batch: int) -> dict[str, Callable[[], object]]:
    """A training step of a network of ramp neurons and of its twin, eager and compiled."""
    values, labels = torch.rand(batch, 1, 28, 28), torch.randint(10, (batch,))
    sides = {
        "ours": (networks.spiking(line, t_max=T_MAX), (values * T_MAX).ceil(), T_MAX),
        "dense": (networks.dense_twin(line), values, None),
    }
    found: dict[str, Callable[[], object]] = {}
    for name, (network, inputs, t_max) in sides.items():
        if "c" in line:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        loss = _loss(network.train(), inputs, labels, t_max)
        learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
        for how, call in (("eager", loss), ("compiled", torch.compile(loss, fullgraph=True))):
            found[f"{name}, {how}"] = _gradients(call, learning)
    return found


def _loss(
    network: nn.Module, inputs: Tensor, labels: Tensor, t_max: int | None
) -> Callable[[], Tensor]:
    def loss() -> Tensor:
        scores, level = scores_and_level(network, inputs, t_max)
        return exact_loss(scores, labels, level, 0.05, 0.0)

    return loss


def _gradients(loss: Callable[[], Tensor], learning: list[nn.Parameter]) -> Callable[[], object]:
    return lambda: torch.autograd.grad(loss(), learning)


def compare_compiled(options: argparse.Namespace, clock: Callable[[], float]) -> dict[str, Any]:
    """Milliseconds of `steps`, by network, and as multiples of those of the eager twin."""
    record: dict[str, Any] = {}
    for name, line in NETWORKS.items():
        rows = measure(dict(steps(line, options.batch)), "dense, eager", options.repeats, clock)
        show(f"{name}: a training step, {options.threads} thread(s)", rows, Console())
        record[name] = rows
    return record


def compare_layers(options: argparse.Namespace, clock: Callable[[], float]) -> dict[str, Any]:
    """Ratios of the times of `pairs`, by place."""
    found = {
        name: alternate(functions(pair, options.batch), options.repeats, clock)
        for name, pair in pairs().items()
    }
    console = Console(width=100, highlight=False)
    record: dict[str, Any] = {}
    for place in PLACES:
        record[place] = {name: _ratios(measured, place) for name, measured in found.items()}
        show(f"{place}: ours / dense, {options.threads} thread(s)", record[place], console)
    return record


def main() -> None:
    options = _options()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    clock = time.thread_time if options.cpu else time.perf_counter
    compare = compare_compiled if options.compile else compare_layers
    record = {"threads": options.threads, "batch": options.batch, **compare(options, clock)}
    if options.json is not None:
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _ratios(measured: dict[str, list[float]], place: str) -> dict[str, float]:
    ratios: dict[str, float] = {}
    for part in ("forward", "forward+backward"):
        ours, dense = measured[f"{place}, {part}"], measured[f"dense, {part}"]
        ratios[part] = significant(min(ours) / min(dense))
        ratios[f"{part}, median"] = significant(median_ratio(ours, dense))
    return ratios


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=128, help="samples")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=30, help="turns")
    parser.add_argument("--cpu", action="store_true", help="CPU time of the thread, not wall time")
    parser.add_argument("--compile", action="store_true", help="networks, eager and compiled")
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser.parse_args()


if __name__ == "__main__":
    main()
