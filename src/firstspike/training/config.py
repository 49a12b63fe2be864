"""Options of the paper's networks, with their defaults: of the command line and of options.json.

A *recipe* is a named set of defaults; options given by the user replace single ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from firstspike.times import LARGEST_T_MAX, T_MAX, check_t_max
from firstspike.training import former
from firstspike.training.options import (
    LARGEST_SEED,
    MOST,
    Options,
    RuleOptions,
    above,
    added,
    within,
)

Recipe = Literal["best", "paper"]
Decay = Literal["none", "generator", "both"]
Gradient = Literal["decision", "temporal", "online", "exact"]
Norm = Literal["none", "l1", "l2"]
WIDEST = 1 << 17  # neurons of a layer: with MNIST's images, weights of 400 MB
FASTEST = 1000.0  # learning rate, far beyond any that learns


def check_steps(t_max: int) -> None:
    """Raise ValueError unless a window of a network that is trained can have so many steps."""
    check_t_max(t_max)
    if t_max > LARGEST_T_MAX:
        raise ValueError(f"t_max must be at most {LARGEST_T_MAX}, got {t_max}")


@dataclass(frozen=True)
class DataOptions(Options):
    """Which images a network is trained on; see `firstspike.data.load_images`."""

    data: str | None = None
    """Folder with IDX files or pictures; the bundled MNIST if not given."""
    size: int | None = within(None, 4, 512)
    """Pixels of a side to which pictures are resized; if not given, pictures of one size up to 64
    keep it, and others become 28x28."""
    colour: Literal["auto", "gray", "colour"] = "auto"
    """Of pictures: auto keeps colours if any picture has some."""
    validation: float = within(0.0, 0.0, 0.9)
    """Share of the training images that is held out to choose by; 0 to train on all."""
    seed: int = within(0, 0, LARGEST_SEED)
    """Of weights, order, latents and noise."""


@dataclass(frozen=True)
class TimeOptions:
    """The clock of a spiking network."""

    t_max: int = T_MAX
    """Time steps of the simulation."""
    delay: int = within(1, 0, LARGEST_T_MAX)
    """Time steps from a spike to its effect."""

    def check_clock(self) -> None:
        """Raise ValueError if no spike could ever have an effect."""
        check_steps(self.t_max)
        if self.delay >= self.t_max:
            raise ValueError(f"delay must be below t_max = {self.t_max}, got {self.delay}")


@dataclass(frozen=True)
class RampOnly(Options):
    """Of networks of more layers than step neurons learn."""

    neuron: str = "ramp"
    """Neurons: ramp. Step neurons learn in networks of two layers, and these have more."""

    def check_ranges(self) -> None:
        super().check_ranges()
        if self.neuron != "ramp":
            raise ValueError(
                f"neuron must be ramp, got {self.neuron}: step neurons learn in networks of two "
                "layers, and these have more"
            )


# GANs


@dataclass(frozen=True)
class DenseGanOptions(RuleOptions):
    """Of a GAN of dense layers."""

    when: ClassVar = {"network": ("dense",)}

    hidden: int = within(400, 1, WIDEST)
    """Network dense: hidden neurons of the generator and of the discriminator."""


@dataclass(frozen=True)
class ConvGanOptions(RuleOptions):
    """Of a convolutional GAN; see `firstspike.training.convolutional`."""

    when: ClassVar = {"network": ("conv",)}

    channels: int = within(32, 2, 4096, before=32)
    """Network conv: channels of the widest layers; the others have half as many."""


@dataclass(frozen=True)
class AuxiliaryOptions(RuleOptions):
    """Of a GAN whose discriminator names classes."""

    when: ClassVar = {"auxiliary": ("True",)}

    naming: float = within(1.0, 0.0, before=1.0)
    """Auxiliary: weight of the error of the names of images, beside the game."""

    @classmethod
    def is_chosen(cls, options: Options) -> bool:
        return bool(getattr(options, "auxiliary", False))


@dataclass(frozen=True)
class GanOptions(DenseGanOptions, ConvGanOptions, AuxiliaryOptions, DataOptions):
    """What Spiking-GAN and its dense twin share."""

    digit: str = "3"
    """Class to draw, by name, or 'all' for every class in one network."""
    conditional: bool = False
    """Tell both networks the class; with --digit all, and then any class can be asked for."""
    auxiliary: bool = added(False, before=False)
    """All classes, told to the generator only: further outputs of the discriminator name them by
    the first spike, and samples should be named as clearly as images (docs/auxiliary.md)."""
    epochs: int = within(50, 1, MOST)
    """Passes over the training images."""
    batch: int = within(32, 1, MOST)
    """Images, and as many samples, in one step of training."""
    network: Literal["dense", "conv"] = added("dense", before="dense")
    """The paper's two dense layers each (dense), or convolutions (conv; relativistic loss)."""
    generator_lr: float = within(8e-4, 0.0, FASTEST)
    """Learning rate of the generator."""
    discriminator_lr: float = within(4e-4, 0.0, FASTEST)
    """Learning rate of the discriminator."""
    decay: Decay = "none"
    """Whose learning rates fall to 0 over the second half of the epochs."""
    beta1: float = within(0.0, 0.0, 1.0)
    """Adam: decay of the mean gradient."""
    average: float = within(0.99, 0.0, 1.0)
    """Decay of the moving average of the generator's weights."""
    snapshots: int = within(10, 0, MOST)
    """About how often, in the last two thirds of the training, samples of this average are compared
    with training images; the nearest snapshot draws. 0: the last one."""

    @classmethod
    def of_today(cls, options: Mapping[str, Any]) -> Mapping[str, Any]:
        return former.gan(options)

    def check(self) -> None:
        super().check()
        if self.conditional and self.digit != "all":
            raise ValueError(f"conditional draws all classes: digit must be all, not {self.digit}")
        steps, loss = getattr(self, "neuron", "") == "step", getattr(self, "loss", "")
        if self.auxiliary and loss != "relativistic":
            raise ValueError(f"loss must be relativistic with auxiliary, got {loss}")
        if self.auxiliary and steps:
            raise ValueError(
                "neuron must be ramp with auxiliary: outputs of step neurons spike all at once, so "
                "none is first to name a class"
            )
        if self.auxiliary and not self.conditional:
            raise ValueError("auxiliary names the classes that conditional tells; give both")
        if self.network == "conv" and (steps or loss != "relativistic"):
            raise ValueError(
                "network conv needs ramp neurons, and of dense twins loss relativistic"
            )


