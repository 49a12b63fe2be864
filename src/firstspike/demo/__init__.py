"""A web page on this machine: draw digits, watch output neurons race, see a generator draw."""
