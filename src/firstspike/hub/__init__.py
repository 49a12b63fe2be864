"""Networks by name: those that come with the package, files of one network, and a hub."""
