"""Train a detector of digits on textures, then look. Arguments: epochs, canvases, folder."""

import sys

import firstspike as fs
from firstspike.data import canvas_scenes
from firstspike.drawing import grids
from firstspike.drawing.boxes import with_boxes
from firstspike.runs.directory import RunDirectory
from firstspike.training.detect import SpikingDetector
from firstspike.training.detect_config import DetectConfig
from firstspike.training.loading import load_trainer
from firstspike.training.loop import train

epochs, canvases, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
config = DetectConfig(canvases=canvases, epochs=epochs)
parts = SpikingDetector.load_data(config)
shape = parts.training.shape
run = RunDirectory.create(folder, "detect", config.as_dict(), shape)
train(run, SpikingDetector(config, shape), parts, report=lambda progress: None)

detector = load_trainer(run)
unseen = canvas_scenes(10, 1, fs.load_mnist("test"))
found = detector.detect(unseen.images)
for box, kind, score in zip(*found[0], strict=True):
    print(f"a {unseen.names[kind]} at {[round(side) for side in box.tolist()]}, {score:.0%} sure")
print(f"spikes a neuron: {detector.activity(unseen.images)['spikes_a_neuron']:.2f}")
names = [[unseen.names[kind] for kind in seen.classes] for seen in found]
picture = with_boxes(unseen.images, [seen.boxes for seen in found], names)
grids.save_image_grid(run.path / "found.png", picture, columns=5, scale=1)
print(f"picture: {run.path / 'found.png'}")
