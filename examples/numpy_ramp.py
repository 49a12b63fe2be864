"""Run an exported classifier of ramp neurons with NumPy: python numpy_ramp.py NETWORK IMAGES

NETWORK is an .npz file of `firstspike export RUN NETWORK.npz`, IMAGES an .npy file of uint8
[N, height, width] or, in colour, [N, 3, height, width]. A spike at step t is handled as its level,
t_max - t; level 0 is silence.
"""

import sys

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def blocks(levels, kernel, stride, dilation=(1, 1)):
    """Blocks [N, channels, height, width, *kernel] of levels [N, channels, ...]."""
    span = np.multiply(dilation, np.subtract(kernel, 1)) + 1
    found = sliding_window_view(levels, span, axis=(2, 3))
    return found[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def convolve(levels, weight, stride, around, dilation, groups):
    """Sums of weights [out, in / groups, ...] over the blocks, with silence around the image."""
    padded = np.pad(levels, [(0, 0), (0, 0), *around])
    found = np.split(blocks(padded, weight.shape[2:], stride, dilation), groups, axis=1)
    pairs = zip(found, np.split(weight, groups), strict=True)
    return np.concatenate(
        [np.einsum("nihwyx,oiyx->nohw", one, own, optimize=True) for one, own in pairs], axis=1
    )


def spread(levels, weight, stride, padding, output_padding):
    """A transposed convolution: a convolution of levels with silence between them."""
    count, channels, height, width = levels.shape
    size = (height - 1) * stride[0] + 1, (width - 1) * stride[1] + 1
    wide = np.zeros((count, channels, *size))
    wide[:, :, :: stride[0], :: stride[1]] = levels
    reach = weight.shape[2:] - padding - 1
    around = np.stack([reach, reach + output_padding], axis=1)
    turned = weight[:, :, ::-1, ::-1].swapaxes(0, 1)
    return convolve(wide, turned, (1, 1), around, (1, 1), 1)


def run(network, levels):
    """Levels of all parts, the input's first, and the potentials of the last in thresholds."""
    found, drive, t_max = [levels], levels, int(network["t_max"])
    for k in range(1, int(network["parts"]) + 1):
        has = {name[: -len(f"_{k}")]: network[name] for name in network if name.endswith(f"_{k}")}
        drive = potential(has, found[int(has["source"])], t_max)
        if "beside" in has:
            drive = drive + found[int(has["beside"])]
        level = drive
        if "threshold" in has:
            drive = drive / has["threshold"]
            level = np.floor(drive).clip(0, t_max)
        found.append(level)
    return found, drive


def potential(has, levels, t_max):
    """What one part calculates from levels, without the neurons behind it."""
    kind = str(has["kind"])
    if kind == "flatten":
        return levels.reshape(len(levels), -1)
    if kind == "unflatten":
        return levels.reshape(len(levels), *has["shape"])
    if kind in ("earliest", "sum"):
        found = blocks(levels, has["kernel_size"], has["stride"])
        return found.max(axis=(4, 5)) if kind == "earliest" else found.sum(axis=(4, 5))
    weight = has["weight"].astype(float)
    if kind == "dense":
        drive = levels.reshape(len(levels), -1) @ weight.T
    elif kind == "convolution":
        around = np.stack([has["padding"]] * 2, axis=1)
        drive = convolve(levels, weight, has["stride"], around, has["dilation"], int(has["groups"]))
    else:
        drive = spread(levels, weight, has["stride"], has["padding"], has["output_padding"])
    if "bias" in has:
        bias = has["bias"].astype(float) * t_max
        drive = drive + (bias if kind == "dense" else bias[:, None, None])
    return drive


def main():
    images = np.load(sys.argv[2]).astype(int)
    if images.ndim == 3:
        images = images[:, None]
    with np.load(sys.argv[1]) as file:
        network = dict(file)
    t_max = int(network["t_max"])
    found, potentials = run(network, t_max - (255 - images) * t_max // 255)
    for number, (levels, own) in enumerate(zip(found[-1], potentials, strict=True)):
        # The first output spike decides; where there is none, the largest potential.
        winner = levels.argmax() if levels.any() else own.argmax()
        label = network["classes"][winner]
        print(f"image {number}: class {label} at step {t_max - int(levels.max())}")


if __name__ == "__main__":
    main()
