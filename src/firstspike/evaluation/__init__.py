"""What trained networks are worth: measured, not drawn."""
