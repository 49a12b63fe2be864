"""How close samples come to data: features -> statistics -> metrics.

Distances compare two sets as a whole, neighbourhoods tell faithful from varied, and the rest are
plain statistics of pixels. Samples, data and floor (data against other data) must have the same
number of images, on which all of these depend.

Features are those of `firstspike.evaluation.features.extract`, so figures compare with each other
and not with those that other networks give.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from firstspike.data import Data, as_image_set
from firstspike.evaluation.features import FeatureNetwork, apply, intensities, train
from firstspike.extras import require

PRECISION_NEIGHBOURS = 3  # of Kynkaanniemi et al.
COVERAGE_NEIGHBOURS = 5  # of Naeem et al.
_NEIGHBOURS = (PRECISION_NEIGHBOURS, COVERAGE_NEIGHBOURS)
_ROUNDING = 1e-12  # of the largest squared length: more than squared distances are off by
_CELLS = 4_000_000  # of a matrix of distances at a time, 32 MB
_ROWS = 1000  # images whose nearest ones are looked for at a time
_SUBSETS, _SUBSET = 100, 500  # kernel distance: how many, samples in each


class KernelDistance(NamedTuple):
    """Mean of the kernel distance over random subsets, and its standard deviation."""

    mean: float
    sd: float


class Neighbourhoods(NamedTuple):
    """Overlap of two sets in feature space; see `neighbourhoods`."""

    precision: float
    recall: float
    density: float
    coverage: float


# Distances and shares beside those of `firstspike.evaluation.samples.Quality`, by the names that
# ``metrics.json`` has for them; see `register`.
METRICS: dict[str, Callable[[Tensor, Tensor], float]] = {}


def register(name: str, metric: Callable[[Tensor, Tensor], float]) -> None:
    """Let ``firstspike evaluate`` measure one thing more of samples.

    Args:
        name: what it is called in ``metrics.json``.
        metric: (features of unseen images [N, features], of as many samples) -> the figure.

    Raises:
        ValueError: the name is taken.
    """
    if name in METRICS:
        raise ValueError(f"name must be new, but there is a metric {name!r} already")
    METRICS[name] = metric


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Fréchet distance of two sets of features (Heusel et al., arXiv 1706.08500).

    The squared distance between normal distributions of the same means and covariances.

    Args:
        real: [N, features], N at least 2.
        fake: [M, features], M at least 2.

    Raises:
        ValueError: the features do not fit.
    """
    # Not torchmetrics': trainings that choose snapshots by it must not need that package.
    _check_features(real, fake, 2)
    real, fake = real.double(), fake.double()
    covariances = [torch.cov(features.t()) for features in (real, fake)]
    first, second = map(torch.atleast_2d, covariances)
    root = torch.linalg.eigvals(first @ second).sqrt().real.sum()  # of the product's, its trace
    means = (real.mean(dim=0) - fake.mean(dim=0)).square().sum()
    squared = float(means + first.trace() + second.trace() - 2 * root)
    return max(0.0, squared)  # rounding may leave it below


def kernel_distance(real: Tensor, fake: Tensor, seed: int = 0) -> KernelDistance:
    """Kernel distance: squared MMD of a cubic kernel (Binkowski et al., arXiv 1801.01401).

    Unlike the Fréchet distance it has no bias from few samples; around 0 it may be negative.

    Args:
        real: features [N, features], N at least 2.
        fake: features [M, features], M at least 2.
        seed: of the subsets, of up to 500 samples each.

    Raises:
        ValueError: the features do not fit.
    """
    require("report", "torchmetrics", purpose="The kernel distance")
    from torchmetrics.image.kid import KernelInceptionDistance

    _check_features(real, fake, 2)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", "Metric `Kernel Inception Distance` will save all")
        torch.manual_seed(seed)
        subset = min(_SUBSET, len(real), len(fake))
        metric = KernelInceptionDistance(
            feature=_Given(real.shape[1]), subsets=_SUBSETS, subset_size=subset
        )
        metric.set_dtype(torch.float64)
        metric.update(real.double(), real=True)
        metric.update(fake.double(), real=False)
        mean, sd = metric.compute()
    return KernelDistance(float(mean), float(sd))


def neighbourhoods(real: Tensor, fake: Tensor) -> Neighbourhoods:
    """How far two sets of features lie in each other's neighbourhoods.

    *Precision* is the share of fakes that are nearer to some real than its 3rd nearest other real
    is, and *recall* the same with the roles exchanged (Kynkaanniemi et al., arXiv 1904.06991).
    *Density* counts in how many such balls of reals, with 5 neighbours, a fake lies, over 5, and
    *coverage* is the share of reals in whose ball a fake lies (Naeem et al., arXiv 2002.09797).

    Args:
        real: [N, features], N at least 6.
        fake: [M, features], M at least 6.

    Raises:
        ValueError: the features do not fit.
    """
    _check_features(real, fake, COVERAGE_NEIGHBOURS + 1)
    middle = real.double().mean(dim=0)  # short vectors round less
    real, fake = real.double() - middle, fake.double() - middle
    slack = _ROUNDING * torch.cat([real, fake]).square().sum(dim=1).max()
    # Balls by their squared radius, and so much larger that what lies on one is in it.
    narrow, wide = (squares + slack for squares in _radii(real, *_NEIGHBOURS))
    [around_fake] = (squares + slack for squares in _radii(fake, PRECISION_NEIGHBOURS))
    inside_real = torch.zeros(len(fake), dtype=torch.bool)
    recalled, covered, balls = [], [], 0
    for rows, squares in _squared_distances(real, fake):
        inside_real |= (squares <= narrow[rows, None]).any(dim=0)
        recalled.append((squares <= around_fake).any(dim=1))
        within = squares <= wide[rows, None]
        covered.append(within.any(dim=1))
        balls += int(within.sum())
    return Neighbourhoods(
        precision=_share(inside_real),
        recall=_share(torch.cat(recalled)),
        density=balls / (COVERAGE_NEIGHBOURS * len(fake)),
        coverage=_share(torch.cat(covered)),
    )


