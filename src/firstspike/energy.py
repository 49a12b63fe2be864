"""What arithmetic costs: an estimate, whose constants are options, and their source."""

from __future__ import annotations

from dataclasses import dataclass

ADD_PJ, MAC_PJ = 0.9, 4.6  # picojoules of an addition and of a multiply-add, see `energy`


@dataclass(frozen=True)
class Energy:
    """Estimated energy of the arithmetic alone, in picojoules; memory and control come on top."""

    spiking_pj: float
    dense_pj: float

    @property
    def ratio(self) -> float:
        """Spiking over dense: below 1 the spiking network is cheaper."""
        return self.spiking_pj / self.dense_pj


def energy(
    synaptic_operations: float, macs: float, *, add_pj: float = ADD_PJ, mac_pj: float = MAC_PJ
) -> Energy:
    """Energy of a spiking network's additions against its dense twin's multiply-adds.

    The constants are those of 32-bit floating point in 45 nm at 0.9 V: an addition takes 0.9 pJ
    and a multiplication 3.7 pJ (M. Horowitz, "Computing's energy problem (and what we can do about
    it)", ISSCC 2014, fig. 1.1.9).

    Args:
        synaptic_operations: additions of the spiking network, e.g. the mean per image.
        macs: multiply-adds of the dense network, e.g. 784 * 400 + 400 * 10.
        add_pj: picojoules of an addition.
        mac_pj: picojoules of a multiplication and an addition.

    Raises:
        ValueError: a number of operations or a constant is negative, or ``macs`` or ``mac_pj`` 0.
    """
    for name, value in (("synaptic_operations", synaptic_operations), ("add_pj", add_pj)):
        if not value >= 0:
            raise ValueError(f"{name} must not be negative, got {value}")
    for name, value in (("macs", macs), ("mac_pj", mac_pj)):
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value}")
    return Energy(synaptic_operations * add_pj, macs * mac_pj)
