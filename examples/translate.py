"""Train a network that fills holes by spikes, then look. Arguments: epochs, images, folder."""

import sys

import firstspike as fs
from firstspike.data import ImageSet
from firstspike.data.pairs import pairs_of
from firstspike.drawing import grids

epochs, count, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
digits = fs.load_mnist("train")
few = ImageSet(digits.images[:count], digits.labels[:count], "digits", digits.names)
network = fs.fit("translate", few, task="holes", epochs=epochs, progress=False)

pairs = pairs_of(fs.load_mnist("test"), "holes")
images, wanted = pairs.images[:8], pairs.targets[:8] / 255
times = fs.encode(images)[:, None]  # [8, 1, 28, 28]: a hole is silence
spikes = network(times)
print(f"error of a pixel: {(fs.decode(spikes)[:, 0] - wanted).square().mean():.4f}")
print(f"and of its input: {(images / 255 - wanted).square().mean():.4f}")
for layer, share in enumerate(network.activity(times)):
    print(f"layer {layer}: {share:.2f} spikes a neuron")

rows, columns = grids.rows_beside(images / 255, fs.decode(spikes)[:, 0])
grids.save_image_grid(f"{folder}/holes.png", rows, columns)
print(f"picture: {folder}/holes.png")
