"""Speed of the classifier 784-400-10: training sample by sample, in minibatches, and inference.

- ``online``: `train_epoch` against a vectorised NumPy version of S4NN's update, which simulates
  every time step: a raster of the input, its product with the weights, a cumulative sum, argmax.
  Decision steps and weights after each of the rival's images are compared before anything is timed.
- ``step``: one minibatch training step against that of the dense twin with Adam and cross-entropy,
  both with and without augmentation. All of the step counts, encoding included.
- ``classify``: decisions on 1 and on 128 images by the bundled network, against the dense twin in
  eager PyTorch.

    OPENBLAS_NUM_THREADS=1 python benchmarks/classifier.py --threads 1 --cpu

prints JSON; times are medians, ratios are medians over neighbouring turns. NumPy reads its number
of threads from the environment only. ``--cpu`` takes the CPU time of the calling thread alone, for
machines that other jobs share.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import _trained
import numpy as np
import torch
from _timing import alternate, median_ratio
from numpy.typing import NDArray
from torch import Tensor

import firstspike as fs
from firstspike.models import ann_classifier
from firstspike.ops.cpu.online import OnlineSettings, train_epoch
from firstspike.training.classifier import AnnTraining, ClassifierTraining, SpikingTraining
from firstspike.training.config import AnnClassifierConfig, ClassifierConfig

Array = NDArray[Any]
Rows = tuple[Tensor, Tensor]  # transposed weights of the hidden and of the output layer
IMAGES = fs.load_mnist("train")
PARTS = ("online", "step", "classify")
TIMED = 10_000  # images of online learning, again and again


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    clock = time.thread_time if options.cpu else time.perf_counter
    result: dict[str, Any] = {"what": "784-400-10, MNIST", **vars(options)}
    measure = {"online": online, "step": step, "classify": classify}
    for part in options.parts:
        torch.manual_seed(0)
        result[part] = measure[part](options, clock)
    print(json.dumps(result, indent=2))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of PyTorch")
    parser.add_argument("--repeats", type=int, default=30, help="turns")
    parser.add_argument("--images", type=int, default=10, help="that NumPy learns in one call")
    parser.add_argument(
        "--before", type=int, default=20_000, help="images of online learning before it is timed"
    )
    parser.add_argument("--batch", type=int, default=100, help="images in a training step")
    parser.add_argument("--epochs", type=int, default=3, help="before a training step is timed")
    parser.add_argument("--cpu", action="store_true", help="CPU time of the thread, not wall time")
    options = parser.parse_args()
    if os.environ.get("OPENBLAS_NUM_THREADS") != str(options.threads):
        parser.error(f"give NumPy as many threads: OPENBLAS_NUM_THREADS={options.threads}")
    return options


def online(options: argparse.Namespace, clock: Callable[[], float]) -> dict[str, Any]:
    """Microseconds per training image, after some images of training and at the start."""
    before, seen = options.before, options.before + TIMED
    times, labels = fs.encode(IMAGES.images[:seen].flatten(1)), IMAGES.labels[:seen]
    fresh = torch.rand(784, 400) * 2.5, torch.rand(400, 10) * 5.0
    trained = _copy(fresh)
    train_epoch(times, labels, torch.arange(before), *trained, OnlineSettings())
    times, labels = times[before:], labels[before:]
    return {
        "from the start": _online(times, labels, fresh, options, clock),
        f"after {before:,} images": _online(times, labels, trained, options, clock),
    }


def _copy(rows: Rows) -> Rows:
    hidden, output = rows
    return hidden.clone(), output.clone()


def _online(
    times: Tensor,
    labels: Tensor,
    rows: Rows,
    options: argparse.Namespace,
    clock: Callable[[], float],
) -> dict[str, Any]:
    settings = OnlineSettings()
    _check_against_numpy(times, labels, rows, settings)
    ours, theirs = _copy(rows), NumpyS4NN(rows, settings)
    position = {"event-driven": 0, "numpy": 0}
    count = {"event-driven": 100 * options.images, "numpy": options.images}

    def upcoming(who: str) -> Tensor:
        """The next images in turn; after the last comes the first."""
        start, position[who] = position[who], position[who] + count[who]
        return torch.arange(start, position[who]) % len(times)

    def learn_numpy() -> None:
        for n in upcoming("numpy").tolist():
            theirs.learn(times[n].numpy(), int(labels[n]))

    measured = alternate(
        {
            "event-driven": lambda: train_epoch(
                times, labels, upcoming("event-driven"), *ours, settings
            ),
            "numpy": learn_numpy,
        },
        options.repeats,
        clock,
        turn=0,
    )
    each = {who: [ms / count[who] * 1e3 for ms in measured[who]] for who in measured}
    return {
        "microseconds per image": _medians(each),
        "ratio numpy/event-driven": round(median_ratio(each["numpy"], each["event-driven"]), 1),
    }


class NumpyS4NN:
    """S4NN's update on a raster of all time steps (arXiv 1910.09495), vectorised with NumPy.

    As the authors' script does it, but for the order, as the hidden error takes the output weights
    before the update, and for float32, which is faster. Weights are [out, in].
    """

    def __init__(self, rows: Rows, settings: OnlineSettings) -> None:
        self.weights = [part.numpy().T.copy() for part in rows]
        self.settings = settings
        self.rasters = [np.zeros((len(part), settings.t_max + 1), np.float32) for part in rows]

    def learn(self, times: Array, label: int) -> int:
        """One update; the step of the first output spike."""
        s = self.settings
        hidden = self._fire(0, times)
        output = self._fire(1, hidden)
        first = output.min()
        if first == s.t_max:
            target = np.full(len(output), first)
            target[label] = first - s.gamma
        else:
            target = np.where(output - first < s.gamma, min(first + s.gamma, s.t_max), output)
            target[label] = first
        error = _unit(target - output)
        arrived = hidden < output[:, None]
        hidden_error = _unit((error[:, None] * arrived * self.weights[1]).sum(axis=0))
        self._update(1, error, arrived)
        self._update(0, hidden_error, times < hidden[:, None])
        return int(first)

    def _fire(self, layer: int, times: Array) -> Array:
        """First crossing of the cumulative sum, one step later than the inputs that cause it."""
        t_max, raster = self.settings.t_max, self.rasters[layer]
        raster[:] = 0
        raster[np.arange(len(times)), times.astype(int)] = 1
        voltage = np.cumsum(np.tensordot(self.weights[layer], raster, axes=1), axis=1)
        voltage[:, t_max - 1] = self.settings.threshold + 1
        return (np.argmax(voltage > self.settings.threshold, axis=1) + 1).astype(np.float32)

    def _update(self, layer: int, error: Array, arrived: Array) -> None:
        """S4NN's error is target minus time, hence the sign."""
        lr, weight = self.settings.lr[layer], self.weights[layer]
        weight -= lr * self.settings.decay * weight
        weight -= lr * error[:, None] * arrived


