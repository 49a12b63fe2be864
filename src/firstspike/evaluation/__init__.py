"""What trained networks are worth: measured here, drawn by `firstspike.drawing`.

In reading order: features, fidelity, classifiers (one classifier), samples (one generator), sides
(runs found and sorted), comparison (runs together).
"""
