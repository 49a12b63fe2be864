"""Every option of training, with its default: the single source for the CLI and for options.json.

A dataclass holds the options of one command, and its docstrings are the CLI's help. A *recipe* is a
named set of defaults; options given by the user replace single ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from firstspike.nn import LayerGradient
from firstspike.ops import Impl, Silent
from firstspike.times import T_MAX, check_t_max

Recipe = Literal["best", "paper"]
Decay = Literal["none", "generator", "both"]
Loss = Literal["aggressive", "s4nn", "cross-entropy"]
Gradient = Literal["decision", "temporal", "online"]
_LOSSES: dict[Gradient, tuple[Loss, ...]] = {
    "decision": ("aggressive",),
    "temporal": ("aggressive", "s4nn", "cross-entropy"),
    "online": ("aggressive", "s4nn"),
}


@dataclass(frozen=True)
class Options:
    """What the options of every kind of training can do."""

    def check(self) -> None:
        """Raise ValueError if an option is out of its range."""
        for field in dataclasses.fields(self):
            if limits := field.metadata.get("limits"):
                _check_limits(field.name, getattr(self, field.name), *limits)

    def as_dict(self) -> dict[str, Any]:
        """The options as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, options: Mapping[str, Any], place: object = "options.json") -> Self:
        """The opposite of `as_dict`. ValueError if an option is unknown or missing in ``place``."""
        names = {field.name for field in dataclasses.fields(cls)}
        if names != options.keys():
            odd = sorted(names ^ options.keys())
            raise ValueError(
                f"{place}: unknown or missing option {odd[0]!r}; use the version that wrote "
                "it, or train again"
            )
        return cls(**options)


