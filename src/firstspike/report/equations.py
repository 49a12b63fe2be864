"""Every equation of Spiking-GAN (arXiv 2106.15420) and where the code computes it."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Equation:
    """One numbered equation.

    Args:
        number: in the paper.
        says: what it is about.
        latex: the paper's formula.
        places: dotted names of the functions that compute it, below ``firstspike``.
    """

    number: int
    says: str
    latex: str
    places: tuple[str, ...]

    @property
    def mathml(self) -> str:
        """The formula for a web page; browsers draw it without any script."""
        from latex2mathml.converter import convert  # only a page needs it

        return convert(self.latex, display="block")


@dataclass(frozen=True)
class Place:
    """A function or method: its file below the package's folder, its first line, its source."""

    name: str
    file: str
    line: int
    source: str


def locate(name: str) -> Place:
    """Find ``"module.function"`` or ``"module.Class.method"`` below ``firstspike``.

    Raises:
        ValueError: there is no such function.
    """
    found = _find(name.split("."))
    if found is None:
        raise ValueError(f"{name}: firstspike has no such function")
    found = inspect.unwrap(found)
    lines, start = inspect.getsourcelines(found)
    file = Path(inspect.getfile(found)).relative_to(PACKAGE.parent)
    return Place(name, file.as_posix(), start, inspect.cleandoc("".join(lines)))


def _find(parts: list[str]) -> Any:
    """The object of this dotted name; None if there is none."""
    for count in range(len(parts) - 1, 0, -1):
        name = ".".join(("firstspike", *parts[:count]))
        try:
            found: Any = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = getattr(found, part, None)
        return found
    return None


