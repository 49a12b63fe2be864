"""Images and labels in every form that people have them in are the same `ImageSet`."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    default_collate,
)

import firstspike as fs
from firstspike.data import ImageSet, as_image_set, augment

GRAY = torch.arange(3 * 4 * 5, dtype=torch.uint8).view(3, 4, 5) * 4
COLOUR = torch.arange(3 * 3 * 4 * 5, dtype=torch.uint8).view(3, 3, 4, 5)
LABELS = torch.tensor([0, 2, 1])


def zip_(*rows):
    return zip(*rows, strict=True)


class Items(Dataset):
    """What somebody else's data set looks like."""

    classes = ("cat", "dog", "owl")

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, number):
        return self.items[number]


class Stream(IterableDataset):
    def __init__(self, items):
        self.items = items

    def __iter__(self):
        return iter(self.items)


def pictures(images: torch.Tensor) -> list:
    return [(Image.fromarray(image.numpy()), int(n)) for image, n in zip_(images, LABELS)]


GRAY_FORMS = {
    "set": ImageSet(GRAY, LABELS, "own"),
    "tensors": (GRAY, LABELS),
    "arrays": [GRAY.numpy(), LABELS.numpy().astype(np.int32)],
    "floats": (GRAY.double() / 255, LABELS),
    "half": (GRAY.half() / 255, LABELS.int()),
    "channels first": (GRAY.unsqueeze(1), LABELS),
    "channels last": (GRAY.unsqueeze(-1), LABELS),
    "data set": Items([(image, int(n)) for image, n in zip_(GRAY, LABELS)]),
    "as of torchvision": Items([(image[None].float() / 255, n) for image, n in zip_(GRAY, LABELS)]),
    "pictures": Items(pictures(GRAY)),
    "tensor data set": TensorDataset(GRAY, LABELS),
    "part": Subset(TensorDataset(GRAY.repeat(2, 1, 1), LABELS.repeat(2)), [3, 4, 5]),
    "joined": ConcatDataset([ImageSet(GRAY[n:m], LABELS[n:m], "x") for n, m in ((0, 1), (1, 3))]),
    "loader": DataLoader(ImageSet(GRAY, LABELS, "own"), 2),
    "stream": Stream([(image, int(n)) for image, n in zip_(GRAY, LABELS)]),
    "loader of a stream": DataLoader(Stream(list(zip_(GRAY.float() / 255, LABELS))), 2),
}  # fmt: skip


@pytest.mark.parametrize("form", GRAY_FORMS)
def test_gray_images(form):
    found = as_image_set(GRAY_FORMS[form])
    assert torch.equal(found.images, GRAY) and torch.equal(found.labels, LABELS)
    assert found.shape.image == (4, 5)


@pytest.mark.parametrize(
    "data",
    [
        (COLOUR, LABELS),
        (COLOUR.movedim(1, 3), LABELS),
        (COLOUR.float().div(255).numpy(), LABELS),
        Items(pictures(COLOUR.movedim(1, 3))),
    ],
)
def test_images_in_colour(data):
    found = as_image_set(data)
    assert torch.equal(found.images, COLOUR) and found.shape.image == (3, 4, 5)


def test_names_of_classes():
    items = Items(pictures(GRAY))
    assert as_image_set(items).names == Items.classes
    assert as_image_set(DataLoader(Subset(items, [0, 1]), collate_fn=_as_tensors)).names[2] == "owl"
    assert as_image_set((GRAY, LABELS), names="xyz").names == ("x", "y", "z")
    assert as_image_set((GRAY, LABELS)).names == ("0", "1", "2")


def _as_tensors(batch):
    return default_collate([(np.array(image), label) for image, label in batch])


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ("pictures", "held_out must be a Dataset or DataLoader"),
        ((GRAY, LABELS, LABELS), "held_out must be a Dataset or DataLoader"),
        ((GRAY.long(), LABELS), "held_out: images must be uint8 or .* got torch.int64"),
        ((GRAY.float(), LABELS), r"held_out: images of floating point must lie in 0\.\.1"),
        ((GRAY / 0.0, LABELS), r"held_out: images of floating point must lie in 0\.\.1"),
        ((GRAY.flatten(1), LABELS), r"held_out: images must be \[N, H, W\].*got \[3, 20\]"),
        ((COLOUR[:, :2], LABELS), r"held_out: images must be .* got \[3, 2, 4, 5\]"),
        ((GRAY, LABELS[:2]), r"held_out: labels must be int64 \[3\]"),
        ((GRAY, LABELS.float()), "held_out: labels must be whole numbers"),
        ((GRAY, LABELS - 1), "held_out: labels must not be negative"),
        ((GRAY[:0], LABELS[:0]), "held_out: images must hold at least one"),
        (Items([]), "held_out must hold at least one image"),
        (Items([GRAY[0]]), "held_out must give pairs"),
        (Items([(GRAY[0], 0), (GRAY[1, 1:], 1)]), "held_out must have images of one size"),
        (Items([(GRAY[0], 0), (COLOUR[1], 1)]), "held_out cannot be joined"),
        (Items([("cat", 0)]), "held_out: str is no tensor"),
    ],
)  # fmt: skip
def test_what_is_no_set_of_images(data, fault):
    with pytest.raises(ValueError, match=fault):
        as_image_set(data, name="held_out")


def test_an_image_set_is_a_data_set():
    images = fs.load_mnist("test")
    image, label = images[3]
    assert image.dtype == torch.uint8 and image.shape == (28, 28) and label == 0
    batch, labels = next(iter(DataLoader(images, 50)))
    assert torch.equal(batch, images.images[:50]) and torch.equal(labels, images.labels[:50])
    with pytest.raises(IndexError):
        images[len(images)]


def test_transforms_compose():
    images = torch.rand(4, 1, 6, 6, generator=torch.Generator().manual_seed(0))

    def noisy(image):
        return (image + torch.rand(1)).clamp(0, 1)

    row = augment.compose("shift", augment.compose(augment.Flip(1.0)), augment.Each(noisy))
    assert [type(one).__name__ for one in row.transforms] == ["Shift", "Flip", "Each"]
    rng = torch.Generator().manual_seed(1)
    again, before = copy.deepcopy(rng.get_state()), torch.get_rng_state()
    changed = row(images, rng)
    assert changed.shape == images.shape and not torch.equal(changed, images)
    assert torch.equal(row(images, torch.Generator().set_state(again)), changed)
    assert torch.equal(torch.get_rng_state(), before)
    assert row(images, rng).ne(changed).any()
    for wrong in ("nothing", 3):
        with pytest.raises(ValueError, match=r"augment must be one of|transforms must be"):
            augment.compose(wrong)


@pytest.mark.parametrize("form", ["tensors", "loader"])
def test_measures_take_them(form):
    from firstspike.evaluation.classifiers import evaluate_ann, evaluate_classifier
    from firstspike.evaluation.networks import evaluate_network
    from firstspike.models import ann_classifier, classifier
    from firstspike.models.networks import spiking

    own = as_image_set(GRAY_FORMS[form])
    ramps, steps, dense = (
        spiking("4", own.shape).eval(),
        classifier(4, 3, 20),
        ann_classifier(4, 3, 20),
    )
    for measure in (
        lambda data: evaluate_network(ramps, data, 64).count,
        lambda data: evaluate_classifier(steps, data).count,
        lambda data: evaluate_ann(dense, data)["count"],
    ):
        assert measure(GRAY_FORMS[form]) == len(own)
        with pytest.raises(ValueError, match="images must be a Dataset"):
            measure(GRAY)
