"""CPU seconds until a network 784-400-10 is right so often: what users wait for.

Each contender trains in its own way from a fresh start: firstspike's step and ramp neurons and the
dense twin in the loops of their commands, with rates that fall over ``--epochs``; snnTorch and
SpikingJelly as their own tutorials train on MNIST, but with as many hidden neurons (`_tutorials`).
After every so many images accuracy is taken on images that are held out. Neither that counts, nor
reading of data and compiling. The clock is CPU time of all threads, so that other jobs on the
machine matter little; with more than one, that of threads which wait for work counts as well.

    python benchmarks/time_to_accuracy.py --threads 1 --json FILE --picture curves.png
    python benchmarks/time_to_accuracy.py --threads 1 --data FOLDER --levels 88 --augment mirror

Contenders may be measured one by one (``--only``) and drawn together (``--add``). Rotated and
stretched images, as the command for ramp neurons makes by default, suit digits; ``--augment`` names
another variation, for them and for the twin with batch normalisation, which learns in the same
loop. The plain twin's own, moves by a pixel, stays.

A rival that is not installed is left out; `peers.py` tells how to install them.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import _tutorials
import torch
from torch import Tensor

from firstspike.data import Parts, divide, load_images
from firstspike.training.classifier import AnnTraining, SpikingTraining
from firstspike.training.config import ann_classifier_defaults, classifier_defaults

NORMALISED = "784-400-10"  # the twin in the loop of ramp neurons
RIVALS = {"snnTorch": _tutorials.SnnTorch, "SpikingJelly": _tutorials.SpikingJelly}


class Contender(NamedTuple):
    """A network on its way.

    ``steps`` trains on a batch each time it is asked for more, and says how many images that were;
    ``accuracy`` is that of uint8 images [N, 28, 28] and their labels [N].
    """

    steps: Iterator[int]
    accuracy: Callable[[Tensor, Tensor], float]


def own(kind: Any, config: Any, parts: Parts, seed: int) -> Contender:
    """A trainer of firstspike's, in the loop of its command."""
    trainer = kind(config, parts.training.shape)
    trainer.watch(parts)
    rng = torch.Generator().manual_seed(seed)

    def steps() -> Iterator[int]:
        for epoch in range(1, config.epochs + 1):
            trainer.start_epoch(epoch)
            for chosen in torch.randperm(len(parts.training), generator=rng).split(config.batch):
                trainer.step(parts.training.images[chosen], parts.training.labels[chosen], rng)
                yield len(chosen)

    def accuracy(images: Tensor, labels: Tensor) -> float:
        trainer.finish_epoch(rng)  # the window of ramp neurons' answers
        return float(trainer.measure(images, labels)["accuracy"])

    return Contender(steps(), accuracy)


def rival(tutorial: Any, parts: Parts, epochs: int, seed: int) -> Contender:
    """Another library, as it is meant to be used."""
    torch.manual_seed(seed)
    learner = tutorial(hidden=400)

    def steps() -> Iterator[int]:
        for _ in range(epochs):
            for chosen in torch.randperm(len(parts.training)).split(learner.batch):
                learner.step(parts.training.images[chosen], parts.training.labels[chosen])
                yield len(chosen)

    def accuracy(images: Tensor, labels: Tensor) -> float:
        with torch.no_grad():
            classes = torch.cat([learner.scores(some).argmax(dim=1) for some in images.split(500)])
        return float((classes == labels).double().mean())

    return Contender(steps(), accuracy)


