"""Run an exported classifier with NumPy alone: python numpy_only.py NETWORK.npz IMAGES.npy

The network comes from `firstspike export RUN NETWORK.npz`, the images are uint8 [N, ...],
of the size that the network was trained on.
"""

import sys

import numpy as np


def fire(times, weight, bias, threshold, t_max, delay):
    """Spike times [N, out] of a layer whose inputs spike at ``times`` [N, in]."""
    potential = np.tile(bias.astype(float), (len(times), 1))
    fired = np.full(potential.shape, t_max)
    for step in range(t_max):
        potential += (times + delay == step) @ weight.T.astype(float)
        fired[(fired == t_max) & (potential > threshold)] = step
    return fired


images = np.load(sys.argv[2]).astype(int)
images = images.reshape(len(images), -1)
with np.load(sys.argv[1]) as network:
    classes = network["classes"]
    times = (255 - images) * int(network["t_max_1"]) // 255  # white spikes at 0, black never
    for k in range(1, sum(name.startswith("weight") for name in network.files) + 1):
        names = ("weight", "bias", "threshold", "t_max", "delay")
        times = fire(times, *(network[f"{name}_{k}"] for name in names))
for number, spikes in enumerate(times):
    print(f"image {number}: class {classes[spikes.argmin()]} at step {spikes.min()}")
