"""``firstspike generate``: images from a trained generator."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

if TYPE_CHECKING:  # the command line starts without PyTorch
    import torch

PICTURES = (".png", ".jpg", ".jpeg", ".gif")
MOST = 1_000_000  # images at once
AT_ONCE = 1000  # images whose spikes are held in memory


@dataclass(frozen=True)
class Generate:
    """Draw images with a trained generator."""

    run: Positional[Path]
    """Folder of the run."""
    out: Path = Path("samples.png")
    """One grid (.png, .jpg), walks as an animation (.gif), arrays (.npz), or a folder of single
    pictures (a name without a suffix)."""
    count: int = 64
    """Images to draw."""
    digit: str | None = None
    """Class to draw, of a network that was trained with --conditional; all in turn if not given."""
    seed: int = 0
    """Of the latents."""
    interpolate: int | None = None
    """Walk from one random latent to another in this many images; one walk a row."""
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
    import torch

    from firstspike.runs.directory import RunDirectory
    from firstspike.training import devices
    from firstspike.training.loading import load_gan

    devices.find(request.device)  # complains before work starts
    gan = devices.moved(load_gan(RunDirectory.open(request.run)), request.device)
    rng = torch.Generator().manual_seed(request.seed)
    count, steps = request.count, request.interpolate
    if steps is not None:
        count = -(-count // steps)  # walks
    digits = None
    if request.digit is not None:
        digits = torch.full((count,), gan.shape.label(request.digit))
    if steps is None:
        latents = gan.latents(count, rng, digits)
    else:
        latents = gan.walk(steps, count, rng, digits)
    images, figures = _draw(gan, latents, averaged=request.averaged)
    _save(out, images, latents, steps)
    print(f"{len(images)} images: {out}")
    for name, figure in figures.items():
        print(f"  {name.replace('_', ' ')}: {figure:.4g}")


def _draw(gan: Any, latents: torch.Tensor, *, averaged: bool) -> tuple[torch.Tensor, Counter[str]]:
    """Images, and mean figures of their spikes, some at a time: layers need more room than they."""
    import torch

    images, figures = [], Counter[str]()
    for part in latents.split(AT_ONCE):
        images.append(gan.sample(part, averaged=averaged))
        share = len(part) / len(latents)
        spikes = gan.spikes(part, averaged=averaged)
        figures.update({name: share * figure for name, figure in spikes.items()})
    return torch.cat(images), figures


def _check(request: Generate, out: Path) -> None:
    """Raise ValueError if there is no way to do what is asked."""
    for name, value in (("count", request.count), ("interpolate", request.interpolate)):
        if value is not None and not 1 <= value <= MOST:
            bound = "at least 1" if value < 1 else f"at most {MOST}"
            raise ValueError(f"{name} must be {bound}, got {value}")
    if not 0 <= request.seed < 2**63:
        raise ValueError(f"seed must be in 0..2**63-1, got {request.seed}")
    suffix = out.suffix.lower()
    if suffix not in ("", ".npz", *PICTURES):
        known = ", ".join((".npz", *PICTURES))
        raise ValueError(f"{out}: no format has this suffix; give {known}, or none for a folder")
    if suffix == ".gif" and request.interpolate is None:
        raise ValueError(f"{out}: an animation shows walks; give --interpolate as well")


def _save(out: Path, images: torch.Tensor, latents: torch.Tensor, steps: int | None) -> None:
    from firstspike.drawing import grids
    from firstspike.runs import files

    suffix = out.suffix.lower()
    if suffix == ".gif":
        grids.save_walks(out, images, steps or 1)
    elif suffix in PICTURES:
        grids.save_image_grid(out, images, columns=steps)
    elif suffix == ".npz":
        import numpy as np

        arrays: dict[str, Any] = {"images": images.numpy(), "latents": latents.numpy()}
        with files.explained(out, "choose another --out"):
            out.parent.mkdir(parents=True, exist_ok=True)
            with files.replacing(out) as temporary:
                np.savez_compressed(temporary, **arrays)
    else:
        grids.save_images(out, images)
