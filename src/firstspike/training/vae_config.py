"""Options of variational autoencoders, with their defaults; see `firstspike.training.vae`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from firstspike.times import T_MAX
from firstspike.training.config import FASTEST, WIDEST, DataOptions, check_steps
from firstspike.training.options import MOST, RuleOptions, above, within

DELAY = 1  # steps from a spike to its effect, of step neurons


@dataclass(frozen=True)
class DenseVaeOptions(RuleOptions):
    """Of dense layers."""

    when: ClassVar = {"network": ("dense",)}

    hidden: int = within(400, 1, WIDEST)
    """Network dense: hidden neurons of the encoder and of the decoder."""


@dataclass(frozen=True)
class ConvVaeOptions(RuleOptions):
    """Of convolutions."""

    when: ClassVar = {"network": ("conv",)}

    channels: int = within(32, 2, 4096)
    """Network conv: channels of the widest layers; the others have half as many."""


@dataclass(frozen=True)
class VaeOptions(DenseVaeOptions, ConvVaeOptions, DataOptions):
    """What the spiking autoencoder and its dense twin share."""

    conditional: ClassVar[bool] = False  # it cannot be told a class

    digit: str = "all"
    """Class to learn, by name, or 'all'."""
    latent: int = within(10, 1, WIDEST)
    """Latents, each a spike from the encoder to the decoder; 2 give a map (generate --map)."""
    network: Literal["dense", "conv"] = "dense"
    """A hidden layer each in encoder and decoder (dense), or convolutions (conv)."""
    beta: float = within(1.0, 0.0)
    """Price of what latents tell, in nats, beside the error of images: above 1 samples are
    better and reconstructions worse."""
    together: float = within(0.0, 0.0)
    """Price, beside that, of latents that are not spread over a batch as those of samples are."""
    epochs: int = within(10, 1, MOST)
    """Passes over the training images."""
    batch: int = within(128, 1, MOST)
    """Images in one step of training."""
    lr: float = above(4e-3, high=FASTEST)
    """Largest learning rate; it rises in the first steps and falls to 0 along a cosine."""
    last_rate: float = above(1.0)
    """Learning rate of the last layer of encoder and decoder, as a share of the others'."""


@dataclass(frozen=True)
class RampVaeOptions(RuleOptions):
    """Of ramp neurons."""

    when: ClassVar = {"neuron": ("ramp",)}

    encoder_threshold: float = above(8.0)
    """Ramp: threshold of the encoder's hidden neurons."""
    decoder_threshold: float = above(8.0)
    """Ramp: threshold of the decoder's hidden neurons."""
    precision: float = above(10.0)
    """Ramp: price of the squared error of a pixel, halved: one over the variance of its noise."""


@dataclass(frozen=True)
class StepVaeOptions(RuleOptions):
    """Of step neurons."""

    when: ClassVar = {"neuron": ("step",)}

    window: float = above(1.0)
    """Step: distance to the threshold at which a neuron learns a third as fast."""
    contrast: float = above(2.0)
    """Step: how steep shades rise with potentials; above 1 samples are sharper and reconstructions
    worse than what pixels learn."""


@dataclass(frozen=True)
class VaeConfig(StepVaeOptions, RampVaeOptions, VaeOptions):
    """Options of the spiking autoencoder."""

    neuron: Literal["ramp", "step"] = "ramp"
    """Neurons whose latents are times (ramp), or spikes that come at once or never (step)."""
    t_max: int = T_MAX
    """Time steps of a window; of step neurons two more than there are shades beside black."""

    def check_ranges(self) -> None:
        super().check_ranges()
        check_steps(self.t_max)

    def check(self) -> None:
        super().check()
        if self.neuron == "step" and self.network != "dense":
            raise ValueError("network conv needs ramp neurons: step neurons learn two layers each")
        if self.neuron == "step" and self.t_max <= 2 * DELAY:
            raise ValueError(
                f"t_max must be above {2 * DELAY} with neuron step, which spikes of the last layer "
                f"come after, got {self.t_max}"
            )

    def recipe_defaults(self) -> Self:
        chosen = {"neuron": self.neuron, "network": self.network}
        return vae_defaults(chosen)  # type: ignore[return-value]


@dataclass(frozen=True)
class AnnVaeConfig(VaeOptions):
    """Options of the dense twin: ReLU, sigmoid pixels."""

    def recipe_defaults(self) -> Self:
        return ann_vae_defaults({"network": self.network})  # type: ignore[return-value]


# Adam moves every weight by as much. Of ramp neurons, a mean moves eight times as far as the
# potential that tells it, and a pixel's whole window is 1; so their weights move more slowly.
_RAMP: dict[str, Any] = {"lr": 1.2e-2, "batch": 64, "last_rate": 1 / 8}
_TWIN: dict[str, Any] = {"lr": 6e-3, "batch": 64}
_STEP: dict[str, Any] = {"neuron": "step", "latent": 64, "t_max": 17, "lr": 8e-3}
_CONVOLUTIONAL: dict[str, Any] = {"network": "conv", "epochs": 5, "together": 5.0}


def _by_network(chosen: Mapping[str, Any]) -> dict[str, Any]:
    return _CONVOLUTIONAL if chosen.get("network", "dense") == "conv" else {}


def vae_defaults(chosen: Mapping[str, Any]) -> VaeConfig:
    """The defaults of the spiking autoencoder beside this choice of neurons and layers."""
    if chosen.get("neuron", "ramp") == "step":
        return VaeConfig(**_STEP, network=chosen.get("network", "dense"))
    return VaeConfig(**_RAMP, **_by_network(chosen))


def ann_vae_defaults(chosen: Mapping[str, Any]) -> AnnVaeConfig:
    """The defaults of the dense twin beside this choice of layers."""
    return AnnVaeConfig(**_TWIN, **_by_network(chosen))
