"""Means of blocks that lie side by side have a backward pass of their own."""

from __future__ import annotations

import pytest
import torch

from firstspike.nn import MeanPool2d
from firstspike.nn.pools import _Means


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("t_max", [1, 7, 64, 4096])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_levels_and_gradients_are_those_of_average_pooling(size, t_max, layout, monkeypatch):
    torch.manual_seed(t_max)
    drawn = torch.randint(t_max + 1, (3, 2, 3 * size, 2 * size))
    drawn[0], drawn[1, 0] = 0, t_max  # at both ends of the window there is no slope
    levels = drawn.float().contiguous(memory_format=layout)
    pool = MeanPool2d(size, t_max=t_max)
    error = torch.randn(3, 2, 3, 2)

    def passes():
        leaf = levels.clone().requires_grad_()
        found = pool.levels(leaf)
        found.backward(error)
        assert leaf.grad.is_contiguous(memory_format=layout)
        return type(found.grad_fn).__name__, found.detach(), leaf.grad

    name, fast, gradient = passes()
    assert name == "_MeansBackward"
    monkeypatch.setattr(pool, "_blocks_repeat", lambda levels: False)
    name, slow, wanted = passes()
    assert name != "_MeansBackward"
    assert torch.equal(fast, slow)
    assert torch.equal(gradient, wanted)
    assert not gradient[:1].any()
    assert not gradient[1, 0].any()


def test_gradients_can_be_differentiated_again():
    levels = (torch.rand(2, 1, 4, 4, dtype=torch.float64) * 7 + 0.5).requires_grad_()
    weight = torch.randn(2, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    means = _Means.apply(levels, 2, 8)
    (slopes,) = torch.autograd.grad((means * weight).sum(), levels, create_graph=True)
    (found,) = torch.autograd.grad(slopes.square().sum(), weight)
    torch.testing.assert_close(found, weight.detach() / 2)  # four inputs of a slope of a quarter


@pytest.mark.parametrize(
    ("pool", "shape"),
    [
        (MeanPool2d(3, t_max=8), (1, 1, 6, 6)),  # a mean of nine is rounded
        (MeanPool2d(2, 1, t_max=8), (1, 1, 4, 4)),  # blocks overlap
        (MeanPool2d(2, t_max=8), (1, 1, 5, 4)),  # the last row is in no block
        (MeanPool2d(2, t_max=8), (1, 4, 4)),  # no batch
    ],
)
def test_other_blocks_are_left_to_average_pooling(pool, shape):
    found = pool.levels(torch.randint(9, shape).float().requires_grad_())
    assert type(found.grad_fn).__name__ != "_MeansBackward"
    found.sum().backward()