@dataclass(frozen=True)
class AdamOptions(RuleOptions):
    """Of a GAN's weight updates by Adam."""

    when: ClassVar = {"optimizer": ("adam",)}

    beta1: float = within(0.0, 0.0, 1.0)
    """Adam: decay of the mean gradient."""


@dataclass(frozen=True)
class DescentOptions(RuleOptions):
    """Of a GAN's weight updates by plain descent, the paper's (eq. 8)."""

    when: ClassVar = {"optimizer": ("sgd",)}

    weight_decay: float = within(0.0, 0.0)
    """Sgd: L2 penalty on the weights (section 2.4)."""


@dataclass(frozen=True)
class FinalGradientOptions(RuleOptions):
    """Of the surrogate at the last step; see `firstspike.nn.final_gradient`."""

    when: ClassVar = {"gradient": ("final",)}

    window: float = above(1.0)
    """Final gradient: distance to the threshold at which a neuron learns a third as fast."""


@dataclass(frozen=True)
class FireGradientOptions(RuleOptions):
    """Of temporal backpropagation (eq. 11-15); see `firstspike.fire`."""

    when: ClassVar = {"gradient": ("temporal",)}

    silent: Literal["zero", "pull"] = "pull"
    """Temporal gradient: what silent neurons learn: nothing (zero), or to fire earlier (pull)."""


@dataclass(frozen=True)
class PenaltyOptions(RuleOptions):
    """Of the relativistic paired loss; see `firstspike.training.rules.relativistic`."""

    when: ClassVar = {"loss": ("relativistic",)}

    gamma: float = within(0.5, 0.0, before=0.5)
    """Relativistic loss: weight of the squared gradients of the discriminator's scores, which are
    surrogates of step neurons."""


