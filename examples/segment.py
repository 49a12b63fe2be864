"""First spikes name the class of each pixel. Arguments: canvases, epochs, folder."""

import sys

import torch

import firstspike as fs
from firstspike.data import canvases, load_mnist
from firstspike.data.masks import masked
from firstspike.drawing import grids

count, epochs, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
training = masked(canvases(count))  # digits on textures, and the class of each pixel
network = fs.fit("segment", training, epochs=epochs, progress=False)

unseen = masked(canvases(6, digits=load_mnist("test")))
times = network(fs.encode(unseen.images)[:, None])  # [6, 11, 64, 64]: a neuron for each class
first = times.amin(dim=1)
classes = torch.where(first < fs.T_MAX, times.argmin(dim=1), 0)  # the first spike decides
print(f"right pixels: {(classes == unseen.targets).double().mean():.1%}")
print(f"pixels without a spike: {(first == fs.T_MAX).double().mean():.1%}")
row, column = 32, 32
spikes = {n: int(t) for n, t in zip(unseen.names, times[0, :, row, column], strict=True)}
print(f"spike times of the pixel in the middle: {spikes}")

grids.save_image_grid(
    f"{folder}/classes.png", *grids.rows_beside(unseen.images / 255, classes / 10)
)
print(f"picture: {folder}/classes.png")
