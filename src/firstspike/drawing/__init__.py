"""Pictures from arrays: grids of pixels, and figures with axes."""