_RULE = "training.rules.adversarial"
EQUATIONS = (
    Equation(
        1,
        "Membrane potential: the weights of all inputs that have spiked so far.",
        r"V_j^l(t) = \sum_i w_{ji}^l \sum_{\tau=1}^{t} S_i^{l-1}(\tau)",
        ("ops.reference.forward", "ops.cpu.fire.forward", "report.refractory.simulate"),
    ),
    Equation(
        2,
        "A neuron spikes when it first exceeds its threshold, and never again.",
        r"S_j^l(t) = \begin{cases} 1 & \text{if } V_j^l(t) > \theta_j^l \text{ and } "
        r"S_j^l(t_0) = 0 \; \forall t_0 < t \\ 0 & \text{otherwise} \end{cases}",
        ("ops.reference.forward", "ops.cpu.fire.forward", "report.refractory.simulate"),
    ),
    Equation(
        3,
        "Time-to-first-spike coding: the brighter a pixel, the earlier its only spike.",
        r"S_j^{in}(t) = \begin{cases} 1 & \text{if } t = \frac{I_{max} - I_j}{I_{max}} "
        r"\, t_{max} \\ 0 & \text{otherwise} \end{cases}",
        ("coding.encode",),
    ),
    Equation(
        4,
        "Loss of the discriminator: least squares in time, on images and on samples.",
        r"\begin{array}{l} \min_D L(D) = \frac{1}{2} E_{x} \left( \| D_t(x) - T_d^o \|^2 \right) "
        r"\\ \quad + \frac{1}{2} E_{z} \left( \| D_t(G(z)) - T_d^o \|^2 \right) \end{array}",
        ("losses.aggressive_ttfs", f"{_RULE}.spiking_verdict", f"{_RULE}.take_turns"),
    ),
    Equation(
        5,
        "Loss of the generator: that of its samples, for the verdict that it wants.",
        r"\min_G L(G) = \frac{1}{2} E_{z} \left( \| D_t(G(z)) - T_g^o \|^2 \right)",
        ("losses.aggressive_ttfs", f"{_RULE}.spiking_verdict", f"{_RULE}.take_turns"),
    ),
    Equation(
        6,
        "Targets of the discriminator: the right neuron at the winner's time, the other never.",
        r"\begin{array}{l} T_{d,1}^o = \begin{cases} \tau & x \in X_{real} \\ t_{max} & "
        r"x \in X_{fake} \end{cases} \\ T_{d,0}^o = \begin{cases} t_{max} & x \in X_{real} \\ "
        r"\tau & x \in X_{fake} \end{cases} \end{array}",
        ("losses.aggressive_targets",),
    ),
    Equation(
        7,
        "Targets of the generator: its samples should pass as real.",
        r"T_{g,j}^o = \begin{cases} \tau & j = 1 \\ t_{max} & j = 0 \end{cases}",
        ("losses.aggressive_targets",),
    ),
    Equation(
        8,
        "Gradient descent.",
        r"w_{ji}^l = w_{ji}^l - \eta \frac{\partial L}{\partial w_{ji}^l}",
        (
            "training.gan.SpikingGan.optimizer",
            "training.gan.Gan.update",
            "training.rules.online.descend",
        ),
    ),
    Equation(
        9,
        "The ReLU neuron that serves as the model: that of the dense twin.",
        r"y_j^l = \max \left( 0, z_j^l = \sum_i w_{ji}^l x_i^{l-1} \right)",
        ("models.ann_classifier", "models.ann_generator"),
    ),
    Equation(
        10,
        "The activation of a ReLU neuron stands for the earliness of a spike.",
        r"y_j^l \sim t_{max} - t_j^l",
        ("coding.decode",),
    ),
    Equation(
        11,
        "More potential, earlier spike; a silent neuron has no gradient.",
        r"\frac{\partial t_j^l}{\partial V_j^l} = \begin{cases} -1 & \text{if } t_j^l < t_{max} "
        r"\\ 0 & \text{otherwise} \end{cases}",
        ("ops.reference.effective_error",),
    ),
    Equation(
        12,
        "Derivative of the ReLU neuron, which PyTorch computes for the dense twin.",
        r"\frac{\partial y_j^l}{\partial w_{ji}^l} = \begin{cases} x_i^{l-1} & \text{if } "
        r"y_j^l > 0 \\ 0 & \text{otherwise} \end{cases}",
        ("models.ann_classifier", "models.ann_generator"),
    ),
    Equation(
        13,
        "Derivative of a spike time by a weight: minus one, if that input came before.",
        r"\frac{\partial t_j^l}{\partial w_{ji}^l} = \begin{cases} -\sum_{\tau=1}^{t_j^l} "
        r"S_i^{l-1}(\tau) & \text{if } t_j^l < t_{max} \\ 0 & \text{otherwise} \end{cases}",
        ("ops.reference.backward", "ops.cpu.fire.backward"),
    ),
    Equation(
        14,
        "Gradient of a weight: the neuron's error, with that sign.",
        r"\frac{\partial L}{\partial w_{ji}^l} = \begin{cases} -\delta_j^l "
        r"\sum_{\tau=1}^{t_j^l} S_i^{l-1}(\tau) & \text{if } t_j^l < t_{max} \\ 0 & "
        r"\text{otherwise} \end{cases}",
        ("ops.reference.backward", "ops.cpu.fire.backward"),
    ),
    Equation(
        15,
        "Error of a hidden neuron: from those that spiked after it.",
        r"\delta_j^l = \begin{cases} \sum_k \delta_k^{l+1} w_{kj}^{l+1} & \text{if } "
        r"t_j^l < t_k^{l+1} \\ 0 & \text{otherwise} \end{cases}",
        ("ops.reference.backward", "ops.cpu.fire.backward"),
    ),
    Equation(
        16,
        "Error of the discriminator's outputs: distance to their targets.",
        r"\delta_j^o(D) = [D_t(x) - T_d^o]_{x} + [D_t(G(z)) - T_d^o]_{z}",
        ("losses.squared_distance",),
    ),
    Equation(
        17,
        "Error that the generator receives through the discriminator.",
        r"\delta_j^o(G) = [D_t(G(z)) - T_g^o]_{z}",
        ("losses.squared_distance", "nn.normalize_error"),
    ),
)
