"""Train an autoencoder whose latents are spikes, then draw with it. Arguments: epochs, folder."""

import sys

import torch

import firstspike as fs
from firstspike.drawing import grids
from firstspike.runs.directory import RunDirectory
from firstspike.training.loading import build_trainer
from firstspike.training.loop import train
from firstspike.training.vae import SpikingVae
from firstspike.training.vae_config import VaeConfig

epochs, folder = int(sys.argv[1]), sys.argv[2]
config = VaeConfig(digit="3", latent=2, epochs=epochs, validation=1 / 6)
run = RunDirectory.create(folder, "vae", config.as_dict())
parts = SpikingVae.load_data(config)
summary = train(run, build_trainer(run), parts, report=lambda progress: None)
print(f"squared error of a pixel, held-out images: {summary['reconstruction_error']:.3f}")

vae = fs.load_run(folder)
image = parts.held_out.images[:1]
latents = vae.means(image)  # two spikes, between encoder and decoder
print(f"image 0 travels as spikes at steps {latents[0].int().tolist()} of {config.t_max}")
drawn = vae.sample(vae.latents(64, torch.Generator().manual_seed(0)))
grids.save_image_grid(run.path / "drawn.png", drawn)
grids.save_image_grid(run.path / "map.png", vae.sample(vae.lattice(20)), columns=20)
print(f"pictures: {run.path / 'drawn.png'}, {run.path / 'map.png'}")
