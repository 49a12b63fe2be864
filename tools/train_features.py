"""Train the two networks of src/firstspike/features.py on MNIST's training images.

    python tools/train_features.py feature-network
    python tools/train_features.py digit-classifier

Writes safetensors to where the package looks for them (or to --out), and prints the accuracy on the
test images and the SHA-256 that belongs into features.py. Fixed seeds and one thread: on one
machine the same bytes each time; other processors may round otherwise.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from firstspike.data import load_mnist
from firstspike.evaluation.features import (
    DIGIT_FILE,
    FEATURE_FILE,
    DigitClassifier,
    FeatureNetwork,
    apply,
    train,
)

# Name -> architecture, file, seed, epochs.
NETWORKS: dict[str, tuple[type[nn.Module], Path, int, int]] = {
    "feature-network": (FeatureNetwork, FEATURE_FILE, 1, 6),
    "digit-classifier": (DigitClassifier, DIGIT_FILE, 2, 10),
}


def main() -> None:
    """Train one network, write its weights and print accuracy and hash."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    architecture, file, seed, epochs = NETWORKS[options.network]
    out = options.out or file
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    network = architecture()
    images, test = load_mnist("train"), load_mnist("test")
    train(network, images.images, images.labels, epochs, seed)
    content = safetensors.torch.save(network.state_dict())
    out.write_bytes(content)
    print(f"{out}: {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")
    right = apply(network, test.images).argmax(dim=1) == test.labels
    print(f"test accuracy {right.float().mean():.2%}")


if __name__ == "__main__":
    main()
