"""Images to train on and to measure with."""

from firstspike.data import augment
from firstspike.data.bundled import MNIST_FILE, Split, load_mnist
from firstspike.data.canvas import Canvas, Canvases, canvases, draw_canvases
from firstspike.data.events import encode_events
from firstspike.data.given import Data, as_image_set
from firstspike.data.idx import read_idx
from firstspike.data.images import SPLIT_SEED, ImageSet, split_validation
from firstspike.data.pictures import IMAGE_SUFFIXES, SIDE, fit, to_gray
from firstspike.data.sets import Format, Parts, divide, load_images, load_parts, register

__all__ = [
    "IMAGE_SUFFIXES",
    "MNIST_FILE",
    "SIDE",
    "SPLIT_SEED",
    "Canvas",
    "Canvases",
    "Data",
    "Format",
    "ImageSet",
    "Parts",
    "Split",
    "as_image_set",
    "augment",
    "canvases",
    "divide",
    "draw_canvases",
    "encode_events",
    "fit",
    "load_images",
    "load_mnist",
    "load_parts",
    "read_idx",
    "register",
    "split_validation",
    "to_gray",
]
