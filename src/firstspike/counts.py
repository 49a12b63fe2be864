"""The work of a network of any layers, counted: spikes, additions, updates, memory, latency.

Nothing here is estimated. A plain simulation with a clock (tests/naive.py) finds the same numbers,
to the last operation.

*Spikes* come up to and including the step of the decision, the first output spike (Spiking-GAN,
arXiv 2106.15420, section 3.1), the input's included. A spike that a pool or a layer's ``pool``
holds back because an earlier one came from its block is a spike of its neuron, and reaches nobody.

*Additions* are those of a weight to a neuron, one a spike and synapse, through fixed weights
(`firstspike.nn.MeanPool2d`, a shortcut without a connection) as well, if it has arrived by the step
of the decision: spikes of step neurons take a delay. Biases, which are there before the first
spike, do not count.

*Updates* are what ramp neurons do without a spike: in each of the t_max steps of its inputs' window
a neuron adds its current to its potential; then, in its own window, it adds the clock's current and
compares, once a step, until it has fired: ``t + 1`` times if it fires at step t, t_max times if it
never does. The clock of the output layer stops for all its neurons at the decision. Step neurons
change when a spike comes and at no other time: they have no updates.

*Memory accesses* are of words: an addition reads a weight, and reads and writes a neuron's state;
an update reads and writes it. Nothing is said of caches, and nothing of the queues of spikes.

*Latency* counts windows: layer l of ramp neurons answers in window l, the input being window 0, so
that the decision falls at ``(windows - 1) * t_max`` plus the step of the first output spike, or at
``windows * t_max`` if there is none. Both branches of a `firstspike.nn.Residual` are taken to
arrive in the window before the join, as they do if the shortcut holds its spikes back until then.
Step neurons share one window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from firstspike.metrics import Until
from firstspike.nn import SpikingNetwork, Trace
from firstspike.nn.connections import Synapses

ADDITION_ACCESSES = 3  # a weight is read, a state read and written
UPDATE_ACCESSES = 2  # a state is read and written


@dataclass(frozen=True, eq=False)
class Counts:
    """What a network did with each sample of a batch; see `firstspike.counts`.

    Args:
        decision: int64 [B], the step of the decision over all windows.
        spikes: int64 [B, layers], of each layer, the input first.
        additions: int64 [B, layers], of weights to the neurons of each layer; the input has none.
        updates: int64 [B, layers], of the ramp neurons of each layer.
        neurons: of each layer.
        synapses: of each layer.
        macs: multiply-adds of a dense network of the same layers for one sample. Its averages and
            its shortcuts without a connection are left out: it does not multiply there.
    """

    decision: Tensor
    spikes: Tensor
    additions: Tensor
    updates: Tensor
    neurons: tuple[int, ...]
    synapses: tuple[int, ...]
    macs: int

    @property
    def accesses(self) -> Tensor:
        """Memory accesses, int64 [B]."""
        return ADDITION_ACCESSES * self.additions.sum(1) + UPDATE_ACCESSES * self.updates.sum(1)


@torch.no_grad()
def count(network: SpikingNetwork, traces: Sequence[Trace], *, until: Until = "decision") -> Counts:
    """Count what a network did.

    Args:
        network: that was run, in evaluation mode.
        traces: what `SpikingNetwork.traces` found.
        until: ``"decision"``, or ``"end"``: of all windows, which a generator needs for its image.

    Raises:
        ValueError: ``until`` is neither, or a layer does not tell its synapses.
    """
    if until not in get_args(Until):
        raise ValueError(f"until must be 'decision' or 'end', got {until!r}")
    t_max, windowed = network.t_max, network.windowed
    first = traces[-1].times.flatten(1).amin(dim=1)
    last = first if until == "decision" else torch.full_like(first, t_max)
    # Where layers have windows of their own, all spikes but the last layer's come before its first.
    never = torch.full_like(last, t_max)
    limits = [never if windowed else last] * (len(traces) - 1) + [last]
    met = [_synapses(trace) for trace in traces[1:]]
    none = torch.zeros(len(first), dtype=torch.int64, device=first.device)
    arrived = limits
    if not windowed:
        delays = [trace.module.neuron.delay for trace in traces[1:]]
        arrived = [last.clamp(max=t_max - 1) - delay for delay in delays]
    inputs = zip(met, arrived, strict=False)  # what a layer receives ends as the layer before does
    additions = [none, *(_additions(of, limit, t_max) for of, limit in inputs)]
    updates = [none] * len(traces)
    if windowed:
        own = zip(traces[1:], limits[1:], strict=True)
        updates = [none, *(_updates(trace.times, limit, t_max) for trace, limit in own)]
    return Counts(
        decision=(network.windows - 1) * t_max + last.long(),
        spikes=_beside(
            _came(trace.times, limit, t_max).flatten(1).sum(dim=1)
            for trace, limit in zip(traces, limits, strict=True)
        ),
        additions=_beside(additions),
        updates=_beside(updates),
        neurons=tuple(trace.times[0].numel() for trace in traces),
        synapses=(0, *(sum(int(one.fan_out.sum()) for one in of) for of in met)),
        macs=sum(int(one.fan_out.sum()) for of in met for one in of if one.weighted),
    )


def _synapses(trace: Trace) -> list[Synapses]:
    if not hasattr(trace.module, "synapses"):
        raise ValueError(
            f"network must tell its synapses, but a {type(trace.module).__name__} does not; give "
            "it a method as SpikingLayer.synapses"
        )
    found: list[Synapses] = trace.module.synapses(trace)
    return found


def _came(times: Tensor, limit: Tensor, t_max: int) -> Tensor:
    """Where there is a spike up to and including a step, which each sample has: bool [B, ...]."""
    return (times < t_max) & (times <= limit.view(-1, *[1] * (times.ndim - 1)))


def _additions(met: Sequence[Synapses], limit: Tensor, t_max: int) -> Tensor:
    """int64 [B], one a spike and synapse."""
    total = torch.zeros(len(limit), dtype=torch.int64, device=limit.device)
    for times, fan_out, _ in met:
        total += (_came(times, limit, t_max) * fan_out).flatten(1).sum(dim=1)
    return total


def _updates(times: Tensor, limit: Tensor, t_max: int) -> Tensor:
    """int64 [B], of ramp neurons that fire at these times while the clock runs up to a step."""
    each = times.flatten(1).minimum(limit.unsqueeze(1)).long() + 1
    return (t_max + each.clamp(max=t_max)).sum(dim=1)


def _beside(columns: object) -> Tensor:
    return torch.stack(list(columns), dim=1)  # type: ignore[call-overload]