def _check_limits(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        remedy = f"at least {low}" if high == float("inf") else f"between {low} and {high}"
        raise ValueError(f"{name} must be {remedy}, got {value}")


def _within(default: float, low: float, high: float = float("inf")) -> Any:
    """A field whose value must lie in low..high."""
    return dataclasses.field(default=default, metadata={"limits": (low, high)})


@dataclass(frozen=True)
class GanOptions(Options):
    """What Spiking-GAN and its dense twin share."""

    digit: str = "3"
    """Class to draw, or 'all' for every class in one network."""
    conditional: bool = False
    """Tell both networks the class; with --digit all, and then any class can be asked for."""
    data: str | None = None
    """Folder with IDX files or pictures; the bundled MNIST if not given."""
    validation: float = _within(0.0, 0.0, 0.9)
    """Share of the training images that is held out to choose by; 0 to train on all."""
    seed: int = _within(0, 0)
    """Of weights, order, latents and noise."""
    epochs: int = _within(50, 1)
    """Passes over the training images."""
    batch: int = _within(32, 1)
    """Images, and as many samples, in one step of training."""
    hidden: int = _within(400, 1)
    """Hidden neurons of the generator and of the discriminator."""
    generator_lr: float = _within(2e-4, 0.0)
    """Learning rate of the generator."""
    discriminator_lr: float = _within(2e-4, 0.0)
    """Learning rate of the discriminator."""
    decay: Decay = "none"
    """Whose learning rates fall to 0 over the second half of the epochs."""
    beta1: float = _within(0.5, 0.0, 1.0)
    """Adam: decay of the mean gradient."""
    average: float = _within(0.999, 0.0, 1.0)
    """Decay of the moving average of the generator's weights."""

    def check(self) -> None:
        super().check()
        if self.conditional and self.digit != "all":
            raise ValueError(f"conditional draws all classes: give --digit all, not {self.digit}")


@dataclass(frozen=True)
class GanConfig(GanOptions):
    """Options of Spiking-GAN (arXiv 2106.15420)."""

    recipe: Recipe = "best"
    """Set of defaults: the best that we found, or the paper's rule to the letter."""
    discriminator_lr: float = _within(2e-3, 0.0)
    """Learning rate of the discriminator."""
    decay: Decay = "generator"
    """Whose learning rates fall to 0 over the second half of the epochs."""
    batch: int = _within(16, 1)
    """Images, and as many samples, in one step of training."""
    average: float = _within(0.99, 0.0, 1.0)
    """Decay of the moving average of the generator's weights."""
    t_max: int = T_MAX
    """Time steps of the simulation."""
    delay: int = _within(1, 0)
    """Time steps from a spike to its effect."""
    bias: bool = True
    """Trained potentials at step 0, below the thresholds."""
    gradient: LayerGradient = "final"
    """Temporal backpropagation (temporal; eq. 11-15), or a surrogate at the last step that reaches
    silent neurons as well (final)."""
    window: float = _within(1.0, 1e-6)
    """Final gradient: distance to the threshold at which a neuron learns a third as fast."""
    silent: Silent = "pull"
    """Temporal gradient: what silent neurons learn: nothing (zero), or to fire earlier (pull)."""
    normalize: Literal["none", "l1", "l2"] = "none"
    """Norm by which each layer's error is divided, sample by sample (section 2.5)."""
    loss: Literal["potential", "least-squares"] = "potential"
    """Of the discriminator: cross-entropy of the final potentials of its two outputs, or least
    squares of their spike times, the paper's (section 2.4)."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Rule of the weight update; sgd is the paper's (eq. 8)."""
    weight_decay: float = _within(0.0, 0.0)
    """L2 penalty on the weights (section 2.4)."""
    look_from: float = _within(0.3, 0.0, 1.0)
    """Share of t_max until which the discriminator sees the spikes of an image: at least this."""
    look_to: float = _within(0.7, 0.0, 1.0)
    """The same: at most this; drawn for each image."""
    latent_last: int | None = 7
    """Latest step of a latent spike; t_max, the paper's, if None."""
    latent_silent: float = _within(0.5, 0.0, 1.0)
    """Share of the latent spikes that are left out."""
    impl: Impl = "auto"
    """Implementation of the spiking layers."""

    def check(self) -> None:
        super().check()
        check_t_max(self.t_max)
        if self.latent_last is not None and not 0 <= self.latent_last <= self.t_max:
            raise ValueError(f"latent_last must lie in 0..{self.t_max}, got {self.latent_last}")
        if self.look_to < self.look_from:
            raise ValueError(
                f"look_to must not be below look_from = {self.look_from}, got {self.look_to}"
            )


@dataclass(frozen=True)
class AnnGanConfig(GanOptions):
    """Options of the dense twin of Spiking-GAN (section 3.2)."""


@dataclass(frozen=True)
class ClassifierOptions(Options):
    """What the classifier and its dense twin share."""

    data: str | None = None
    """Folder with IDX files or pictures; the bundled MNIST if not given."""
    validation: float = _within(1 / 6, 0.0, 0.9)
    """Share of the training images that is held out to choose by; 0 for a final run on all."""
    seed: int = _within(0, 0)
    """Of weights, order and noise."""
    epochs: int = _within(60, 1)
    """Passes over the training images."""
    batch: int = _within(100, 1)
    """Images in one step of training."""
    hidden: int = _within(400, 1)
    """Hidden neurons."""
    lr: float = _within(1e-3, 0.0)
    """Learning rate at the start; it falls to 0 along a cosine."""
    shift: int = _within(1, 0)
    """Pixels by which images move at random in training."""


@dataclass(frozen=True)
class AnnClassifierConfig(ClassifierOptions):
    """Options of the dense twin of the classifier."""


@dataclass(frozen=True)
class ClassifierConfig(ClassifierOptions):
    """Options of the classifier (section 3.1)."""

    recipe: Recipe = "best"
    """Set of defaults: the best that we found, or the rule that the loss was published with."""
    loss: Loss = "aggressive"
    """Of the output spike times: aggressive TTFS, S4NN's relative target, or cross-entropy."""
    t_max: int = T_MAX
    """Time steps of the simulation."""
    delay: int = _within(1, 0)
    """Time steps from a spike to its effect."""
    gradient: Gradient = "decision"
    """A surrogate gradient at the decision step, the paper's temporal backpropagation, or the
    latter one image at a time with plain descent, as in S4NN."""
    window: float = _within(1.0, 1e-6)
    """Decision gradient: distance to the threshold at which a hidden neuron stops learning."""
    temperature: float = _within(0.6, 1e-6)
    """Decision gradient: potential by which a class is e times likelier, which scales the error."""
    sparsity: float = _within(0.003, 0.0)
    """Decision gradient: error of each hidden spike, which asks for fewer of them."""
    softness: float = _within(40.0, 1e-6)
    """Temporal gradient: the same as temperature, in time steps."""
    earliness: float = _within(0.05, 0.0)
    """Extra error of the desired neuron, times its spike time over t_max."""
    gamma: float = _within(3.0, 0.0)
    """S4NN: time steps by which the other neurons should be late."""
    jitter: float = _within(4.0, 0.0)
    """Standard deviation, in steps, of the noise on input spikes in training."""
    dropout: float = _within(0.05, 0.0, 1.0)
    """Share of hidden spikes that are left out in training."""
    output_lr: float = _within(0.24, 0.0)
    """Online: learning rate of the output layer; that of the hidden layer is lr."""
    normalize: Literal["none", "l1", "l2"] = "l2"
    """Online: norm by which each layer's error is divided (section 2.5)."""
    penalty: float = _within(5e-6, 0.0)
    """Online: L2 penalty on the weights."""
    hidden_reach: float = _within(2.5, 0.0)
    """Online: hidden weights start uniform between 0 and this, with thresholds of 100."""
    output_reach: float = _within(5.0, 0.0)
    """Online: the same for output weights."""

    def check(self) -> None:
        super().check()
        check_t_max(self.t_max)
        if self.loss not in _LOSSES[self.gradient]:
            losses = " or ".join(_LOSSES[self.gradient])
            raise ValueError(
                f"loss must be {losses} with gradient {self.gradient}, got {self.loss}"
            )


_ONLINE = ClassifierConfig(
    recipe="paper", gradient="online", lr=0.32, epochs=25, shift=0, jitter=0.0, dropout=0.0
)
CLASSIFIER_RECIPES: dict[tuple[Recipe, Loss], ClassifierConfig] = {
    ("best", "aggressive"): ClassifierConfig(),
    ("best", "s4nn"): dataclasses.replace(
        _ONLINE, recipe="best", loss="s4nn", epochs=40, shift=1, jitter=4.0, penalty=1e-6
    ),
    ("best", "cross-entropy"): ClassifierConfig(loss="cross-entropy", gradient="temporal"),
    ("paper", "aggressive"): dataclasses.replace(_ONLINE, normalize="l1"),
    ("paper", "s4nn"): dataclasses.replace(_ONLINE, loss="s4nn"),
    ("paper", "cross-entropy"): ClassifierConfig(
        recipe="paper", loss="cross-entropy", gradient="temporal"
    ),
}

GAN_RECIPES: dict[Recipe, GanConfig] = {
    "best": GanConfig(),
    "paper": GanConfig(
        recipe="paper",
        bias=False,
        gradient="temporal",
        silent="zero",
        normalize="l1",
        loss="least-squares",
        optimizer="sgd",
        generator_lr=0.2,
        discriminator_lr=0.2,
        decay="none",
        batch=32,
        average=0.999,
        weight_decay=1e-6,
        look_from=1.0,
        look_to=1.0,
        latent_last=None,
        latent_silent=0.0,
        delay=0,
    ),
}
