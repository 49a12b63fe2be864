"""Put trained networks into the package, where ``firstspike demo`` finds them.

    python tools/bundle_models.py RUN [RUN ...] [--remove NAME ...]

A RUN is the directory of a finished ``train classifier`` or ``train gan`` on the bundled MNIST, or
a folder with several. Of each, what playing it needs goes to src/firstspike/demo/_models/NAME, in
place of what was there:

    options.json       as the run has it
    checkpoint/        the weights, of a GAN those of the generator that draws alone
    provenance.json    command, seed, version, SHA-256, and what was measured of the weights

NAME tells the kind and the digit, or the loss and the hidden neurons; networks of the names after
--remove go. Classifiers are measured on all of MNIST's test images; of a GAN, 1,000 samples are
shown to the independent digit classifier. ``firstspike generate`` without a run draws with the
first GAN that is bundled. One network of all digits in the place of two of one, in one step:

    python tools/bundle_models.py runs/told --remove gan-3 gan-7
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from pathlib import Path
from typing import Any

import torch

from firstspike.data import load_mnist
from firstspike.demo.networks import given, load
from firstspike.evaluation.classifiers import evaluate_classifier
from firstspike.evaluation.features import digit_probabilities
from firstspike.hub.bundled import BUNDLED, PROVENANCE
from firstspike.metrics import spike_stats
from firstspike.models import Classifier
from firstspike.report.gather import command_of
from firstspike.runs import checkpoint, files
from firstspike.runs.directory import RunDirectory
from firstspike.training.gan import UNSEEN, Gan

SAMPLES = 1000
NOTED = ("strict_accuracy", "ties_accuracy", "decision_step", "total_spikes", "count")


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
    if isinstance(network, Gan):
        measured = measure_gan(network)
        parts = {name: network.networks[name] for name in (drawing_part(network),)}
    elif isinstance(network, Classifier):
        measured, parts = measure_classifier(network), {"model": network}
    else:
        raise ValueError(f"{run.path}: ramp neurons; of classifiers, only step neurons are bundled")
    folder = target / name_of(run)
    options = files.read(run.path / "options.json")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files.write(folder / "options.json", options)
    checkpoint.save(folder / "checkpoint", parts, {}, {"epoch": summary["epochs"]})
    weights = files.read(folder / "checkpoint" / f"{next(iter(parts))}.safetensors")
    provenance = {
        "command": command_of(run),
        "seed": run.options["seed"],
        "version": run.version,
        "bytes": len(weights),
        "sha256": hashlib.sha256(weights).hexdigest(),
        "measured": measured,
    }
    files.write(folder / PROVENANCE, files.to_json(provenance, folder / PROVENANCE))
    return provenance


def drawing_part(gan: Gan) -> str:
    """The name of the network that draws: the best snapshot if there is one."""
    return "best" if getattr(gan, "best_distance", UNSEEN) < UNSEEN else "average"


def name_of(run: RunDirectory) -> str:
    """The name under which a network is bundled."""
    options = run.options
    details = [options["digit"]] if run.kind == "gan" else [options["loss"], options["hidden"]]
    return "-".join(map(str, (run.kind, *details)))


def measure_classifier(model: Classifier) -> dict[str, float]:
    """Accuracy and cost on MNIST's test images."""
    report = evaluate_classifier(model, load_mnist("test"), model.layers[0].t_max).as_dict()
    return {name: report[name] for name in NOTED}


@torch.no_grad()
def measure_gan(gan: Any) -> dict[str, float]:
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
        offers, left_out = given(arguments.runs)
        runs = {name_of(offer.run): offer.run for offer in offers}
        if len(runs) < len(offers):
            raise ValueError(f"several runs of one name; give one for each of {sorted(runs)}")
        for reason in left_out:
            print(f"left out: {reason}")
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
