"""The estimator for scikit-learn, held to scikit-learn's own checks."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from firstspike.models.networks import NetworkClassifier
from firstspike.sklearn import FirstSpikeClassifier

TINY = FirstSpikeClassifier(hidden=8, epochs=4, batch_size=16, learning_rate=0.03, t_max=32)


@parametrize_with_checks([TINY])
def test_scikit_learn_finds_nothing_to_complain_of(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y.astype(str), test_size=0.3, random_state=0, stratify=y)


@pytest.fixture(scope="module")
def learned(digits) -> FirstSpikeClassifier:
    return FirstSpikeClassifier(epochs=6, random_state=0).fit(*digits[::2])


def test_it_learns_digits_and_counts_spikes(digits, learned):
    X, X_test, _, y_test = digits
    assert learned.score(X_test, y_test) > 0.95
    pixels, hidden, output = learned.spikes_
    lit = (np.rint(X / 16 * 255) * 32 >= 255).sum(axis=1).mean()  # the darkest are silent
    assert pixels <= lit + 3 and 10 < hidden < 100 and 0.9 < output <= 1.5


def test_probabilities_decide_as_first_spikes_do(digits, learned):
    believed, decided = learned.predict_proba(digits[1]), learned.predict(digits[1])
    assert np.allclose(believed.sum(axis=1), 1)
    assert (learned.classes_[believed.argmax(axis=1)] == decided).all()
    sure = believed.max(axis=1) > 0.9
    assert sure.mean() > 0.25 and (decided == digits[3])[sure].mean() > 0.97


def test_the_same_seed_makes_the_same_network(digits):
    X, _, y, _ = digits
    one, again, other = (clone(TINY).set_params(random_state=seed).fit(X, y) for seed in (1, 1, 2))
    assert (one.predict_proba(X) == again.predict_proba(X)).all()
    assert (one.predict_proba(X) != other.predict_proba(X)).any()


def test_pipelines_and_searches(digits):
    X, X_test, y, y_test = digits
    pipeline = make_pipeline(StandardScaler(), clone(TINY).set_params(random_state=0))
    sizes = {"firstspikeclassifier__hidden": np.array([1, 32])}
    found = GridSearchCV(pipeline, sizes, cv=2).fit(X, y)
    assert found.best_params_ == {"firstspikeclassifier__hidden": 32}
    assert found.score(X_test, y_test) > 0.8


def test_it_learns_on_from_part_to_part(digits):
    X, X_test, y, y_test = digits
    made = FirstSpikeClassifier(random_state=0, batch_size=20)
    scores = []
    for part in np.array_split(np.arange(len(X)), 6):
        made.partial_fit(X[part], y[part], classes=np.unique(y))
        scores.append(made.score(X_test, y_test))
    assert scores[0] < scores[2] < scores[-1] and scores[-1] > 0.9


def test_what_fit_has_learned_is_where_partial_fit_begins(digits):
    X, X_test, y, y_test = digits
    made = FirstSpikeClassifier(epochs=4, random_state=0).fit(X, y)
    before = made.score(X_test, y_test)
    made.partial_fit(X[:40], y[:40])
    assert made.score(X_test, y_test) > before - 0.05


def test_step_neurons_decide_and_have_no_probabilities(digits):
    X, X_test, y, y_test = digits
    rate = {"learning_rate": 0.01, "random_state": 0}
    made = FirstSpikeClassifier("step", 50, epochs=8, **rate).fit(X, y)
    assert made.score(X_test, y_test) > 0.85
    assert made.network_.layers[0].t_max == 256
    assert not hasattr(made, "predict_proba") and not hasattr(made, "partial_fit")


def test_images_may_be_convolved(digits):
    X, X_test, y, y_test = digits
    made = clone(TINY).set_params(hidden="4c3p2", image_shape=(8, 8), random_state=0).fit(X, y)
    assert made.network_[0].kernel_size == (3, 3)
    assert made.score(X_test, y_test) > 0.8
    colours = np.repeat(X[:40], 3, axis=1)
    in_colour = clone(made).set_params(image_shape=(8, 8, 3), epochs=1).fit(colours, y[:40])
    assert in_colour.network_[0].in_channels == 3


def test_features_have_ranges_of_their_own_and_pixels_one():
    X = np.array([[0.0, 0.0], [1.0, 100.0], [0.5, 50.0], [1.0, 0.0]])
    y = [0, 1, 0, 1]
    seen = clone(TINY).fit(X, y)._images(X, np.array(y)).images
    assert seen.tolist() == [[[0, 0]], [[255, 255]], [[128, 128]], [[255, 0]]]
    seen = clone(TINY).set_params(image_shape=(2, 1)).fit(X, y)._images(X, np.array(y)).images
    assert seen.tolist() == [[[0], [0]], [[3], [255]], [[1], [128]], [[3], [0]]]


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int16])
def test_whole_numbers_that_wrap_around_are_seen_as_they_are(kind):
    """Bytes below the darkest one of training, and ranges wider than their type."""
    low, high = np.iinfo(np.int8).min * (kind != np.uint8), 127
    X = np.array([[low + 10, 5], [high, 100]], dtype=kind)
    made = clone(TINY).fit(X, [0, 1])
    beyond = np.array([[low, 0], [high, 110]], dtype=kind)
    assert made._seen(beyond).tolist() == made._seen(beyond.astype(float)).tolist()
    assert made._seen(beyond).tolist() == [[[0, 0]], [[255, 255]]]


def test_ranges_beyond_numbers_are_refused():
    with pytest.raises(ValueError, match="X has values further apart than numbers go"):
        clone(TINY).fit([[1e308], [-1e308]], [0, 1])


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_a_part_leaves_no_sample_out(monkeypatch, count):
    """Where a batch would be of one sample, of which there are no statistics."""
    seen, times_of = [], NetworkClassifier.times_of

    def watched(network, images):
        if network.training:
            seen.append(len(images))
        return times_of(network, images)

    monkeypatch.setattr(NetworkClassifier, "times_of", watched)
    labels = np.arange(count) % 2
    clone(TINY).set_params(batch_size=2).partial_fit(np.eye(count), labels, [0, 1])
    assert sum(seen) == count and min(seen) >= 2


def test_a_network_of_step_neurons_has_no_scores_whatever_is_set_later(digits):
    made = clone(TINY).set_params(neuron="step", epochs=1).fit(digits[0][:40], digits[2][:40])
    made.set_params(neuron="ramp")
    assert not hasattr(made, "predict_proba") and not hasattr(made, "partial_fit")
    made.fit(digits[0][:40], digits[2][:40])
    assert hasattr(made, "predict_proba") and hasattr(made, "partial_fit")


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"epochs": 0}, "epochs must be a whole number from 1 to 1000000, got 0"),
        ({"epochs": 2.5}, "epochs must be a whole number"),
        ({"batch_size": "many"}, "batch_size must be a whole number from 1"),
        ({"batch_size": 8.0}, "batch_size must be a whole number"),
        ({"batch_size": 1}, "batch_size must be at least 2 with ramp neurons"),
        ({"learning_rate": -1.0}, "learning_rate must be a number from 1e-30 to 1000, got -1.0"),
        ({"learning_rate": 1e308}, "learning_rate must be"),
        ({"learning_rate": float("nan")}, "learning_rate must be"),
        ({"t_max": 1}, "t_max must be a whole number from 2 to 16777216, got 1"),
        ({"neuron": "stone"}, "neuron must be one of step, ramp"),
        ({"neuron": ["ramp"]}, "neuron must be one of step, ramp"),
        ({"hidden": "8x"}, "hidden: network 8x: cannot read '8x'"),
        ({"image_shape": 64}, r"image_shape must be \(height, width\) or .*, got 64"),
        ({"image_shape": (-8, -8)}, "image_shape must be"),
        ({"image_shape": (8.0, 8.0)}, "image_shape must be"),
        ({"neuron": "step", "hidden": "8c3"}, "network must be dense with neuron step"),
        (
            {"image_shape": (3, 3)},
            "image_shape must be that of the 64 features of X, got",
        ),
    ],
)
def test_parameters_that_do_not_fit(digits, parameters, fault):
    with pytest.raises(ValueError, match=fault):
        clone(TINY).set_params(**parameters).fit(digits[0], digits[2])


def test_classes_are_known_from_the_first_part_on(digits):
    X, _, y, _ = digits
    with pytest.raises(ValueError, match="classes must be given in the first call"):
        clone(TINY).partial_fit(X, y)
    made = clone(TINY).partial_fit(X[:20], y[:20], classes=np.unique(y))
    with pytest.raises(ValueError, match="classes must be those of the first call"):
        made.partial_fit(X[:20], y[:20], classes=["0", "1"])
    with pytest.raises(ValueError, match="y must have labels of classes only, got 'ten'"):
        made.partial_fit(X[:2], ["0", "ten"])
