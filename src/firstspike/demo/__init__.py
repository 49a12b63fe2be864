"""A web page on this machine: watch spikes recognise, draw, encode, translate and find digits."""
