"""Other libraries' first networks on MNIST, as their own tutorials train them.

Only the hidden layer is as wide as ours. Both take uint8 images [B, 28, 28].
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class SnnTorch:
    """Tutorial 5: leaky neurons, 25 steps of a constant current, the loss at every step."""

    batch, steps = 128, 25

    def __init__(self, hidden: int) -> None:
        import snntorch

        self.first, self.last = nn.Linear(784, hidden), nn.Linear(hidden, 10)
        self.inner, self.outer = snntorch.Leaky(beta=0.95), snntorch.Leaky(beta=0.95)
        parameters = [*self.first.parameters(), *self.last.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=5e-4, betas=(0.9, 0.999))

    def simulate(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes and potentials of the output neurons, [steps, B, 10]."""
        values = images.flatten(1) / 255
        inner, outer = self.inner.init_leaky(), self.outer.init_leaky()
        spikes, potentials = [], []
        for _ in range(self.steps):
            hidden, inner = self.inner(self.first(values), inner)
            spoke, outer = self.outer(self.last(hidden), outer)
            spikes.append(spoke)
            potentials.append(outer)
        return torch.stack(spikes), torch.stack(potentials)

    def scores(self, images: Tensor) -> Tensor:
        """Numbers of spikes [B, 10]."""
        return self.simulate(images)[0].sum(dim=0)

    def step(self, images: Tensor, labels: Tensor) -> None:
        potentials = self.simulate(images)[1]
        loss = nn.functional.cross_entropy(potentials.flatten(0, 1), labels.repeat(self.steps))
        self.optimizer.zero_grad()
        (loss * self.steps).backward()
        self.optimizer.step()


class SpikingJelly:
    """``lif_fc_mnist``, with a hidden layer: 100 Poisson steps, squared error of rates."""

    batch, steps = 64, 100

    def __init__(self, hidden: int) -> None:
        from spikingjelly.activation_based import functional, layer, neuron, surrogate

        def lif() -> Any:
            return neuron.LIFNode(tau=2.0, surrogate_function=surrogate.ATan())

        self.network = nn.Sequential(
            layer.Linear(784, hidden, bias=False),
            lif(),
            layer.Linear(hidden, 10, bias=False),
            lif(),
        )
        self.reset = functional.reset_net
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)

    def scores(self, images: Tensor) -> Tensor:
        """Rates of spikes [B, 10]."""
        values = images.flatten(1) / 255
        total = torch.zeros(len(images), 10)
        for _ in range(self.steps):
            total = total + self.network((torch.rand_like(values) < values).float())
        self.reset(self.network)
        return total / self.steps

    def step(self, images: Tensor, labels: Tensor) -> None:
        wanted = nn.functional.one_hot(labels, 10).float()
        loss = nn.functional.mse_loss(self.scores(images), wanted)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
