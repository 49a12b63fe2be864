"""Classifiers of any depth, written as a line of text: ramp neurons, or their dense twin.

A network is a line of layers, such as ``24c3p2-48c3-48c3p2`` or ``784-400-10``:

    400        a dense layer of 400 neurons
    128x18     18 of them in a row
    24c3       a convolution 3x3 of 24 channels that keeps the size
    ...s2      with stride 2
    ...p2      of which the earliest spike of each block of 2x2 goes on
    ...r       that also adds the spikes of its inputs, of which there must be as many

The output layer, one neuron a class, follows by itself; a line of dense layers may also start with
the number of pixels and end with that of classes, as the paper writes it.

Depth: in a run of four or more dense layers of one size, each but the first learns what to add to
its inputs (He et al., arXiv 1512.03385). That is a matter of training only: where the network is
used, the join is part of the weights, ``W + 1`` (`deployed`), so that a plain row of layers is
left (as in RepVGG, Ding et al., arXiv 2101.03697). The first of the run has a window six times as
wide as usual, which leaves room for what the others add.
"""

from __future__ import annotations

import copy
import itertools
import re
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_linear_bn_eval

from firstspike.coding import ImageLike, as_images, encode
from firstspike.counts import count
from firstspike.metrics import decide
from firstspike.models.paper import Classification
from firstspike.nn import (
    FirstSpikeConv2d,
    FirstSpikeLinear,
    Residual,
    SpikeDropout,
    SpikingLayer,
    SpikingNetwork,
    fold,
    window_norm,
)
from firstspike.shape import MNIST, Shape
from firstspike.times import check_t_max

PRESETS = {"cnn": "24c3p2-48c3-48c3p2-96c3-96c3p2"}
DEEP = 4  # equal dense layers in a row from which on they learn what to add
ROOM = 6.0  # window of the first of them, in usual ones
ADDED = 0.3  # standard deviation of what a layer adds, in those of the first layer's potentials
_LAYER = re.compile(
    r"(?P<size>\d{1,6})(?:x(?P<repeat>\d{1,3})|c(?P<kernel>\d{1,2})(?:s(?P<stride>\d))?(?:p(?P<pool>\d))?"
    r"(?P<residual>r)?)?"
)


@dataclass(frozen=True)
class LayerPlan:
    """One hidden layer: dense where ``kernel`` is 0.

    Args:
        place: in a run of at least `DEEP` equal dense layers, from 1 on; 0 outside of one.
    """

    size: int
    kernel: int = 0
    stride: int = 1
    pool: int = 1
    residual: bool = False
    place: int = 0


def plan(line: str, shape: Shape = MNIST) -> list[LayerPlan]:
    """The hidden layers that a line of text or a preset describes.

    Raises:
        ValueError: it cannot be read, or does not fit the images.
    """
    words = PRESETS.get(line, line).split("-")
    dense = not any("c" in word for word in words)
    if dense and len(words) > 2 and words[0].isdecimal() and words[-1].isdecimal():
        ends = int(words[0]), int(words[-1])
        if ends != (shape.pixels, len(shape.classes)):
            raise ValueError(
                f"network {line}: starts with {ends[0]} and ends with {ends[1]}, but the images "
                f"have {shape.pixels} pixels and {len(shape.classes)} classes"
            )
        words = words[1:-1]
    layers = [layer for word in words for layer in _read(word, line)]
    kernels = [bool(layer.kernel) for layer in layers]
    if kernels != sorted(kernels, reverse=True):
        raise ValueError(f"network {line}: convolutions must come before dense layers")
    return _placed(layers)


def _placed(layers: list[LayerPlan]) -> list[LayerPlan]:
    """The same, with the places of layers in long runs of equal dense ones."""
    placed: list[LayerPlan] = []
    for layer, group in itertools.groupby(layers):
        count = len(list(group))
        is_run = count >= DEEP and not layer.kernel
        placed += [replace(layer, place=n + 1 if is_run else 0) for n in range(count)]
    return placed


def _read(word: str, line: str) -> list[LayerPlan]:
    match = _LAYER.fullmatch(word)
    if match is None or int(match["size"]) < 1 or match["kernel"] == "0":
        known = ", ".join(PRESETS)
        raise ValueError(
            f"network {line}: cannot read {word!r}; give {known} or layers such as 784-400-10 "
            "or 24c3p2-48c3"
        )
    numbers = {name: int(match[name] or 1) for name in ("stride", "pool")}
    layer = LayerPlan(
        int(match["size"]), int(match["kernel"] or 0), residual=bool(match["residual"]), **numbers
    )
    return [layer] * int(match["repeat"] or 1)


