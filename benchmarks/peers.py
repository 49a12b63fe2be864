"""Speed of a TTFS classifier beside other libraries, plain PyTorch and its dense twin.

One network, 784-400-10 with trained weights, decides on 1 and on 128 MNIST test images: from uint8
pixels to classes, encoding included. Every rival simulates the very same network, and its output
spike times are compared with ours before anything is timed (see `_rivals`). Weights are rounded to
a grid on which every sum is exact in float32, so that the order of additions decides nothing. Then
one training step on 100 images, for those that train by gradients.

    pip install --no-deps -r benchmarks/requirements-peers.txt
    OPENBLAS_NUM_THREADS=1 python benchmarks/peers.py --run RUN --threads 1 --cpu --json FILE

RUN is a run of ``firstspike train classifier``; without it, the bundled network is taken. Times are
medians; ratios are medians over neighbouring turns. ``--cpu`` takes the CPU time of the calling
thread, for machines that other jobs share. A rival that is not installed is named and left out.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import _entries
import _table
import _trained
import torch
from _table import Entries
from rich.console import Console

import firstspike as fs
from firstspike.models.quantized import quantize

BATCHES = (1, 128)
PARTS = ("inference", "training")


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = _trained.load(options.run)
    _trained.round_to_exact_sums(model)
    quantized = quantize(model)
    test = fs.load_mnist("test")
    parts: dict[str, Entries] = {}
    if "inference" in options.parts:
        for count in options.batches:
            entries = _entries.inference(model, quantized, test.images[:count])
            parts[f"inference, batch {count}"] = entries
    if "training" in options.parts:
        parts[f"training step, batch {_entries.TRAINING_BATCH}"] = _entries.training(model)
    clock = time.thread_time if options.cpu else time.perf_counter
    result: dict[str, Any] = {
        "what": "784-400-10, MNIST test images, uint8 to class",
        "threads": options.threads,
        "clock": "CPU time" if options.cpu else "wall time",
        "repeats": options.repeats,
        "torch": torch.__version__,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "activity": {
            "float": _trained.activity(model.classify(test.images), test.labels),
            "8-bit weights": _trained.activity(quantized.classify(test.images), test.labels),
        },
        "multiply-adds of the dense twin": _trained.multiply_adds(model),
    }
    for part, entries in parts.items():
        result[part] = _table.measure(entries, _entries.DENSE, options.repeats, clock)
    _show(result, [*parts])
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--run", type=Path, help="of `firstspike train classifier`; or the bundled one"
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES, help="of inference")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of PyTorch")
    parser.add_argument("--repeats", type=int, default=15, help="turns")
    parser.add_argument("--cpu", action="store_true", help="CPU time of the thread, not wall time")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    if os.environ.get("OPENBLAS_NUM_THREADS") != str(options.threads):
        parser.error(f"give NumPy as many threads: OPENBLAS_NUM_THREADS={options.threads}")
    return options


def _show(result: dict[str, Any], parts: list[str]) -> None:
    console = Console(width=100, highlight=False)
    for name, value in result.items():
        if not isinstance(value, dict):
            console.print(f"{name}: {value}")
    for part in ("activity", *parts):
        _table.show(part, result[part], console)


if __name__ == "__main__":
    main()
