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


# Ramp neurons and convolutions: layers are matrices [out][in], None where there is no synapse.


def conv(weight, size, stride=1, padding=0, dilation=1, groups=1):
    """Matrix of a convolution, and the shape [out, height, width] of its neurons.

    ``weight`` is [out][in][kh][kw], ``size`` [in * groups, height, width].
    """
    channels, height, width = size
    tall, broad = len(weight[0][0]), len(weight[0][0][0])
    rows = (height + 2 * padding - dilation * (tall - 1) - 1) // stride + 1
    columns = (width + 2 * padding - dilation * (broad - 1) - 1) // stride + 1
    matrix = []
    for out, filters in enumerate(weight):
        start = out // (len(weight) // groups) * (channels // groups)
        for y in range(rows):
            for x in range(columns):
                row = [None] * (channels * height * width)
                for c, kernel in enumerate(filters):
                    for dy in range(tall):
                        for dx in range(broad):
                            top = y * stride + dy * dilation - padding
                            left = x * stride + dx * dilation - padding
                            if 0 <= top < height and 0 <= left < width:
                                place = ((start + c) * height + top) * width + left
                                row[place] = kernel[dy][dx]
                matrix.append(row)
    return matrix, (len(weight), rows, columns)


def conv_transpose(weight, size, stride=1, padding=0, output_padding=0):
    """As `conv`, of a transposed one with ``weight`` [in][out][kh][kw]."""
    channels, height, width = size
    tall, broad = len(weight[0][0]), len(weight[0][0][0])
    rows = (height - 1) * stride - 2 * padding + tall + output_padding
    columns = (width - 1) * stride - 2 * padding + broad + output_padding
    outputs = len(weight[0])
    matrix = [[None] * (channels * height * width) for _ in range(outputs * rows * columns)]
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                for out in range(outputs):
                    for dy in range(tall):
                        for dx in range(broad):
                            top, left = y * stride + dy - padding, x * stride + dx - padding
                            if 0 <= top < rows and 0 <= left < columns:
                                place = (c * height + y) * width + x
                                row = matrix[(out * rows + top) * columns + left]
                                row[place] = weight[c][out][dy][dx]
    return matrix, (outputs, rows, columns)


def blocks(size, kernel, stride):
    """Places of the inputs of each block of a pool, and the shape of its outputs."""
    channels, height, width = size
    rows, columns = (height - kernel) // stride + 1, (width - kernel) // stride + 1
    found = [
        [
            (c * height + y * stride + dy) * width + x * stride + dx
            for dy in range(kernel)
            for dx in range(kernel)
        ]
        for c in range(channels)
        for y in range(rows)
        for x in range(columns)
    ]
    return found, (channels, rows, columns)


def earliest(times, places):
    """What a pool passes on: the first spike of each block."""
    return [min(times[place] for place in block) for block in places]


def mean_pool(size, kernel, stride):
    """The matrix of equal weights 1, for a threshold of ``kernel ** 2``, and the shape."""
    places, shape = blocks(size, kernel, stride)
    inputs = size[0] * size[1] * size[2]
    return [[1.0 if i in block else None for i in range(inputs)] for block in places], shape


class Work:
    """Operations of one layer and sample."""

    def __init__(self):
        self.additions = self.updates = self.spikes = 0


def ramp(times, matrix, threshold, t_max, bias=None, stop=False, work=None):
    """Spike times of ramp neurons for one sample, step by step.

    Window of the inputs: a spike adds its weight to the current of each neuron that it reaches;
    then the current is added to the potential, which is held ``t_max`` times as large, so that
    numbers stay whole as long as weights are. Own window: the clock adds ``threshold`` a step; a
    neuron fires in the first in which it reaches ``threshold * t_max``. With ``stop`` the clock
    stops for all after the first step in which one fires.
    """
    work = Work() if work is None else work
    neurons = range(len(matrix))
    potential = [0 if bias is None else bias[j] * t_max for j in neurons]
    current = [0] * len(matrix)
    for step in range(t_max):
        for i, time in enumerate(times):
            if time == step:
                for j in neurons:
                    if matrix[j][i] is not None:
                        current[j] += matrix[j][i]
                        work.additions += 1
        for j in neurons:
            potential[j] += current[j]
            work.updates += 1
    fired = [t_max] * len(matrix)
    for step in range(t_max):
        for j in neurons:
            if fired[j] == t_max:
                work.updates += 1
                if potential[j] + threshold * step >= threshold * t_max:
                    fired[j] = step
                    work.spikes += 1
        if stop and min(fired) == step:
            break
    return fired


def joined(times, beside, matrix, shortcut=None):
    """Inputs and matrix of a join: behind the inputs come those of the shortcut, one to one."""
    rows = []
    for j, row in enumerate(matrix):
        own = [1.0 if i == j else None for i in range(len(beside))]
        rows.append([*row, *(own if shortcut is None else shortcut[j])])
    return [*times, *beside], rows


def fire_matrix(times, matrix, threshold, t_max, bias=None, delay=1):
    """`fire` of one sample through a matrix."""
    weight = [[0.0 if value is None else value for value in row] for row in matrix]
    return fire([times], weight, threshold, t_max, bias, delay)[0]


def additions_until(times, matrix, step, t_max, delay):
    """Synapses that spikes have reached by a step."""
    total = 0
    for i, time in enumerate(times):
        if time + delay < t_max and time + delay <= step:
            total += sum(row[i] is not None for row in matrix)
    return total
