"""Train a Spiking-GAN in a run directory, then draw with it. Arguments: epochs, folder."""

import sys

import torch

import firstspike as fs
from firstspike.drawing import grids
from firstspike.runs.directory import RunDirectory
from firstspike.training.config import GanConfig
from firstspike.training.gan import SpikingGan
from firstspike.training.loading import build_trainer
from firstspike.training.loop import train

epochs, folder = int(sys.argv[1]), sys.argv[2]
config = GanConfig(digit="3", epochs=epochs)
run = RunDirectory.create(folder, "gan", config.as_dict())
parts = SpikingGan.load_data(config)
summary = train(run, build_trainer(run), parts, report=lambda progress: None)
print(f"{summary['generator_spikes']:.0f} spikes of the generator draw an image")

gan = fs.load_run(folder)
latents = gan.latents(64, torch.Generator().manual_seed(0))
grids.save_image_grid(run.path / "drawn.png", gan.sample(latents))
grids.save_image_grid(run.path / "walk.png", gan.sample(gan.walk(10, count=6)), columns=10)
print(f"pictures: {run.path / 'drawn.png'}, {run.path / 'walk.png'}")
