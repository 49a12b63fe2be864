"""Event-driven kernels for CPUs (Numba, which only the modules in here import)."""

LANES = 64  # neurons of a tile, whose potentials a kernel keeps in vector registers
FEW = 16  # neurons of a tile where fewer are left
