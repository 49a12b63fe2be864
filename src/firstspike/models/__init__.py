"""The paper's networks and their dense twins (sections 3.1 and 3.2)."""

from firstspike.models.paper import (
    HIDDEN,
    LATENTS,
    PIXELS,
    Classification,
    Classifier,
    ann_classifier,
    ann_discriminator,
    ann_generator,
    classifier,
    discriminator,
    generator,
    spiking_network,
)

__all__ = [
    "HIDDEN",
    "LATENTS",
    "PIXELS",
    "Classification",
    "Classifier",
    "ann_classifier",
    "ann_discriminator",
    "ann_generator",
    "classifier",
    "discriminator",
    "generator",
    "spiking_network",
]
