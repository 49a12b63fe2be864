"""Put trained networks into the package, where ``firstspike demo`` finds them.

    python tools/bundle_models.py RUN [RUN ...] [--remove NAME ...]

A RUN is the directory of a finished training of a network that spikes, on the bundled MNIST or on
canvases of its digits, or a folder with several. Of each, what playing it needs goes to
src/firstspike/demo/_models/NAME, in place of what was there:

    options.json       as the run has it
    checkpoint/        the weights, of a GAN those of the generator that draws alone
    provenance.json    command, seed, data, version, SHA-256, and what was measured of the weights

NAME tells the kind and the digit, task, or loss and hidden neurons; networks of the names after
--remove go. All are measured on the test set: classifiers, translators, segmenters and detectors on
all of it, autoencoders by reconstructions of it; of a GAN, 1,000 samples are shown to the
independent digit classifier. ``firstspike generate`` without a run draws with the first GAN that is
bundled. One network of all digits in the place of two of one, in one step:

    python tools/bundle_models.py runs/told --remove gan-3 gan-7
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from firstspike.data import ImageSet, load_mnist
from firstspike.demo.networks import load
from firstspike.evaluation.classifiers import evaluate_classifier
from firstspike.evaluation.detection import mean_precision
from firstspike.evaluation.features import digit_probabilities
from firstspike.hub.bundled import BUNDLED, PROVENANCE
from firstspike.metrics import spike_stats
from firstspike.models import Classifier
from firstspike.report.gather import command_of
from firstspike.runs import checkpoint, files
from firstspike.runs.directory import RunDirectory
from firstspike.training import kinds
from firstspike.training.detect import SpikingDetector
from firstspike.training.gan import UNSEEN, Gan
from firstspike.training.pixels import PixelTraining
from firstspike.training.vae import SpikingVae

SAMPLES = 1000
NOTED = ("strict_accuracy", "ties_accuracy", "decision_step", "total_spikes", "count")

Figures = dict[str, float]


def bundle(run: RunDirectory, target: Path) -> dict[str, Any]:
    """Replace the folder ``target/NAME`` by what playing the run's network needs.

    Returns:
        The provenance that was written.

    Raises:
        ValueError: the run has not ended, or was not trained on the bundled MNIST, or is a
            classifier of ramp neurons.
    """
    if run.options.get("data") is not None:
        raise ValueError(f"{run.path}: trained on {run.options['data']}; give a run on MNIST")
    summary = run.read_summary()
    network = load(run)
    measured, parts = measure(network), parts_of(network)
    folder = target / name_of(run)
    options = files.read(run.path / "options.json")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files.write(folder / "options.json", options)
    checkpoint.save(folder / "checkpoint", parts, {}, {"epoch": summary["epochs"]})
    saved = (folder / "checkpoint" / f"{name}.safetensors" for name in sorted(parts))
    weights = b"".join(map(files.read, saved))
    provenance = {
        "command": command_of(run),
        "seed": run.options["seed"],
        "data": data_of(run),
        "version": run.version,
        "bytes": len(weights),
        "sha256": hashlib.sha256(weights).hexdigest(),
        "measured": measured,
    }
    files.write(folder / PROVENANCE, files.to_json(provenance, folder / PROVENANCE))
    return provenance


def parts_of(network: Any) -> dict[str, nn.Module]:
    """What playing a network needs, by the names in its checkpoint."""
    if isinstance(network, Classifier):
        return {"model": network}
    wanted = (drawing_part(network),) if isinstance(network, Gan) else network.networks
    return {name: network.networks[name] for name in wanted}


def drawing_part(gan: Gan) -> str:
    """The name of the network that draws: the best snapshot if there is one."""
    return "best" if getattr(gan, "best_distance", UNSEEN) < UNSEEN else "average"


def name_of(run: RunDirectory) -> str:
    """The name under which a network is bundled."""
    options = run.options
    details = [options[name] for name in ("digit", "task") if name in options]
    if options.get("auxiliary"):
        details = ["auxiliary"]
    if run.kind == "classifier":
        details = [options["loss"], options["hidden"]]
    return "-".join(map(str, (run.kind, *details)))


def data_of(run: RunDirectory) -> str:
    """What a network was trained on, for people."""
    digits = "MNIST, 60,000 training images of 28x28 pixels in gray"
    if "canvases" in run.options:
        return f"{run.options['canvases']:,} canvases of 64x64 pixels, with digits of {digits}"
    return f"{digits}, task {run.options['task']}" if "task" in run.options else digits


def measure(network: Any, count: int | None = None) -> Figures:
    """What a card tells of a network's quality, on the first ``count`` test images or all."""
    for family, measured in MEASURES.items():
        if isinstance(network, family):
            return measured(network, count)
    raise ValueError("network: ramp neurons; of classifiers, only step neurons are bundled")