@dataclass(frozen=True)
class StepGanOptions(RuleOptions):
    """Of the step neurons of a GAN."""

    when: ClassVar = {"neuron": ("step",)}

    delay: int = within(1, 0, LARGEST_T_MAX)
    """Step: time steps from a spike to its effect."""
    bias: bool = True
    """Step: trained potentials at step 0, below the thresholds."""
    normalize: Norm = "none"
    """Step: norm by which each layer's error is divided, sample by sample (section 2.5)."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Step: rule of the weight update; sgd is the paper's (eq. 8)."""
    look_from: float = within(0.3, 0.0, 1.0)
    """Step: share of t_max until which the discriminator sees the spikes of an image, with loss
    relativistic all at once: at least this."""
    look_to: float = within(0.7, 0.0, 1.0)
    """Step: share of t_max until which it sees them at most; each image's is drawn in between."""
    latent_last: int | None = None
    """Step: latest step of a latent spike; t_max, the paper's, if None."""
    latent_silent: float = within(0.0, 0.0, 1.0)
    """Step: share of the latent spikes that are left out."""
    impl: str = "auto"
    """Step: implementation of the spiking layers; see `firstspike.fire`."""


@dataclass(frozen=True)
class RampGanOptions(RuleOptions):
    """Of the ramp neurons of a GAN."""

    when: ClassVar = {"neuron": ("ramp",)}

    generator_threshold: float = above(8.0)
    """Ramp: threshold of the generator's hidden neurons."""
    discriminator_threshold: float = above(16.0)
    """Ramp: threshold of the discriminator's hidden neurons."""
    leak: float = within(0.1, 0.0, 1.0, before=0.02)
    """Ramp: slope of the gradient outside the window of the generator's output neurons."""
    margin: float = within(1.0, 0.0, before=1e9)
    """Ramp: thresholds from that window to where only what leads back learns."""


@dataclass(frozen=True)
class GanConfig(
    AdamOptions,
    DescentOptions,
    FinalGradientOptions,
    FireGradientOptions,
    PenaltyOptions,
    StepGanOptions,
    RampGanOptions,
    TimeOptions,
    GanOptions,
):
    """Options of Spiking-GAN (arXiv 2106.15420)."""

    neuron: Literal["ramp", "step"] = added("ramp", before="step")
    """Neurons that compute with time and draw gray (ramp), or the paper's, which draw in black and
    white (step)."""
    recipe: Recipe = "best"
    """Set of defaults: the best that we found, or the paper's rule to the letter, which is one of
    step neurons."""
    gradient: Literal["exact", "final", "temporal"] = "exact"
    """Of ramp neurons the exact one (exact); of step neurons a surrogate at the last step that
    reaches silent neurons as well (final), or temporal backpropagation (temporal; eq. 11-15)."""
    loss: str = "relativistic"
    """Of the discriminator: the relativistic paired loss of the potentials (relativistic), with
    penalties on its gradients; of step neurons also cross-entropy of the final potentials of its
    two outputs (potential), or least squares of their spike times (least-squares), the paper's
    (section 2.4). Of step neurons it decides the defaults of other options."""

    @classmethod
    def of_today(cls, options: Mapping[str, Any]) -> Mapping[str, Any]:
        return former.spiking_gan(options)

    @classmethod
    def retired(cls, options: Mapping[str, Any]) -> str:
        return former.retired_gan(options)

    def recipe_defaults(self) -> Self:
        names = ("neuron", "recipe", "network", "loss", "digit", "auxiliary")
        return gan_defaults({name: getattr(self, name) for name in names})  # type: ignore[return-value]

    def check_ranges(self) -> None:
        super().check_ranges()
        self.check_clock()

    def check(self) -> None:
        super().check()
        if self.latent_last is not None and not 0 <= self.latent_last <= self.t_max:
            raise ValueError(f"latent_last must lie in 0..{self.t_max}, got {self.latent_last}")
        if self.neuron == "ramp" and self.recipe == "paper":
            raise ValueError("recipe must be best with neuron ramp: the paper's is of step neurons")
        is_ramp, is_paired = self.neuron == "ramp", self.loss == "relativistic"
        if (self.gradient == "exact") != is_ramp or (is_ramp and not is_paired):
            wanted = "exact and relativistic" if is_ramp else "those of step neurons"
            raise ValueError(f"gradient and loss must be {wanted} with neuron {self.neuron}")
        if not is_ramp and is_paired:
            self._check_at_once()
        elif not is_ramp:
            _check_loss(self.loss, "gan")
        if self.look_to < self.look_from:
            raise ValueError(
                f"look_to must not be below look_from = {self.look_from}, got {self.look_to}"
            )

    def _check_at_once(self) -> None:
        """Raise ValueError unless all spikes of a layer come in one step, and can be learned."""
        for name in ("gradient", "bias", "normalize", "optimizer", "latent_last"):
            wanted = getattr(_STEP, name)
            if getattr(self, name) != wanted:
                raise ValueError(
                    f"{name} must be {wanted} with loss relativistic of step neurons, got "
                    f"{getattr(self, name)}"
                )
        if 2 * self.delay >= self.t_max:
            raise ValueError(
                f"delay must be below half of t_max = {self.t_max} with loss relativistic of step "
                f"neurons, got {self.delay}"
            )