class NetworkClassifier(SpikingNetwork):
    """Layers whose first output spike tells the class, of any depth, of ramp neurons.

    Attributes:
        windows: see `SpikingNetwork`; the decision falls in the last of them.
    """

    @torch.no_grad()
    def classify(self, images: ImageLike, batch: int = 500) -> Classification:
        """Decide on images, in evaluation mode.

        Args:
            images: uint8 or floating point in 0..1, [B, ...] as the network was built for.
            batch: images at a time; changes the memory that is used and nothing else.

        Returns:
            The class of each image; the step of its first output spike, counted from the start of
            the first window; spikes of each layer, all that come before the decision's window and
            output spikes up to the decision; additions of weights.

        Raises:
            ValueError: ``images`` do not fit.
        """
        was = self.training
        self.eval()
        try:
            parts = [self._classify(part) for part in self.times_of(images).split(batch)]
        finally:
            self.train(was)
        names = ("classes", "decisions", "spikes", "additions")
        return Classification(*(torch.cat([getattr(p, n) for p in parts]) for n in names))

    def times_of(self, images: ImageLike) -> Tensor:
        """Spike times of images in the shape that the first layer takes."""
        pixels = as_images(images)
        first: Any = self[0] if not isinstance(self[0], nn.Flatten) else self[1]
        times = encode(pixels, self.t_max).to(next(self.parameters()))
        if isinstance(first, FirstSpikeConv2d) and times.ndim == 3:
            return times.unsqueeze(1)
        return times

    def _classify(self, times: Tensor) -> Classification:
        traces = self.traces(times)
        counts = count(self, traces)
        classes = decide(traces[-1].times, self.potentials(times), self.t_max)
        return Classification(classes, counts.decision, counts.spikes, counts.additions.sum(dim=1))


def spiking(
    line: str,
    shape: Shape = MNIST,
    *,
    t_max: int = 64,
    window: float = 3.0,
    start: float = -0.5,
    dropout: float = 0.0,
) -> NetworkClassifier:
    """A classifier of ramp neurons, as it is trained: with normalisation.

    Args:
        line: the layers, see this module.
        shape: of the images; one output neuron for each class.
        t_max: number of time steps of a window.
        window: standard deviations between silence and the threshold, see `window_norm`.
        start: mean potential at the start, in standard deviations.
        dropout: share of hidden spikes left out in training.

    Raises:
        ValueError: the line or an option does not fit.
    """
    modules: list[nn.Module] = []
    inputs, size = shape.channels, (shape.height, shape.width)
    flat = False
    for layer in plan(line, shape):
        if layer.kernel:
            made: nn.Module = convolution(inputs, layer, t_max=t_max, window=window, start=start)
            if layer.residual:
                _check_join(layer, inputs, line)
                made = Residual(made)
            inputs, size = layer.size, size_after(layer, size, line)
        else:
            if not flat:
                modules.append(nn.Flatten())
                inputs, flat = inputs * size[0] * size[1], True
            norm = _dense_norm(layer, window, start)
            made = FirstSpikeLinear(inputs, layer.size, neuron="ramp", norm=norm, t_max=t_max)
            if layer.place > 1:
                made = Residual(made)
            inputs = layer.size
        modules.append(made)
        if dropout:
            modules.append(SpikeDropout(dropout, t_max))
    if not flat:
        modules.append(nn.Flatten())
        inputs *= size[0] * size[1]
    last = FirstSpikeLinear(inputs, len(shape.classes), neuron="ramp", t_max=t_max)
    nn.init.kaiming_uniform_(last.weight, a=5**0.5)
    return NetworkClassifier(*modules, last)


def dense_twin(line: str, shape: Shape = MNIST, *, dropout: float = 0.0) -> nn.Sequential:
    """The same network of ReLU, with batch normalisation: pixels in 0..1 in, scores out.

    Raises:
        ValueError: as for `spiking`.
    """
    modules: list[nn.Module] = []
    inputs, size = shape.channels, (shape.height, shape.width)
    flat = False
    for layer in plan(line, shape):
        if layer.kernel:
            block = dense_convolution(inputs, layer)
            if layer.residual:
                _check_join(layer, inputs, line)
                block = [_Join(nn.Sequential(*block))]
            modules += [*block, nn.ReLU()]
            inputs, size = layer.size, size_after(layer, size, line)
        else:
            if not flat:
                modules.append(nn.Flatten())
                inputs, flat = inputs * size[0] * size[1], True
            linear = nn.Linear(inputs, layer.size, bias=False)
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
            block = [linear, nn.BatchNorm1d(layer.size)]
            if layer.place > 1:
                nn.init.constant_(block[1].weight, ADDED)  # type: ignore[arg-type]
                block = [_Join(nn.Sequential(*block))]
            modules += [*block, nn.ReLU()]
            inputs = layer.size
        if dropout:
            modules.append(nn.Dropout(dropout))
    if not flat:
        modules.append(nn.Flatten())
        inputs *= size[0] * size[1]
    return nn.Sequential(*modules, nn.Linear(inputs, len(shape.classes)))


def convolution(
    inputs: int, layer: LayerPlan, *, t_max: int, window: float, start: float
) -> FirstSpikeConv2d:
    """A convolution of ramp neurons with normalisation, of so many channels; see `spiking`."""
    made = FirstSpikeConv2d(
        inputs,
        layer.size,
        layer.kernel,
        layer.stride,
        layer.kernel // 2,
        neuron="ramp",
        norm=window_norm(layer.size, 2, window, start),
        pool=layer.pool,
        t_max=t_max,
    )
    nn.init.kaiming_normal_(made.weight, nonlinearity="relu")
    return made


