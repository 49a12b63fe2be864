"""From image to image: what was lost, in spikes that come at the right time.

Pixels learn by the loss that matches a ramp, `firstspike.training.rules.variational.ramp_error`,
those of the dense twin too, which are clipped, or sigmoids with the cross-entropy. If it is asked
for, a second network, of the same kind of neurons, tells answers from targets beside
(`firstspike.training.rules.patches`).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from firstspike.coding import decode
from firstspike.data import Data, ImageSet, Parts, Split, as_image_set
from firstspike.data.pairs import PairSet, load_pairs, pairs_of
from firstspike.metrics import peak_signal_to_noise, sharpness
from firstspike.nn import RampNeuron
from firstspike.training.config import DataOptions
from firstspike.training.convolutional import Ramp
from firstspike.training.pixels import PixelTraining, planes_of
from firstspike.training.pixels_config import TranslationOptions
from firstspike.training.rules import patches
from firstspike.training.rules.exact import rate_at
from firstspike.training.rules.variational import ramp_error, sigmoid_error
from firstspike.training.trainer import Stats

SSIM_SIDE = 11  # of the window in which similarity is measured
LEAK = 0.1  # slope of the gradient outside the window of pixels, where a critic judges them
CRITIC_WIDTH = 16  # channels of the critic's first layer
CRITIC_RATE = 1e-3  # its largest learning rate
CRITIC_THRESHOLD = 16.0  # of its hidden neurons
GAMMA, EVERY = 0.5, 4  # of its penalties, and steps from one to the next


class Translation(PixelTraining):
    """A translator of ramp neurons, or its dense twin."""

    config: TranslationOptions

    @classmethod
    def parts_of(cls, config: DataOptions, images: Data, held_out: Data | None = None) -> Parts:
        task = cast(TranslationOptions, config).task
        pairs = _paired(images, task, "data")
        unseen = None if held_out is None else _paired(held_out, task, "held_out")
        return super().parts_of(config, pairs, unseen)

    @classmethod
    def load_split(cls, config: Any, split: Split) -> ImageSet:
        if config.task != "pairs":
            return super().load_split(config, split)
        return load_pairs(config.data, split, size=config.size, colour=config.colour)

    @classmethod
    def load_unseen(cls, config: Any, split: str) -> ImageSet:
        images = super().load_unseen(config, split)
        return images if isinstance(images, PairSet) else _paired(images, config.task, "data")

    @property
    def outputs(self) -> int:
        return 3 if self.config.task == "colour" else self.shape.channels

    def build(self) -> None:
        super().build()
        if not self.config.adversarial:
            return
        spikes, channels = self.t_max is not None, self.shape.channels + self.outputs
        verdicts = 2 if spikes else 1
        self.critic = patches.layers(channels, CRITIC_WIDTH, verdicts, self.critical)

    def critical(self) -> nn.Module:
        """The neurons of a hidden layer of the critic."""
        return nn.ReLU() if self.t_max is None else Ramp(RampNeuron(CRITIC_THRESHOLD), self.t_max)

    @property
    def networks(self) -> dict[str, nn.Module]:
        return super().networks | ({"critic": self.critic} if self.config.adversarial else {})

    def make_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        made = super().make_optimizers()
        if self.config.adversarial:
            learning = self.critic.parameters()
            made["critic"] = torch.optim.Adam(learning, CRITIC_RATE, betas=(0.0, 0.99), fused=True)
        return made

    def loss(self, potential: Tensor, wanted: Tensor) -> Tensor:
        error = sigmoid_error if self.has_sigmoids else ramp_error
        return error(potential, _intensities(wanted)).mean()

    @property
    def has_sigmoids(self) -> bool:
        """Whether pixels are sigmoids, as a dense twin's can be."""
        return getattr(self.config, "pixels", None) == "sigmoid"

    def played(self, inputs: Tensor, potential: Tensor, wanted: Tensor) -> tuple[Any, Stats]:
        if not self.config.adversarial:
            return super().played(inputs, potential, wanted)
        optimizer = self.optimizers["critic"]
        for group in optimizer.param_groups:
            group["lr"] = CRITIC_RATE * rate_at(self.done / (self.steps * self.config.epochs))
        seen = inputs / (self.t_max or 1)
        real = torch.cat([seen, _intensities(wanted)], dim=1)
        fake = torch.cat([seen, self.shown_by(potential)], dim=1)
        gamma = GAMMA * EVERY if self.done % EVERY == 0 else 0.0
        of_real, told = patches.learn(self.critic, optimizer, real, fake, gamma)
        price = self.config.adversarial * patches.missed(self.critic, of_real, fake)
        return price, {"told_apart": told}

    def shown_by(self, potential: Tensor) -> Tensor:
        """Intensities in 0..1 of pixels with these potentials, which gradients pass."""
        shown: Tensor
        if self.t_max is not None:
            shown = Ramp(RampNeuron(1.0, LEAK), self.t_max)(potential)
            return shown
        if self.has_sigmoids:
            return potential.sigmoid()
        shown = potential.clamp(0, 1)
        beyond = potential - shown
        return shown + LEAK * (beyond - beyond.detach())

    def read(self, potential: Tensor, times: Tensor | None) -> Tensor:
        """Intensities in 0..1, [B, outputs, H, W]."""
        if times is None:
            return potential.sigmoid() if self.has_sigmoids else potential.clamp(0, 1)
        assert self.t_max is not None
        return decode(times, self.t_max)

    def judged(self, said: Tensor, images: ImageSet) -> Stats:
        return {"psnr": peak_signal_to_noise(said, self.wanted(images))}

    def further(self, said: Tensor, images: ImageSet) -> dict[str, Any]:
        """Sharpness, and, of images whose sides are large enough, structural similarity (Wang et
        al., 2004)."""
        from torchmetrics.functional.image import structural_similarity_index_measure as similarity

        wanted = self.wanted(images)
        figures = {"sharpness": sharpness(said) / max(sharpness(wanted), 1e-9)}
        if min(said.shape[-2:]) < SSIM_SIDE:
            return figures
        found: Any = similarity(said, wanted, data_range=1.0)
        return figures | {"ssim": float(found)}

    def wanted(self, images: ImageSet) -> Tensor:
        """What images should become: intensities in 0..1, [N, outputs, H, W]."""
        return _intensities(self.tensors(images)[1])

    def facts(self, name: str) -> dict[str, Any]:
        return super().facts(name) | {"task": self.config.task}

    def drawn(self, images: ImageSet) -> tuple[Tensor, Tensor]:
        return self.translate(images.images), self.wanted(images)

    def translate(self, images: Tensor) -> Tensor:
        """What becomes of uint8 images [N, ...]: intensities in 0..1, [N, outputs, H, W]."""
        return self.answers(images)[0]


def _intensities(images: Tensor) -> Tensor:
    """Those in 0..1 of uint8 images, [N, channels, H, W]."""
    return planes_of(images).float() / 255


def _paired(images: Data, task: Any, name: str) -> PairSet:
    """Pairs for a task: made of images by itself, or, of ``pairs``, those that were read."""
    if task == "pairs":
        if not isinstance(images, PairSet):
            raise ValueError(f"{name}: task pairs needs images with targets, a PairSet")
        return images
    if isinstance(images, PairSet):
        raise ValueError(f"{name}: task {task} makes targets of its own, but the images have some")
    return pairs_of(as_image_set(images, name=name), task)
