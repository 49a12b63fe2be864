"""Run inside a simulator's environment: import a NIR file and compare its first spikes with ours.

    python simulate.py NAME FILE.nir SPIKES.npz imported|adjusted

Prints JSON. ``adjusted`` changes what was imported, as `ADJUSTED` in check_exports.py says.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import warnings
from collections.abc import Callable
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor

BATCH = 250

Spikes = Callable[[Tensor], Tensor]  # raster [B, T, in] -> spikes [B, T, out]


def norse(file: str, adjusted: bool) -> Spikes:
    import norse.torch

    return _by_steps(lambda: norse.torch.from_nir(nir.read(file), dt=1.0))


def spikingjelly(file: str, adjusted: bool) -> Spikes:
    from spikingjelly.activation_based import nir_exchange

    # It asks for r = 1 / dt.
    return _by_steps(lambda: nir_exchange.import_from_nir(nir.read(file), dt=1.0))


def snntorch(file: str, adjusted: bool) -> Spikes:
    import snntorch
    from snntorch.import_nir import import_from_nir

    def make() -> Any:
        network = import_from_nir(nir.read(file))
        for layer in network.modules():
            if adjusted and isinstance(layer, snntorch.Leaky):
                layer.beta, layer.init_hidden = torch.tensor(1.0), True
        return network

    return _by_steps(make)


def sinabs(file: str, adjusted: bool) -> Spikes:
    import sinabs
    from sinabs.nir import from_nir

    def run(raster: Tensor) -> Tensor:
        network = from_nir(nir.read(file), batch_size=len(raster))
        for layer in network.modules():
            if adjusted and isinstance(layer, sinabs.layers.IAFSqueeze):
                layer.min_v_mem = None
                layer.spike_fn = sinabs.activation.SingleSpike
                layer.reset_fn = sinabs.activation.MembraneSubtract(1e9)
        output = network(raster.flatten(0, 1))
        spikes: Tensor = output[0] if isinstance(output, tuple) else output
        return spikes.unflatten(0, raster.shape[:2])

    return run


def _by_steps(make: Callable[[], Any]) -> Spikes:
    """A network that takes a step and its state, and gives spikes and the next state."""

    def run(raster: Tensor) -> Tensor:
        network, state, spikes = make(), None, []
        for step in raster.unbind(dim=1):
            fired, state = network(step, state)
            spikes.append(fired)
        return torch.stack(spikes, dim=1)

    return run


@torch.no_grad()
def compare(run: Spikes, inputs: Tensor, outputs: Tensor, t_max: int, late: int) -> dict[str, int]:
    """Images whose output neurons all have our first spikes, and those with our class, which the
    first of them tells; the most spikes of one of them.

    Args:
        run: the simulator, in which a spike passes all layers within a step.
        inputs: our spike times [N, in].
        outputs: ours as well [N, out].
        t_max: silent.
        late: steps by which our delays make the outputs later.
    """
    same = right = most = 0
    for given, wanted in zip(inputs.split(BATCH), outputs.split(BATCH), strict=True):
        raster = (given[:, None] == torch.arange(t_max)[:, None]).float()
        spikes = run(raster) > 0
        first = spikes.float().argmax(dim=1) + late
        first = torch.where(spikes.any(dim=1) & (first < t_max), first, t_max)
        same += int((first == wanted).all(dim=1).sum())
        right += int((first.argmin(dim=1) == wanted.argmin(dim=1)).sum())
        most = max(most, int(spikes.sum(dim=1).max()))
    return {"images": len(inputs), "same": same, "class": right, "most": most}


def main() -> None:
    name, file, spikes, mode = sys.argv[1:]
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    simulator: Callable[[str, bool], Spikes] = globals()[name]
    with np.load(spikes) as ours:
        inputs, outputs = torch.from_numpy(ours["inputs"]), torch.from_numpy(ours["outputs"])
        facts = int(ours["t_max"]), int(ours["late"])
    answer: dict[str, Any] = {"version": importlib.metadata.version(name)}
    try:
        answer |= compare(simulator(file, mode == "adjusted"), inputs, outputs, *facts)
    except Exception as error:  # whatever an import or a simulator raises is what is asked for
        answer["error"] = f"{type(error).__name__}: {' '.join(str(error).split())}"
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
