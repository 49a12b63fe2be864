"""What arithmetic costs: an estimate, whose constants are options, and their source."""

from __future__ import annotations

import math
from dataclasses import dataclass

ADD_PJ, MAC_PJ = 0.9, 4.6  # picojoules of an addition and of a multiply-add, see `energy`
SRAM_PJ = 5.0  # picojoules of an access to 32 bits of a memory of 32 KB on the chip, see `energy`
MAC_ACCESSES = 3  # a weight is read, a sum read and written; the input is at hand, as a spike is


@dataclass(frozen=True)
class Energy:
    """Estimated energy in picojoules: of arithmetic, and of memory if that was asked for."""

    spiking_pj: float
    dense_pj: float

    @property
    def ratio(self) -> float:
        """Spiking over dense: below 1 the spiking network is cheaper."""
        return self.spiking_pj / self.dense_pj


def energy(
    synaptic_operations: float,
    macs: float,
    *,
    updates: float = 0.0,
    accesses: float = 0.0,
    add_pj: float = ADD_PJ,
    mac_pj: float = MAC_PJ,
    update_pj: float | None = None,
    access_pj: float = 0.0,
) -> Energy:
    """Energy of a spiking network's additions against its dense twin's multiply-adds.

    The constants are those of 32-bit floating point in 45 nm at 0.9 V: an addition takes 0.9 pJ
    and a multiplication 3.7 pJ (M. Horowitz, "Computing's energy problem (and what we can do about
    it)", ISSCC 2014, fig. 1.1.9). Memory is left out by default, for both; in the same technology
    an access to 32 bits takes 5 pJ in 32 KB of SRAM, `SRAM_PJ`, and 640 pJ in DRAM (S. Han et al.,
    "Learning both weights and connections for efficient neural networks", NIPS 2015, table 1).

    Args:
        synaptic_operations: additions of the spiking network, e.g. the mean per image.
        macs: multiply-adds of the dense network, e.g. 784 * 400 + 400 * 10.
        updates: of ramp neurons, see `firstspike.counts`.
        accesses: to memory, of the spiking network; the dense one has `MAC_ACCESSES` a
            multiply-add.
        add_pj: picojoules of an addition.
        mac_pj: picojoules of a multiplication and an addition.
        update_pj: picojoules of an update; by default those of an addition.
        access_pj: picojoules of an access to memory.

    Raises:
        ValueError: a number of operations or a constant is negative, or ``macs`` or ``mac_pj`` 0.
    """
    update_pj = add_pj if update_pj is None else update_pj
    for name, value in (
        ("synaptic_operations", synaptic_operations),
        ("updates", updates),
        ("accesses", accesses),
        ("add_pj", add_pj),
        ("update_pj", update_pj),
        ("access_pj", access_pj),
    ):
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} must not be negative or infinite, got {value}")
    for name, value in (("macs", macs), ("mac_pj", mac_pj)):
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite, got {value}")
    return Energy(
        synaptic_operations * add_pj + updates * update_pj + accesses * access_pj,
        macs * (mac_pj + MAC_ACCESSES * access_pj),
    )
