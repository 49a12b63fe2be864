"""``firstspike generate``: images from a trained generator."""

from __future__ import annotations

import math
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from firstspike.runs import files
from firstspike.words import counted

if TYPE_CHECKING:  # the command line starts without PyTorch
    import torch

PICTURES = (".png", ".jpg", ".jpeg", ".gif")
MOST = 1_000_000  # images at once
MOST_MOVING = 1000  # that appear in one animation: fifty frames of all of them
AT_ONCE = 1000  # images whose spikes are held in memory
LARGE = 1 << 24  # pixels of all images from which on those of a grid are not enlarged
DEFLATED = zipfile.ZIP_DEFLATED


@dataclass(frozen=True)
class Generate:
    """Draw images with a trained generator."""

    run: Positional[Path | None] = None
    """Folder of the run, or the name of a network in the package (see `firstspike models`); the
    first of these that draws if not given."""
    out: Path = Path("samples.png")
    """One grid (.png, .jpg), an animation (.gif) of walks or, without --interpolate, of samples
    that appear in the order of their spikes, arrays (.npz), or a folder of single pictures (a name
    without a suffix)."""
    count: int = 64
    """Images to draw."""
    digit: str | None = None
    """Class to draw, of a network that was trained with --conditional or --auxiliary; all in turn
    if not given."""
    seed: int = 0
    """Of the latents."""
    interpolate: int | None = None
    """Walk from one random latent to another in this many images; one walk a row."""
    to_digit: str | None = None
    """With --interpolate: class to which the walks go, from that of --digit or from each."""
    map: int | None = None
    """Of an autoencoder with two latents: its map, so many images a side, equally likely fields."""
    reconstruct: bool = False
    """Of an autoencoder: rows of images that it has not seen, and below each what it makes of
    them; arrays and folders hold the latter alone."""
    truncation: float = 1.0
    """Pull latents to the middle, to this share of their distance: below 1 samples are less varied
    (docs/tutorial-gan.md says what it costs)."""
    averaged: bool = True
    """Draw with the average of the generator's weights over training."""
    device: str = "cpu"
    """Where ramp networks and dense twins draw: cpu, cuda, mps or the like, or auto."""

    def __call__(self) -> None:
        _generate(self)


def _generate(request: Generate) -> None:
    """Draw images, save them and tell their cost in spikes."""
    out = request.out
    _check(request, out)
    if out.suffix:
        files.check_file(out)
    else:
        files.check_folder(out)
        files.check_unused(out)  # which is told again where it is made
    import torch

    from firstspike.drawing import grids
    from firstspike.training import devices

    devices.find(request.device)  # complains before work starts
    gan, is_whole = _load(request)
    devices.moved(gan, request.device)
    rng = torch.Generator().manual_seed(request.seed)
    columns = request.interpolate or request.map
    seen = _unseen(gan, request.count) if request.reconstruct else None
    latents = _latents(gan, request, rng) if seen is None else gan.means(seen)
    latents = gan.truncated(latents, request.truncation)
    figures: Counter[str] = Counter()
    parts = _draw(gan, latents, figures, averaged=request.averaged)
    count, what = len(latents), counted(len(latents), "image")
    if seen is not None and out.suffix.lower() in PICTURES:
        images, columns = grids.rows_beside(seen / 255, torch.cat(list(parts)))
        parts, count, what = iter([images]), len(images), f"{what}, reconstructions below"
    _save(out, parts, count, latents, columns)
    print(f"{what}: {out}")
    for name, figure in figures.items():
        if is_whole or name.startswith("generator"):  # all that is in the package
            print(f"  {name.replace('_', ' ')}: {figure:.4g}")


def _load(request: Generate) -> tuple[Any, bool]:
    """The networks of the run, and whether there are more of them than draw."""
    from firstspike.hub import bundled
    from firstspike.training import kinds
    from firstspike.training.loading import load_artist, load_gan

    run = bundled.find("gan") if request.run is None else bundled.find_run(request.run)
    gan, is_whole = load_artist(run) if request.averaged else (load_gan(run), True)
    is_walk = request.interpolate is not None
    if (request.map or request.reconstruct) and not hasattr(gan, "reconstruct"):
        raise ValueError(
            f"{run.path}: {run.noun}, which neither reconstructs nor has a map; give one of "
            "an autoencoder"
        )
    if request.out.suffix.lower() == ".gif" and not (is_walk or kinds.find(run.kind).spikes):
        raise ValueError(
            f"{request.out}: {run.noun} has no spikes to show; give --interpolate for walks"
        )
    return gan, is_whole


