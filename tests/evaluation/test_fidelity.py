"""Metrics of samples against naive twins, closed forms and cases that have one answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hand import AnyImages
from torch import Tensor
from torchmetrics.image.fid import FrechetInceptionDistance

import firstspike as fs
from firstspike.data import ImageSet
from firstspike.evaluation import fidelity


def normal(count: int, seed: int = 0, width: int = 4) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def test_frechet_distance_of_moved_and_stretched_normal_distributions():
    real = normal(500)
    assert fidelity.frechet_distance(real, real) == pytest.approx(0, abs=1e-6)
    moved = real + torch.tensor([3.0, 0, 0, 4.0])
    assert fidelity.frechet_distance(real, moved) == pytest.approx(25, rel=1e-5)
    # Covariances C and 4C: trace of C + 4C - 2 * 2C.
    centred = real - real.mean(dim=0)
    trace = float(centred.var(dim=0).sum())
    assert fidelity.frechet_distance(centred, 2 * centred) == pytest.approx(trace, rel=1e-5)


def test_frechet_distance_is_that_of_torchmetrics():
    rng = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(300, 8, generator=rng).double() * scale for scale in (1.0, 1.5))
    features = torch.nn.Identity()
    features.num_features = 8
    metric = FrechetInceptionDistance(feature=features).set_dtype(torch.float64)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    assert fidelity.frechet_distance(real, fake) == pytest.approx(float(metric.compute()))


def test_frechet_distance_does_not_depend_on_order_or_sides():
    a, b = normal(200, 1), normal(100, 2) * 1.5
    distance = fidelity.frechet_distance(a, b)
    assert fidelity.frechet_distance(b, a) == pytest.approx(distance)
    assert fidelity.frechet_distance(a.flip(0), b) == pytest.approx(distance)


def test_kernel_distance_is_the_unbiased_squared_mmd():
    real, fake = normal(40, 1), normal(40, 2) + 1
    wanted = naive_mmd(real.double().numpy(), fake.double().numpy())
    mean, sd = fidelity.kernel_distance(real, fake)
    assert mean == pytest.approx(wanted)  # each subset is the whole set
    assert sd == pytest.approx(0, abs=1e-6)


def test_kernel_distance_repeats_and_leaves_the_global_state():
    real, fake = normal(600, 1), normal(600, 2)
    state = torch.get_rng_state()
    first = fidelity.kernel_distance(real, fake, seed=1)
    assert fidelity.kernel_distance(real, fake, seed=1) == first
    assert fidelity.kernel_distance(real, fake, seed=2) != first
    assert torch.equal(state, torch.get_rng_state())
    assert abs(first.mean) < 3 * first.sd


def naive_mmd(x: np.ndarray, y: np.ndarray) -> float:
    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    count = len(x)
    within = sum(
        (k.sum() - np.trace(k)) / (count * (count - 1)) for k in map(kernel, (x, y), (x, y))
    )
    return within - 2 * kernel(x, y).mean()


@pytest.mark.parametrize("cells", [1, 150, 10_000])
def test_neighbourhoods_match_their_definitions(monkeypatch, cells):
    monkeypatch.setattr(fidelity, "_CELLS", cells)
    real, fake = normal(30, 1), normal(20, 2) + 0.5
    found = fidelity.neighbourhoods(real, fake)
    assert found == pytest.approx(naive_neighbourhoods(real, fake), abs=1e-6)


def naive_neighbourhoods(real: Tensor, fake: Tensor) -> tuple[float, ...]:
    def distance(a: Tensor, b: Tensor) -> float:
        return float((a.double() - b.double()).square().sum().sqrt())

    def radius(points: Tensor, index: int, neighbours: int) -> float:
        others = [distance(points[index], p) for n, p in enumerate(points) if n != index]
        return sorted(others)[neighbours - 1]

    def inside(points: Tensor, balls: Tensor, neighbours: int) -> np.ndarray:
        """[points, balls]: whether a point lies in a ball."""
        radii = [radius(balls, index, neighbours) for index in range(len(balls))]
        pairs = [[distance(p, b) <= r for b, r in zip(balls, radii, strict=True)] for p in points]
        return np.array(pairs)

    precision = inside(fake, real, 3).any(axis=1).mean()
    recall = inside(real, fake, 3).any(axis=1).mean()
    wide = inside(fake, real, 5)
    return precision, recall, wide.sum() / (5 * len(fake)), wide.any(axis=0).mean()


def test_neighbourhoods_tell_far_collapsed_and_equal_sets():
    real = normal(50)
    assert fidelity.neighbourhoods(real, real + 100) == (0, 0, 0, 0)
    same = fidelity.neighbourhoods(real, real)
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    assert same.density == pytest.approx(1.2)  # itself and its five neighbours' balls, on average
    collapsed = fidelity.neighbourhoods(real, real[:1].expand(50, 4))
    assert collapsed.precision == 1
    assert collapsed.recall == pytest.approx(1 / 50)  # balls of no size around one real


@pytest.mark.parametrize(
    "measure", [fidelity.frechet_distance, fidelity.kernel_distance, fidelity.neighbourhoods]
)
def test_features_that_do_not_fit(measure):
    real = normal(10)
    for arguments, wanted in (
        ((real, normal(1)), "fake must be"),
        ((real[0], real), "real must be"),
        ((real, normal(10, width=3)), "as many features"),
        ((real, real * torch.inf), "fake must be finite"),
    ):
        with pytest.raises(ValueError, match=wanted):
            measure(*arguments)


@pytest.fixture(params=[(3, 8000), (1000, 1), (1000, 10**7)])
def chunks(request, monkeypatch):
    """Few images at a time, few references at a time, and all at once."""
    monkeypatch.setattr(fidelity, "_ROWS", request.param[0])
    monkeypatch.setattr(fidelity, "_CELLS", request.param[1])


def test_nearest_finds_copies(chunks):
    images = fs.load_mnist("train").images[:40]
    queries = torch.cat([images[5:9], 255 - images[:4]])
    found = fidelity.nearest(queries, images)
    flat = images.double().flatten(1).numpy() / 255
    distances = np.array(
        [
            [np.linalg.norm(query - other) for other in flat]
            for query in queries.double().flatten(1).numpy() / 255
        ]
    )
    wanted = torch.tensor(distances.min(axis=1)).float()
    torch.testing.assert_close(found.distances, wanted)
    assert found.places.tolist() == distances.argmin(axis=1).tolist()
    assert (found.distances[:4] == 0).all() and (found.distances[4:] > 5).all()


def test_the_nearest_are_the_originals_of_copies(chunks):
    images = fs.load_mnist("train").images[:40]
    queries = images[[7, 3, 30, 3]].clone()
    queries[:, 0, 0] = 200
    assert fidelity.nearest(queries, images).places.tolist() == [7, 3, 30, 3]


def test_images_in_colour_are_compared_in_all_channels():
    images = torch.zeros(2, 3, 4, 5)
    images[1, 2] = 0.5
    found = fidelity.nearest(images[1:], images[:1])
    assert found.distances.item() == pytest.approx((20 * 0.25) ** 0.5)
    assert fidelity.ink(images) == 10
    assert fidelity.pixel_diversity(images) == pytest.approx(0.25 / 3)


@pytest.mark.parametrize("shape", [(2, 5, 4), (2, 3, 4, 5), (0, 4, 5)])
def test_references_of_another_size_are_refused(shape):
    with pytest.raises(ValueError, match=r"^references must be \[M, 4, 5\], not empty"):
        fidelity.nearest(torch.zeros(1, 4, 5), torch.zeros(shape))


def test_many_samples_are_compared_in_bounded_memory(monkeypatch):
    sizes = {"cdist": [], "addmm": []}

    def watch(name):
        make = getattr(torch, name)

        def watched(*arguments, **options):
            found = make(*arguments, **options)
            sizes[name].append(found.numel())
            return found

        monkeypatch.setattr(torch, name, watched)

    for name in sizes:
        watch(name)
    monkeypatch.setattr(fidelity, "_CELLS", 20_000)
    fidelity.neighbourhoods(normal(1500, 1), normal(1500, 2))
    images = torch.rand(1500, 4, 4, generator=torch.Generator().manual_seed(0))
    fidelity.nearest(images, images)
    assert all(10_000 < max(seen) <= 20_000 for seen in sizes.values())


def test_equal_points_are_in_balls_of_no_size_wherever_they_lie():
    real = (normal(50, width=64) * 1e-3 + 1000).repeat_interleave(6, 0)
    assert fidelity.neighbourhoods(real, real) == pytest.approx((1, 1, 1.2, 1))
    none = fidelity.neighbourhoods(real, real + 1e-4)
    assert none == (0, 0, 0, 0)


def test_pixel_statistics_by_hand():
    images = torch.zeros(2, 28, 28)
    images[1, 0, :14] = 1.0  # 14 pixels differ, with a standard deviation of 1/2
    assert fidelity.pixel_diversity(images) == pytest.approx(14 * 0.5 / 784)
    assert fidelity.ink(images) == pytest.approx(7)
    assert fidelity.pixel_diversity((images * 255).byte()) == pytest.approx(14 * 0.5 / 784)
    assert fidelity.pixel_diversity(images[:1].expand(5, 28, 28)) == 0


def test_classification_accuracy_score_rewards_right_labels():
    train, test = fs.load_mnist("train"), fs.load_mnist("test")
    part = ImageSet(test.images[:500], test.labels[:500], "part")
    images, labels = train.images[:1000], train.labels[:1000]
    right = fidelity.classification_accuracy_score(images, labels, part, epochs=5)
    wrong = fidelity.classification_accuracy_score(images, (labels + 1) % 10, part, epochs=5)
    assert right > 0.5 > 0.2 > wrong
    assert fidelity.classification_accuracy_score(images, labels, part, epochs=5) == right


def test_classification_accuracy_score_takes_any_classes_and_sizes():
    count, classes = 300, 12
    images = torch.zeros(count, 3, 16, 12)
    labels = torch.arange(count) % classes
    images[torch.arange(count), labels % 3, :, labels] = 1.0
    test = AnyImages((images[:60] * 255).byte(), labels[:60], tuple("abcdefghijkl"))
    score = fidelity.classification_accuracy_score(images, labels, test, epochs=10)
    assert score > 0.5


def test_frechet_distance_is_never_negative():
    few = torch.rand(5, 64, generator=torch.Generator().manual_seed(0))
    assert 0 <= fidelity.frechet_distance(few, few) < 1e-5
    assert fidelity.frechet_distance(few.new_ones(5, 8), few.new_ones(5, 8)) == 0
