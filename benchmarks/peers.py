"""Speed of a TTFS classifier beside other libraries, plain PyTorch and its dense twin.

One network, 784-400-10 with trained weights, decides on 1 and on 128 MNIST test images: from uint8
pixels to classes, encoding included. Every rival simulates the very same network, and its output
spike times are compared with ours before anything is timed (see `_rivals`). Weights are rounded to
a grid on which every sum is exact in float32, so that the order of additions decides nothing. Then
one training step on 100 images, for those that train by gradients.

    pip install --no-deps -r benchmarks/requirements-peers.txt
    OPENBLAS_NUM_THREADS=1 python benchmarks/peers.py --run RUN --threads 1 --cpu --json FILE

RUN is a run of ``firstspike train classifier``; without it, the bundled network is taken. Times are
medians; ratios are medians over neighbouring turns. ``--cpu`` takes the CPU time of the calling
thread, for machines that other jobs share. A rival that is not installed is named and left out.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _rivals
import _table
import _trained
import torch
from _rivals import Network, Rival
from _table import Entries, Function
from rich.console import Console
from torch import Tensor, nn

import firstspike as fs
from firstspike.config import ClassifierConfig
from firstspike.models import Classifier, ann_classifier
from firstspike.quantize import QuantizedClassifier, quantize
from firstspike.train_classifier import SpikingTraining

BATCHES = (1, 128)
TRAINING_BATCH = 100
DENSE = "dense eager"


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = _trained.load(options.run)
    _trained.round_to_exact_sums(model)
    quantized = quantize(model)
    test = fs.load_mnist("test")
    parts: dict[str, Entries] = {
        f"inference, batch {count}": _inference(model, quantized, test.images[:count])
        for count in BATCHES
    }
    parts[f"training step, batch {TRAINING_BATCH}"] = _training(model)
    clock = time.thread_time if options.cpu else time.perf_counter
    result: dict[str, Any] = {
        "what": "784-400-10, MNIST test images, uint8 to class",
        "threads": options.threads,
        "clock": "CPU time" if options.cpu else "wall time",
        "repeats": options.repeats,
        "torch": torch.__version__,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "activity": {
            "float": _trained.activity(model.classify(test.images), test.labels),
            "8-bit weights": _trained.activity(quantized.classify(test.images), test.labels),
        },
        "multiply-adds of the dense twin": _trained.multiply_adds(model),
    }
    for part, entries in parts.items():
        result[part] = _table.measure(entries, DENSE, options.repeats, clock)
    _show(result, [*parts])
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--run", type=Path, help="of `firstspike train classifier`; or the bundled one"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of PyTorch")
    parser.add_argument("--repeats", type=int, default=15, help="turns")
    parser.add_argument("--cpu", action="store_true", help="CPU time of the thread, not wall time")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    if os.environ.get("OPENBLAS_NUM_THREADS") != str(options.threads):
        parser.error(f"give NumPy as many threads: OPENBLAS_NUM_THREADS={options.threads}")
    return options


def _inference(model: Classifier, quantized: QuantizedClassifier, images: Tensor) -> Entries:
    """Decisions on ``images``."""
    network = _network(model)
    wanted = model(fs.encode(images.flatten(1))).detach()
    spoke = wanted.amin(dim=1) < network.t_max  # otherwise the potential decides, with us
    assert torch.equal(model.classify(images).classes[spoke], wanted.argmin(dim=1)[spoke])
    entries: Entries = {
        "firstspike classify": lambda: model.classify(images).classes,
        "firstspike classify, 8-bit weights": lambda: quantized.classify(images).classes,
        "firstspike, layer by layer to the end": _deciding(model, images),
        **_dense(images),
    }
    rivals: dict[str, Callable[[], Rival]] = {
        "PyTorch, raster and cumsum": lambda: _rivals.torch_cumsum(network),
        "SpikingJelly": lambda: _timed(_rivals.spikingjelly_spikes(network)),
        "snnTorch": lambda: _timed(_rivals.snntorch_spikes(network)),
        "snnTorch, stopped at the first spike": lambda: _timed(
            _rivals.snntorch_spikes(network, stop=True)
        ),
        "BindsNET": lambda: _rivals.bindsnet(network),
        "NumPy, S4NN's way": lambda: _rivals.numpy_s4nn(network),
    }
    for name, build in rivals.items():
        entries[name] = _checked(build, wanted, images, early="stopped" in name)
    return entries


def _network(model: Classifier) -> Network:
    first = model.layers[0]
    weights = [layer.weight.detach().clone().contiguous() for layer in model.layers]
    biases = [layer.bias.detach().clone() for layer in model.layers]
    return Network(weights, biases, first.threshold, first.t_max)


def _dense(images: Tensor) -> Entries:
    """The dense twin. Its weights are not trained, which changes no time."""
    twin = ann_classifier()

    @torch.inference_mode()
    def eager() -> Tensor:
        return _scores(twin, images).argmax(dim=1)

    compiled = torch.compile(eager, dynamic=False)
    try:
        compiled()
    except RuntimeError as error:  # it needs a C++ compiler
        return {DENSE: eager, "dense compiled": f"not compiled: {_first_line(error)}"}
    return {DENSE: eager, "dense compiled": compiled}


def _scores(dense: nn.Module, images: Tensor) -> Tensor:
    return dense(images.flatten(1) / 255)


def _deciding(rival: Rival, images: Tensor) -> Function:
    return torch.inference_mode()(lambda: rival(fs.encode(images.flatten(1))).argmin(dim=1))


def _timed(spikes: Rival) -> Rival:
    return lambda times: _rivals.first_spike(spikes(times))


def _checked(
    build: Callable[[], Rival], wanted: Tensor, images: Tensor, early: bool
) -> Function | str:
    """A rival that gives the output spike times ``wanted``; if it stops early, the first ones."""
    try:
        rival = build()
        with torch.inference_mode():
            got = rival(fs.encode(images.flatten(1)))
    except Exception as error:  # whatever ails one rival, the others are measured
        return f"left out: {_first_line(error)}"
    if early:
        got, wanted = got.amin(dim=1), wanted.amin(dim=1)
    if not torch.equal(got, wanted):
        return "left out: other spike times than ours"
    return _deciding(rival, images)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _training(model: Classifier) -> Entries:
    """One step with Adam, of networks that start with the trained weights, but for the dense twin.

    The default recipe moves its images and adds noise, which the others do not. The rivals learn
    by surrogate gradients from the cross-entropy on the steps that an output neuron spends after
    its spike.
    """
    train = fs.load_mnist("train")
    batches = zip(
        *(part.split(TRAINING_BATCH) for part in (train.images, train.labels)), strict=True
    )
    upcoming, rng = itertools.cycle(batches), torch.Generator().manual_seed(0)
    recipe, layers = SpikingTraining(ClassifierConfig()), fs.models.classifier()
    for network in (recipe.model, layers):
        network.load_state_dict(model.state_dict())
    images, labels = next(upcoming)
    dense = ann_classifier()
    return {
        "firstspike, default recipe": lambda: recipe.step(*next(upcoming), rng),
        "firstspike, gradients of the paper": _step(
            [*layers.parameters()], lambda: -layers(fs.encode(images.flatten(1))) / 10, labels
        ),
        DENSE: _step([*dense.parameters()], lambda: _scores(dense, images), labels),
        "SpikingJelly": _surrogate_step(_rivals.spikingjelly_spikes, model, images, labels),
        "snnTorch": _surrogate_step(_rivals.snntorch_spikes, model, images, labels),
        "BindsNET": "left out: no gradients, it trains by STDP",
    }


def _surrogate_step(
    build: Callable[[Network], Rival], model: Classifier, images: Tensor, labels: Tensor
) -> Function | str:
    network = _network(model)
    parameters = [p.requires_grad_() for p in (*network.weights, *network.biases)]
    left = torch.arange(network.t_max, 0, -1.0)[:, None, None]
    try:
        rival = build(network)
    except Exception as error:
        return f"left out: {_first_line(error)}"

    def scores() -> Tensor:
        spikes = rival(fs.encode(images.flatten(1), network.t_max))
        return (spikes * left).sum(dim=0) / 10

    return _step(parameters, scores, labels)


def _step(parameters: list[Tensor], scores: Callable[[], Tensor], labels: Tensor) -> Function:
    optimizer = torch.optim.Adam(parameters, 1e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(scores(), labels).backward()
        optimizer.step()

    return step


def _show(result: dict[str, Any], parts: list[str]) -> None:
    console = Console(width=100, highlight=False)
    for name, value in result.items():
        if not isinstance(value, dict):
            console.print(f"{name}: {value}")
    for part in ("activity", *parts):
        _table.show(part, result[part], console)


if __name__ == "__main__":
    main()
