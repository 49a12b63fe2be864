"""Run an exported classifier with NumPy alone: python numpy_only.py NETWORK.npz IMAGES.npy

The network comes from `firstspike export RUN NETWORK.npz`, the images are uint8 [N, ...],
of the size that the network was trained on.
"""

import sys

import numpy as np


def fire(times, weight, bias, threshold, t_max, delay):
    """Spike times and final potentials [N, out] of a layer whose inputs spike at ``times``."""
    potential = np.tile(bias.astype(float), (len(times), 1))
    fired = np.full(potential.shape, t_max)
    for step in range(t_max):
        potential += (times + delay == step) @ weight.T.astype(float)
        fired[(fired == t_max) & (potential > threshold)] = step
    return fired, potential


images = np.load(sys.argv[2]).astype(int)
images = images.reshape(len(images), -1)
with np.load(sys.argv[1]) as network:
    classes = network["classes"]
    t_max = int(network["t_max_1"])
    times = (255 - images) * t_max // 255  # white spikes at 0, black never
    for k in range(1, sum(name.startswith("weight") for name in network.files) + 1):
        names = ("weight", "bias", "threshold", "t_max", "delay")
        times, potential = fire(times, *(network[f"{name}_{k}"] for name in names))
# The first output spike tells the class; where there is none, the largest potential.
spoke = (times < t_max).any(axis=1)
decided = np.where(spoke, times.argmin(axis=1), potential.argmax(axis=1))
for number, (label, step) in enumerate(zip(decided, times.min(axis=1), strict=True)):
    when = f"at step {step}" if spoke[number] else "by the largest potential"
    print(f"image {number}: class {classes[label]} {when}")
