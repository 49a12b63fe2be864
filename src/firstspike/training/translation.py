"""From image to image: what was lost, in spikes that come at the right time.

Pixels learn by the loss that matches a ramp, `firstspike.training.rules.variational.ramp_error`,
those of the dense twin by the cross-entropy, which matches its sigmoids.
"""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor

from firstspike.coding import decode
from firstspike.data import Data, ImageSet, Parts, load_images
from firstspike.data.pairs import PairSet, load_pairs, pairs_of
from firstspike.metrics import peak_signal_to_noise
from firstspike.training.config import DataOptions
from firstspike.training.pixels import PixelTraining, planes_of
from firstspike.training.pixels_config import TranslationOptions
from firstspike.training.rules.variational import ramp_error, sigmoid_error
from firstspike.training.trainer import Stats

SSIM_SIDE = 11  # of the window in which similarity is measured


class Translation(PixelTraining):
    """A translator of ramp neurons, or its dense twin."""

    config: TranslationOptions

    @classmethod
    def parts_of(cls, config: DataOptions, images: Data, held_out: Data | None = None) -> Parts:
        options = cast(TranslationOptions, config)
        if options.task == "pairs":
            raise ValueError("task pairs takes a folder of pictures as its data")
        parts = super().parts_of(config, images, held_out)
        made = [None if part is None else pairs_of(part, options.task) for part in parts]
        return Parts(*made)  # type: ignore[arg-type]

    @classmethod
    def load_split(cls, config: Any, split: Any) -> PairSet:
        reading: dict[str, Any] = {"size": config.size, "colour": config.colour}
        if config.task == "pairs":
            return load_pairs(config.data, split, **reading)
        return pairs_of(load_images(config.data, split, **reading), config.task)

    @property
    def outputs(self) -> int:
        return 3 if self.config.task == "colour" else self.shape.channels

    def loss(self, potential: Tensor, wanted: Tensor) -> Tensor:
        values = planes_of(wanted).float() / 255
        error = sigmoid_error if self.t_max is None else ramp_error
        return error(potential, values).mean()

    def read(self, potential: Tensor, times: Tensor | None) -> Tensor:
        """Intensities in 0..1, [B, outputs, H, W]."""
        if times is None:
            return potential.sigmoid()
        assert self.t_max is not None
        return decode(times, self.t_max)

    def judged(self, said: Tensor, images: ImageSet) -> Stats:
        return {"psnr": peak_signal_to_noise(said, self.wanted(images))}

    def further(self, said: Tensor, images: ImageSet) -> dict[str, Any]:
        """Structural similarity (Wang et al., 2004), of images whose sides are large enough."""
        from torchmetrics.functional.image import structural_similarity_index_measure as similarity

        if min(said.shape[-2:]) < SSIM_SIDE:
            return {}
        found: Any = similarity(said, self.wanted(images), data_range=1.0)
        return {"ssim": float(found)}

    def wanted(self, images: ImageSet) -> Tensor:
        """What images should become: intensities in 0..1, [N, outputs, H, W]."""
        return planes_of(self.tensors(images)[1]) / 255

    def facts(self, name: str) -> dict[str, Any]:
        return super().facts(name) | {"task": self.config.task}

    def drawn(self, images: ImageSet) -> tuple[Tensor, Tensor]:
        return self.translate(images.images), self.wanted(images)

    def translate(self, images: Tensor) -> Tensor:
        """What becomes of uint8 images [N, ...]: intensities in 0..1, [N, outputs, H, W]."""
        return self.answers(images)[0]
