"""Train a small classifier step by step; it decides at its first output spike."""

import torch

import firstspike as fs
from firstspike.training.classifier import SpikingTraining
from firstspike.training.config import ClassifierConfig

train, test = fs.load_mnist("train"), fs.load_mnist("test")
training = SpikingTraining(ClassifierConfig(hidden=100, epochs=1))
rng = torch.Generator().manual_seed(0)
for batch in torch.randperm(len(train), generator=rng).split(100):
    training.step(train.images[batch], train.labels[batch], rng)

decided = training.model.classify(test.images)
accuracy = (decided.classes == test.labels).double().mean()
print(f"test accuracy after one epoch: {accuracy:.1%}")
print(f"decided after {decided.decisions.double().mean():.0f} of {fs.T_MAX} time steps")
print(f"spikes until then: {decided.spikes.sum(dim=1).double().mean():.0f}")
print(f"additions until then: {decided.additions.double().mean():,.0f}")