def dense_convolution(inputs: int, layer: LayerPlan) -> list[nn.Module]:
    """The dense twin of `convolution`, in pieces, its ReLU left out."""
    conv = nn.Conv2d(inputs, layer.size, layer.kernel, layer.stride, layer.kernel // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    pool: list[nn.Module] = [nn.MaxPool2d(layer.pool)] if layer.pool > 1 else []
    return [conv, *pool, nn.BatchNorm2d(layer.size)]


def _dense_norm(layer: LayerPlan, window: float, start: float) -> Any:
    """Normalisation of a dense layer, by its place in a run of equal ones."""
    if layer.place > 1:
        return window_norm(layer.size, 1, ROOM * window / ADDED, 0.0)
    return window_norm(layer.size, 1, ROOM * window if layer.place else window, start)


class _Join(nn.Module):
    """The dense twin of `Residual` without its ReLU."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, values: Tensor) -> Tensor:
        joined: Tensor = self.body(values) + values
        return joined


def _check_join(layer: LayerPlan, inputs: int, line: str) -> None:
    if layer.size != inputs or layer.stride * layer.pool != 1:
        raise ValueError(
            f"network {line}: {layer.size}c{layer.kernel}r must have as many channels as its "
            f"inputs, {inputs}, and neither stride nor pool"
        )


def size_after(layer: LayerPlan, size: tuple[int, int], line: str) -> tuple[int, int]:
    """Height and width behind a convolution. ValueError if nothing is left."""
    reach = 2 * (layer.kernel // 2) - layer.kernel
    height, width = (((side + reach) // layer.stride + 1) // layer.pool for side in size)
    if height < 1 or width < 1:
        raise ValueError(
            f"network {line}: nothing is left of images behind {layer.size}c{layer.kernel}"
        )
    return height, width


def output_window(scores: Tensor) -> tuple[float, float]:
    """Potentials of silence and of step 0, for `deployed`.

    Silence is put below every winner and step 0 above every runner-up: as far as these potentials
    tell, all images have an output spike, and no two neurons meet in step 0.

    Args:
        scores: potentials of the output neurons on images, [N, classes].
    """
    scores = scores.detach()
    if scores.shape[1] == 1:
        low, high = scores.min(), scores.max()
    else:
        top = scores.topk(2, dim=1).values
        low, high = top[:, 0].min(), top[:, 1].max()
    return float(low), float(torch.maximum(high, low + 1e-3))


def deployed(network: NetworkClassifier, low: float, high: float) -> NetworkClassifier:
    """The trained network as it is used: normalisation folded, the output window set.

    Dense layers that add their inputs become plain ones, of the same potentials but for rounding.

    Args:
        network: as trained; stays as it is.
        low: potential of an output neuron that is silence.
        high: potential that fires in step 0.
    """
    made: NetworkClassifier = _joined(fold(network))
    last: Any = made[-1]
    with torch.no_grad():
        last.weight.div_(high - low)
        last.bias.sub_(low).div_(high - low)
    return made


@torch.no_grad()
def _joined(network: NetworkClassifier) -> NetworkClassifier:
    """The same, with dense layers that add their inputs as plain ones, of weights ``W + 1``."""
    for number, module in enumerate(network):
        if isinstance(module, Residual) and isinstance(module.last, FirstSpikeLinear):
            module.last.weight.diagonal().add_(1.0)
            network[number] = module.last
    return network


@torch.no_grad()
def plain(twin: nn.Sequential) -> nn.Sequential:
    """A trained dense twin as it is used: dense layers that add their inputs as plain ones.

    Args:
        twin: of `dense_twin`, as trained; stays as it is.
    """
    modules: list[nn.Module] = []
    for module in copy.deepcopy(twin).eval():
        body: Any = getattr(module, "body", [None])
        if isinstance(module, _Join) and isinstance(body[0], nn.Linear):
            made = fuse_linear_bn_eval(*body)
            made.weight.diagonal().add_(1.0)
            module = made
        modules.append(module)
    return nn.Sequential(*modules)


@torch.no_grad()
def at_t_max(network: NetworkClassifier, t_max: int) -> NetworkClassifier:
    """A network as it is used, with windows of another number of steps.

    A level is rounded down, by half a step on the mean. What that takes more, or less, than in
    training is made good in the biases of the hidden layers.

    Args:
        network: of ramp neurons, without normalisation, as of `deployed`; stays as it is.
        t_max: number of time steps of a window.

    Raises:
        ValueError: ``t_max`` is out of range, or a hidden layer has no bias.
    """
    t_max = check_t_max(t_max)
    lost = 0.5 / t_max - 0.5 / network.t_max
    made = copy.deepcopy(network)
    layers: list[Any] = [one for one in made.modules() if isinstance(one, SpikingLayer)]
    for layer in layers[:-1]:
        if layer.bias is None:
            raise ValueError("network must have biases in its hidden layers, as deployed ones do")
        layer.bias += lost * layer.neuron.threshold
    for module in made.modules():
        if "t_max" in vars(module):
            module.t_max = t_max  # type: ignore[assignment]
    return made
