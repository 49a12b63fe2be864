"""Event-driven kernels for CPUs (Numba)."""
