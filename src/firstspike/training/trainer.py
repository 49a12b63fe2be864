"""What the training loop asks of a kind of network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from firstspike.data import Data, ImageSet, Parts, Split, as_image_set, divide, load_images
from firstspike.shape import MNIST, Shape, in_short
from firstspike.training.config import DataOptions
from firstspike.training.team import ALONE, Team

Stats = dict[str, float]


@dataclass(frozen=True)
class Progress:
    """Where training is, after each step.

    Args:
        epoch: number of the epoch, from 1.
        step: number of the step in it, from 1.
        steps: of this epoch.
        images: of this step.
        stats: means over the epoch so far, and what was measured after the last epoch; of an epoch
            that has ended, its own.
        ended: whether the epoch has ended and was measured.
    """

    epoch: int
    step: int
    steps: int
    images: int
    stats: Stats
    ended: bool = False


class _Choosing(type):
    """``SomeTrainer(config)`` makes an object of the class that these options need."""

    def __call__(cls, config: Any = None, *more: Any, **named: Any) -> Any:
        assert issubclass(cls, Trainer)
        given = more if config is None else (config, *more)
        return type.__call__(cls.fitting(config), *given, **named)


class Trainer(metaclass=_Choosing):
    """Networks, their optimisers, and the rule of one step.

    A kind's trainer derives from this. It makes its networks in `build`, from its options and from
    the shape of the data alone, so that a run directory is enough to make them again.

    Args:
        config: the options.
        shape: size and classes of the images.

    Raises:
        ValueError: an option does not fit.
    """

    config: Any
    anywhere = False  # whether its networks run on any device, not on the CPU alone
    shared = False  # whether several processes can train it together
    team: Team = ALONE

    def __init__(self, config: Any, shape: Shape = MNIST) -> None:
        config.check()
        self.config, self.shape = config, shape
        usual = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)  # of every run, whatever a script has set
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.seed)
                self.build()
        finally:
            torch.set_default_dtype(usual)
        self.optimizers = self.make_optimizers()

    @classmethod
    def fitting(cls, config: Any) -> type[Trainer]:
        """The class for these options: this one, or another that a call of this one then makes."""
        return cls

    @classmethod
    def load_data(cls, config: DataOptions) -> Parts:
        """The images that such a network is trained on, and those held out.

        Raises:
            ValueError: what is wrong with the data, or with what is asked of them.
        """
        return cls.parts_of(config, cls.load_split(config, "train"))

    @classmethod
    def load_split(cls, config: DataOptions, split: Split) -> ImageSet:
        """All of ``"train"`` or ``"test"``, read as such networks need them; see `parts_of`.

        Raises:
            ValueError: what is wrong with the data.
        """
        return load_images(config.data, split, size=config.size, colour=config.colour)

    @classmethod
    def parts_of(cls, config: DataOptions, images: Data, held_out: Data | None = None) -> Parts:
        """Of labelled images, those that such a network is trained on, and those held out.

        Args:
            config: the options.
            images: see `firstspike.data.as_image_set`.
            held_out: a share of ``images`` if None, as the options say.

        Raises:
            ValueError: the images do not fit.
        """
        given = as_image_set(images)
        if held_out is None:
            return divide(given, config.validation)
        return Parts(given, as_image_set(held_out, name="held_out"))

    @classmethod
    def load_unseen(cls, config: DataOptions, split: str) -> ImageSet:
        """The images that a run with these options was not trained on.

        Args:
            config: the options.
            split: ``"test"``, or ``"validation"`` for those held out.

        Raises:
            ValueError: there are none.
        """
        if split == "test":
            return cls.load_split(config, "test")
        held_out = cls.load_data(config).held_out
        if held_out is None:
            raise ValueError("trained on all images, none was held out; measure on the test set")
        return held_out

    def build(self) -> None:
        """Make the networks."""
        raise NotImplementedError

    def make_optimizers(self) -> dict[str, Optimizer]:
        """The optimisers, by the names under which checkpoints keep them."""
        raise NotImplementedError

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """What a checkpoint holds, by name."""
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        """Where the networks are. Images, latents and samples are on the CPU."""
        return next(p.device for net in self.networks.values() for p in net.parameters())

    def on(self, device: torch.device) -> Self:
        """This, with its networks moved to a device, see `firstspike.training.devices`.

        Before a checkpoint is loaded or a step taken: what optimisers know by then stays behind.

        Raises:
            ValueError: they run on the CPU only.
        """
        if device.type != "cpu" and not self.anywhere:
            raise ValueError(
                f"device must be cpu, got {device}: kernels of step neurons run on the CPU only; "
                "ramp neurons and dense twins run anywhere"
            )
        moved: dict[Tensor, Tensor] = {}  # some devices take other parameters, some the same
        for network in self.networks.values():
            before = list(network.parameters())
            moved |= zip(before, network.to(device).parameters(), strict=True)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["params"] = [moved[parameter] for parameter in group["params"]]
        return self

    def check(self, images: ImageSet) -> None:
        """Raise ValueError unless the networks can be trained on, or measured with, these."""
        own = images.shape
        if own.image != self.shape.image:
            raise ValueError(
                f"images: {images.name} has images of {list(own.image)}, this network takes "
                f"{list(self.shape.image)}"
            )
        # Runs of older versions do not tell their classes, but have outputs for ten.
        known = self.shape.classes != MNIST.classes or len(own.classes) > len(MNIST.classes)
        if known and own.classes != self.shape.classes:
            raise ValueError(
                f"images: {images.name} has the classes {in_short(own.classes)}, this network "
                f"{in_short(self.shape.classes)}"
            )

    def tensors(self, images: ImageSet) -> tuple[Tensor, ...]:
        """What `step` takes of each image: tensors [N, ...]."""
        return images.images, images.labels

    def start_epoch(self, epoch: int) -> None:
        """Set the learning rates of an epoch, counted from 1."""

    def step(self, *arguments: Any, **options: Any) -> Stats:
        """Learn from a batch: of each of `tensors` a part [B, ...], then the random generator.

        Returns:
            How it went, means over the batch.
        """
        raise NotImplementedError

    def finish_epoch(self, rng: torch.Generator) -> Stats | None:
        """What is due after the last step of an epoch, and what there is to tell of it."""
        return None

    def loaded(self) -> None:
        """Told when weights and optimisers have been replaced by those of a checkpoint."""

    def watch(self, parts: Parts) -> Callable[[], Stats]:
        """What measures the networks before the first and after every epoch."""
        return dict

    def warn(self, epoch: int, before: Stats, after: Stats) -> None:
        """Tell if what was measured before and after an epoch shows that training has failed."""

    def picture(self) -> Tensor | None:
        """Images of a grid that shows how far training is, or None."""
        return None

    def summarize(self) -> dict[str, Any]:
        """What the summary of a run tells besides what was measured last."""
        return {}

    def result(self) -> Any:
        """What training is for: a single network as it is used; of several, all of this."""
        networks = list(self.networks.values())
        return networks[0] if len(networks) == 1 else self

    def facts(self, name: str) -> dict[str, Any]:
        """What an exported file of the network of this name tells besides its layers.

        Returns:
            Strings, numbers and lists of strings.
        """
        return self.shape.as_dict()

    def exported(self, run: Any, name: str) -> Any:
        """The network of this name, with a run's weights, as other programs use it; None if none.

        Raises:
            ValueError: the run has no checkpoint, or one of another architecture.
        """
        return self.restored(run, name).networks[name] if name in self.networks else None

    def restored(self, run: Any, *names: str) -> Self:
        """This, with the weights of a run's checkpoint; of the named networks only, if any."""
        chosen = {name: self.networks[name] for name in names or self.networks}
        run.load_checkpoint(chosen)
        self.loaded()
        return self
