"""Every figure of the paper (arXiv 2106.15420)."""

from __future__ import annotations

from dataclasses import dataclass

from firstspike.report.claims import SPIKES_A, SPIKES_S, STEPS_A, STEPS_S, A, S
from firstspike.report.drawings import (
    JUDGED,
    Draw,
    evolution,
    filters,
    per_class,
    samples,
    training_images,
    undesired,
    untrained,
)
from firstspike.report.gather import RAMP, STEP


@dataclass(frozen=True)
class Plate:
    """A figure of the paper and how ours is drawn.

    Args:
        number: in the paper.
        title: what it shows.
        caption: what to see in ours.
        draw: draws ours; None if the runs that it needs are missing.
        roles: of these runs, see `firstspike.report.gather.role_of`.
    """

    number: str
    title: str
    caption: str
    draw: Draw
    roles: tuple[str, ...] = ()


PLATES = (
    Plate(
        "1a",
        "Refractory period and spikes",
        "The longer a neuron rests, the fewer spikes it can issue; after 256 steps of rest, one.",
        untrained("1a", "potentials of neurons under constant input"),
    ),
    Plate(
        "1b",
        "Highest spiking rate",
        "It falls with the refractory period as 1 / (charging + resting).",
        untrained("1b", "spiking rate against refractory period"),
    ),
    Plate(
        "2",
        "Input spike encoder",
        "White spikes at once, gray later, black not at all.",
        untrained("2", "an image and the spike times of its pixels"),
    ),
    Plate(
        "3",
        "Spike count and time to first spike",
        "Four gray values in both codings.",
        untrained("3", "rasters of both codings"),
    ),
    Plate(
        "5",
        "Temporal loss vectors",
        "Spikes (bars), where they should be (circles), and the error, spike minus target, if N₀ "
        "is the desired neuron.",
        untrained("5", "errors of two output neurons"),
    ),
    Plate(
        "6a",
        "Time to a decision",
        "Mean over test images and seeds; dashed: the paper's mean over all digits.",
        per_class("class_decision_step", "time steps", {A: STEPS_A, S: STEPS_S}),
        (S, A),
    ),
    Plate(
        "6b",
        "Spikes to a decision",
        "In the whole network, the input's included; mean over test images and seeds; dashed: the "
        "paper's mean over all digits.",
        per_class("class_spikes", "spikes", {A: SPIKES_A, S: SPIKES_S}),
        (S, A),
    ),
    Plate(
        "7a",
        "Filters of S4NN",
        "Input weights of 15 hidden neurons at random, first seed.",
        filters(S),
        (S,),
    ),
    Plate(
        "7b",
        "Filters of aggressive TTFS",
        "Input weights of 15 hidden neurons of our default training.",
        filters(A),
        (A,),
    ),
    Plate("8a", "MNIST", "The first training images of each digit.", training_images, (STEP,)),
    Plate(
        "8b",
        "Samples of the dense GAN",
        "Not selected; the twin of the same size, trained with the paper's loss.",
        samples("cross-entropy-ann-gan", "the dense twin"),
        (STEP, "cross-entropy-ann-gan"),
    ),
    Plate(
        "8c",
        "Samples of Spiking-GAN, step neurons",
        "The paper's neurons (eq. 1, 2). Not selected, where the paper shows chosen ones; one "
        "network a digit.",
        samples(STEP, "Spiking-GAN of step neurons"),
        (STEP,),
    ),
    Plate(
        "8d",
        "Samples of Spiking-GAN, ramp neurons",
        "Not in the paper: the same sizes and one spike a neuron, but spikes that start ramps and "
        "an exact gradient. Not selected; one network a digit.",
        samples(RAMP, "Spiking-GAN of ramp neurons"),
        (RAMP,),
    ),
    Plate(
        "8e",
        "Samples of the dense twin of 8d",
        "Not in the paper: trained in the game of the ramp neurons. Not selected.",
        samples("relativistic-ann-gan", "the dense twin in the game of ramp neurons"),
        ("relativistic-ann-gan",),
    ),
    Plate(
        "9a",
        "Evolution over training",
        "One fixed latent a digit, from the first epoch to the last; step neurons.",
        evolution,
        (STEP,),
    ),
    Plate(
        "9b",
        "Undesired samples",
        f"Of {JUDGED} samples of each digit, those in which a separate network sees it least; step "
        "neurons.",
        undesired,
        (STEP,),
    ),
)