@dataclass(frozen=True)
class AnnGanConfig(PenaltyOptions, GanOptions):
    """Options of the dense twin of Spiking-GAN (section 3.2)."""

    loss: Literal["relativistic", "cross-entropy"] = added("relativistic", before="cross-entropy")
    """That of ramp neurons, with penalties on gradients (relativistic), or the paper's
    (cross-entropy)."""

    def recipe_defaults(self) -> Self:
        names = ("network", "loss", "digit", "auxiliary")
        return ann_gan_defaults({name: getattr(self, name) for name in names})  # type: ignore[return-value]


_STEP = GanConfig(
    neuron="step",
    gradient="final",
    generator_lr=8e-4,
    discriminator_lr=4e-3,
    gamma=0.1,
    latent_last=0,
    latent_silent=0.5,
)
POTENTIAL_GAN = GanConfig(  # the best of step neurons without penalties
    neuron="step",
    gradient="final",
    loss="potential",
    generator_lr=2e-4,
    discriminator_lr=2e-3,
    decay="generator",
    batch=16,
    beta1=0.5,
    latent_last=7,
    latent_silent=0.5,
)
GAN_RECIPES: dict[Recipe, GanConfig] = {  # of step neurons
    "best": _STEP,
    "paper": dataclasses.replace(
        POTENTIAL_GAN,
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
        snapshots=0,
        weight_decay=1e-6,
        look_from=1.0,
        look_to=1.0,
        latent_last=None,
        latent_silent=0.0,
        delay=0,
    ),
}


_CONVOLUTIONAL_GAN: dict[str, Any] = {
    "network": "conv",
    "batch": 64,
    "average": 0.999,
    "epochs": 25,
    "generator_lr": 8e-4,
    "discriminator_lr": 4e-4,
}


_ALL_DIGITS: dict[str, Any] = {"average": 0.999}  # a hundredth of a training ten times as long
_ALL_DIGITS_BY_RAMPS = _ALL_DIGITS | {"discriminator_lr": 2e-4, "margin": 4.0}


_AUXILIARY: dict[str, Any] = {"digit": "all", "conditional": True, "epochs": 25}


def _paired(chosen: Mapping[str, Any], of_all: dict[str, Any]) -> dict[str, Any]:
    """Defaults of the relativistic paired loss that depend on layers, digits and their names."""
    told = _AUXILIARY if chosen.get("auxiliary") else {}
    if chosen.get("network", "dense") == "conv":
        return _CONVOLUTIONAL_GAN | told
    digit = chosen.get("digit", told.get("digit"))
    return (of_all if digit == "all" else {}) | told


def gan_defaults(chosen: Mapping[str, Any]) -> GanConfig:
    """The defaults of Spiking-GAN beside these choices; the paper's recipe is of step neurons."""
    recipe, network = chosen.get("recipe", "best"), chosen.get("network", "dense")
    neuron = chosen.get("neuron", "step" if recipe == "paper" else "ramp")
    if neuron == "step":
        paired = recipe == "paper" or chosen.get("loss", "relativistic") == "relativistic"
        defaults = GAN_RECIPES[recipe] if paired else POTENTIAL_GAN
        of_all = _ALL_DIGITS if defaults is _STEP and chosen.get("digit") == "all" else {}
        return dataclasses.replace(defaults, network=network, **of_all)
    return GanConfig(recipe=recipe, **_paired(chosen, _ALL_DIGITS_BY_RAMPS))


def ann_gan_defaults(chosen: Mapping[str, Any]) -> AnnGanConfig:
    """The defaults of the dense twin beside these choices of its loss, layers and digits."""
    if chosen.get("loss", "relativistic") == "relativistic":
        return AnnGanConfig(**_paired(chosen, _ALL_DIGITS))
    return AnnGanConfig(
        loss="cross-entropy",
        network=chosen.get("network", "dense"),
        generator_lr=2e-4,
        discriminator_lr=2e-4,
        beta1=0.5,
        average=0.999,
    )