def contenders(
    parts: Parts, given: argparse.Namespace, seed: int
) -> dict[str, Callable[[], Contender]]:
    """What starts each of them."""
    defaults = (
        classifier_defaults({}),
        classifier_defaults({"neuron": "ramp"}),
        ann_classifier_defaults({}),
        ann_classifier_defaults({"network": NORMALISED}),
    )
    step, ramp, twin, normalised = (
        dataclasses.replace(config, epochs=given.epochs, seed=seed) for config in defaults
    )
    how = given.augment or ramp.augment
    ramp, normalised = (dataclasses.replace(one, augment=how) for one in (ramp, normalised))
    found: dict[str, Callable[[], Contender]] = {
        "firstspike, step": lambda: own(SpikingTraining, step, parts, seed),
        "firstspike, ramp": lambda: own(SpikingTraining, ramp, parts, seed),
        "dense twin": lambda: own(AnnTraining, twin, parts, seed),
        "dense twin, normalised": lambda: own(AnnTraining, normalised, parts, seed),
    }
    for name, tutorial in RIVALS.items():
        if importlib.util.find_spec(name.lower()) is not None:
            found[name] = functools.partial(rival, tutorial, parts, given.epochs, seed)
    return found


def wait(start: Callable[[], Contender], parts: Parts, given: argparse.Namespace) -> dict[str, Any]:
    """Train until the highest level, or the end; CPU seconds to each level, and the curve."""
    next(start().steps)  # another one compiles what there is to compile
    contender = start()
    assert parts.held_out is not None
    images, labels = (t[: given.held_out] for t in (parts.held_out.images, parts.held_out.labels))
    seconds, seen, due, best, curve = 0.0, 0, 0, 0.0, []
    while best < max(given.levels) and seconds < given.limit:
        begun = time.process_time()
        count = next(contender.steps, 0)
        seconds += time.process_time() - begun
        seen += count
        if seen >= due or not count:
            best = max(best, 100 * contender.accuracy(images, labels))
            curve.append((round(seconds, 3), seen, round(best, 2)))
            due = seen + given.every
        if not count:
            break
    reached = {
        f"{level:g} %": next((s for s, _, right in curve if right >= level), None)
        for level in given.levels
    }
    return {"seconds": reached, "curve": curve}


def draw(found: dict[str, Any], path: Path) -> None:
    """Accuracy over CPU seconds, of the first seed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, runs in found.items():
        seconds, _, right = zip(*runs[0]["curve"], strict=True)
        own_one = name.startswith("firstspike")
        axes.plot(seconds, right, label=name, linewidth=2.5 if own_one else 1.2, marker=".")
    axes.set(xscale="log", xlabel="CPU seconds of training", ylabel="held out, best so far, %")
    axes.set_xlim(left=0.05)
    axes.set_ylim(80, 100)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", help="a folder of IDX files instead of the bundled MNIST")
    parser.add_argument("--levels", nargs="+", type=float, default=[97.0, 98.0], help="in %%")
    parser.add_argument("--epochs", type=int, default=20, help="over which rates fall")
    parser.add_argument("--augment", help="how images are varied for ramp neurons")
    parser.add_argument("--every", type=int, default=5000, help="images between checks")
    parser.add_argument("--held-out", type=int, default=5000, help="images of a check")
    parser.add_argument("--limit", type=float, default=600.0, help="CPU seconds, at most")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="more inflate CPU time: they spin")
    parser.add_argument("--only", nargs="+", help="of the contenders")
    parser.add_argument("--add", type=Path, nargs="+", default=[], help="figures of earlier calls")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--picture", type=Path, help="file for the curves")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    parts = divide(load_images(given.data, "train"), 1 / 6)
    found: dict[str, Any] = {}
    for path in given.add:
        found |= json.loads(path.read_text(encoding="utf-8"))
    for seed in range(given.seeds):
        for name, start in contenders(parts, given, seed).items():
            if given.only is None or name in given.only:
                found.setdefault(name, []).append(wait(start, parts, given))
                print(seed, name, found[name][-1]["seconds"], flush=True)
    if given.json is not None:
        given.json.write_text(json.dumps(found) + "\n", encoding="utf-8")
    if given.picture is not None:
        draw(found, given.picture)


if __name__ == "__main__":
    main()
