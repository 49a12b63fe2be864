"""The same one-spike network in other libraries, each made to give the same spike times.

A rival is built from a `Network` and then takes input spike times [B, in] and returns the spike
times [B, out] of the output neurons, as `fire` does, or their spikes. What had to be arranged:

- Strictly above the threshold: SpikingJelly and BindsNET fire at ``>=``, so that they get the next
  larger float32 as threshold. snnTorch fires at ``>`` as we do.
- At most one spike: SpikingJelly resets to -1e9, from where no neuron comes back; BindsNET's
  refractory period is longer than the simulation; snnTorch, which can do neither, has no reset and
  its spikes after the first are masked.
- A delay of one step a layer: inherent in BindsNET's `Network.run`; the others get their input
  raster one step later.
- A bias that acts once, at step 0: added to that step's input.
- Black pixels never spike: their time, t_max, is not part of the raster.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Rival = Callable[[Tensor], Tensor]
NEVER_BACK = -1e9  # a potential from which no weights lead back to the threshold


@dataclass(frozen=True)
class Network:
    """Weights [out, in] and biases [out] of each layer, float32."""

    weights: list[Tensor]
    biases: list[Tensor]
    threshold: float
    t_max: int

    @property
    def at_least(self) -> float:
        """V >= this means V > threshold."""
        return float(np.nextafter(np.float32(self.threshold), np.float32(np.inf)))


def raster(times: Tensor, t_max: int) -> Tensor:
    """Spike times [B, n] as 0 and 1, [t_max, B, n]; silence is left out."""
    steps = times.new_zeros(t_max + 1, *times.shape)
    return steps.scatter_(0, times.long()[None], 1.0)[:t_max]


def first_spike(spikes: Tensor) -> Tensor:
    """The opposite: times [B, n] of the first spikes of [t_max, B, n]."""
    when = spikes.argmax(dim=0)
    return torch.where(spikes.amax(dim=0) > 0, when, len(spikes)).float()


def later(current: Tensor, bias: Tensor) -> Tensor:
    """Input currents [t_max, B, n] delayed by one step, and the bias at step 0."""
    return torch.cat([bias.expand(1, *current.shape[1:]), current[:-1]])


def torch_cumsum(network: Network) -> Rival:
    """Plain PyTorch: a matrix product over the raster and a cumulative sum."""

    def run(times: Tensor) -> Tensor:
        for weight, bias in zip(network.weights, network.biases, strict=True):
            current = later(raster(times, network.t_max) @ weight.t(), bias)
            times = first_spike((current.cumsum(dim=0) > network.threshold).to(torch.uint8))
        return times

    return run


def numpy_s4nn(network: Network) -> Rival:
    """NumPy as in S4NN's script, one image after the other."""
    weights, biases = ([x.numpy() for x in part] for part in (network.weights, network.biases))

    def layer(times: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any]) -> NDArray[Any]:
        spikes = np.zeros((len(times), network.t_max + 1), np.float32)
        spikes[np.arange(len(times)), times] = 1
        current = np.concatenate([bias[:, None], weight @ spikes[:, : network.t_max - 1]], axis=1)
        fires = np.cumsum(current, axis=1) > network.threshold
        return np.where(fires.any(axis=1), fires.argmax(axis=1), network.t_max)

    def run(times: Tensor) -> Tensor:
        outputs = []
        for sample in times.numpy().astype(np.int64):
            for weight, bias in zip(weights, biases, strict=True):
                sample = layer(sample, weight, bias)
            outputs.append(sample)
        return torch.from_numpy(np.stack(outputs)).float()

    return run


def spikingjelly_spikes(network: Network) -> Rival:
    """SpikingJelly 2, multi-step, all steps of a layer at once: output spikes [t_max, B, out]."""
    from spikingjelly.activation_based import functional, neuron

    # Without detach_reset, the gradient of the reset would be as large as the reset.
    options = {"v_reset": NEVER_BACK, "detach_reset": True, "step_mode": "m"}
    layers = [neuron.IFNode(network.at_least, **options) for _ in network.weights]

    def run(times: Tensor) -> Tensor:
        spikes = raster(times, network.t_max)
        for weight, bias, layer in zip(network.weights, network.biases, layers, strict=True):
            functional.reset_net(layer)
            layer.v = 0.0  # it starts at v_reset otherwise
            spikes = layer(later(spikes @ weight.t(), bias))
        return spikes

    return run


def snntorch_spikes(network: Network, stop: bool = False) -> Rival:
    """snnTorch, step by step: output spikes [t_max, B, out].

    With ``stop`` there are fewer steps: the last is the one by which every image has a spike.
    """
    from snntorch import Leaky

    neurons = [Leaky(1.0, network.threshold, reset_mechanism="none") for _ in network.weights]

    def run(times: Tensor) -> Tensor:
        arriving = [bias.expand(len(times), -1) for bias in network.biases]  # at step 0
        potentials = [torch.zeros_like(current) for current in arriving]
        fired = [torch.zeros_like(current) for current in arriving]
        outputs = []
        for spikes in raster(times, network.t_max):
            leaving = [spikes]
            for k, neuron in enumerate(neurons):
                above, potentials[k] = neuron(arriving[k], potentials[k])
                leaving.append(above * (1 - fired[k]))
                fired[k] = torch.maximum(fired[k], above)
            outputs.append(leaving.pop())
            if stop and fired[-1].any(dim=1).all():
                break
            arriving = [s @ w.t() for s, w in zip(leaving, network.weights, strict=True)]
        return torch.stack(outputs)

    return run


def bindsnet(network: Network) -> Rival:
    """BindsNET's `Network`, step by step."""
    _load_only_bindsnet_network()
    from bindsnet.network import Network as Bindsnet
    from bindsnet.network.monitors import Monitor
    from bindsnet.network.nodes import IFNodes, Input
    from bindsnet.network.topology import Connection

    t_max = network.t_max
    net = Bindsnet(dt=1.0, learning=False)
    net.add_layer(Input(n=network.weights[0].shape[1]), "0")
    for k, weight in enumerate(network.weights):
        node = IFNodes(n=len(weight), thresh=network.at_least, reset=0.0, refrac=t_max + 1)
        net.add_layer(node, str(k + 1))
        connection = Connection(net.layers[str(k)], node, w=weight.t().contiguous())
        net.add_connection(connection, str(k), str(k + 1))
    monitor = Monitor(net.layers[str(len(network.weights))], ["s"], time=t_max)
    net.add_monitor(monitor, "output")

    def run(times: Tensor) -> Tensor:
        net.reset_state_variables()
        inputs = {"0": raster(times, t_max)}
        for k, bias in enumerate(network.biases):
            inputs[str(k + 1)] = bias.new_zeros(t_max, len(times), len(bias))
            inputs[str(k + 1)][0] = bias
        net.run(inputs, time=t_max)
        return first_spike(monitor.get("s").to(torch.uint8))

    return run


def _load_only_bindsnet_network() -> None:
    """Import `bindsnet.network` without the rest, which wants OpenCV and torchvision."""
    if "bindsnet" in sys.modules:
        return
    spec = importlib.util.find_spec("bindsnet")
    if spec is None:
        raise ModuleNotFoundError("No module named 'bindsnet'")
    package = types.ModuleType("bindsnet")
    package.__path__ = list(spec.submodule_search_locations or [])
    sys.modules["bindsnet"] = package
