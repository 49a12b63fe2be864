"""A form of image sets of one's own: a folder with train.npz and test.npz. Argument: the folder."""

import sys

import numpy as np
import torch

import firstspike as fs


def load(folder, split):
    with np.load(folder / f"{split}.npz") as arrays:
        images, labels = (torch.from_numpy(arrays[name]) for name in ("images", "labels"))
    return fs.data.ImageSet(images, labels, f"{folder.name}-{split}", names=("cat", "dog"))


fs.data.register(fs.data.Format("NumPy", lambda folder: (folder / "train.npz").is_file(), load))

images = fs.load_images(sys.argv[1], "train")
print(f"{images.name}: {len(images)} images of {', '.join(images.present)}")
