"""A second network that tells answers from targets, patch by patch, and what both learn by.

It looks at an image together with what became of it, as pix2pix's does (Isola et al., arXiv
1611.07004), and gives each patch a score. The game is the relativistic paired one of
`firstspike.training.rules.relativistic`: a target should have a higher score than the answer to the
same image, and the slopes of an image's mean score have a price. Spiking patches are judged by
pairs of neurons, of which the earlier one decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from firstspike.training.convolutional import INK, draw_weights
from firstspike.training.rules.relativistic import follow, signs

_MOVE: Any = {"kernel_size": 4, "stride": 2, "padding": 1, "dtype": torch.float32}


def layers(inputs: int, wide: int, outputs: int, hidden: Callable[[], nn.Module]) -> nn.Sequential:
    """Two convolutions that halve the sides, and one that judges what 18x18 pixels show.

    Args:
        inputs: channels of an image and of what became of it.
        wide: channels of the first convolution; the second has twice as many.
        outputs: of each patch: 1 for a score, 2 for a pair of neurons (fake, real).
        hidden: makes the neurons of a hidden layer.
    """
    network = nn.Sequential(
        nn.Conv2d(inputs, wide, **_MOVE),
        hidden(),
        nn.Conv2d(wide, 2 * wide, **_MOVE),
        hidden(),
        nn.Conv2d(2 * wide, outputs, 3, padding=1, dtype=torch.float32),
    )
    draw_weights(network, INK)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def scores(critic: nn.Module, seen: Tensor) -> Tensor:
    """Scores of patches, larger for targets: [N, rows, columns] of [N, channels, H, W]."""
    verdicts = critic(seen)
    found: Tensor = torch.einsum("nohw,o->nhw", verdicts, signs(verdicts.shape[1], verdicts))
    return found


def learn(
    critic: nn.Module, optimizer: torch.optim.Optimizer, real: Tensor, fake: Tensor, gamma: float
) -> tuple[Tensor, float]:
    """Teach the critic to tell targets from answers.

    Args:
        critic: updated.
        optimizer: of the critic.
        real: images, each with its target, [N, channels, H, W].
        fake: the same images, each with its answer.
        gamma: of the penalties; 0 leaves them out of this step.

    Returns:
        Scores of targets, and the share of patches whose target had a higher score.
    """
    seen = torch.cat([real, fake.detach()]).requires_grad_(gamma > 0)
    given = scores(critic, seen)
    of_real, of_fake = given.chunk(2)
    loss = functional.softplus(of_fake - of_real).mean()
    if gamma:
        whole = given.mean(dim=(1, 2)).sum()  # of each image, that of all its patches
        (slopes,) = torch.autograd.grad(whole, seen, create_graph=True)
        loss = loss + gamma / 2 * slopes.square().sum() / len(real)
    follow(optimizer, critic, loss)
    return of_real.detach(), float((of_real > of_fake).float().mean())


def missed(critic: nn.Module, of_real: Tensor, fake: Tensor) -> Tensor:
    """How far answers are behind targets with these scores; falls as the critic is fooled.

    Args:
        critic: as it is.
        of_real: scores of targets.
        fake: images, each with its answer, which gradients reach.
    """
    return functional.softplus(of_real - scores(critic, fake)).mean()
