"""Commands of the command line, one module each; `firstspike.cli` parses and calls them."""