def _latents(gan: Any, request: Generate, rng: torch.Generator) -> torch.Tensor:
    """Latents of samples, of walks or of a map."""
    import torch

    if request.map is not None:
        mapped: torch.Tensor = gan.lattice(request.map)
        return mapped
    count, steps = request.count, request.interpolate
    if steps is not None:
        count = -(-count // steps)  # walks

    def classes(name: str | None) -> torch.Tensor | None:
        return None if name is None else torch.full((count,), gan.shape.label(name))

    digits = classes(request.digit)
    drawn: torch.Tensor = (
        gan.latents(count, rng, digits)
        if steps is None
        else gan.walk(steps, count, rng, digits, classes(request.to_digit))
    )
    return drawn


def _unseen(trainer: Any, count: int) -> torch.Tensor:
    """The first images of the test set of a network's data."""
    images = trainer.load_unseen(trainer.config, "test")
    trainer.check(images)
    seen: torch.Tensor = images.images[:count]
    return seen


def _draw(
    gan: Any, latents: torch.Tensor, figures: Counter[str], *, averaged: bool
) -> Iterator[torch.Tensor]:
    """Images, some at a time, so that memory does not grow with them; ``figures`` get the means."""
    for part in latents.split(AT_ONCE):
        share = len(part) / len(latents)
        spikes = gan.spikes(part, averaged=averaged)
        figures.update({name: share * figure for name, figure in spikes.items()})
        yield gan.sample(part, averaged=averaged)


def _check(request: Generate, out: Path) -> None:
    """Raise ValueError if there is no way to do what is asked."""
    modes = {"interpolate": request.interpolate, "map": request.map}
    for name, value in {"count": request.count, **modes}.items():
        if value is not None and not 1 <= value <= MOST:
            bound = "at least 1" if value < 1 else f"at most {MOST}"
            raise ValueError(f"{name} must be {bound}, got {value}")
    if (request.map or 0) ** 2 > MOST:
        raise ValueError(f"map must be at most {math.isqrt(MOST)}, got {request.map}")
    if not 0 <= request.seed < 2**63:
        raise ValueError(f"seed must be in 0..2**63-1, got {request.seed}")
    given = [name for name, value in modes.items() if value is not None]
    given += ["reconstruct"] * request.reconstruct
    suffix = out.suffix.lower()
    if len(given) > 1:
        raise ValueError(f"{given[0]} and {given[1]}: one picture shows one of them; leave one out")
    if suffix == ".gif" and given and given != ["interpolate"]:
        raise ValueError(f"{out}: {given[0]} does not move; choose .png or another suffix")
    if suffix not in ("", ".npz", *PICTURES):
        known = ", ".join((".npz", *PICTURES))
        raise ValueError(f"{out}: no format has this suffix; give {known}, or none for a folder")
    if not 0 <= request.truncation <= 1:
        raise ValueError(f"truncation must be between 0 and 1, got {request.truncation}")
    if request.to_digit is not None and request.interpolate is None:
        raise ValueError("to_digit: only walks end elsewhere; give --interpolate as well")
    frames = MOST if suffix != ".gif" else MOST_MOVING
    if request.interpolate is None and request.count > frames:
        raise ValueError(
            f"count must be at most {frames} for {out}, which holds them in each frame"
        )
    if request.run is None and not request.averaged:
        raise ValueError("averaged: the package holds averaged weights only; name a run")


def _save(
    out: Path,
    parts: Iterator[torch.Tensor],
    count: int,
    latents: torch.Tensor,
    columns: int | None,
) -> None:
    """Write ``count`` images, which come in parts, in the form that the name asks for."""
    from firstspike.drawing import grids

    suffix = out.suffix.lower()
    if suffix == ".npz":
        with files.saving(out) as temporary, zipfile.ZipFile(temporary, "w", DEFLATED) as archive:
            _save_array(archive, "images", parts, count)
            _save_array(archive, "latents", iter([latents]), count)
        return
    if not suffix:
        grids.save_parts(out, parts, count)
        return
    pixels = grids.gathered(parts, count)
    if suffix != ".gif":
        grids.save_image_grid(out, pixels, columns, scale=1 if pixels.size > LARGE else 2)
    elif columns is None:
        grids.save_spikes(out, pixels)
    else:
        grids.save_walks(out, pixels, columns)


def _save_array(
    archive: zipfile.ZipFile, name: str, parts: Iterator[torch.Tensor], count: int
) -> None:
    """Add an array, which comes in parts, to a file as of `numpy.savez`."""
    import numpy as np

    with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
        for number, part in enumerate(parts):
            array = np.ascontiguousarray(part.cpu().numpy())
            if not number:
                told = {"descr": array.dtype.str, "fortran_order": False}
                shape = {"shape": (count, *array.shape[1:])}
                np.lib.format.write_array_header_1_0(stream, told | shape)
            stream.write(array.tobytes())
