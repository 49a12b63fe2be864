"""Loss functions of spike times, all unreduced; the caller sums or averages.

Targets are computed from the times without gradient ("dynamic target firing times",
arXiv 2106.15420, section 2.4). `LOSSES` names those that the trainers of this package can use;
`register` adds one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from firstspike.metrics import decide
from firstspike.times import T_MAX, check_t_max


def aggressive_ttfs(times: Tensor, target: Tensor, t_max: int = T_MAX) -> Tensor:
    """Aggressive TTFS loss: half the squared distance to `aggressive_targets` (section 2.4).

    The desired neuron should fire when the winner did, and all others not at all.

    Args:
        times: spike times of the output layer, [B, classes].
        target: the desired neuron of each sample, int64 [B].
        t_max: number of time steps.

    Returns:
        [B, classes], differentiable in ``times``.

    Raises:
        ValueError: shapes or types do not fit, or a target is no class.
    """
    return squared_distance(times, aggressive_targets(times, target, t_max))


def aggressive_targets(times: Tensor, target: Tensor, t_max: int = T_MAX) -> Tensor:
    """Desired spike times [B, classes] (eq. 6-7); arguments as for `aggressive_ttfs`.

    The desired neuron's is the time of the first output spike, or 0 where no neuron spiked; the
    others' is ``t_max``.
    """
    desired = _desired(times, target, t_max)
    first = times.detach().amin(dim=1, keepdim=True)
    first = torch.where(first < t_max, first, 0).expand_as(times)
    return torch.where(desired, first, t_max)


def relative_target(
    times: Tensor, target: Tensor, t_max: int = T_MAX, gamma: float = 3.0
) -> Tensor:
    """S4NN's loss: half the squared distance to `relative_targets` (arXiv 1910.09495, eq. 7-8).

    Args:
        times: spike times of the output layer, [B, classes].
        target: the desired neuron of each sample, int64 [B].
        t_max: number of time steps.
        gamma: steps by which the others should come later than the first spike.

    Returns:
        [B, classes], differentiable in ``times``.

    Raises:
        ValueError: as for `aggressive_ttfs`.
    """
    return squared_distance(times, relative_targets(times, target, t_max, gamma))


def relative_targets(
    times: Tensor, target: Tensor, t_max: int = T_MAX, gamma: float = 3.0
) -> Tensor:
    """Desired spike times [B, classes] of S4NN; arguments as for `relative_target`.

    With the first output spike at tau: tau for the desired neuron; ``tau + gamma`` for others that
    come before that; the rest stays where it is. Where none spiked: ``t_max - gamma`` for the
    desired neuron and ``t_max`` for the others.
    """
    desired = _desired(times, target, t_max)
    now = times.detach()
    first = now.amin(dim=1, keepdim=True)
    later = torch.where(now < first + gamma, first + gamma, now).clamp(max=t_max)
    spoken = torch.where(desired, first, later)
    return torch.where(first < t_max, spoken, torch.where(desired, t_max - gamma, t_max))


def cross_entropy(times: Tensor, target: Tensor, t_max: int = T_MAX, scale: float = 10.0) -> Tensor:
    """Cross-entropy of the softmax over earliness, ``-times / scale``: first spike, largest score.

    Args:
        times: spike times of the output layer, [B, classes].
        target: the desired neuron of each sample, int64 [B].
        t_max: number of time steps.
        scale: time steps by which a neuron must be first to be e times as likely.

    Returns:
        [B], differentiable in ``times``. Unlike the other losses one value a sample.

    Raises:
        ValueError: as for `aggressive_ttfs`.
    """
    _desired(times, target, t_max)
    return torch.nn.functional.cross_entropy(-times / scale, target, reduction="none")


def cross_entropy_of_potentials(potential: Tensor, target: Tensor, t_max: int = T_MAX) -> Tensor:
    """Cross-entropy of the softmax over the potentials of the last step.

    Args:
        potential: of the output layer, [B, classes].
        target: the desired neuron of each sample, int64 [B].
        t_max: number of time steps, which does not matter here.

    Returns:
        [B], differentiable in ``potential``.

    Raises:
        ValueError: as for `aggressive_ttfs`.
    """
    _desired(potential, target, t_max)
    return torch.nn.functional.cross_entropy(potential, target, reduction="none")


def at_decision(
    potential: Tensor,
    times: Tensor,
    target: Tensor,
    t_max: int = T_MAX,
    *,
    temperature: float = 0.4,
    earliness: float = 0.7,
) -> Tensor:
    """Loss of the potentials at the decision step, which `firstspike.nn.at_decision` gives.

    The signs are those of aggressive TTFS (eq. 16): the desired neuron should fire earlier unless
    it is first, the others later. The size is how wrong the network is: cross-entropy of the
    potentials. The desired neuron is asked to be earlier in proportion to the decision step, which
    is ``t_max`` where nothing fired.

    Args:
        potential: of the output neurons at the decision, [B, classes].
        times: their spike times, [B, classes].
        target: the desired neuron of each sample, int64 [B].
        t_max: number of time steps.
        temperature: potential by which a class is e times likelier.
        earliness: price of a decision at t_max; more of it decides sooner, and worse.

    Returns:
        [B], differentiable in ``potential``.

    Raises:
        ValueError: shapes or types do not fit, a target is no class, or ``temperature`` is not
            positive.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    desired = _desired(times, target, t_max)
    if potential.shape != times.shape:
        raise ValueError(
            f"potential must have the shape of times, {tuple(times.shape)}, "
            f"got {tuple(potential.shape)}"
        )
    decision = times.amin(dim=1)
    is_first = (decide(times, potential, t_max) == target) & (decision < t_max)
    scores = torch.where(desired & is_first[:, None], potential.detach(), potential) / temperature
    wrong = torch.nn.functional.cross_entropy(scores, target, reduction="none")
    wanted = potential.gather(1, target[:, None])[:, 0]
    return wrong - earliness * decision / t_max * wanted