# Classifiers


@dataclass(frozen=True)
class DenseOptions(RuleOptions):
    """Of the network ``dense``; a line of layers says its own sizes."""

    when: ClassVar = {"network": ("dense",)}

    hidden: int = within(400, 1, WIDEST)
    """Hidden neurons of the network dense."""


@dataclass(frozen=True)
class ClassifierOptions(DenseOptions, DataOptions):
    """What the classifier and its dense twin share."""

    validation: float = within(1 / 6, 0.0, 0.9)
    """Share of the training images that is held out to choose by; 0 for a final run on all."""
    seed: int = within(0, 0, LARGEST_SEED)
    """Of weights, order and noise."""
    epochs: int = within(60, 1, MOST)
    """Passes over the training images."""
    batch: int = within(100, 1, MOST)
    """Images in one step of training."""
    network: str = added("dense", before="dense")
    """Layers: dense, one of as many neurons as hidden says; cnn; or a line of your own such
    as 784-400-10 or 24c3p2-48c3 (see docs/networks.md)."""
    lr: float = above(1e-3, high=FASTEST)
    """Largest learning rate; it falls to 0 along a cosine."""
    shift: int = within(1, 0, 512)
    """Pixels by which images move at random in training."""
    whole: bool = True
    """Move only images that stay whole so, those that are black for shift pixels from each edge;
    those that fill their frame have settings of their own."""


@dataclass(frozen=True)
class LoopOptions(RuleOptions):
    """Of `firstspike.training.rules.exact`, for ramp neurons and their dense twins."""

    augment: str = added("none", before="none")
    """Exact gradient: how training images are varied: none, shift, affine, mirror, flip, or what
    was registered with firstspike.data.augment."""
    smoothing: float = within(0.05, 0.0, 0.9, before=0.05)
    """Exact gradient: label smoothing."""
    weight_decay: float = within(0.02, 0.0, before=0.02)
    """Exact gradient: AdamW's decay of weights."""
    dropout: float = within(0.05, 0.0, 0.95)
    """Share of hidden spikes that are left out in training."""
    sparsity: float = within(0.003, 0.0)
    """Price of hidden spikes, which asks for fewer of them."""
    shards: int = within(1, 1, 1024, before=1)
    """Exact gradient: parts of a batch, a power of two, each with statistics of its own, that are
    learned from one by one, or by several processes (docs/scale.md)."""


@dataclass(frozen=True)
class ExactOptions(LoopOptions):
    """Of ramp neurons."""

    when: ClassVar = {"neuron": ("ramp",)}

    window: float = above(1.0)
    """Exact gradient: standard deviations of a potential between silence and the threshold."""
    start: float = within(-0.5, -10.0, 10.0, before=-0.5)
    """Exact gradient: mean potential at the start, in standard deviations; lower is sparser."""
    earliness: float = within(0.0, 0.0)
    """Exact gradient: price of the lateness of desired output spikes, in windows."""


@dataclass(frozen=True)
class TwinOptions(LoopOptions):
    """Of dense twins that learn in the loop of ramp neurons, which all but ``dense`` do."""

    when: ClassVar = {"network": ("others than dense",)}

    @classmethod
    def is_chosen(cls, options: Options) -> bool:
        return getattr(options, "network", "dense") != "dense"


@dataclass(frozen=True)
class AnnClassifierConfig(TwinOptions, ClassifierOptions):
    """Options of the dense twin of the classifier."""

    @classmethod
    def of_today(cls, options: Mapping[str, Any]) -> Mapping[str, Any]:
        return former.ann_classifier(options)

    def recipe_defaults(self) -> Self:
        return ann_classifier_defaults({"network": self.network})  # type: ignore[return-value]

    def check(self) -> None:
        super().check()
        if self.network != "dense" and (self.shift or not self.whole):
            raise ValueError(f"shift and whole do nothing with network {self.network}: see augment")


