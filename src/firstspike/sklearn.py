"""An estimator for scikit-learn: the extra ``sklearn``.

from firstspike.sklearn import FirstSpikeClassifier
FirstSpikeClassifier(hidden=100).fit(X, y).score(X_test, y_test)
"""

from __future__ import annotations

import math
import numbers
from typing import Any, Self

from firstspike.extras import require

require("sklearn", "sklearn", purpose="firstspike.sklearn")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from numpy.typing import ArrayLike, NDArray  # noqa: E402
from sklearn.base import BaseEstimator, ClassifierMixin  # noqa: E402
from sklearn.utils import check_random_state  # noqa: E402
from sklearn.utils.metaestimators import available_if  # noqa: E402
from sklearn.utils.multiclass import check_classification_targets  # noqa: E402
from sklearn.utils.validation import check_is_fitted, validate_data  # noqa: E402
from torch import Tensor  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402

from firstspike.data import ImageSet, as_image_set  # noqa: E402
from firstspike.models.networks import (  # noqa: E402
    NetworkClassifier,
    deployed,
    output_window,
    spiking,
)
from firstspike.shape import Shape  # noqa: E402
from firstspike.training.fitting import fit  # noqa: E402
from firstspike.training.options import MOST  # noqa: E402

KEPT = (np.float64, np.float32)  # types of samples; others become the first: 3 - 5 of bytes is 254
LEAST = 2  # samples that statistics can be taken of
LOOKED_AT = 5000  # samples that decide the output window, and whose spikes are counted
BOUNDS: dict[str, tuple[Any, float, float]] = {
    "epochs": (numbers.Integral, 1, MOST),
    "batch_size": (numbers.Integral, 1, MOST),
    "learning_rate": (numbers.Real, 1e-30, 1000),
    "t_max": (numbers.Integral, 2, 1 << 24),
}
RATES = {"step": 5e-3, "ramp": 1e-2}  # for a few thousand samples, if no learning rate is given


def _is_ramp(estimator: Any) -> bool:
    """Whether the neurons, also those of a network that is trained already, are ramp neurons.

    They have scores, and a rule for one part after the other.
    """
    trained = getattr(estimator, "network_", None)
    return estimator.neuron == "ramp" and (
        trained is None or isinstance(trained, NetworkClassifier)
    )


