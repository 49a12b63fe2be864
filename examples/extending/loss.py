"""A loss of one's own, which the temporal rule of the classifier then knows by its name."""

import torch

import firstspike as fs
from firstspike.training.classifier import SpikingTraining
from firstspike.training.config import ClassifierConfig


def margin(times, target, t_max):
    """How much later than 10 steps before all others the desired neuron comes, [B, classes]."""
    desired = times.gather(1, target[:, None])
    return (desired + 10 - times).clamp(min=0).scatter(1, target[:, None], 0)


fs.losses.register("margin", fs.losses.Loss(margin, fits=("temporal",)))

config = ClassifierConfig(loss="margin", gradient="temporal", hidden=50, lr=1e-3)
training, images = SpikingTraining(config), fs.load_mnist("train")
rng = torch.Generator().manual_seed(0)
for _ in range(20):
    chosen = torch.randint(len(images), (100,), generator=rng)
    stats = training.step(images.images[chosen], images.labels[chosen], rng)
print(f"error in the last step: {stats['train_error']:.2f}")
