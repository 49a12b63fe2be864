"""What autoencoders, translators, segmenters and detectors answer, as JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from firstspike.coding import encode
from firstspike.data import ImageSet, Scenes, canvas_scenes, canvases, load_mnist
from firstspike.data.masks import masked
from firstspike.data.pairs import PairSet, Task, pairs_of
from firstspike.training.detect import SpikingDetector
from firstspike.training.segmentation import Segmentation
from firstspike.training.translation import Translation
from firstspike.training.vae import SpikingVae

SEEN = 2  # latents of an autoencoder that the page shows; others stay in the middle
DAMAGING: tuple[Task, ...] = ("noisy", "holes")  # tasks whose input nobody draws

Json = dict[str, Any]


def chart(vae: SpikingVae, side: int) -> Json:
    """What the first two latents draw, in the middles of ``side`` times ``side`` equal fields.

    Returns:
        ``images``, row by row the spike times of their pixels; ``t_max``.
    """
    shares = (torch.arange(side) + 0.5) / side
    drawn = vae.spiking_decoder()(_latents(vae, torch.cartesian_prod(shares, shares)))
    return {"images": drawn.flatten(1).int().tolist(), "t_max": vae.config.t_max}


def place(vae: SpikingVae, shares: Any) -> Json:
    """What the first two latents draw at these quantiles.

    Args:
        vae: the network.
        shares: one number in 0..1 for each of the two.

    Returns:
        ``layers``, spike times of the latents, each hidden layer and the pixels; ``shares``;
        ``t_max``.

    Raises:
        ValueError: ``shares`` are no such numbers.
    """
    if not (isinstance(shares, list) and len(shares) == SEEN and all(map(_is_share, shares))):
        raise ValueError(f"shares must be {SEEN} numbers in 0..1")
    return _drawn(vae, _latents(vae, torch.tensor([shares], dtype=torch.float32)))


def reconstruct(vae: SpikingVae, image: Tensor) -> Json:
    """What an autoencoder makes of a uint8 image [...]: as of `place`, of the mean of its latents.

    Also ``encoder``, the spikes of the encoder, its input's included.
    """
    t_max = vae.config.t_max
    told = vae.spiking_encoder().layer_times(encode(image.reshape(1, -1), t_max).float())
    spikes, _ = _counted(told, t_max)
    return {"encoder": spikes, "pixels": image.flatten().tolist()} | _drawn(
        vae, vae.means(image[None])
    )


def translate(network: Translation, image: Tensor, *, damaged: bool = True) -> Json:
    """What becomes of a uint8 image.

    Args:
        network: the translator.
        image: [H, W] or [3, H, W].
        damaged: whether it is the input; otherwise tasks of `DAMAGING` damage it first.

    Returns:
        ``seen``, the pixels of the input; ``times``, the spike times of those of the answer, one
        channel after the other; ``channels``, how many; ``spikes`` and ``neurons`` in all;
        ``t_max``.
    """
    task = next((one for one in DAMAGING if one == network.config.task), None)
    if task is not None and not damaged:
        alone = ImageSet(image[None], torch.zeros(1, dtype=torch.int64), "drawn", ("0",))
        image = pairs_of(alone, task).images[0]
    layers, steps = _layers(network, image)
    spikes, neurons = _counted(layers, steps)
    return {
        "seen": image.flatten().tolist(),
        "times": layers[-1].flatten().int().tolist(),
        "channels": network.outputs,
        "spikes": spikes,
        "neurons": neurons,
        "t_max": steps,
    }


def segment(network: Segmentation, pairs: PairSet, index: int) -> Json:
    """What a segmenter says of an image, beside its mask.

    Returns:
        ``pixels``; ``classes`` and ``truth`` of each place; ``spikes`` and ``neurons`` in all.
    """
    image = pairs.images[index]
    layers, steps = _layers(network, image)
    spikes, neurons = _counted(layers, steps)
    return {
        "pixels": image.flatten().tolist(),
        "classes": network.segment(image[None]).flatten().tolist(),
        "truth": pairs.targets[index].flatten().tolist(),
        "spikes": spikes,
        "neurons": neurons,
    }


def detect(network: SpikingDetector, scenes: Scenes, index: int) -> Json:
    """What a detector finds on an image, beside what is there.

    Returns:
        ``pixels``; ``found`` and ``truth``, each with ``boxes`` (left, top, width and height in
        pixels) and ``names``, the first also with ``scores``; ``spikes`` and ``neurons`` in all.
    """
    image = scenes.images[index]
    [found] = network.detect(image[None])
    times = encode(network.with_channels(image[None]), network.config.t_max).float()
    spikes, neurons = _counted(network.result().layer_times(times), network.config.t_max)
    there = scenes.things[index] >= 0
    names = network.shape.classes
    return {
        "pixels": image.flatten().tolist(),
        "found": {
            "boxes": found.boxes.tolist(),
            "names": [names[kind] for kind in found.classes],
            "scores": found.scores.tolist(),
        },
        "truth": {
            "boxes": scenes.boxes[index][there].tolist(),
            "names": [names[kind] for kind in scenes.things[index][there]],
        },
        "spikes": spikes,
        "neurons": neurons,
    }


def canvas_with_mask(seed: int) -> PairSet:
    """A canvas of test digits, see `firstspike.data.canvases`, with its mask."""
    return masked(canvases(1, seed, load_mnist("test")))


def canvas_with_boxes(seed: int) -> Scenes:
    """The same canvas with its boxes."""
    return canvas_scenes(1, seed, load_mnist("test"))


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _latents(vae: SpikingVae, shares: Tensor) -> Tensor:
    """Latents [N, features] of which the first have these quantiles [N, SEEN]."""
    middle = torch.full((len(shares), vae.features), 0.5)
    shown = min(SEEN, vae.features)
    middle[:, :shown] = shares[:, :shown]
    return vae.at_quantiles(middle)


def _drawn(vae: SpikingVae, latents: Tensor) -> Json:
    layers = vae.spiking_decoder().layer_times(latents)
    t_max = vae.config.t_max
    return {
        "layers": [times.flatten().int().tolist() for times in layers],
        "shares": (1 - latents[0, :SEEN] / t_max).tolist(),
        "t_max": t_max,
    }


def _layers(network: Translation | Segmentation, image: Tensor) -> tuple[list[Tensor], int]:
    """Spike times of all layers for one image, the input's first, and the steps of a window."""
    assert network.t_max is not None
    made: Any = network.result()
    return made.layer_times(network.times_of(image[None])), network.t_max


def _counted(layers: Sequence[Tensor], t_max: int) -> tuple[int, int]:
    """Spikes and neurons of all layers."""
    spikes = sum(int((times < t_max).sum()) for times in layers)
    return spikes, sum(times.numel() for times in layers)