class Nearest(NamedTuple):
    """Of each image the nearest reference; see `nearest`."""

    distances: Tensor  # float32 [N]
    places: Tensor  # int64 [N], among the references


def nearest(images: Tensor, references: Tensor) -> Nearest:
    """Of each image the nearest reference, and its Euclidean distance in pixels of 0..1.

    Samples that are nearer to the training images than unseen data are copies of them.

    Args:
        images: [N, height, width] or [N, channels, height, width], uint8 or floating point in 0..1.
        references: [M, ...], images of one size with ``images``.

    Raises:
        ValueError: an argument does not fit.
    """
    if images.shape[1:] != references.shape[1:] or not len(references):
        wanted = f"[M, {', '.join(map(str, images.shape[1:]))}]"
        raise ValueError(
            f"references must be {wanted}, not empty, like images, got {list(references.shape)}"
        )
    found = [_nearest(_points(part), references) for part in images.split(_ROWS)]
    return Nearest(*map(torch.cat, zip(*found, strict=True)))


def _nearest(points: Tensor, references: Tensor) -> Nearest:
    """`nearest` of points [N, values], by as many references at a time as memory is bounded to."""
    smallest = torch.full((len(points),), torch.inf)
    places = torch.zeros(len(points), dtype=torch.int64)
    step = max(1, _CELLS // max(len(points), points.shape[1]))
    for start in range(0, len(references), step):
        distances, which = torch.cdist(points, _points(references[start : start + step])).min(dim=1)
        closer = distances < smallest
        smallest = torch.where(closer, distances, smallest)
        places = torch.where(closer, start + which, places)
    # By matrix products, distances near 0 are off by a hundredth; those found are computed again.
    return Nearest((points - _points(references[places])).norm(dim=1), places)


def pixel_diversity(images: Tensor) -> float:
    """Standard deviation over images of each pixel, mean over pixels; intensities in 0..1.

    0 if all images are the same: a collapsed generator.
    """
    return float(_points(images).std(dim=0, correction=0).mean())


def ink(images: Tensor) -> float:
    """Mean number of pixels that are not black; of a colour image, of values in all channels."""
    return float((_points(images) > 0).sum(dim=1).float().mean())


def classification_accuracy_score(
    samples: Tensor, labels: Tensor, test: Data, epochs: int = 10, seed: int = 0
) -> float:
    """Accuracy on data of a classifier that saw samples only (Ravuri & Vinyals, arXiv 1905.10887).

    Args:
        samples: [N, height, width] or [N, channels, height, width], uint8 or floating point in
            0..1. The classifier sees them, and the data, as 28x28 pixels in gray.
        labels: the class that each was meant to show, int64 [N].
        test: data to classify, see `firstspike.data.as_image_set`.
        epochs: passes over the samples.
        seed: of the classifier's weights and order.

    Returns:
        Share in 0..1 that a small convolutional network names right.
    """
    test = as_image_set(test, name="test")
    classes = 1 + int(max(labels.max(), test.labels.max()))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = FeatureNetwork(classes)
    train(network, samples, labels, epochs, seed)
    return _share(apply(network, test.images).argmax(dim=1) == test.labels)


class _Given(nn.Identity):
    """Tells torchmetrics that its "images" are features already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features


def _points(images: Tensor) -> Tensor:
    """Images as points in the space of their intensities: [N, values]."""
    return intensities(images).flatten(1)


def _radii(points: Tensor, *neighbours: int) -> list[Tensor]:
    """Squared distance from each point to its n-th nearest other one, [N], for each n asked for."""
    deepest = max(neighbours) + 1  # itself is the first
    parts = [
        squares.topk(deepest, dim=1, largest=False).values
        for _, squares in _squared_distances(points, points)
    ]
    ascending = torch.cat(parts)
    return [ascending[:, count] for count in neighbours]


def _squared_distances(points: Tensor, others: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Rows of the matrix of squared distances, some at a time, off by `_ROUNDING` at most."""
    rows_at_once = max(1, _CELLS // len(others))
    lengths = others.square().sum(dim=1)
    for start in range(0, len(points), rows_at_once):
        rows = slice(start, start + rows_at_once)
        part = points[rows]
        own = part.square().sum(dim=1, keepdim=True)
        yield rows, torch.addmm(own + lengths, part, others.t(), alpha=-2)


def _check_features(real: Tensor, fake: Tensor, at_least: int) -> None:
    for name, features in (("real", real), ("fake", fake)):
        if features.ndim != 2 or len(features) < at_least:
            shape = list(features.shape)
            raise ValueError(f"{name} must be [N, features], N at least {at_least}, got {shape}")
        if not features.isfinite().all():
            raise ValueError(f"{name} must be finite, but some features are not")
    if real.shape[1] != fake.shape[1]:
        raise ValueError(
            f"real and fake must have as many features, got {real.shape[1]} and {fake.shape[1]}"
        )


def _share(chosen: Tensor) -> float:
    return float(chosen.float().mean())
