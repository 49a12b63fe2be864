"""The networks that look at samples: what they take, that they know digits, their weights' hash."""

from __future__ import annotations

import pytest
import torch

import firstspike as fs
from firstspike.data import ImageSet
from firstspike.evaluation import features


@pytest.fixture(scope="module")
def digits() -> ImageSet:
    return fs.load_mnist("test")


def test_features_have_their_shape_and_are_the_same_for_bytes_and_intensities(digits):
    images = digits.images[:7]
    extracted = features.extract(images)
    assert extracted.shape == (7, features.FEATURES) and (extracted >= 0).all()
    torch.testing.assert_close(features.extract(images.float() / 255), extracted)
    torch.testing.assert_close(features.extract(images[3:4])[0], extracted[3])


def test_the_classifier_knows_digits(digits):
    images, labels = digits.images[:1000], digits.labels[:1000]
    probabilities = features.digit_probabilities(images)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(1000))
    assert (probabilities.argmax(dim=1) == labels).float().mean() > 0.99
    by_features = features.apply(features.feature_network(), images)
    assert (by_features.argmax(dim=1) == labels).float().mean() > 0.98


@pytest.mark.slow
def test_the_classifier_is_right_as_often_as_issue_4_asks(digits):
    right = features.digit_probabilities(digits.images).argmax(dim=1) == digits.labels
    assert right.float().mean() >= 0.993


@pytest.mark.parametrize(
    ("images", "wanted"),
    [
        (torch.zeros(2, 784), r"\[N, height, width\] or .*got \[2, 784\]"),
        (torch.zeros(0, 28, 28), r"\[0, 28, 28\]"),
        (torch.full((2, 28, 28), 1.5), "0..1"),
        (torch.full((2, 28, 28), torch.nan), "NaN"),
        (torch.zeros(2, 28, 28, dtype=torch.int64), "uint8"),
    ],
)
def test_images_that_do_not_fit(images, wanted):
    with pytest.raises(ValueError, match=wanted):
        features.extract(images)


def test_damaged_weights_are_refused(monkeypatch, tmp_path):
    file = tmp_path / "feature-network.safetensors"
    file.write_bytes(features.FEATURE_FILE.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(features, "FEATURE_FILE", file)
    with pytest.raises(ValueError, match=r"feature-network\.safetensors: .*reinstall"):
        features.feature_network.__wrapped__()


def test_training_learns_and_repeats(digits):
    accuracies, weights = [], []
    for _ in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = features.FeatureNetwork()
        features.train(network, digits.images[:1000], digits.labels[:1000], epochs=5, seed=0)
        assert not network.training
        scores = features.apply(network, digits.images[1000:1500])
        accuracies.append((scores.argmax(dim=1) == digits.labels[1000:1500]).float().mean())
        weights.append(network.head.weight)
    assert torch.equal(*weights)
    assert accuracies[0] > 0.5


def test_images_of_other_sizes_are_seen_as_28x28_in_gray(digits):
    images = digits.images[:20]
    colour = images[:, None].expand(-1, 3, -1, -1)
    torch.testing.assert_close(features.as_batch(colour), features.as_batch(images))
    large = images.repeat_interleave(3, 1).repeat_interleave(3, 2)
    assert (features.as_batch(large) - features.as_batch(images)).abs().mean() < 0.02
    right = features.digit_probabilities(large).argmax(dim=1) == digits.labels[:20]
    assert right.float().mean() > 0.9
    noise = torch.rand(4, 3, 50, 20, generator=torch.Generator().manual_seed(0))
    batch = features.as_batch(noise)
    assert batch.shape == (4, 1, 28, 28) and (batch >= 0).all() and (batch <= 1).all()
    assert features.extract(noise).shape == (4, features.FEATURES)
    red, blue = torch.zeros(2, 1, 3, 8, 8)
    red[:, 0], blue[:, 2] = 1, 1
    assert features.as_batch(red).mean() > 2 * features.as_batch(blue).mean()
    assert features.as_batch(torch.rand(1, 2, 28, 28)).shape == (1, 1, 28, 28)
