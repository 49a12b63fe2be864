"""Shards of a batch, learned from by one process or by several: the same to the last bit."""

from __future__ import annotations

import copy

import pytest
import torch

from firstspike.data import load_mnist
from firstspike.shape import Shape
from firstspike.training.config import ClassifierConfig, classifier_defaults
from firstspike.training.deep import RampTraining
from firstspike.training.team import Team, check_shards, tree_sum

SHAPE = Shape(1, 28, 28, tuple("0123456789"))


def config(**options) -> ClassifierConfig:
    defaults = classifier_defaults({"neuron": "ramp", "network": "4c3p2-8"}).as_dict()
    return ClassifierConfig(
        **{**defaults, "t_max": 16, "dropout": 0.1, "augment": "shift", **options}
    )


def trainer(team: Team | None = None, **options) -> RampTraining:
    made = RampTraining(config(**options), SHAPE)
    if team is not None:
        made.team = team
    return made


@pytest.fixture(scope="module")
def batch():
    images = load_mnist("train")
    return images.images[:22], images.labels[:22]


class Part(Team):
    """One of two processes, whose sums wait for the other's."""

    size = 2

    def __init__(self, rank: int, said: list) -> None:
        self.rank, self._said = rank, said

    def sum(self, vectors):
        self._said.append(tree_sum(vectors))
        return tree_sum(self._said) if self.rank else self._said[0]


def test_the_sum_is_a_tree():
    rng = torch.Generator().manual_seed(0)
    vectors = list(torch.randn(8, 100, generator=rng))
    halves = [tree_sum(vectors[:4]), tree_sum(vectors[4:])]
    assert torch.equal(tree_sum(halves), tree_sum(vectors))
    quarters = [tree_sum(vectors[place : place + 2]) for place in range(0, 8, 2)]
    assert torch.equal(tree_sum(quarters), tree_sum(vectors))
    torch.testing.assert_close(tree_sum(vectors), torch.stack(vectors).sum(dim=0))


def test_two_processes_learn_what_one_learns(batch):
    """One after the other, as if both ran: the second knows what the first has said."""
    alone, said = trainer(shards=4), []
    parts = [trainer(Part(rank, said), shards=4) for rank in (0, 1)]
    told = alone.step(*batch, torch.Generator().manual_seed(1))
    found = [part.step(*batch, torch.Generator().manual_seed(1)) for part in parts]
    assert found[1] == told
    own, other = alone.model.state_dict(), parts[1].model.state_dict()
    assert all(torch.equal(own[name], other[name]) for name in own)


def test_shards_learn_the_mean_of_their_gradients(batch):
    """Against networks of their own, one for each shard; without noise and dropout."""
    plain = {"dropout": 0.0, "augment": "none", "jitter": 0.0}
    learner = trainer(shards=2, **plain)
    model = learner.model
    gradients, means = [], []
    for images, labels in zip(*(part.tensor_split(2) for part in batch), strict=True):
        one = trainer(**plain)
        one.model.load_state_dict(copy.deepcopy(model.state_dict()))
        one.learn(images, labels, torch.Generator())
        gradients.append([it.grad for it in one.model.parameters() if it.requires_grad])
        norms = [it for it in one.model.modules() if hasattr(it, "running_mean")]
        means.append([norm.running_mean for norm in norms])
    learner.learn_shards(*batch, torch.Generator())
    found = [it.grad for it in model.parameters() if it.requires_grad]
    for grad, first, second in zip(found, *gradients, strict=True):
        torch.testing.assert_close(grad, (first + second) / 2)
    norms = [it for it in model.modules() if hasattr(it, "running_mean")]
    for norm, first, second in zip(norms, *means, strict=True):
        torch.testing.assert_close(norm.running_mean, (first + second) / 2)
        assert int(norm.num_batches_tracked) == 1


def test_a_batch_too_small_for_statistics_teaches_nothing(batch):
    learner = trainer(shards=4)
    before = copy.deepcopy(learner.model.state_dict())
    images, labels = batch
    assert not learner.step(images[:7], labels[:7], torch.Generator())
    assert all(torch.equal(before[name], it) for name, it in learner.model.state_dict().items())


def test_shards_that_cannot_be_shared():
    check_shards(8, 2)
    for shards, size, wanted in ((3, 1, "power of two"), (2, 4, "multiple of the 4 processes")):
        with pytest.raises(ValueError, match=wanted):
            check_shards(shards, size)
    with pytest.raises(ValueError, match="shards must be a power of two, got 6"):
        trainer(shards=6)
