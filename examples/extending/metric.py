"""A metric of samples of one's own, which `firstspike evaluate` then tells of every GAN."""

import torch

from firstspike.evaluation import fidelity


def energy_distance(real, samples):
    """Energy distance of two sets of features [N, features]: 0 for the same distribution."""
    within = torch.cdist(real, real).mean() + torch.cdist(samples, samples).mean()
    return float(2 * torch.cdist(real, samples).mean() - within)


fidelity.register("energy_distance", energy_distance)