@dataclass(frozen=True)
class DecisionOptions(RuleOptions):
    """Of `firstspike.training.rules.decision`."""

    when: ClassVar = {"gradient": ("decision",)}

    window: float = above(1.0)
    """Decision gradient: distance to the threshold at which a hidden neuron stops learning."""
    temperature: float = above(0.6)
    """Decision gradient: potential by which a class is e times likelier, which scales the error."""
    silence: float = within(0.0, 0.0, before=0.0)
    """Decision gradient: weight of silence, a rival of the classes whose potential is the
    threshold; 1 leaves fewer images without an output spike."""
    sparsity: float = within(0.003, 0.0)
    """Decision gradient: error of each hidden spike, which asks for fewer of them."""
    credit: Literal["peak", "decision"] = added("peak", before="decision")
    """Decision gradient: hidden neurons learn as of their highest potential until the decision,
    which made them fire or not (peak), or as of the decision itself (decision)."""
    framed_earliness: float = within(0.004, 0.0)
    """Decision gradient: earliness for images that fill their frame (see whole). They are harder,
    and what is known by heart bears any price."""
    framed_silence: float = within(1.2, 0.0)
    """Decision gradient: silence for images that fill their frame."""
    framed_shift: int = within(1, 0, 512, before=0)
    """Decision gradient: pixels by which images that fill their frame move in training; what leaves
    the frame is lost."""


@dataclass(frozen=True)
class TemporalOptions(RuleOptions):
    """Of `firstspike.training.rules.temporal`."""

    when: ClassVar = {
        "gradient": ("temporal",),
        "loss": ("aggressive", "s4nn", "cross-entropy"),
    }

    softness: float = above(40.0)
    """Temporal gradient: time by which a class is e times likelier, in steps; scales the error."""


@dataclass(frozen=True)
class EarlinessOptions(RuleOptions):
    """Of the rules and losses that can ask for early decisions."""

    when: ClassVar = {"gradient": ("decision", "temporal"), "loss": ("aggressive", "s4nn")}

    earliness: float = within(0.06, 0.0)
    """Price of late answers: extra error of the desired neuron, times its spike time over t_max."""


@dataclass(frozen=True)
class DropoutOptions(RuleOptions):
    """Of the rules that leave out hidden spikes."""

    when: ClassVar = {"gradient": ("decision", "temporal")}

    dropout: float = within(0.05, 0.0, 1.0)
    """Share of hidden spikes that are left out in training."""


@dataclass(frozen=True)
class RelativeOptions(RuleOptions):
    """Of S4NN's relative target times."""

    when: ClassVar = {"loss": ("s4nn",)}

    gamma: float = within(3.0, 0.0)
    """S4NN: time steps by which the other neurons should be late."""


@dataclass(frozen=True)
class OnlineOptions(RuleOptions):
    """Of `firstspike.training.rules.online`: one image after the other, as in S4NN."""

    when: ClassVar = {"gradient": ("online",)}

    output_lr: float = within(0.24, 0.0, FASTEST)
    """Online: learning rate of the output layer; that of the hidden layer is lr."""
    normalize: Norm = "l2"
    """Online: norm by which each layer's error is divided (section 2.5)."""
    penalty: float = within(5e-6, 0.0)
    """Online: L2 penalty on the weights."""
    hidden_reach: float = within(2.5, 0.0)
    """Online: hidden weights start uniform between 0 and this, with thresholds of 100."""
    output_reach: float = within(5.0, 0.0)
    """Online: output weights start uniform between 0 and this."""