def squared_distance(times: Tensor, targets: Tensor) -> Tensor:
    """Half the squared difference, element by element (least squares in time, eq. 4-5).

    Raises:
        ValueError: the shapes differ.
    """
    if times.shape != targets.shape:
        raise ValueError(
            f"targets must have the shape of times, {list(times.shape)}, got {list(targets.shape)}"
        )
    return 0.5 * (times - targets).square()


def _desired(times: Tensor, target: Tensor, t_max: int) -> Tensor:
    """bool [B, classes], True for the desired neuron of each sample."""
    check_t_max(t_max)
    if times.ndim != 2 or not times.dtype.is_floating_point:
        raise ValueError(
            f"times must be floating point [B, classes], got {times.dtype} {list(times.shape)}"
        )
    if target.shape != times.shape[:1] or target.dtype != torch.int64:
        raise ValueError(
            f"target must be int64 [{len(times)}], got {target.dtype} {list(target.shape)}"
        )
    classes = times.shape[1]
    if len(target) and not bool(((target >= 0) & (target < classes)).all()):
        raise ValueError(f"target must lie in 0..{classes - 1}")
    return torch.nn.functional.one_hot(target, classes).bool()


@dataclass(frozen=True)
class Loss:
    """An entry of the table.

    Args:
        function: (output [B, classes], target int64 [B], t_max, its options) -> a value for each
            sample [B], or for each output [B, classes], differentiable in the output.
        fits: what can learn from it: the gradients of the classifier, ``"temporal"``,
            ``"decision"``, ``"online"`` and ``"exact"``, and ``"gan"``, the discriminator of
            Spiking-GAN. Temporal and gan call the function; the others, which have losses in forms
            of their own, only its name.
        of: what the output is: spike times, or potentials in the last step.
        options: of the trainer's options those that the function takes, by keyword.
    """

    function: Callable[..., Tensor]
    fits: tuple[str, ...]
    of: Literal["times", "potentials"] = "times"
    options: tuple[str, ...] = ()

    def each(self, output: Tensor, target: Tensor, t_max: int, options: object = None) -> Tensor:
        """The loss of each sample, [B]; ``options`` has those that the function takes."""
        chosen = {name: getattr(options, name) for name in self.options}
        values = self.function(output, target, t_max, **chosen)
        return values if values.ndim == 1 else values.sum(dim=1)


LOSSES: dict[str, Loss] = {
    "aggressive": Loss(aggressive_ttfs, ("decision", "temporal", "online")),
    "s4nn": Loss(relative_target, ("temporal", "online"), options=("gamma",)),
    "cross-entropy": Loss(cross_entropy, ("temporal", "exact")),
    "potential": Loss(cross_entropy_of_potentials, ("gan",), of="potentials"),
    "least-squares": Loss(aggressive_ttfs, ("gan",)),
}


def register(name: str, loss: Loss) -> Loss:
    """Let trainers find a loss by its name. ValueError if another one has it."""
    if name in LOSSES:
        raise ValueError(f"name must be new, but there is a loss {name!r} already")
    LOSSES[name] = loss
    return loss


def check_fit(name: str, use: str, chosen: str = "") -> None:
    """Raise ValueError unless the loss of this name is known and fits.

    Args:
        name: of the loss.
        use: one of those that `Loss` tells in ``fits``.
        chosen: the choice behind ``use`` in words for the message, such as "gradient online".
    """
    known = [one for one, loss in LOSSES.items() if use in loss.fits]
    if name not in known:
        beside = chosen and f" with {chosen}"
        raise ValueError(f"loss must be {' or '.join(known)}{beside}, got {name}")
