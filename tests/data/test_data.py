"""Data sets: the bundled MNIST, IDX folders, picture folders, and every kind of bad input."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import struct
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from idx import idx_bytes
from PIL import Image

from firstspike.data import (
    ImageSet,
    bundled,
    divide,
    emnist,
    load_images,
    load_mnist,
    pictures,
    read_idx,
    split_validation,
)

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 28, 28), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2], dtype=np.uint8)
TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def write(file: Path, content: np.ndarray | bytes) -> None:
    content = content if isinstance(content, bytes) else idx_bytes(content)
    file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)


def write_pair(folder: Path, prefix: str = "train", suffix: str = "") -> None:
    write(folder / f"{prefix}-images-idx3-ubyte{suffix}", IMAGES)
    write(folder / f"{prefix}-labels-idx1-ubyte{suffix}", LABELS)


def write_picture(file: Path, gray: int = 250, size: tuple[int, int] = (40, 30)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, gray).save(file)


def error_of(path: Path, split: str = "train") -> str:
    """The message of the one ValueError that loading raises; it must be a single line."""
    with pytest.raises(ValueError) as caught:
        load_images(path, split)
    message = str(caught.value)
    assert "\n" not in message
    return message


def image_set(labels: list[int]) -> ImageSet:
    """Images whose first pixel is their place in the set."""
    images = torch.zeros(len(labels), 28, 28, dtype=torch.uint8)
    images[:, 0, 0] = torch.arange(len(labels))
    return ImageSet(images, torch.tensor(labels), "some")


# Image sets


def test_select_keeps_one_class_in_order():
    chosen = image_set([3, 1, 3]).select(3)
    assert len(chosen) == 2
    assert chosen.labels.tolist() == [3, 3]
    assert chosen.images[:, 0, 0].tolist() == [0, 2]
    assert chosen.name == "some-3"


def test_select_of_an_absent_class_names_the_present_ones():
    with pytest.raises(ValueError, match=r"digit 7 .*some.* classes are 1, 3"):
        image_set([3, 1, 3]).select(7)


@pytest.mark.parametrize(
    ("images", "labels", "name"),
    [
        (torch.zeros(2, 28, 28), torch.zeros(2, dtype=torch.int64), "images"),
        (torch.zeros(2, 784, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), "images"),
        (torch.zeros(2, 4, 8, 8, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), "images"),
        (torch.zeros(0, 28, 28, dtype=torch.uint8), torch.zeros(0, dtype=torch.int64), "images"),
        (torch.zeros(2, 28, 28, dtype=torch.uint8), torch.zeros(2), "labels"),
        (torch.zeros(2, 28, 28, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64), "labels"),
        (torch.zeros(2, 28, 28, dtype=torch.uint8), torch.tensor([0, -1]), "labels"),
    ],
)
def test_an_image_set_validates_itself(images, labels, name):
    with pytest.raises(ValueError, match=f"^{name} "):
        ImageSet(images, labels, "bad")


# The bundled MNIST


@pytest.mark.parametrize(
    ("split", "size", "first_labels"),
    [("train", 60_000, [5, 0, 4, 1, 9]), ("test", 10_000, [7, 2, 1, 0, 4])],
)
def test_mnist_is_bundled_and_cached(split, size, first_labels):
    mnist = load_mnist(split)
    assert len(mnist) == size
    assert mnist.labels[:5].tolist() == first_labels
    assert mnist.classes == list(range(10))
    assert mnist.name == f"mnist-{split}"
    assert load_images(None, split) is mnist


def test_mnist_has_its_known_mean():
    assert load_mnist("train").images.float().mean().item() == pytest.approx(33.3184, abs=1e-3)


def test_a_tampered_bundle_is_refused(tmp_path, monkeypatch):
    content = bytearray(bundled.MNIST_FILE.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "mnist.npz").write_bytes(content)
    monkeypatch.setattr(bundled, "MNIST_FILE", tmp_path / "mnist.npz")
    with pytest.raises(ValueError, match=r"mnist\.npz.*reinstall"):
        load_mnist("train")


def test_a_missing_bundle_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(bundled, "MNIST_FILE", tmp_path / "none.npz")
    with pytest.raises(ValueError, match=r"none\.npz.*reinstall"):
        load_mnist("test")


@pytest.mark.parametrize("load", [load_mnist, lambda split: load_images(".", split)])
def test_an_unknown_split_is_refused(load):
    with pytest.raises(ValueError, match="split must be 'train' or 'test', got 'val'"):
        load("val")


def test_the_bundling_tool_writes_the_same_bytes_twice(tmp_path):
    tool = Path(__file__).parents[2] / "tools" / "bundle_mnist.py"
    spec = importlib.util.spec_from_file_location("bundle_mnist", tool)
    bundle = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bundle)
    write_pair(tmp_path, "train")
    write_pair(tmp_path, "t10k")
    hashes = set()
    for name in ("a.npz", "b.npz"):
        bundle.write_npz(tmp_path / name, bundle.read_arrays(tmp_path))
        hashes.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(hashes) == 1
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["test_images", "test_labels", "train_images", "train_labels"]
        assert np.array_equal(arrays["train_images"], IMAGES)


# IDX folders


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(("prefix", "split"), [("train", "train"), ("t10k", "test")])
def test_idx_pairs_load_plain_and_packed(tmp_path, prefix, split, suffix):
    write_pair(tmp_path, prefix, suffix)
    loaded = load_images(str(tmp_path), split)
    assert np.array_equal(loaded.images.numpy(), IMAGES)
    assert loaded.labels.tolist() == LABELS.tolist()
    assert loaded.name == f"{tmp_path.name}-{split}"


def test_a_plain_file_goes_before_its_packed_twin(tmp_path):
    write_pair(tmp_path)
    (tmp_path / f"{TRAIN_IMAGES}.gz").write_bytes(b"left over")
    assert len(load_images(tmp_path)) == 6


@pytest.mark.parametrize("split", ["train", "test"])
def test_emnist_is_turned_upright(tmp_path, split):
    write_pair(tmp_path, f"emnist-letters-{split}", ".gz")
    loaded = load_images(tmp_path, split)
    assert np.array_equal(loaded.images.numpy(), IMAGES.transpose(0, 2, 1))
    assert loaded.name == f"emnist-letters-{split}"


def digits(folder: Path, images: np.ndarray, labels: np.ndarray, name: str = "train") -> None:
    folder.mkdir()
    write(folder / f"{name}-images-idx3-ubyte", images)
    write(folder / f"{name}-labels-idx1-ubyte", labels)


@pytest.mark.parametrize("chosen", [range(10), [1], [0, 8], [2, 5]])
def test_emnist_without_its_prefix_is_known_by_its_digits(tmp_path, chosen):
    mnist = load_mnist("test")
    labels = mnist.labels.numpy().astype(np.uint8)
    some = np.flatnonzero(np.isin(labels, list(chosen)))[:60]
    images, labels = mnist.images.numpy()[some], labels[some]
    digits(tmp_path / "upright", images, labels)
    assert np.array_equal(load_images(tmp_path / "upright").images.numpy(), images)  # no warning
    digits(tmp_path / "turned", images.transpose(0, 2, 1), labels)
    if list(chosen) == [0, 8]:  # zeros look the same
        return
    with pytest.warns(UserWarning, match="turned: taken for EMNIST.*turned upright"):
        loaded = load_images(tmp_path / "turned")
    assert np.array_equal(loaded.images.numpy(), images)


def test_emnist_is_known_by_a_part_the_folder_or_the_count(tmp_path, monkeypatch):
    digits(tmp_path / "a", IMAGES, LABELS, "letters-train")
    digits(tmp_path / "EMNIST", IMAGES, LABELS)
    digits(tmp_path / "c", IMAGES, LABELS)
    monkeypatch.setattr(emnist, "COUNTS", {len(IMAGES): (2,)})
    wanted = IMAGES.transpose(0, 2, 1)
    assert np.array_equal(load_images(tmp_path / "a").images.numpy(), wanted)
    for name in ("EMNIST", "c"):
        with pytest.warns(UserWarning, match="taken for EMNIST"):
            assert np.array_equal(load_images(tmp_path / name).images.numpy(), wanted)


def test_what_is_left_out_of_pictures_is_told(tmp_path):
    for name in ("train/a/1.png", "train/b/2.png", "val/a/3.png", "train/.old/a.png"):
        write_picture(tmp_path / name)
    for name in ("train/a/4.heic", "train/b/5", "train/a/Thumbs.db", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "train/c").mkdir()
    with pytest.warns(UserWarning) as told:
        assert len(load_images(tmp_path)) == 2
    [message] = {str(one.message) for one in told}
    assert message.split("; ") == [
        f"left out: 2 files in {tmp_path}/train (.heic, no suffix)",
        f"{tmp_path}/train/c, which has no pictures",
        f"{tmp_path}/val, which is neither train nor test",
    ]


def test_links_to_folders_of_pictures_are_followed(tmp_path):
    write_picture(tmp_path / "elsewhere/1.png")
    write_picture(tmp_path / "data/b/2.png")
    (tmp_path / "data/a").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data/b/around").symlink_to(tmp_path / "data")
    loaded = load_images(tmp_path / "data")
    assert loaded.names == ("a", "b") and sorted(loaded.labels.tolist()) == [0, 1]


def test_several_sets_in_one_folder_are_ambiguous(tmp_path):
    write_pair(tmp_path, "emnist-letters-train")
    write_pair(tmp_path, "emnist-digits-train")
    assert "emnist-digits-train-images" in error_of(tmp_path)


def test_missing_idx_files_are_named(tmp_path):
    write_pair(tmp_path)
    assert "t10k-images-idx3-ubyte" in error_of(tmp_path, "test")
    (tmp_path / TRAIN_LABELS).unlink()
    assert TRAIN_LABELS in error_of(tmp_path)


def test_labels_of_another_set_do_not_count(tmp_path):
    write_pair(tmp_path, "emnist-digits-train")
    (tmp_path / "emnist-digits-train-labels-idx1-ubyte").rename(tmp_path / TRAIN_LABELS)
    assert "emnist-digits-train-labels-idx1-ubyte" in error_of(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        (TRAIN_IMAGES, b"", "truncated: 0 bytes"),
        (TRAIN_IMAGES, idx_bytes(IMAGES)[:15], "truncated: 15 bytes"),
        (TRAIN_IMAGES, idx_bytes(IMAGES)[:-1], "truncated: 4719 bytes"),
        (TRAIN_IMAGES, idx_bytes(IMAGES) + b"x", "too long: 4721 bytes"),
        (TRAIN_IMAGES, b"\x89PNG" + bytes(20), "wrong magic number 0x89504e47"),
        (TRAIN_IMAGES, idx_bytes(np.zeros(20, np.uint8)), "wrong magic number 0x00000801"),
        (
            TRAIN_IMAGES,
            struct.pack(">4I", 0x803, 6, 28, 1 << 31),
            "damaged: its header says 6 x 28",
        ),
        (TRAIN_IMAGES, idx_bytes(IMAGES[:0]), "6 labels for the 0 images"),
        (TRAIN_LABELS, b"", "truncated: 0 bytes"),
        (TRAIN_LABELS, idx_bytes(LABELS)[:-1], "truncated: 13 bytes"),
        (TRAIN_LABELS, idx_bytes(LABELS) + b"x", "too long: 15 bytes"),
        (TRAIN_LABELS, idx_bytes(IMAGES), "wrong magic number 0x00000803"),
        (TRAIN_LABELS, idx_bytes(LABELS[:5]), "5 labels for the 6 images"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_bad_idx_files_are_named_with_their_fault(tmp_path, name, content, complaint, suffix):
    write_pair(tmp_path, suffix=suffix)
    write(tmp_path / f"{name}{suffix}", content)
    message = error_of(tmp_path)
    assert str(tmp_path / name) in message
    assert complaint in message


def test_an_empty_pair_is_refused(tmp_path):
    write(tmp_path / TRAIN_IMAGES, IMAGES[:0])
    write(tmp_path / TRAIN_LABELS, LABELS[:0])
    assert "no images" in error_of(tmp_path)


@settings(deadline=None)
@given(content=st.binary(max_size=64))
def test_random_bytes_never_escape_as_another_error(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("idx") / "x.gz"
    whole = gzip.compress(idx_bytes(LABELS))
    for damaged in (content, whole[:-3] + content):
        if damaged == whole:
            continue
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"x\.gz: "):
            read_idx(file, "labels")


@pytest.mark.parametrize("cut", [5, 25, -9, -4])
def test_a_cut_gzip_file_is_refused(tmp_path, cut):
    write_pair(tmp_path, suffix=".gz")
    file = tmp_path / f"{TRAIN_IMAGES}.gz"
    file.write_bytes(file.read_bytes()[:cut])
    assert f"{TRAIN_IMAGES}.gz: corrupt or truncated gzip" in error_of(tmp_path)


def test_a_gzip_file_with_a_wrong_checksum_is_refused(tmp_path):
    write_pair(tmp_path, suffix=".gz")
    file = tmp_path / f"{TRAIN_IMAGES}.gz"
    content = bytearray(file.read_bytes())
    content[-6] ^= 1
    file.write_bytes(content)
    assert "corrupt" in error_of(tmp_path)


def test_a_folder_in_place_of_an_idx_file_is_refused(tmp_path):
    write_pair(tmp_path)
    (tmp_path / TRAIN_LABELS).unlink()
    (tmp_path / TRAIN_LABELS).mkdir()
    assert f"{TRAIN_LABELS}: cannot be read" in error_of(tmp_path)


# Picture folders


def test_sub_folders_are_classes_in_sorted_order(tmp_path):
    write_picture(tmp_path / "b" / "2.png", 20)
    write_picture(tmp_path / "b" / "1.BMP", 10)
    write_picture(tmp_path / "a" / "1.png", 30)
    (tmp_path / "a" / "notes.txt").write_text("no picture")
    write_picture(tmp_path / ".thumbnails" / "1.png")
    loaded = load_images(tmp_path)
    assert loaded.labels.tolist() == [0, 1, 1]
    assert loaded.images[:, 14, 14].tolist() == [30, 10, 20]
    assert loaded.name == f"{tmp_path.name}-train"


@pytest.mark.parametrize("suffix", sorted(pictures.IMAGE_SUFFIXES))
def test_every_format_loads_as_one_class(tmp_path, suffix):
    write_picture(tmp_path / f"1{suffix}", 200)
    loaded = load_images(tmp_path)
    assert loaded.labels.tolist() == [0]
    assert abs(int(loaded.images[0, 14, 14]) - 200) <= 2


def test_transparency_is_black_and_16_bits_are_scaled(tmp_path):
    Image.new("RGBA", (28, 28), (255, 255, 255, 0)).save(tmp_path / "a.png")
    Image.fromarray(np.full((28, 28), 0x8000, np.uint16)).save(tmp_path / "b.png")
    with pytest.warns(UserWarning, match="1 of 2 pictures are black"):
        assert load_images(tmp_path).images[:, 0, 0].tolist() == [0, 128]


def test_pictures_of_the_right_size_are_kept_as_they_are(tmp_path):
    Image.fromarray(IMAGES[0]).save(tmp_path / "1.png")
    assert np.array_equal(load_images(tmp_path).images[0].numpy(), IMAGES[0])


def test_train_and_test_folders_are_splits_with_the_same_classes(tmp_path):
    for name in ("train/a/1.png", "train/b/1.png", "train/b/2.png", "test/b/1.png"):
        write_picture(tmp_path / name)
    assert load_images(tmp_path, "train").labels.tolist() == [0, 1, 1]
    assert load_images(tmp_path, "test").labels.tolist() == [1]


@pytest.mark.parametrize("name", ["1.png", "train/1.png"])
def test_a_folder_without_a_test_split_says_so(tmp_path, name):
    write_picture(tmp_path / name)
    assert len(load_images(tmp_path)) == 1
    message = error_of(tmp_path, "test")
    assert "no test split" in message
    assert str(tmp_path / "test") in message


def test_bad_picture_folders_are_named(tmp_path):
    assert f"{tmp_path / 'none'}: no such folder" in error_of(tmp_path / "none")
    assert f"{tmp_path}: neither IDX files nor pictures" in error_of(tmp_path)
    write_picture(tmp_path / "1.png")
    assert "no such folder" in error_of(tmp_path / "1.png")
    write_picture(tmp_path / "a" / "1.png")
    assert "beside and inside" in error_of(tmp_path)


@pytest.mark.parametrize("suffix", sorted(pictures.IMAGE_SUFFIXES))
@pytest.mark.parametrize("kept", [0, 4, 60])
def test_unreadable_pictures_are_named(tmp_path, suffix, kept):
    file = tmp_path / f"bad{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(file)
    file.write_bytes(file.read_bytes()[:kept])
    assert f"{file}: not a readable picture" in error_of(tmp_path)


# Validation split


@settings(deadline=None)
@given(
    # of 16 images, some class has 4, so that neither part is empty
    labels=st.lists(st.integers(0, 3), min_size=16, max_size=200),
    fraction=st.floats(0.2, 0.8),
    seed=st.integers(0, 2**32),
)
def test_a_split_is_stratified_complete_and_repeatable(labels, fraction, seed):
    whole = image_set(labels)
    train, validation = split_validation(whole, fraction, seed)
    for digit in whole.classes:
        assert (validation.labels == digit).sum() == round(fraction * labels.count(digit))
    places = [part.images[:, 0, 0].tolist() for part in (train, validation)]
    assert all(part == sorted(part) for part in places)
    assert sorted(places[0] + places[1]) == list(range(len(labels)))
    again = split_validation(whole, fraction, seed)
    assert torch.equal(again[1].images, validation.images)


@pytest.mark.parametrize(("share", "left"), [(0.01, "hold out"), (0.99, "train on")])
def test_a_split_that_leaves_nothing_names_the_option_that_asked_for_it(share, left):
    with pytest.raises(ValueError, match=f"validation: .*{share} of some leaves nothing to {left}"):
        divide(image_set([0, 1, 1]), share)


def test_another_seed_gives_another_split():
    whole = image_set([0] * 100)
    first, second = (split_validation(whole, 0.5, seed)[1].images for seed in (0, 1))
    assert not torch.equal(first, second)


def test_splits_are_named():
    names = [part.name for part in split_validation(image_set([0, 0]), 0.5, 0)]
    assert names == ["some-training", "some-validation"]


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 1.5, float("nan"), 0.01])
def test_a_split_with_an_empty_part_is_refused(fraction):
    with pytest.raises(ValueError, match="fraction"):
        split_validation(image_set([0, 1, 0, 1]), fraction, 0)


# Names, sizes, colours


def test_labels_with_gaps_are_names(tmp_path):
    write(tmp_path / TRAIN_IMAGES, IMAGES)
    write(tmp_path / TRAIN_LABELS, np.array([1, 26, 7, 7, 1, 26], np.uint8))
    write(tmp_path / "t10k-labels-idx1-ubyte", np.array([9], np.uint8))
    loaded = load_images(tmp_path)
    assert loaded.names == ("1", "7", "9", "26")
    assert loaded.labels.tolist() == [0, 3, 1, 1, 0, 3]
    assert loaded.present == ["1", "7", "26"]
    assert loaded.select(26).images.shape[0] == loaded.select("26").images.shape[0] == 2


def test_folders_are_sorted_by_number_and_by_name(tmp_path):
    for name in ("10", "9", "2", "tree", "cat"):
        write_picture(tmp_path / name / "1.png")
    assert load_images(tmp_path).names == ("2", "9", "10", "cat", "tree")


def test_sizes_and_colours_follow_the_pictures(tmp_path):
    for name, rgb in (("a", (200, 10, 30)), ("b", (5, 5, 5))):
        (tmp_path / name).mkdir()
        Image.new("RGB", (32, 24), rgb).save(tmp_path / name / "1.png")
    loaded = load_images(tmp_path)
    assert loaded.images.shape == (2, 3, 24, 32)
    assert loaded.images[:, :, 0, 0].tolist() == [[200, 10, 30], [5, 5, 5]]
    assert (loaded.shape.channels, loaded.shape.height, loaded.shape.width) == (3, 24, 32)
    assert load_images(tmp_path, size=16, colour="gray").images.shape == (2, 16, 16)


def test_pictures_deeper_down_belong_to_their_class(tmp_path):
    write_picture(tmp_path / "0" / "1.png")
    write_picture(tmp_path / "1" / "more" / "still" / "1.png")
    assert load_images(tmp_path).labels.tolist() == [0, 1]


def test_a_picture_is_turned_as_its_camera_was(tmp_path):
    pixels = np.zeros((28, 28), np.uint8)
    pixels[0] = 255
    picture = Image.fromarray(pixels)
    exif = picture.getexif()
    exif[0x0112] = 6  # to be turned clockwise
    picture.save(tmp_path / "1.png", exif=exif)
    assert load_images(tmp_path).images[0, :, -1].eq(255).all()


def test_black_ink_on_a_transparent_ground_is_ink(tmp_path):
    ink = Image.fromarray(IMAGES[0])
    Image.merge("LA", (Image.new("L", (28, 28)), ink)).save(tmp_path / "1.png")
    assert np.array_equal(load_images(tmp_path).images[0].numpy(), IMAGES[0])


def test_values_of_12_bits_are_scaled(tmp_path):
    Image.fromarray(np.full((28, 28), 0x0800, np.uint16)).save(tmp_path / "b.png")
    assert load_images(tmp_path).images[0, 0, 0] == 128


def test_nothing_but_black_pictures_is_refused(tmp_path):
    for name in ("1.png", "2.png"):
        write_picture(tmp_path / name, 0)
    assert "all 2 pictures are black" in error_of(tmp_path)


def test_dark_ink_on_a_transparent_ground_is_ink(tmp_path):
    ink, dark = Image.fromarray(IMAGES[0]), Image.new("L", (28, 28), 20)
    Image.merge("RGBA", (dark, dark, Image.new("L", (28, 28), 120), ink)).save(tmp_path / "1.png")
    assert torch.equal(load_images(tmp_path).images[0], torch.tensor(IMAGES[0]))


def test_one_depth_holds_for_all_pictures_of_a_folder(tmp_path):
    for name, value in (("bright", 0x8000), ("dim", 0x0200)):
        Image.fromarray(np.full((28, 28), value, np.uint16)).save(tmp_path / f"{name}.png")
    assert load_images(tmp_path).images[:, 0, 0].tolist() == [0x80, 0x02]


@pytest.mark.parametrize(("scale", "largest"), [(1 / 255, 255), (1.0, 200)])
def test_pictures_of_floating_point(tmp_path, scale, largest):
    values = np.linspace(0, 255 if scale < 1 else 200, 784).reshape(28, 28) * scale
    Image.fromarray(values.astype(np.float32)).save(tmp_path / "1.tif")
    assert load_images(tmp_path).images.max() == largest


@pytest.mark.parametrize(("gray", "told"), [(0, "black"), (255, "white")])
def test_blank_pictures_are_counted(tmp_path, gray, told):
    for name in ("1.png", "2.png"):
        write_picture(tmp_path / name, 99)
    write_picture(tmp_path / "3.png", gray)
    with pytest.warns(UserWarning, match=f"1 of 3 pictures are {told}"):
        load_images(tmp_path)
    for name in ("1.png", "2.png"):
        write_picture(tmp_path / name, gray)
    assert f"all 3 pictures are {told}" in error_of(tmp_path)


@pytest.mark.parametrize("form", ["pictures", "idx"])
def test_dark_ink_on_a_bright_ground_is_counted(tmp_path, form):
    mnist = load_mnist("train")
    images = mnist.images[:6].numpy().copy()
    images[:2] = 255 - images[:2]
    if form == "idx":
        write(tmp_path / "train-images-idx3-ubyte", images)
        write(tmp_path / "train-labels-idx1-ubyte", mnist.labels[:6].numpy().astype(np.uint8))
    else:
        for number, pixels in enumerate(images):
            Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    with pytest.warns(UserWarning, match="2 of 6 images have a bright ground; .* invert them"):
        found = load_images(tmp_path)
    assert np.array_equal(found.images.numpy(), images)


def test_large_pictures_are_decoded_one_at_a_time(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for number in range(6):
        pixels = rng.integers(0, 255, (70, 70, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    living, most, read = [], [0], pictures._read

    def watched(file):
        picture, count = read(file)
        living.append(weakref.ref(picture))
        most.append(sum(ref() is not None for ref in living))
        return picture, count

    monkeypatch.setattr(pictures, "_read", watched)
    for colour, sides in (("auto", (3, 28, 28)), ("gray", (28, 28))):
        assert load_images(tmp_path, colour=colour).images.shape == (6, *sides)
    assert len(living) == 6 + 6 + 1 and max(most) <= 3


@pytest.mark.parametrize(("name", "value"), [("size", 0), ("size", 10**5), ("colour", None)])
def test_odd_ways_of_reading_are_named(tmp_path, name, value):
    write_picture(tmp_path / "a.png")
    with pytest.raises(ValueError, match=f"^{name} must be"):
        load_images(tmp_path, **{name: value})


def test_files_of_several_pictures_are_counted(tmp_path):
    first, second = (Image.fromarray(image) for image in IMAGES[:2])
    first.save(tmp_path / "1.gif", save_all=True, append_images=[second])
    first.save(tmp_path / "2.png")
    with pytest.warns(UserWarning, match=r"but the first picture of 1 file with several.*1\.gif"):
        assert len(load_images(tmp_path)) == 2


def test_a_picture_is_known_by_its_content(tmp_path):
    Image.fromarray(IMAGES[0]).save(tmp_path / "1.jpg", "PNG")
    assert torch.equal(load_images(tmp_path).images[0], torch.tensor(IMAGES[0]))


def test_a_link_that_leads_nowhere_is_no_picture(tmp_path):
    write_picture(tmp_path / "1.png")
    (tmp_path / "2.png").symlink_to(tmp_path / "gone.png")
    assert "2.png: not a readable picture" in error_of(tmp_path)


def test_only_pictures_of_known_formats_are_decoded(tmp_path):
    (tmp_path / "1.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    assert "1.png: not a readable picture" in error_of(tmp_path)


def test_qmnist_labels_are_read_and_gzip_is_told_by_content(tmp_path):
    table = np.zeros((6, 8), ">i4")
    table[:, 0] = LABELS
    header = struct.pack(">3I", 0xC02, 6, 8)
    (tmp_path / "qmnist-train-labels-idx2-int.gz").write_bytes(header + table.tobytes())
    packed = gzip.compress(idx_bytes(IMAGES))
    (tmp_path / "qmnist-train-images-idx3-ubyte").write_bytes(packed)
    loaded = load_images(tmp_path)
    assert loaded.labels.tolist() == LABELS.tolist()
    assert np.array_equal(loaded.images.numpy(), IMAGES)


def test_a_folder_that_is_named_like_a_file(tmp_path):
    """As Kaggle has it: each file is also, or only, in a folder of its name."""
    (tmp_path / "files").mkdir()
    write_pair(tmp_path / "files")
    both, only = tmp_path / "both", tmp_path / "only"
    for file in sorted((tmp_path / "files").iterdir()):
        for place in (both, only):
            (place / file.name).mkdir(parents=True)
            (place / file.name / file.name).write_bytes(file.read_bytes())
    for file in list((tmp_path / "files").iterdir()):
        (both / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    expected = load_images(tmp_path / "files")
    for place in (both, only):
        assert torch.equal(load_images(place).images, expected.images)