@dataclass(frozen=True)
class ClassifierConfig(
    DecisionOptions,
    TemporalOptions,
    EarlinessOptions,
    DropoutOptions,
    RelativeOptions,
    OnlineOptions,
    ExactOptions,
    TimeOptions,
    ClassifierOptions,
):
    """Options of the classifier (section 3.1)."""

    neuron: Literal["step", "ramp"] = added("step", before="step")
    """Neurons that add up what has come and decide early (step; the paper's), or that compute with
    time in networks of any depth (ramp)."""

    recipe: Recipe = "best"
    """Set of defaults: the best that we found, or the rule that the loss was published with."""
    loss: str = "aggressive"
    """Of the output spike times: aggressive (TTFS), s4nn (its relative target) or cross-entropy."""
    gradient: Gradient = "decision"
    """Of step neurons a surrogate at the decision step, the paper's temporal backpropagation, or
    the latter one image at a time with plain descent, as in S4NN; of ramp neurons the exact one."""
    jitter: float = within(4.0, 0.0)
    """Standard deviation, in steps, of the noise on input spikes in training."""

    @classmethod
    def of_today(cls, options: Mapping[str, Any]) -> Mapping[str, Any]:
        return former.classifier(options)

    @classmethod
    def retired(cls, options: Mapping[str, Any]) -> str:
        return former.retired_classifier(options)

    def recipe_defaults(self) -> Self:
        names = ("neuron", "network", "recipe", "loss")
        chosen = {name: getattr(self, name) for name in names}
        return classifier_defaults(chosen)  # type: ignore[return-value]

    def check_ranges(self) -> None:
        super().check_ranges()
        self.check_clock()

    def check(self) -> None:
        super().check()
        if (self.neuron == "ramp") != (self.gradient == "exact"):
            wanted = "exact" if self.neuron == "ramp" else "decision, temporal or online"
            raise ValueError(f"gradient must be {wanted} with neuron {self.neuron}")
        if self.neuron == "ramp" and self.recipe != "best":
            raise ValueError(f"recipe must be best with neuron ramp, got {self.recipe}")
        if self.neuron == "step" and self.network != "dense":
            raise ValueError("network must be dense with neuron step: its rules know two layers")
        if self.neuron == "ramp" and (self.delay, self.shift, self.whole) != (1, 0, True):
            raise ValueError(
                "delay, shift and whole do nothing with neuron ramp: see t_max and augment"
            )
        _check_loss(self.loss, self.gradient, f"gradient {self.gradient}")


def _check_loss(name: str, use: str, chosen: str = "") -> None:
    from firstspike import losses  # PyTorch takes seconds to import

    losses.check_fit(name, use, chosen)


_ONLINE = ClassifierConfig(
    recipe="paper", gradient="online", lr=0.32, epochs=25, shift=0, jitter=0.0, dropout=0.0
)
CLASSIFIER_RECIPES: dict[tuple[Recipe, str], ClassifierConfig] = {
    ("best", "aggressive"): ClassifierConfig(),
    ("best", "s4nn"): dataclasses.replace(
        _ONLINE,
        recipe="best",
        loss="s4nn",
        epochs=40,
        shift=1,
        whole=False,
        jitter=4.0,
        penalty=1e-6,
    ),
    ("best", "cross-entropy"): ClassifierConfig(loss="cross-entropy", gradient="temporal"),
    ("paper", "aggressive"): dataclasses.replace(_ONLINE, normalize="l1"),
    ("paper", "s4nn"): dataclasses.replace(_ONLINE, loss="s4nn"),
    ("paper", "cross-entropy"): ClassifierConfig(
        recipe="paper", loss="cross-entropy", gradient="temporal"
    ),
}

# Of ramp neurons and their dense twins (docs/experiments.md).
_LOOP: dict[str, Any] = {
    "lr": 4e-3,
    "batch": 128,
    "epochs": 30,
    "shift": 0,
    "augment": "affine",
    "dropout": 0.0,
    "sparsity": 0.0,
}
_CONVOLUTIONAL: dict[str, Any] = {"epochs": 4}


def _loop_defaults(network: str) -> dict[str, Any]:
    dense = "c" not in network  # as in cnn, and in convolutions such as 24c3
    return {"network": network, **_LOOP, **({} if dense else _CONVOLUTIONAL)}


def classifier_defaults(chosen: Mapping[str, Any]) -> ClassifierConfig:
    """The defaults of a spiking classifier beside these choices of neuron, network and recipe."""
    if chosen.get("neuron") != "ramp":
        names = chosen.get("recipe", "best"), chosen.get("loss", "aggressive")
        # Losses of others are learned by temporal backpropagation.
        other = ClassifierConfig(recipe=names[0], loss=names[1], gradient="temporal")
        recipe = CLASSIFIER_RECIPES.get(names, other)
        return dataclasses.replace(recipe, network=chosen.get("network", "dense"))
    loop = _loop_defaults(chosen.get("network", "dense"))
    return ClassifierConfig(
        neuron="ramp",
        gradient="exact",
        loss="cross-entropy",
        recipe=chosen.get("recipe", "best"),
        t_max=64,
        jitter=0.0,
        earliness=ExactOptions.earliness,
        **loop,
    )


def ann_classifier_defaults(chosen: Mapping[str, Any]) -> AnnClassifierConfig:
    """The defaults of a dense classifier: of the paper's size, or in the loop of ramp neurons."""
    network = chosen.get("network", "dense")
    return (
        AnnClassifierConfig()
        if network == "dense"
        else AnnClassifierConfig(**_loop_defaults(network))
    )