class FirstSpikeClassifier(ClassifierMixin, BaseEstimator):
    """A network in which every neuron spikes at most once; the first output spike tells the class.

    Features become spike times, in 256 shades: the largest value in training spikes at once, the
    smallest never, and what lies outside is as the nearer of the two. Each feature has a range of
    its own; pixels, for which ``image_shape`` is given, have one together.

    Args:
        neuron: ``"ramp"``, which computes with time, or ``"step"``, the paper's, which decides
            early and has neither `predict_proba` nor `partial_fit`.
        hidden: neurons of the hidden layer; or, of ramp neurons, a line of layers such as
            ``"100-100"`` or ``"8c3p2-16c3"``, see `firstspike.models.networks`.
        epochs: passes of `fit` over the samples.
        batch_size: samples in one step of training.
        learning_rate: the largest of `fit`, where it rises and falls; in `partial_fit` it is
            constant. None for 0.01 with ramp and 0.005 with step neurons.
        t_max: time steps of a window. None for the usual number of the neuron.
        image_shape: (height, width) or (height, width, 3) of samples that are images, row by row.
        random_state: of weights, order and noise, as everywhere in scikit-learn.

    Attributes:
        classes_: the labels, ascending.
        network_: the trained network, as of `firstspike.fit`.
        spikes_: mean number of spikes per sample until the decision: of the features, and of each
            layer; over the first 5,000 samples of the last training.
    """

    def __init__(
        self,
        neuron: str = "ramp",
        hidden: int | str = 100,
        *,
        epochs: int = 30,
        batch_size: int = 32,
        learning_rate: float | None = None,
        t_max: int | None = None,
        image_shape: tuple[int, ...] | None = None,
        random_state: Any = None,
    ) -> None:
        self.neuron = neuron
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.t_max = t_max
        self.image_shape = image_shape
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train a new network.

        Args:
            X: samples [N, features], finite, at least two.
            y: labels [N].

        Raises:
            ValueError: an argument or a parameter does not fit.
        """
        X, y = self._checked(X, y, reset=True)
        self._set_range(X)
        self.classes_, labels = np.unique(y, return_inverse=True)
        images = self._images(X, labels)
        options: dict[str, Any] = {
            "epochs": self.epochs,
            "batch": self.batch_size,
            "validation": 0.0,
            "seed": self._seed(),
            "progress": False,
            "lr": self._rate(),
        }
        if self.neuron == "ramp":
            self._start(images.shape)
            fit(self._learning, images, augment="none", **options)
            self._deploy(images.images)
        else:
            hidden = "hidden" if isinstance(self.hidden, numbers.Integral) else "network"
            made = {"neuron": self.neuron, hidden: self.hidden, **self._given(t_max=self.t_max)}
            self.network_ = fit("classifier", images, shift=0, **made, **options)
        self._count(images.images)
        return self

    @available_if(_is_ramp)
    def partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> Self:
        """Learn on, in one pass over some more samples.

        Args:
            X: samples [N, features], finite, at least two; the first ones decide the ranges.
            y: labels [N].
            classes: all labels that there will be; in the first call, unless `fit` came before.

        Raises:
            ValueError: an argument or a parameter does not fit.
        """
        is_first = not hasattr(self, "network_")
        X, y = self._checked(X, y, reset=is_first)
        if is_first and classes is None:
            raise ValueError("classes must be given in the first call of partial_fit")
        known = self.classes_ if classes is None else np.unique(np.asarray(classes))
        if not is_first and not np.array_equal(known, self.classes_):
            raise ValueError(f"classes must be those of the first call, got {known}")
        if unknown := sorted(set(y.tolist()) - set(known.tolist())):
            raise ValueError(f"y must have labels of classes only, got {unknown[0]!r}")
        if is_first:
            self._set_range(X)
            self.classes_ = known
        images = self._images(X, np.searchsorted(known, y))
        if is_first:
            self._start(images.shape)
        self._pass_over(images)
        self._deploy(images.images)
        self._count(images.images)
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The class [N] of each sample, that of its first output spike."""
        pixels = self._seen(X)
        found: NDArray[Any] = self.classes_[self.network_.classify(pixels).classes.numpy()]
        return found

    @available_if(_is_ramp)
    @torch.no_grad()
    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities [N, classes], in the order of ``classes_``: the softmax of potentials."""
        pixels = self._seen(X)
        scores = self.network_.potentials(self.network_.times_of(pixels)).double()
        # Of several first spikes in one step, the first neuron's decides: it is believed as much.
        winner = self.network_.classify(pixels).classes[:, None]
        scores.scatter_(1, winner, scores.amax(dim=1, keepdim=True))
        return (scores * self._span).softmax(dim=1).numpy()

    def _checked(self, X: Any, y: Any, reset: bool) -> tuple[NDArray[Any], NDArray[Any]]:
        """Samples and labels of a training; parameters are checked as well."""
        self._check_parameters()
        X, y = validate_data(self, X, y, reset=reset, ensure_min_samples=LEAST, dtype=KEPT)
        check_classification_targets(y)
        if self.image_shape is not None and math.prod(self._sides()) != X.shape[1]:
            raise ValueError(
                f"image_shape must be that of the {X.shape[1]} features of X, "
                f"got {self.image_shape}"
            )
        return X, y

    def _check_parameters(self) -> None:
        if not isinstance(self.neuron, str) or self.neuron not in RATES:
            raise ValueError(f"neuron must be one of {', '.join(RATES)}, got {self.neuron!r}")
        for name, (kind, low, high) in BOUNDS.items():
            value = getattr(self, name)
            if value is None and name in ("learning_rate", "t_max"):
                continue
            if not isinstance(value, kind) or not low <= value <= high:
                noun = "whole number" if kind is numbers.Integral else "number"
                raise ValueError(f"{name} must be a {noun} from {low} to {high}, got {value!r}")
        if self.neuron == "ramp" and self.batch_size < LEAST:
            raise ValueError(f"batch_size must be at least {LEAST} with ramp neurons, got 1")

    def _sides(self) -> list[int]:
        """``image_shape`` as numbers. ValueError if it is none of an image."""
        sides = np.asarray(self.image_shape)
        if sides.shape not in ((2,), (3,)) or sides.dtype.kind not in "iu" or sides.min() < 1:
            raise ValueError(
                "image_shape must be (height, width) or (height, width, 3), "
                f"got {self.image_shape!r}"
            )
        found: list[int] = sides.tolist()
        return found

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _rate(self) -> float:
        return RATES[self.neuron] if self.learning_rate is None else self.learning_rate

    @staticmethod
    def _given(**options: Any) -> dict[str, Any]:
        """Those of some options that were given."""
        return {name: value for name, value in options.items() if value is not None}

    def _set_range(self, X: NDArray[Any]) -> None:
        """Which values are black and white: of each feature, or of all pixels."""
        axis = 0 if self.image_shape is None else None
        self._black, self._white = X.min(axis=axis), X.max(axis=axis)
        with np.errstate(over="ignore"):
            ranges = self._white - self._black
        if not np.isfinite(ranges).all():
            raise ValueError("X has values further apart than numbers go; give it a scale")
        self._range = np.where(ranges == 0, 1, ranges)

    def _images(self, X: NDArray[Any], labels: NDArray[Any]) -> ImageSet:
        """Samples as what networks take: images of one row, if they are none."""
        inside = X.clip(self._black, self._white) - self._black
        shades = np.rint(inside / self._range * 255).astype(np.uint8)
        sides = [1, X.shape[1]] if self.image_shape is None else self._sides()
        pixels = shades.reshape(len(X), *sides)
        return as_image_set((pixels, labels), name="X", names=[str(one) for one in self.classes_])

    def _seen(self, X: Any) -> Tensor:
        """What a trained network takes of samples."""
        check_is_fitted(self, "network_")
        X = validate_data(self, X, reset=False, dtype=KEPT)
        return self._images(X, np.zeros(len(X), dtype=np.int64)).images

    def _start(self, shape: Shape) -> None:
        """Make a network that learns, with normalisation, and the optimiser of `partial_fit`."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed())
            try:
                self._learning = spiking(str(self.hidden), shape, **self._given(t_max=self.t_max))
            except ValueError as error:
                raise ValueError(f"hidden: {error}") from None
        self._optimizer = torch.optim.Adam(self._learning.parameters(), self._rate())

    def _pass_over(self, images: ImageSet) -> None:
        """One pass at a constant rate, as nobody knows how many there will be."""
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(self._seed()))
        parts = min(-(-len(order) // self.batch_size), len(order) // LEAST)
        self._learning.train()
        for batch in order.tensor_split(parts):
            scores = self._learning.potentials(self._learning.times_of(images.images[batch]))
            self._optimizer.zero_grad()
            cross_entropy(scores, images.labels[batch]).backward()
            self._optimizer.step()

    @torch.no_grad()
    def _deploy(self, pixels: Tensor) -> None:
        """Set the network as it is used, and by what its window divides the scores."""
        self._learning.eval()
        scores = self._learning.potentials(self._learning.times_of(pixels[:LOOKED_AT]))
        low, high = output_window(scores)
        self._span = high - low
        self.network_ = deployed(self._learning, low, high).eval().requires_grad_(False)

    def _count(self, pixels: Tensor) -> None:
        spikes = self.network_.classify(pixels[:LOOKED_AT]).spikes
        self.spikes_ = spikes.double().mean(dim=0).numpy()
