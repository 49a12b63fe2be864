"""Run directories: everything that a training leaves, and all that resuming it needs."""