def unseen(network: Any, count: int | None) -> ImageSet:
    """Test images of a network, or the first of them."""
    images = network.load_unseen(network.config, "test")
    return images.part(torch.arange(len(images)) < (count or len(images)), images.name)


def measure_classifier(model: Classifier, count: int | None = None) -> Figures:
    """Accuracy and cost on MNIST's test images."""
    test = load_mnist("test")
    images = test.part(torch.arange(len(test)) < (count or len(test)), test.name)
    report = evaluate_classifier(model, images, model.layers[0].t_max).as_dict()
    return {name: report[name] for name in NOTED}


@torch.no_grad()
def measure_gan(gan: Any, count: int | None = None) -> Figures:
    """Spikes of the generator per image, and how often another network reads the digit wanted."""
    latents = gan.latents(SAMPLES, torch.Generator().manual_seed(0))
    drawn = gan.artist(averaged=True).layer_times(latents)
    layer_times = [times.flatten(1) for times in drawn]
    spikes = spike_stats(layer_times, gan.config.t_max, until="end").total
    measured = {"samples": SAMPLES, "spikes": float(spikes.float().mean())}
    if gan.config.conditional or gan.config.digit.isdecimal():
        wanted = torch.arange(SAMPLES) % 10 if gan.config.conditional else int(gan.config.digit)
        read = digit_probabilities(gan.images(layer_times[-1])).argmax(dim=1)
        measured["read_as_the_digit"] = float((read == wanted).float().mean())
    return measured


def measure_vae(vae: SpikingVae, count: int | None = None) -> Figures:
    """Error and spikes of reconstructions of test images, and spikes of a sample."""
    images = unseen(vae, count).images
    latents = vae.latents(SAMPLES, torch.Generator().manual_seed(0))
    return {
        "spikes": vae.spikes(latents)["decoder_spikes"],
        "reconstruction_error": vae.error_of(images),
        **{name: vae.further(images, images, images)[name] for name in
           ("encoder_spikes", "spikes_a_neuron")},
        "count": len(images),
    }  # fmt: skip


def measure_map(network: PixelTraining, count: int | None = None) -> Figures:
    """How right the answers of a translator or a segmenter are, and their spikes."""
    images = unseen(network, count)
    said, spikes = network.answers(images.images)
    found = {**network.judged(said, images), **network.further(said, images), **spikes}
    kept = {name: value for name, value in found.items() if isinstance(value, float)}
    made: Any = network.result()
    layers = made.layer_times(network.times_of(images.images[:1]))
    neurons = sum(times.numel() for times in layers)
    spikes_of_image = found["spikes_a_neuron"] * neurons
    return kept | {"spikes": spikes_of_image, "count": len(images)}


def measure_detector(detector: SpikingDetector, count: int | None = None) -> Figures:
    """Mean average precision and spikes on canvases of test digits."""
    scenes: Any = unseen(detector, count)
    found = mean_precision(scenes, detector.detect(scenes.images))
    kept = {name: found[name] for name in ("map_50", "map", "recall_50")}
    activity = detector.activity(scenes.images)
    kept |= {name: activity[name] for name in ("spikes", "spikes_a_neuron")}
    return kept | {"count": len(scenes)}


MEASURES: dict[type, Callable[..., Figures]] = {
    Gan: measure_gan,
    SpikingVae: measure_vae,
    PixelTraining: measure_map,
    SpikingDetector: measure_detector,
    Classifier: measure_classifier,
}


def runs_below(paths: list[Path]) -> list[RunDirectory]:
    """The runs in these folders, or below them. ValueError if one holds none."""
    found = []
    for path in paths:
        inside = [path] if (path / "options.json").exists() else [
            file.parent for file in files.find(path, "options.json")
        ]  # fmt: skip
        if not inside:
            raise ValueError(f"{path}: no run here nor below; name a run's folder")
        found += [RunDirectory.open(folder) for folder in inside]
    for run in found:
        if not kinds.find(run.kind, run.path).spikes:
            raise ValueError(f"{run.path}: a {run.kind} run, which does not spike; leave it out")
    return found


def main() -> None:
    """Bundle the runs and print what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--out", type=Path, default=BUNDLED, help="instead of the package's folder")
    parser.add_argument("--remove", nargs="+", default=(), metavar="NAME", help="networks that go")
    arguments = parser.parse_args()
    try:
        found = runs_below(arguments.runs)
        runs = {name_of(run): run for run in found}
        if len(runs) < len(found):
            raise ValueError(f"several runs of one name; give one for each of {sorted(runs)}")
        for name in arguments.remove:
            if not (arguments.out / name / PROVENANCE).exists():
                raise ValueError(f"--remove {name}: no network of this name in {arguments.out}")
        for name, run in runs.items():
            provenance = bundle(run, arguments.out)
            print(f"{name}: {provenance['bytes']} bytes, {provenance['measured']}")
        for name in set(arguments.remove) - set(runs):
            shutil.rmtree(arguments.out / name)
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
