"""Images to train on and to measure with."""

from firstspike.data.images import (
    IMAGE_SUFFIXES,
    MNIST_FILE,
    SIDE,
    SPLIT_SEED,
    ImageSet,
    Split,
    load_images,
    load_mnist,
    load_parts,
    read_idx,
    split_validation,
    to_gray,
)

__all__ = [
    "IMAGE_SUFFIXES",
    "MNIST_FILE",
    "SIDE",
    "SPLIT_SEED",
    "ImageSet",
    "Split",
    "load_images",
    "load_mnist",
    "load_parts",
    "read_idx",
    "split_validation",
    "to_gray",
]
