"""Oracles in plain Python loops: what `firstspike` computes, as slowly and plainly as possible.

Nothing here uses the package. Python floats are float64; `fire` rounds to float32 where asked to.
"""

from __future__ import annotations


def fire(times, weight, threshold, t_max, bias=None, delay=1, dtype=float):
    """Spike times [B][out] for lists ``times`` [B][in], ``weight`` [out][in], ``bias`` [out].

    Potentials add up in ``dtype``, one weight after the other; e.g. ``numpy.float32``.
    """
    threshold = dtype(threshold)
    fired = []
    for sample in times:
        fired.append([])
        for j, row in enumerate(weight):
            potential = dtype(0.0 if bias is None else bias[j])
            spike = t_max
            for step in range(t_max):
                for i, time in enumerate(sample):
                    if time + delay == step:
                        potential += dtype(row[i])
                if potential > threshold:
                    spike = step
                    break
            fired[-1].append(spike)
    return fired


def fire_backward(grad, times, weight, fired, t_max, delay=1, silent="zero"):
    """Gradients of sum(grad * fired) for times [B][in], weight [out][in] and bias [out]."""
    inputs = range(len(weight[0]))
    grad_times = [[0.0 for _ in inputs] for _ in times]
    grad_weight = [[0.0 for _ in inputs] for _ in weight]
    grad_bias = [0.0 for _ in weight]
    for b, sample in enumerate(times):
        for j, row in enumerate(weight):
            error = grad[b][j]
            if fired[b][j] == t_max and not (silent == "pull" and error > 0):
                continue
            grad_bias[j] -= error
            for i in inputs:
                if sample[i] < t_max and sample[i] + delay <= fired[b][j]:
                    grad_weight[j][i] -= error  # dt/dV dV/dw = -1 * 1
                    grad_times[b][i] += error * row[i]  # dt/dV dV/dt_i = -1 * -w
    return grad_times, grad_weight, grad_bias


def simulate(current, threshold, refractory):
    """Potentials and spikes [steps] of one neuron with a refractory period (eq. 1-2)."""
    potential, rest = 0.0, 0
    potentials, spikes = [], []
    for value in current:
        spike = False
        if rest > 0:
            rest -= 1
        else:
            potential += value
            if potential > threshold:
                spike, potential, rest = True, 0.0, refractory
        potentials.append(potential)
        spikes.append(spike)
    return potentials, spikes
