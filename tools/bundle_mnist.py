"""Build the MNIST file that comes with the package from a folder of the four IDX files.

    python tools/bundle_mnist.py IDX_FOLDER [OUTPUT]

OUTPUT defaults to src/firstspike/data/_files/mnist.npz. The same input gives the same bytes (the
entries carry a fixed time and order), as long as zlib is the same. Prints the SHA-256 that belongs
into ``MNIST_SHA256`` of src/firstspike/data.py.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firstspike.data import MNIST_FILE, load_images

FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip entry can carry


def read_arrays(folder: Path) -> dict[str, npt.NDArray[np.uint8]]:
    """Images [N, 28, 28] and labels [N], both uint8, of the two splits."""
    arrays = {}
    for split in ("train", "test"):
        image_set = load_images(folder, split)
        arrays[f"{split}_images"] = image_set.images.numpy()
        arrays[f"{split}_labels"] = image_set.labels.numpy().astype(np.uint8)
    return arrays


def write_npz(output: Path, arrays: dict[str, npt.NDArray[np.uint8]]) -> None:
    """Write a compressed ``.npz`` whose bytes depend on the arrays only."""
    with zipfile.ZipFile(output, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", FIXED_TIME)
            entry.create_system = 3  # otherwise it tells the operating system
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, allow_pickle=False)
            archive.writestr(entry, buffer.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)


def main() -> None:
    """Build the file and print its size and hash."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder with the four IDX files, plain or .gz")
    parser.add_argument("output", type=Path, nargs="?", default=MNIST_FILE)
    options = parser.parse_args()
    write_npz(options.output, read_arrays(options.folder))
    content = options.output.read_bytes()
    print(f"{options.output}: {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
