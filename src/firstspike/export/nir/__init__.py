"""Networks as NIR files, and NIR files as networks; the one place that converts units.

NIR (Neuromorphic Intermediate Representation, arXiv 2311.14641) is a graph of nodes in continuous
time. A layer of ours becomes ``Affine`` (bias 0) and ``IF``:

- ``IF``: dv/dt = r i, a spike where v > v_threshold, then v = v_reset. An input spike is an impulse
  of weight w and there is no leak, so with r = 1 it raises v by w for good: a step synapse.
- A neuron spikes once: v_reset is -1e9, from where no input brings it back.
- Our bias is there once, at step 0, while that of ``Affine`` is a current that adds up step by
  step. Since V = bias + inputs > threshold says inputs > threshold - bias, it goes into the
  neuron's own v_threshold.
- NIR has no steps and our delays are no nodes. Metadata of the graph hold ``t_max``, ``delay``,
  ``coding``, ``kind`` and further facts (docs/nir.md); a spike of layer k at step s of a simulator
  without delays is ours at step s + k * delay, and none if that is t_max or later.

A *portable* file serves simulators that ignore v_reset or know one threshold a layer only
(docs/nir.md): weights are scaled until all thresholds of a layer are equal, and what silences a
neuron is a spike to itself through a weight of -1e9.
"""

from firstspike.export.nir.reading import load
from firstspike.export.nir.writing import save

__all__ = ["load", "save"]
