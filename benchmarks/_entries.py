"""What `peers.py` times: decisions and training steps of the same network, by library."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import _rivals
import torch
from _rivals import Network, Rival
from _table import Entries, Function
from _trained import layers
from torch import Tensor, nn

import firstspike as fs
from firstspike.models import Classifier, ann_classifier
from firstspike.models.quantized import QuantizedClassifier
from firstspike.training.classifier import SpikingTraining
from firstspike.training.config import ClassifierConfig

DENSE = "dense eager"
TRAINING_BATCH = 100


def inference(model: Classifier, quantized: QuantizedClassifier, images: Tensor) -> Entries:
    """Decisions on ``images``."""
    network = _network(model)
    wanted = model(fs.encode(images.flatten(1))).detach()
    spoke = wanted.amin(dim=1) < network.t_max  # otherwise the potential decides, with us
    assert torch.equal(model.classify(images).classes[spoke], wanted.argmin(dim=1)[spoke])
    entries: Entries = {
        "firstspike classify": lambda: model.classify(images).classes,
        "firstspike classify, 8-bit weights": lambda: quantized.classify(images).classes,
        "firstspike, layer by layer to the end": _deciding(model, images),
        **_dense(images),
    }
    rivals: dict[str, Callable[[], Rival]] = {
        "PyTorch, raster and cumsum": lambda: _rivals.torch_cumsum(network),
        "SpikingJelly": lambda: _timed(_rivals.spikingjelly_spikes(network)),
        "snnTorch": lambda: _timed(_rivals.snntorch_spikes(network)),
        "snnTorch, stopped at the first spike": lambda: _timed(
            _rivals.snntorch_spikes(network, stop=True)
        ),
        "BindsNET": lambda: _rivals.bindsnet(network),
        "NumPy, S4NN's way": lambda: _rivals.numpy_s4nn(network),
    }
    for name, build in rivals.items():
        entries[name] = _checked(build, wanted, images, early="stopped" in name)
    return entries


def _network(model: Classifier) -> Network:
    first = model.layers[0]
    weights = [weight.detach().clone().contiguous() for weight, _ in layers(model)]
    biases = [bias.detach().clone() for _, bias in layers(model)]
    return Network(weights, biases, first.threshold, first.t_max)


def _dense(images: Tensor) -> Entries:
    """The dense twin. Its weights are not trained, which changes no time."""
    twin = ann_classifier()

    @torch.inference_mode()
    def eager() -> Tensor:
        return _scores(twin, images).argmax(dim=1)

    compiled = torch.compile(eager, dynamic=False)
    try:
        compiled()
    except RuntimeError as error:  # it needs a C++ compiler
        return {DENSE: eager, "dense compiled": f"not compiled: {_first_line(error)}"}
    return {DENSE: eager, "dense compiled": compiled}


def _scores(dense: nn.Module, images: Tensor) -> Tensor:
    return dense(images.flatten(1) / 255)


def _deciding(rival: Rival, images: Tensor) -> Function:
    return torch.inference_mode()(lambda: rival(fs.encode(images.flatten(1))).argmin(dim=1))


def _timed(spikes: Rival) -> Rival:
    return lambda times: _rivals.first_spike(spikes(times))


def _checked(
    build: Callable[[], Rival], wanted: Tensor, images: Tensor, early: bool
) -> Function | str:
    """A rival that gives the output spike times ``wanted``; if it stops early, the first ones."""
    try:
        rival = build()
        with torch.inference_mode():
            got = rival(fs.encode(images.flatten(1)))
    except Exception as error:  # whatever ails one rival, the others are measured
        return f"left out: {_first_line(error)}"
    if early:
        got, wanted = got.amin(dim=1), wanted.amin(dim=1)
    if not torch.equal(got, wanted):
        return "left out: other spike times than ours"
    return _deciding(rival, images)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def training(model: Classifier) -> Entries:
    """One step with Adam, of networks that start with the trained weights, but for the dense twin.

    The default recipe moves its images and adds noise, which the others do not. The rivals learn
    by surrogate gradients from the cross-entropy on the steps that an output neuron spends after
    its spike.
    """
    train = fs.load_mnist("train")
    batches = zip(
        train.images.split(TRAINING_BATCH), train.labels.split(TRAINING_BATCH), strict=True
    )
    upcoming, rng = itertools.cycle(batches), torch.Generator().manual_seed(0)
    recipe, plain = SpikingTraining(ClassifierConfig()), fs.nn.by_input(fs.models.classifier())
    for network in (recipe.model, plain):
        network.load_state_dict(model.state_dict())
    images, labels = next(upcoming)
    dense = ann_classifier()
    return {
        "firstspike, default recipe": lambda: recipe.step(*next(upcoming), rng),
        "firstspike, gradients of the paper": _step(
            [*plain.parameters()], lambda: -plain(fs.encode(images.flatten(1))) / 10, labels
        ),
        DENSE: _step([*dense.parameters()], lambda: _scores(dense, images), labels),
        "SpikingJelly": _surrogate_step(_rivals.spikingjelly_spikes, model, images, labels),
        "snnTorch": _surrogate_step(_rivals.snntorch_spikes, model, images, labels),
        "BindsNET": "left out: no gradients, it trains by STDP",
    }


def _surrogate_step(
    build: Callable[[Network], Rival], model: Classifier, images: Tensor, labels: Tensor
) -> Function | str:
    network = _network(model)
    parameters = [p.requires_grad_() for p in (*network.weights, *network.biases)]
    left = torch.arange(network.t_max, 0, -1.0)[:, None, None]
    try:
        rival = build(network)
    except Exception as error:
        return f"left out: {_first_line(error)}"

    def scores() -> Tensor:
        spikes = rival(fs.encode(images.flatten(1), network.t_max))
        return (spikes * left).sum(dim=0) / 10

    return _step(parameters, scores, labels)


def _step(parameters: list[Tensor], scores: Callable[[], Tensor], labels: Tensor) -> Function:
    optimizer = torch.optim.Adam(parameters, 1e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(scores(), labels).backward()
        optimizer.step()

    return step
