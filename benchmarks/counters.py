"""Spikes and additions as other libraries count them, beside `firstspike.counts`.

The same network runs in neurons of SpikingJelly (``IFNode``) or of snnTorch (``Leaky``), step by
step and image by image, until its decision; their layers are PyTorch's. Spikes are what these
neurons gave. Additions are what NeuroBench (``SynapticOperations``, by hooks on the layers) and
SpikingJelly (``SynOpCounter``, which watches PyTorch's operations) counted meanwhile. All must be
equal to the last operation; any difference ends the script with an error.

    pip install --no-deps -r benchmarks/requirements-peers.txt
    python benchmarks/counters.py --images 20

Networks: step neurons 784-400-10 (the bundled one, rounded so that all sums are exact) and a
convolutional one with random weights; ramp neurons likewise, in windows, where a library's neuron
is charged by the currents that came in and then raised by a clock. Biases are there before the
first spike and count nowhere; neurons that have fired are held back, as no library does it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import _trained
import torch
from _rivals import NEVER_BACK
from torch import Tensor, nn

import firstspike as fs
from firstspike.counts import count
from firstspike.nn import FirstSpikeConv2d, FirstSpikeLinear, SpikingNetwork

Fires = Callable[[Tensor], Tensor]  # input current of a step -> its spikes, 0 and 1
MakeNeuron = Callable[[float, bool], Fires]


def spikingjelly(threshold: float, strict: bool) -> Fires:
    """An ``IFNode``, which fires at >= and, once reset, never again."""
    from spikingjelly.activation_based import neuron

    reached = float(torch.nextafter(torch.tensor(threshold), torch.tensor(1e9)))
    node = neuron.IFNode(reached if strict else threshold, v_reset=NEVER_BACK)
    node.v = 0.0
    return node


def snntorch(threshold: float, strict: bool) -> Fires:
    """A ``Leaky`` without leak or reset, which fires at >; spikes after the first are masked."""
    from snntorch import Leaky

    below = float(torch.nextafter(torch.tensor(threshold), torch.tensor(-1e9)))
    node = Leaky(1.0, threshold if strict else below, reset_mechanism="none")
    state: dict[str, Any] = {"potential": None, "fired": 0.0}

    def step(current: Tensor) -> Tensor:
        before = torch.zeros_like(current) if state["potential"] is None else state["potential"]
        above, state["potential"] = node(current, before)
        spikes: Tensor = above * (1 - state["fired"])
        state["fired"] = torch.maximum(above, torch.as_tensor(state["fired"]))
        return spikes

    return step


class Layer:
    """A layer of the network as PyTorch's, without its bias, and a peer's neurons."""

    def __init__(self, ours: Any, make: MakeNeuron) -> None:
        self.ours, self.flat = ours, isinstance(ours, FirstSpikeLinear)
        if self.flat:
            self.map: nn.Module = nn.Linear(ours.in_features, ours.out_features, bias=False)
        else:
            sizes = ours.in_channels, ours.out_channels, ours.kernel_size
            self.map = nn.Conv2d(*sizes, ours.stride, ours.padding, bias=False)
        self.map.weight.data = ours.weight.detach()
        self.make = make

    def start(self) -> None:
        """Forget the last image."""
        neuron = self.ours.neuron
        self.fires, self.spikes = self.make(neuron.threshold, not neuron.windowed), 0

    def current(self, spikes: Tensor) -> Tensor:
        arrived: Tensor = self.map(spikes.flatten(1) if self.flat else spikes)
        return arrived

    def fire(self, current: Tensor) -> Tensor:
        found = self.fires(current)
        self.spikes += int(found.sum())
        return found

    def bias(self, like: Tensor) -> Tensor:
        return self.ours.bias.detach().view(-1, *[1] * (like.ndim - 2)).expand_as(like)


def run_steps(layers: list[Layer], raster: Tensor, size: list[Tensor]) -> int:
    """One clock for all layers, until the first output spike. Spikes of the input until then."""
    sent = [torch.zeros_like(raster[0]), *size]
    came = 0
    for step, spikes in enumerate(raster):
        before, sent[0] = list(sent), spikes
        came += int(spikes.sum())
        for number, layer in enumerate(layers, 1):
            if step == 0:
                sent[number] = layer.fire(layer.bias(size[number - 1]))
            else:
                sent[number] = layer.fire(layer.current(before[number - 1]))
        if sent[-1].any():
            break
    return came


def run_windows(layers: list[Layer], raster: Tensor, size: list[Tensor]) -> int:
    """A window a layer: first currents charge its neurons, then the clock raises them."""
    t_max, inputs = len(raster), raster
    for layer in layers:
        current: Any = 0.0
        potential: Any = 0.0
        for spikes in inputs:  # each starts a current that flows until the window closes
            current = current + layer.current(spikes) / t_max
            potential = potential + current
        potential = potential + layer.bias(torch.as_tensor(potential))
        clock = torch.full_like(potential, layer.ours.neuron.threshold / t_max)
        sent = []
        for step in range(t_max):
            sent.append(layer.fire(clock if step else potential))
            if layer is layers[-1] and sent[-1].any():
                break
        inputs = torch.stack(sent)
    return int(raster.sum())


def networks() -> dict[str, SpikingNetwork]:
    """By name, networks without a weight of 0."""
    model = _trained.load(None)
    _trained.round_to_exact_sums(model)
    rng = torch.Generator().manual_seed(0)
    found = {"step neurons, 784-400-10, trained": SpikingNetwork(nn.Flatten(), *model.layers)}
    for neuron in ("step", "ramp"):
        made: dict[str, Any] = {"neuron": neuron, "t_max": 64}
        conv = SpikingNetwork(
            FirstSpikeConv2d(1, 4, 5, stride=2, padding=2, **made),
            FirstSpikeConv2d(4, 6, 3, stride=2, **made),
            nn.Flatten(),
            FirstSpikeLinear(6 * 6 * 6, 10, **made),
        )
        found[f"{neuron} neurons, 4c5s2-6c3s2-10, random"] = _dyadic(conv, rng)
    ramp: dict[str, Any] = {"neuron": "ramp", "t_max": 64}
    dense = SpikingNetwork(
        nn.Flatten(), FirstSpikeLinear(784, 100, **ramp), FirstSpikeLinear(100, 10, **ramp)
    )
    found["ramp neurons, 784-100-10, random"] = _dyadic(dense, rng)
    for network in found.values():
        _fill_zeros(network)
    return found


@torch.no_grad()
def _fill_zeros(network: SpikingNetwork) -> None:
    """NeuroBench leaves out weights that are 0; we count the synapse, as SpikingJelly does."""
    for layer in network.layers:
        weight = layer.weight
        weight.masked_fill_(weight == 0, float(weight[weight != 0].abs().min()))


@torch.no_grad()
def _dyadic(network: SpikingNetwork, rng: torch.Generator) -> SpikingNetwork:
    """Random multiples of 1/64: all sums are exact."""
    for parameter in network.parameters():
        reach = 64 // max(1, parameter[0].numel()) ** 0.5
        steps = torch.randint(-64, 80, parameter.shape, generator=rng)
        parameter.copy_((steps * reach / 64).round() / 64)
    return network


def compare(network: SpikingNetwork, images: Tensor, make: MakeNeuron) -> dict[str, Any]:
    """Spikes and additions, as sums over the images, by who counted them."""
    from neurobench.hooks.layer import LayerHook
    from neurobench.metrics.workload import SynapticOperations
    from spikingjelly.activation_based.op_counter import DispatchCounterMode, SynOpCounter

    layers = [Layer(module, make) for module in network.layers]
    t_max, times = network.t_max, fs.encode(images, network.t_max).unsqueeze(1)
    run = run_windows if network.windowed else run_steps
    totals: dict[str, Any] = {"firstspike": [], "NeuroBench": [], "SpikingJelly": []}
    for one in times.split(1):
        traces = network.traces(one)
        ours = count(network, traces)
        size = [torch.zeros_like(trace.times) for trace in traces[1:]]
        raster = (one == torch.arange(t_max).view(-1, *[1] * one.ndim)).float()
        hooks = [LayerHook(layer.map) for layer in layers]
        for layer in layers:
            layer.start()
        counter = SynOpCounter()
        with torch.no_grad(), DispatchCounterMode([counter]):
            spikes = run(layers, raster, size) + sum(layer.spikes for layer in layers)
        metric, model = SynapticOperations(), argparse.Namespace(connection_hooks=hooks)
        by_hooks = metric(model, None, (one, None)) if hooks[0].inputs else {"Effective_ACs": 0}
        for hook in hooks:
            hook.close()
        totals["firstspike"].append([int(ours.spikes.sum()), int(ours.additions.sum())])
        totals["NeuroBench"].append([spikes, int(by_hooks["Effective_ACs"])])
        totals["SpikingJelly"].append([spikes, int(counter.get_total())])
    return totals


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20, help="of MNIST's test set")
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = fs.load_mnist("test").images[: options.images]
    different = 0
    for name, network in networks().items():
        for peer, make in (("SpikingJelly", spikingjelly), ("snnTorch", snntorch)):
            try:
                totals = compare(network.eval(), images, make)
            except ImportError as error:
                print(f"{name}, {peer}: left out: {error}")
                continue
            ours = totals.pop("firstspike")
            for counter, theirs in totals.items():
                same = sum(one == other for one, other in zip(ours, theirs, strict=True))
                different += len(ours) - same
                spikes, additions = (sum(row[k] for row in theirs) for k in (0, 1))
                print(
                    f"{name}, neurons of {peer}, counted by {counter}: {spikes} spikes, "
                    f"{additions} additions; equal on {same} of {len(ours)} images"
                )
    if different:
        raise SystemExit(f"{different} counts differ")


if __name__ == "__main__":
    main()