def _unit(error: Array) -> Array:
    norm = np.linalg.norm(error)
    return error / norm if norm else error


def _check_against_numpy(
    times: Tensor, labels: Tensor, rows: Rows, settings: OnlineSettings, count: int = 30
) -> None:
    """Both learn from the same images: same decision steps, same weights to rounding."""
    ours, theirs = _copy(rows), NumpyS4NN(rows, settings)
    for n in range(count):
        stats = train_epoch(times, labels, torch.tensor([n]), *ours, settings)
        assert int(stats.decisions) == theirs.learn(times[n].numpy(), int(labels[n])), n
        for mine, weight in zip(ours, theirs.weights, strict=True):
            np.testing.assert_allclose(mine.numpy(), weight.T, rtol=1e-4, atol=1e-4)


def step(options: argparse.Namespace, clock: Callable[[], float]) -> dict[str, Any]:
    """Milliseconds of one minibatch step, from uint8 images to new weights, of networks trained
    for some epochs: as their commands do it, and without moving images, noise and dropout."""
    rng = torch.Generator().manual_seed(0)
    batches = IMAGES.images.split(options.batch), IMAGES.labels.split(options.batch)
    bare: dict[str, Any] = {"shift": 0, "jitter": 0.0, "dropout": 0.0}
    trainings: dict[str, ClassifierTraining] = {
        "spiking": SpikingTraining(ClassifierConfig()),
        "spiking, bare": SpikingTraining(dataclasses.replace(ClassifierConfig(), **bare)),
        "dense": AnnTraining(AnnClassifierConfig()),
        "dense, bare": AnnTraining(AnnClassifierConfig(shift=0)),
    }

    def learner(training: ClassifierTraining) -> Callable[[], object]:
        for _ in range(options.epochs):
            for images, labels in zip(*batches, strict=True):
                training.step(images, labels, rng)
        upcoming = itertools.cycle(zip(*batches, strict=True))
        return lambda: training.step(*next(upcoming), rng)

    functions = {name: learner(training) for name, training in trainings.items()}
    ms = alternate(functions, options.repeats, clock)
    return {
        "ms": _medians(ms),
        "ratio spiking/dense": round(median_ratio(ms["spiking"], ms["dense"]), 3),
        "ratio bare": round(median_ratio(ms["spiking, bare"], ms["dense, bare"]), 3),
        "ratio spiking/dense, bare": round(median_ratio(ms["spiking"], ms["dense, bare"]), 3),
    }


def classify(options: argparse.Namespace, clock: Callable[[], float]) -> dict[str, Any]:
    """Milliseconds for a decision on 1 and on 128 test images."""
    model, dense, test = _trained.load(None), ann_classifier(), fs.load_mnist("test").images
    result: dict[str, Any] = {}
    for count in (1, 128):
        images = test[:count]
        _check_early_exit(model, images)

        @torch.no_grad()
        def decide_dense(images: Tensor = images) -> Tensor:
            return dense(images.flatten(1) / 255).argmax(dim=1)

        functions = {
            "race": lambda images=images: model.classify(images),
            "dense": decide_dense,
        }
        result[f"batch {count}"] = _beside_dense(alternate(functions, options.repeats, clock))
    return result


def _check_early_exit(model: fs.models.Classifier, images: Tensor) -> None:
    """The race decides as the layers do one after the other."""
    output = model.layer_times(fs.encode(images.flatten(1)))[-1]
    decided = model.classify(images)
    assert torch.equal(decided.decisions, output.amin(dim=1).long())
    spoke = decided.decisions < 256
    assert torch.equal(decided.classes[spoke], output.argmin(dim=1)[spoke])


def _beside_dense(measured: dict[str, list[float]]) -> dict[str, Any]:
    ratios = {
        f"ratio {name}/dense": round(median_ratio(ms, measured["dense"]), 3)
        for name, ms in measured.items()
        if name != "dense"
    }
    return {"ms": _medians(measured), **ratios}


def _medians(measured: dict[str, list[float]]) -> dict[str, float]:
    return {name: round(statistics.median(values), 4) for name, values in measured.items()}


if __name__ == "__main__":
    main()
