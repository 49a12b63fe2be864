"""U-shaped networks of ramp neurons and their dense twins."""

from __future__ import annotations

import pytest
import torch

import firstspike as fs
from firstspike.models import unet
from firstspike.nn import Residual, fold
from firstspike.shape import Shape


def settled(network, times):
    """The network with statistics of these inputs, in evaluation mode."""
    network.train()
    with torch.no_grad():
        for _ in range(40):
            network(times)
    return network.eval()


def test_every_neuron_spikes_at_most_once_and_at_a_whole_step():
    times = fs.encode(fs.load_mnist("test").images[:8], 16)[:, None]
    network = fold(settled(unet.spiking(1, 3, channels=4, t_max=16), times))
    layers = network.layer_times(times)
    sizes = [(1, 28), (4, 28), (8, 14), (16, 7), (16, 7), (8, 14), (4, 28), (3, 28)]
    assert [tuple(t.shape[1:3]) for t in layers] == sizes and network.windows == 8
    for spikes in layers:
        assert torch.equal(spikes, spikes.round()) and 0 <= spikes.min() <= spikes.max() <= 16
    shares = network.activity(times)
    assert all(0.05 < share < 0.8 for share in shares[:-1])


@pytest.mark.parametrize("depth", [1, 3])
def test_the_twin_is_as_large(depth):
    sizes = {"channels": 4, "depth": depth}
    ramp, twin = unet.spiking(3, 2, **sizes), unet.dense_twin(3, 2, **sizes)
    # Windows are not learned: half of a normalisation's parameters.
    learned = sum(p.numel() for p in ramp.parameters())
    assert learned == sum(p.numel() for p in twin.parameters())
    values = torch.rand(2, 3, 16, 8)
    assert twin(values).shape == ramp((256 * values).round()).shape == (2, 2, 16, 8)


def test_a_silent_branch_lets_spikes_pass_at_their_time():
    network = fold(unet.spiking(1, 1, channels=2, t_max=16))
    _, joined, _ = network
    assert isinstance(joined, Residual)
    with torch.no_grad():
        joined.last.weight.zero_()
        joined.last.bias.zero_()
    times = torch.randint(17, (2, 2, 8, 8)).float()
    assert torch.equal(joined(times), times)


def test_the_twin_joins_as_well():
    twin = unet.dense_twin(1, 1, channels=2).eval()
    join = twin[3]
    with torch.no_grad():
        join[-1].weight.zero_()
    values = torch.rand(2, 2, 8, 8)
    assert torch.equal(join(values), values)


def test_sides_must_be_halved():
    unet.check_sides(Shape(1, 8, 12), 2)
    with pytest.raises(ValueError, match="depth 3 needs images whose sides are multiples of 8"):
        unet.check_sides(Shape(1, 8, 12), 3)
