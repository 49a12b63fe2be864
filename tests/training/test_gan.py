"""The networks of a GAN and the rule of one step."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import firstspike as fs
from firstspike.data import ImageSet
from firstspike.runs.directory import epoch_generator
from firstspike.training.config import GAN_RECIPES, POTENTIAL_GAN, GanConfig, ann_gan_defaults
from firstspike.training.gan import STEP_STATS, AnnGan, Gan, SpikingGan
from firstspike.training.rules.adversarial import FAKE, REAL

SMALL = {"hidden": 16, "batch": 4}


def build(kind: str, **options: object) -> Gan:
    if kind == "ann-gan":
        twin = ann_gan_defaults({"loss": "cross-entropy"})
        return AnnGan(dataclasses.replace(twin, **SMALL | options))
    recipe = POTENTIAL_GAN if kind == "potential" else GAN_RECIPES["paper"]
    return SpikingGan(dataclasses.replace(recipe, **SMALL | options))


def digits(gan: Gan, count: int = 4) -> torch.Tensor:
    mnist = fs.load_mnist("train")
    return gan.prepare(ImageSet(mnist.images[:count], mnist.labels[:count], "few"))


@pytest.mark.parametrize("kind", ["potential", "paper", "ann-gan"])
def test_sizes_are_the_papers(kind):
    gan = build(kind)
    full = build(kind, hidden=400).networks
    shapes = [list(w.shape) for w in full["generator"].parameters() if w.ndim == 2]
    assert shapes == [[400, 100], [784, 400]]
    outputs = 1 if kind == "ann-gan" else 2
    shapes = [list(w.shape) for w in full["discriminator"].parameters() if w.ndim == 2]
    assert shapes == [[400, 784], [outputs, 400]]
    assert gan.sample(gan.latents(3)).shape == (3, 28, 28)


@pytest.mark.parametrize("impl", ["auto", "reference"])
def test_biases_stay_below_the_threshold(impl):
    gan = build("potential", impl=impl, generator_lr=0.3, discriminator_lr=0.3)
    for epoch in range(5):
        gan.step(digits(gan), epoch_generator(0, epoch))
    biases = [layer.bias for net in (gan.generator, gan.discriminator) for layer in net.layers]
    assert max(bias.max().item() for bias in biases) == pytest.approx(0.95)


def test_latents_are_early_or_silent():
    best = build("potential", latent_last=7, latent_silent=0.5).latents(100)
    assert set(best.unique().tolist()) == {*range(8), 256}
    assert 0.45 < (best == 256).float().mean() < 0.55
    assert set(build("paper").latents(1000).unique().tolist()) == set(range(257))


def test_truncation_leaves_silent_latents_silent():
    latents = build("potential").latents(100)
    pulled = build("potential").truncated(latents, 0.0)
    assert set(pulled.unique().tolist()) == {round(3.5), 256}
    assert torch.equal(pulled == 256, latents == 256)
    assert (build("paper").truncated(build("paper").latents(100), 0.0) == 128).all()


@pytest.mark.parametrize(("kind", "on", "off"), [("potential", 0, 256), ("ann-gan", 1, 0)])
def test_a_conditional_network_is_told_the_class(kind, on, off):
    gan = build(kind, digit="all", conditional=True)
    networks = (gan.generator, gan.discriminator)
    assert [next(net.parameters()).shape[1] for net in networks] == [110, 794]
    told = torch.tensor([7, 2])
    latents = gan.latents(2, epoch_generator(0, 0), told)
    assert torch.equal(latents[:, :100], gan.noise(2, epoch_generator(0, 0)))
    marks = torch.full((2, 10), float(off))
    marks[0, 7] = marks[1, 2] = on
    assert torch.equal(latents[:, 100:], marks)
    assert torch.equal(gan.latents(12)[:, 100:].eq(on).nonzero()[:, 1], torch.arange(12) % 10)
    real = digits(gan)
    assert torch.equal(real[:, 784:].eq(on).nonzero()[:, 1], fs.load_mnist("train").labels[:4])
    fake = gan.draw(gan.latents_for(real, epoch_generator(0, 1)))
    assert fake.shape == (4, 794) and torch.equal(fake[:, 784:], real[:, 784:])
    with pytest.raises(ValueError, match="digits must lie in"):
        gan.latents(1, None, torch.tensor([10]))


@pytest.mark.parametrize("kind", ["potential", "ann-gan"])
def test_the_class_decides_what_is_drawn_and_how_it_is_judged(kind):
    gan = build(kind, digit="all", conditional=True)
    before = [p.clone() for p in gan.discriminator.parameters()]
    real = digits(gan)
    assert set(gan.step(real, epoch_generator(0, 1))) == set(STEP_STATS)
    changed = (before[0] != next(gan.discriminator.parameters())).any(dim=0)[784:]
    assert changed[fs.load_mnist("train").labels[:4]].any()
    with torch.no_grad():
        for net in (gan.average, gan.discriminator):
            next(net.parameters())[:, -10:] *= 100
    images = [
        gan.sample(gan.latents(3, epoch_generator(0, 0), torch.full((3,), digit)))
        for digit in (1, 8, 1)
    ]
    assert torch.equal(images[0], images[2]) and not torch.equal(images[0], images[1])
    other = real.clone()
    other[:, 784:] = gan.marks((fs.load_mnist("train").labels[:4] + 1) % 10)
    judged = [gan.judge(seen, epoch_generator(0, 2)) for seen in (real, other)]
    assert not torch.equal(*judged)


def test_only_a_conditional_network_can_be_asked_for_a_class():
    with pytest.raises(ValueError, match="digits: this network cannot be asked"):
        build("potential").latents(1, None, torch.tensor([3]))
    for digit in ("3", "0"):
        with pytest.raises(ValueError, match="conditional draws all classes: digit must be all"):
            GanConfig(digit=digit, conditional=True).check()


def test_a_walk_of_a_conditional_network_keeps_the_class():
    gan = build("potential", digit="all", conditional=True)
    told = gan.walk(4, 12)[:, 100:].eq(0).nonzero()[:, 1].reshape(12, 4)
    assert torch.equal(told, (torch.arange(12) % 10)[:, None].expand(12, 4))
    assert gan.walk(4, 2, None, torch.tensor([5, 6]))[:, 105].eq(0).sum() == 4


def test_a_walk_may_end_in_another_class():
    gan = build("potential", digit="all", conditional=True)
    walked = gan.walk(3, 2, None, torch.tensor([5, 6]), torch.tensor([8, 6]))
    told = walked[:, 100:].eq(0).unflatten(0, (2, 3))
    assert told[:, 0].nonzero()[:, 1].tolist() == [5, 6]
    assert told[:, -1].nonzero()[:, 1].tolist() == [8, 6]
    with pytest.raises(ValueError, match="to: this network cannot be asked for a class"):
        build("potential").walk(3, 1, to=torch.tensor([3]))


@pytest.mark.parametrize("kind", ["potential", "ann-gan"])
def test_a_step_changes_both_networks_and_the_average(kind):
    gan = build(kind, average=0.5)
    before = {name: [p.clone() for p in net.parameters()] for name, net in gan.networks.items()}
    stats = gan.step(digits(gan), epoch_generator(0, 1))
    assert set(stats) == {"discriminator_loss", "generator_loss", "real_wins", "fake_wins"}
    for name, net in gan.networks.items():
        pairs = zip(before[name], net.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs) == (name == "best")
    pairs = zip(
        before["average"], gan.generator.parameters(), gan.average.parameters(), strict=True
    )
    for old, new, mean in pairs:
        torch.testing.assert_close(mean, (old + new) / 2)


def test_each_network_learns_from_its_own_turn_only(monkeypatch):
    gan = build("potential", impl="reference")
    turns = []
    monkeypatch.setattr(Gan, "update", lambda self, name, loss: turns.append((name, loss)))
    gan.step(digits(gan), epoch_generator(0, 1))
    assert [name for name, _ in turns] == ["discriminator", "generator"]
    loss = turns[0][1]
    weight = gan.generator[0].weight
    assert torch.autograd.grad(loss, weight, allow_unused=True) == (None,)


def test_the_same_seed_is_the_same_network_and_the_global_state_stays():
    state = torch.get_rng_state()
    weights = [build("potential", seed=seed).generator[0].weight for seed in (1, 1, 2)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(state, torch.get_rng_state())


def test_verdict_by_hand():
    gan = build("paper")
    output = torch.tensor([[10.0, 30.0], [30.0, 10.0], [256.0, 256.0]])
    loss, won = gan.verdict(output, FAKE)
    # Desired neuron 0 to tau, other to t_max; nothing spiked: desired to 0 (eq. 6).
    wanted = [0.5 * (30 - 256) ** 2, 0.5 * ((30 - 10) ** 2 + (10 - 256) ** 2), 0.5 * 256**2]
    assert loss.item() == pytest.approx(sum(wanted) / 3)
    assert won.item() == pytest.approx(1 / 3)
    potentials = torch.tensor([[0.5, 2.5], [2.5, 0.5], [1.0, 1.0]])
    loss, won = build("potential").verdict(potentials, REAL)
    soft = torch.nn.functional.softplus(torch.tensor([-2.0, 2.0, 0.0]))
    assert loss.item() == pytest.approx(soft.mean().item())
    assert won.item() == pytest.approx(1 / 3)


@pytest.mark.parametrize("kind", ["potential", "ann-gan"])
def test_a_walk_starts_and_ends_at_random_latents(kind):
    gan = build(kind)
    walk = gan.walk(5, 3, epoch_generator(0, 0)).unflatten(0, (3, 5))
    ends = gan.latents(6, epoch_generator(0, 0))
    assert torch.equal(walk[:, 0], ends[:3])
    assert torch.equal(walk[:, -1], ends[3:])
    middle = (ends[:3] + ends[3:]) / 2
    torch.testing.assert_close(walk[:, 2], gan.on_grid(middle))


def test_spikes_are_counted():
    gan = build("potential")
    latents = gan.latents(50, epoch_generator(0, 0))
    figures = gan.spikes(latents)
    hidden = gan.average[0](latents)
    drawn = gan.average[1](hidden)
    total = sum((times < 256).float().sum(dim=1) for times in (latents, hidden, drawn))
    assert figures["generator_spikes"] == pytest.approx(total.mean().item())
    assert figures["generator_hidden_silent"] == pytest.approx((hidden == 256).float().mean())
    assert build("ann-gan").spikes(latents) == {}


def test_one_image_is_too_few_to_choose_a_snapshot():
    """Said before work starts, not after the last epoch."""
    one = ImageSet(torch.zeros(1, 28, 28, dtype=torch.uint8), torch.zeros(1).long(), "one")
    for digit in ("0", "all"):
        with pytest.raises(ValueError, match=r"snapshots: one.* has 1 image, and at least 2"):
            SpikingGan.parts_of(GanConfig(digit=digit), one)
    assert len(SpikingGan.parts_of(GanConfig(digit="0", snapshots=0), one).training) == 1
