"""How close samples come to data: features -> statistics -> metrics.

Distances compare two sets as a whole, neighbourhoods tell faithful from varied, and the rest are
plain statistics of pixels. Samples, data and floor (data against other data) must have the same
number of images, on which all of these depend.

Features are those of `firstspike.evaluation.features.extract`, so figures compare with each other
and not with those that other networks give.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from firstspike.data import ImageSet
from firstspike.evaluation.features import FeatureNetwork, apply, as_batch, train

PRECISION_NEIGHBOURS = 3  # of Kynkaanniemi et al.
COVERAGE_NEIGHBOURS = 5  # of Naeem et al.
_CHUNK = 1000  # rows of a matrix of distances at a time
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


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Fréchet distance of two sets of features (Heusel et al., arXiv 1706.08500).

    The squared distance between normal distributions of the same means and covariances.

    Args:
        real: [N, features], N at least 2.
        fake: [M, features], M at least 2.

    Raises:
        ValueError: the features do not fit.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance  # takes a second to import

    _check_features(real, fake, 2)
    metric = FrechetInceptionDistance(feature=_Given(real.shape[1]))
    metric.set_dtype(torch.float64)
    metric.update(real.double(), real=True)
    metric.update(fake.double(), real=False)
    return float(metric.compute())


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
    around_real = _radii(real, PRECISION_NEIGHBOURS)
    around_fake = _radii(fake, PRECISION_NEIGHBOURS)
    wide = _radii(real, COVERAGE_NEIGHBOURS)
    inside_real = torch.zeros(len(fake), dtype=torch.bool)
    recalled, covered, balls = [], [], 0
    for rows, distances in _distances(real, fake):
        inside_real |= (distances <= around_real[rows, None]).any(dim=0)
        recalled.append((distances <= around_fake).any(dim=1))
        within = distances <= wide[rows, None]
        covered.append(within.any(dim=1))
        balls += int(within.sum())
    return Neighbourhoods(
        precision=_share(inside_real),
        recall=_share(torch.cat(recalled)),
        density=balls / (COVERAGE_NEIGHBOURS * len(fake)),
        coverage=_share(torch.cat(covered)),
    )


def nearest_distances(images: Tensor, references: Tensor) -> Tensor:
    """Euclidean distance, in pixels of 0..1, from each image to the nearest reference.

    Samples that are nearer to the training images than unseen data are copies of them.

    Args:
        images: [N, 28, 28], uint8 or floating point in 0..1.
        references: [M, 28, 28], likewise.

    Returns:
        float32 [N].
    """
    queries, points = as_batch(images).flatten(1), as_batch(references).flatten(1)
    return torch.cat([torch.cdist(part, points).amin(dim=1) for part in queries.split(_CHUNK)])


def nearest_images(images: Tensor, references: Tensor) -> Tensor:
    """The references that are nearest to the images, in their order; arguments as above."""
    queries, points = as_batch(images).flatten(1), as_batch(references).flatten(1)
    parts = [torch.cdist(part, points).argmin(dim=1) for part in queries.split(_CHUNK)]
    return references[torch.cat(parts)]


def pixel_diversity(images: Tensor) -> float:
    """Standard deviation over images of each pixel, mean over pixels; intensities in 0..1.

    0 if all images are the same: a collapsed generator.
    """
    return float(as_batch(images).flatten(1).std(dim=0, correction=0).mean())


def ink(images: Tensor) -> float:
    """Mean number of pixels that are not black."""
    return float((as_batch(images) > 0).flatten(1).sum(dim=1).float().mean())


def classification_accuracy_score(
    samples: Tensor, labels: Tensor, test: ImageSet, epochs: int = 10, seed: int = 0
) -> float:
    """Accuracy on data of a classifier that saw samples only (Ravuri & Vinyals, arXiv 1905.10887).

    Args:
        samples: [N, 28, 28], uint8 or floating point in 0..1.
        labels: the digit that each was meant to show, int64 [N].
        test: data to classify.
        epochs: passes over the samples.
        seed: of the classifier's weights and order.

    Returns:
        Share in 0..1 that a small convolutional network names right.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = FeatureNetwork()
    train(network, samples, labels, epochs, seed)
    return _share(apply(network, test.images).argmax(dim=1) == test.labels)


class _Given(nn.Identity):
    """Tells torchmetrics that its "images" are features already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features


def _radii(points: Tensor, neighbours: int) -> Tensor:
    """Distance from each point to its n-th nearest other point: [N]."""
    nearest = [
        distances.topk(neighbours + 1, dim=1, largest=False).values[:, -1]  # itself is the first
        for _, distances in _distances(points, points)
    ]
    return torch.cat(nearest)


def _distances(points: Tensor, others: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Rows of the matrix of distances, some at a time. Exact, so that equal points have 0."""
    for start in range(0, len(points), _CHUNK):
        rows = slice(start, start + _CHUNK)
        mode = "donot_use_mm_for_euclid_dist"
        yield rows, torch.cdist(points[rows].double(), others.double(), compute_mode=mode)


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
