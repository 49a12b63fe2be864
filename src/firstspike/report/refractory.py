"""One integrate-and-fire neuron step by step, with any refractory period.

Spiking-GAN (arXiv 2106.15420), section 2.1, eq. 1 and fig. 1: the potential is the sum of the
current so far. Where it is strictly above the threshold the neuron spikes, and the potential is
reset to 0 and clamped there for the next ``refractory`` steps; current that comes in meanwhile is
lost. A refractory period of ``t_max`` leaves one spike at most (eq. 2), and that is the neuron of
`firstspike.fire`; everything else in this package computes only that spike's time.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from firstspike.times import T_MAX, check_t_max

FIGURE_1 = (0, 10, 100, 256)  # refractory periods in steps


def simulate(
    current: Tensor, *, threshold: float = 1.0, refractory: int = 0
) -> tuple[Tensor, Tensor]:
    """Potentials and spikes of neurons that share a refractory period.

    Args:
        current: charge that arrives in each time step, floating point [..., t_max]: the weighted
            sum of the input spikes of that step.
        threshold: potential that must be exceeded.
        refractory: steps after a spike in which the potential stays 0.

    Returns:
        Potentials at the end of each step, of the shape and dtype of ``current``, and spikes, bool
        of that shape. In the step of a spike the potential is reset already.

    Raises:
        ValueError: ``current`` or ``refractory`` does not fit.
    """
    if current.ndim == 0 or not current.dtype.is_floating_point:
        raise ValueError(f"current must be floating point [..., t_max], got {current.dtype}")
    _check_refractory(refractory)
    potentials = torch.zeros_like(current)
    spikes = torch.zeros_like(current, dtype=torch.bool)
    potential = torch.zeros_like(current[..., :1].sum(-1))
    rest = torch.zeros_like(potential)  # steps left in which the neuron does not respond
    for step in range(current.shape[-1]):
        potential = torch.where(rest > 0, 0, potential + current[..., step])
        spike = (rest <= 0) & (potential > threshold)
        potential = torch.where(spike, 0, potential)
        rest = torch.where(spike, refractory, rest - 1)
        potentials[..., step], spikes[..., step] = potential, spike
    return potentials, spikes


def constant_input(
    refractory: Sequence[int] = FIGURE_1,
    *,
    current: float = 1.0,
    threshold: float = 10.0,
    t_max: int = T_MAX,
) -> tuple[Tensor, Tensor]:
    """Traces of fig. 1(a): constant input, one neuron for each refractory period.

    Returns:
        Potentials and spikes [len(refractory), t_max], as from `simulate`.

    Raises:
        ValueError: an argument does not fit.
    """
    check_t_max(t_max)
    drive = torch.full((t_max,), float(current))
    traces = [simulate(drive, threshold=threshold, refractory=period) for period in refractory]
    return torch.stack([v for v, _ in traces]), torch.stack([s for _, s in traces])


def peak_rate(refractory: int, *, current: float = 1.0, threshold: float = 10.0) -> float:
    """Spikes per step under constant input, ``1 / (charging + refractory)``: fig. 1(b).

    Charging takes the smallest number of steps after which ``current`` adds up to more than
    ``threshold``. A current above the threshold gives the bound ``1 / (1 + refractory)``.

    Raises:
        ValueError: ``refractory``, ``current`` or ``threshold`` does not fit.
    """
    _check_refractory(refractory)
    for name, value in (("current", current), ("threshold", threshold)):
        if not value > 0:
            raise ValueError(f"{name} must be above 0, got {value}")
    return 1.0 / (threshold // current + 1 + refractory)


def _check_refractory(refractory: int) -> None:
    if isinstance(refractory, bool) or not isinstance(refractory, int) or refractory < 0:
        raise ValueError(f"refractory must be a whole number of steps, at least 0: {refractory}")
