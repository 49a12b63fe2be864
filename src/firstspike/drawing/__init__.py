"""Pictures: axes and grids."""
