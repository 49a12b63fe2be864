"""One point of `scaling.py`: a layer of `fire` and a dense one of the same size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

import firstspike as fs

IMAGES = fs.load_mnist("train").images.flatten(1)
PIXELS = IMAGES.shape[1]
PARTS = ("forward", "with backward")
CHECKED = 8  # images of each point
LIT = 0.19  # of MNIST's pixels


@dataclass(frozen=True)
class Setting:
    batch: int = 100
    inputs: int = PIXELS
    neurons: int = 400
    density: float | None = None  # share of lit pixels; None: MNIST's images, or as many are lit
    t_max: int = 256
    threads: int = 1


class Point:
    """One setting: the two layers, their inputs, and what was measured of them."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        pixels = self._pixels()
        self.times = fs.encode(pixels, setting.t_max)
        self.intensities = pixels / 255
        spikes = self.times < setting.t_max
        self.events = spikes.sum().item() / len(pixels)
        self.layer = fs.nn.by_input(
            fs.nn.FirstSpikeLinear(
                setting.inputs, setting.neurons, t_max=setting.t_max, init=_weights(self.events)
            )
        )
        self.dense = torch.nn.Sequential(
            torch.nn.Linear(setting.inputs, setting.neurons), torch.nn.ReLU()
        )
        self.error = torch.randn(len(pixels), setting.neurons)
        self.firing = self._check()

    def _pixels(self) -> torch.Tensor:
        density, shape = self.setting.density, (self.setting.batch, self.setting.inputs)
        if density is None and self.setting.inputs == PIXELS:
            return IMAGES[: self.setting.batch]
        lit = torch.rand(shape) < (LIT if density is None else density)
        return lit * torch.randint(1, 256, shape, dtype=torch.uint8)

    def _check(self) -> float:
        """The share of neurons that fire; some images are compared with the reference."""
        times, layer = self.times[:CHECKED], self.layer
        results = []
        for layer.impl in ("reference", "numba"):
            results.append(layer(times).detach())
        assert torch.equal(*results), self.setting
        return (results[0] < self.setting.t_max).float().mean().item()

    def functions(self) -> dict[str, Callable[[], object]]:
        """What to time, by name."""
        sides = {"fire": (self.layer, self.times), "dense": (self.dense, self.intensities)}
        result: dict[str, Callable[[], object]] = {}
        for side, (model, inputs) in sides.items():
            result[f"{side} forward"] = self._forward(model, inputs)
            result[f"{side} with backward"] = self._train(model, inputs)
        return result

    def _forward(self, model: torch.nn.Module, inputs: torch.Tensor) -> Callable[[], object]:
        @torch.no_grad()
        def forward() -> object:
            self._set_threads()
            return model(inputs)

        return forward

    def _train(self, model: torch.nn.Module, inputs: torch.Tensor) -> Callable[[], object]:
        def train() -> None:
            self._set_threads()
            model.zero_grad()
            model(inputs).backward(self.error)

        return train

    def _set_threads(self) -> None:
        if torch.get_num_threads() != self.setting.threads:
            torch.set_num_threads(self.setting.threads)


def _weights(events: float) -> tuple[float, float]:
    """Bounds of uniform weights whose sum over all events has mean 1.8 and deviation 0.8.

    The threshold is 1, and potentials also cross it on their way: 0.85 of the neurons fire.
    """
    mean, reach = 1.8 / events, 0.8 * (3 / events) ** 0.5
    return mean - reach, mean + reach
