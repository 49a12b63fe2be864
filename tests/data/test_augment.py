"""Random changes of images: each against a plain loop or a case that can be seen by eye."""

from __future__ import annotations

import pytest
import torch

from firstspike.coding import encode
from firstspike.data import augment
from firstspike.data.augment import Affine, CutOut, Flip, Jitter, Shift

IMAGES = torch.randint(256, (40, 9, 7), generator=torch.Generator().manual_seed(0)).byte()
COLOUR = torch.randint(256, (6, 3, 8, 8), generator=torch.Generator().manual_seed(1)).byte()


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def moved(image: torch.Tensor, down: int, right: int) -> torch.Tensor:
    """A plain loop: pixel (y, x) goes to (y + down, x + right)."""
    result = torch.zeros_like(image)
    for y in range(image.shape[-2]):
        for x in range(image.shape[-1]):
            if 0 <= y + down < image.shape[-2] and 0 <= x + right < image.shape[-1]:
                result[..., y + down, x + right] = image[..., y, x]
    return result


@pytest.mark.parametrize("name", augment.PRESETS)
@pytest.mark.parametrize("images", [IMAGES, COLOUR], ids=["gray", "colour"])
def test_presets_give_pixels_of_the_same_size(name, images):
    before = images.clone()
    changed = augment.preset(name)(images, rng())
    assert changed.dtype == torch.float32
    assert changed.shape == (images.unsqueeze(1) if images.ndim == 3 else images).shape
    assert torch.equal(changed, (changed * 255).round() / 255)
    assert changed.min() >= 0 and changed.max() <= 1
    assert torch.equal(images, before)
    assert torch.equal(changed, augment.preset(name)(images, rng()))
    assert torch.equal(changed, augment.preset(name)(images.float() / 255, rng()))
    assert (name == "none") == torch.equal(changed, augment.preset(name)(images, rng(1)))


def test_none_keeps_spike_times():
    changed = augment.preset("none")(IMAGES, rng()).squeeze(1)
    for t_max in (1, 64, 256, 4096):
        assert torch.equal(encode(changed, t_max), encode(IMAGES, t_max))


def test_shift_moves_whole_pixels_and_reaches_all_places():
    images = COLOUR[:1].expand(200, -1, -1, -1).float()
    places = {
        (down, right): moved(images[0], down, right)
        for down in (-2, -1, 0, 1, 2)
        for right in (-2, -1, 0, 1, 2)
    }
    found = [
        next(place for place, wanted in places.items() if torch.equal(image, wanted))
        for image in Shift(2)(images, rng())
    ]
    assert set(found) == set(places)


def test_flip_mirrors_a_share():
    images = COLOUR[:1].expand(200, -1, -1, -1).float()
    changed = Flip()(images, rng())
    mirrored = (changed == images.flip(-1)).flatten(1).all(1)
    assert torch.equal(changed[~mirrored], images[~mirrored])
    assert 70 < mirrored.sum() < 130
    assert torch.equal(Flip(1)(images, rng()), images.flip(-1))


@pytest.mark.parametrize("size", [0, 3, 4])
def test_cut_out_blackens_one_square(size):
    holes = CutOut(size)(torch.ones(300, 2, 9, 9), rng()) == 0
    assert torch.equal(holes[:, 0], holes[:, 1])
    rows, columns = holes[:, 0].any(2).sum(1), holes[:, 0].any(1).sum(1)
    assert torch.equal(holes[:, 0].sum((1, 2)), rows * columns)
    assert int(rows.max()) == int(columns.max()) == size


def test_affine_of_nothing_changes_nothing():
    images = COLOUR.float() / 255
    assert torch.allclose(Affine()(images, rng()), images, atol=1e-6)


def test_affine_turns_by_angles_up_to_the_largest():
    line = torch.zeros(400, 1, 41, 41)
    line[:, :, 20, :] = 1  # a horizontal line through the middle
    turned = Affine(rotate=20)(line, rng())[:, 0]
    heights = (turned * torch.arange(41.0).view(1, -1, 1)).sum(1) / turned.sum(1)
    slope = (heights[:, 30] - heights[:, 10]) / 20
    angles = slope.atan().rad2deg()
    assert 17 < angles.max() < 21 and -21 < angles.min() < -17


def test_affine_scales_and_moves_within_its_limits():
    square = torch.zeros(400, 1, 40, 40)
    square[:, :, 10:30, 10:30] = 1
    area = Affine(scale=0.2)(square, rng()).sum((1, 2, 3)) / 400
    assert 1 / 1.2**2 - 0.02 < area.min() < 0.8
    assert 1.3 < area.max() < 1 / 0.8**2 + 0.02
    dropped = Affine(shift=3)(square, rng())[:, 0]
    middle = (dropped.sum(2) * torch.arange(40.0)).sum(1) / dropped.sum((1, 2)) - 19.5
    assert 2.7 < middle.max() < 3.01 and -3.01 < middle.min() < -2.7


def test_jitter_moves_spikes_and_keeps_silence():
    times = encode(IMAGES, 64)
    times[:, 0] = 64
    moved_times = Jitter(2.0, 64)(times, rng())
    assert (moved_times[:, 0] == 64).all()
    assert 0 < (moved_times - times).abs().max() < 12


def test_a_transform_of_ones_own():
    def inverted(images, rng):
        return 1 - images

    augment.register("negative", inverted, Shift(0))
    try:
        changed = augment.preset("negative")(IMAGES, rng())
        assert torch.equal((changed * 255).round().byte().squeeze(1), 255 - IMAGES)
        with pytest.raises(ValueError, match="name: there is an augmentation 'negative' already"):
            augment.register("negative")
    finally:
        del augment.PRESETS["negative"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: augment.preset("blur"), "augment must be one of none, shift, affine"),
        (lambda: Shift(-1), "pixels must be"),
        (lambda: Shift(1.5), "pixels must be"),
        (lambda: Affine(rotate=float("nan")), "rotate must be"),
        (lambda: Affine(scale=1), "scale must be below 1"),
        (lambda: Flip(1.5), "share must lie"),
        (lambda: CutOut(-2), "size must be"),
        (lambda: augment.preset("none")(IMAGES[0], rng()), r"images must be a tensor .* \[9, 7\]"),
        (lambda: augment.preset("none")(IMAGES.long(), rng()), "images must be uint8"),
        (lambda: augment.preset("none")(IMAGES.numpy(), rng()), "images must be a tensor"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
