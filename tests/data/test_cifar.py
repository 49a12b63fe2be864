"""CIFAR in its binary form, from files made here; Fashion-MNIST where it is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from firstspike.data import load_images

FASHION = Path("/usr/share/datasets/fashion-mnist")  # of Debian's package dataset-fashion-mnist
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)


def write(file: Path, images: np.ndarray, *labels: list[int]) -> None:
    """Record after record: the labels of an image, then its pixels, plane after plane."""
    content = bytearray()
    for number, image in enumerate(images):
        content += bytes(column[number] for column in labels)
        for plane in image:
            for row in plane:
                content += bytes(row.tolist())
    file.write_bytes(bytes(content))


@pytest.fixture
def cifar10(tmp_path) -> Path:
    write(tmp_path / "data_batch_1.bin", IMAGES[:2], [3, 9])
    write(tmp_path / "data_batch_2.bin", IMAGES[2:5], [0, 1, 2])
    write(tmp_path / "test_batch.bin", IMAGES[5:], [7])
    return tmp_path


def test_cifar_10(cifar10):
    train, test = load_images(cifar10), load_images(cifar10, "test")
    assert torch.equal(train.images, torch.from_numpy(IMAGES[:5]))
    assert train.labels.tolist() == [3, 9, 0, 1, 2]
    assert torch.equal(test.images, torch.from_numpy(IMAGES[5:])) and test.labels.tolist() == [7]
    assert (train.name, test.name) == ("cifar-10-train", "cifar-10-test")
    assert train.names == tuple("0123456789")


def test_names_of_classes(cifar10):
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "t"]
    (cifar10 / "batches.meta.txt").write_text("\n".join([*names, ""]))
    assert load_images(cifar10).present == ["airplane", "automobile", "bird", "cat", "t"]
    assert load_images(cifar10, "test").names == tuple(names)


def test_cifar_100_has_fine_classes(tmp_path):
    write(tmp_path / "train.bin", IMAGES[:4], [0, 1, 19, 3], [99, 0, 50, 7])
    write(tmp_path / "test.bin", IMAGES[4:], [1, 1], [8, 9])
    train = load_images(tmp_path)
    assert train.labels.tolist() == [99, 0, 50, 7] and len(train.names) == 100
    assert torch.equal(train.images, torch.from_numpy(IMAGES[:4]))
    assert load_images(tmp_path, "test").name == "cifar-100-test"


def test_other_bin_files_are_no_cifar(tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"x")
    with pytest.raises(ValueError, match="neither"):
        load_images(tmp_path)


def test_damage_is_named(cifar10):
    batch = cifar10 / "data_batch_2.bin"
    content = batch.read_bytes()
    for damaged, message in (
        (content[:-1], "data_batch_2.bin: damaged: 9218 bytes"),
        (b"", "data_batch_2.bin: damaged: 0 bytes"),
        (bytes([10]) + content[1:], "data_batch_2.bin: damaged: has class 10 of 10"),
    ):
        batch.write_bytes(damaged)
        with pytest.raises(ValueError, match=message):
            load_images(cifar10)
    (cifar10 / "test_batch.bin").unlink()
    with pytest.raises(ValueError, match=r"the test images are missing; add test_batch.bin"):
        load_images(cifar10, "test")


@pytest.mark.parametrize("names", ["cat\ndog\n", "cat\n" * 10])
def test_names_must_be_those_of_all_classes(cifar10, names):
    (cifar10 / "batches.meta.txt").write_text(names)
    with pytest.raises(ValueError, match=r"batches.meta.txt: must hold 10 names"):
        load_images(cifar10)


@pytest.mark.skipif(not FASHION.is_dir(), reason="apt-get install dataset-fashion-mnist")
def test_fashion_mnist():
    train, test = load_images(FASHION), load_images(FASHION, "test")
    assert (len(train), len(test)) == (60_000, 10_000)
    assert train.labels.bincount().tolist() == [6000] * 10
    assert train.shape.image == (28, 28)
