"""A layer is a module like any other: for PyTorch's transforms, tools, devices and workers."""

from __future__ import annotations

import copy
import os
import pickle
import warnings

import numpy as np
import pytest
import torch
from processes import run_python
from torch.func import functional_call, grad, jacrev, vmap
from torch.nn.utils import parameters_to_vector, prune, vector_to_parameters
from torch.utils.data import DataLoader, Dataset

import firstspike as fs
from firstspike.models.quantized import quantize
from firstspike.nn import (
    FirstSpikeLinear,
    Residual,
    SpikingNetwork,
    at_decision,
    by_input,
    by_output,
)
from firstspike.training.config import GanConfig
from firstspike.training.gan import SpikingGan

T_MAX = 20


def layer(inputs: int = 6, outputs: int = 4, **options) -> FirstSpikeLinear:
    torch.manual_seed(0)
    return FirstSpikeLinear(inputs, outputs, **{"t_max": T_MAX, **options})


def some_times(*shape: int) -> torch.Tensor:
    return torch.randint(T_MAX + 1, shape, generator=torch.Generator().manual_seed(1)).float()


KINDS = ({}, {"gradient": "final"}, {"normalize": "l1", "silent": "pull"}, {"bias": False})


# Transforms


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_functional_gradients_are_those_of_backward(options):
    module, times = layer(**options), some_times(5, 6)
    parameters = dict(module.named_parameters())

    def loss(parameters, times):
        return functional_call(module, parameters, (times,)).square().sum()

    loss(parameters, times).backward()
    found = grad(loss)(parameters, times)
    for name, parameter in parameters.items():
        assert torch.equal(found[name], parameter.grad)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_gradients_of_single_samples(options):
    module, times = layer(**options), some_times(5, 6)
    parameters = dict(module.named_parameters())

    def loss(parameters, times):
        return functional_call(module, parameters, (times[None],)).sum()

    found = vmap(grad(loss), (None, 0))(parameters, times)
    for k, one in enumerate(times):
        expected = grad(loss)(parameters, one)
        for name in parameters:
            torch.testing.assert_close(found[name][k], expected[name])


def test_ensembles_and_batches_of_batches():
    members = [layer() for _ in range(3)]
    for member in members:
        torch.nn.init.uniform_(member.weight, -1, 1)
    stacked = {
        name: torch.stack([member.get_parameter(name) for member in members])
        for name in ("weight", "bias")
    }
    times = some_times(3, 5, 6)

    def call(parameters, times):
        return functional_call(members[0], parameters, (times,))

    together = vmap(call)(stacked, times)
    shared = vmap(call, (None, 1))(dict(members[0].named_parameters()), times)
    for k, member in enumerate(members):
        assert torch.equal(together[k], member(times[k]))
    for k in range(5):
        assert torch.equal(shared[k], members[0](times[:, k]))


def test_jacobians():
    module, times = layer(), some_times(1, 6)
    rows = jacrev(lambda times: module(times)[0])(times)
    assert rows.shape == (4, 1, 6)
    for k in range(4):
        leaf = times.clone().requires_grad_()
        module(leaf)[0, k].backward()
        assert torch.equal(rows[k], leaf.grad)
    with pytest.raises(RuntimeError, match="no second derivative"):
        jacrev(jacrev(lambda times: module(times).square().sum()))(times)


# Recording


def test_a_trace_computes():
    module, times = layer(), some_times(5, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch: sizes are taken for constants
        traced = torch.jit.trace(module, some_times(5, 6) * 0)
    assert torch.equal(traced(times), module(times))


def test_a_traced_classifier_computes():
    model = fs.models.classifier(8, pixels=6, t_max=T_MAX).requires_grad_(False)
    blank, images = torch.zeros(3, 6), torch.rand(3, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(lambda x: model.classify(x).decisions, blank, check_trace=False)
    assert torch.equal(traced(images), model.classify(images).decisions)


def test_export_and_compilation():
    module, times = layer(), some_times(5, 6)
    exported = torch.export.export(module, (times * 0,))
    assert torch.equal(exported.module()(times), module(times))
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(times), module(times))


def test_shapes_without_numbers():
    with torch.device("meta"):
        module, network = layer(), fs.models.classifier(8, pixels=6, t_max=T_MAX)
    times = torch.empty(5, 6, device="meta")
    fired = module(times)
    assert (fired.shape, fired.device.type) == ((5, 4), "meta")
    fired.sum().backward()
    assert module.weight.grad.shape == (4, 6)
    assert fs.decode(fired, T_MAX).shape == (5, 4)
    assert network.classify(torch.empty(5, 6, device="meta")).classes.shape == (5,)


def test_a_default_device_without_numbers_leaves_ours_alone():
    module, images = layer(), np.full((5, 6), 255, np.uint8)
    model = fs.models.classifier(8, pixels=6, t_max=T_MAX)
    expected = module(fs.encode(images, T_MAX)), model.classify(images).decisions
    torch.set_default_device("meta")
    try:
        found = module(fs.encode(images, T_MAX)), model.classify(images).decisions
        latents = fs.coding.noise_times(3, 6, T_MAX)
    finally:
        torch.set_default_device(None)
    assert latents.device.type == "cpu"
    assert all(map(torch.equal, found, expected))


def test_a_wider_default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        module, times = layer(), fs.encode(np.eye(6), T_MAX)
        fired = module(times)
        assert module.weight.dtype == fired.dtype == times.dtype == torch.float64
        fs.losses.aggressive_ttfs(fired, torch.zeros(6, dtype=torch.int64), T_MAX).sum().backward()
        assert module(fs.coding.noise_times(3, 6, T_MAX, silent=0.5)).dtype == torch.float64
        gan = SpikingGan(GanConfig(hidden=8))
        assert gan.sample(gan.latents(2)).dtype == torch.float32  # runs are the same everywhere
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_autocast_changes_nothing(options):
    module, times = layer(**options), some_times(5, 6)
    expected, potential = module(times), module.final_potential(times)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(module(times), expected)
        assert torch.equal(module.final_potential(times), potential)
        module(times).sum().backward()
    assert module.weight.grad.dtype == torch.float32


# Parameters


@pytest.mark.parametrize("stored", [by_input, by_output])
def test_storage_changes_no_bit(stored):
    plain, module, times = layer(), stored(layer()), some_times(5, 6)
    fired = [it(times) for it in (plain, module)]
    for one in fired:
        one.square().sum().backward()
    assert torch.equal(*fired)
    assert torch.equal(plain.weight.grad, module.weight.grad)


TAKEN_APART = {
    "linear": lambda: layer(silent="pull"),
    "ramp": lambda: layer(neuron="ramp"),
    "back": lambda: by_output(by_input(layer(silent="pull"))),
    "model": lambda: fs.models.generator(8, 2, pixels=4, t_max=T_MAX),
}


@pytest.mark.parametrize("make", TAKEN_APART.values(), ids=TAKEN_APART)
def test_optimisers_that_take_parameters_apart(make):
    module = make()
    times = some_times(5, 6 if isinstance(module, FirstSpikeLinear) else 102)
    optimizer = torch.optim.LBFGS(module.parameters(), max_iter=2)

    def closure():
        optimizer.zero_grad()
        loss = module(times).sum()
        loss.backward()
        return loss

    before = parameters_to_vector(module.parameters())
    optimizer.step(closure)
    assert not torch.equal(parameters_to_vector(module.parameters()), before)
    vector_to_parameters(before, module.parameters())
    assert torch.equal(parameters_to_vector(module.parameters()), before)


def test_pruning():
    model = fs.models.classifier(8, pixels=6, t_max=T_MAX)
    prune.l1_unstructured(model[0], "weight", 0.5)
    assert int((model[0].weight == 0).sum()) == 24
    images = torch.rand(5, 6)
    with torch.no_grad():
        model[0].weight_orig *= -1  # the mask is applied again before each pass
    decided = model.classify(images).decisions
    assert torch.equal(decided, model(fs.encode(images, T_MAX)).amin(dim=1).long())


@pytest.mark.parametrize("neuron", ["step", "ramp"])
@pytest.mark.parametrize("which", range(4))
def test_pruned_layers_of_networks_learn_as_the_others_do(neuron, which):
    """Wherever they are: at the start, in a branch, where branches join, at the end."""

    def trained(pruned: bool) -> torch.Tensor:
        torch.manual_seed(0)
        options = {"neuron": neuron, "t_max": T_MAX}
        square = [FirstSpikeLinear(6, 6, **options) for _ in range(3)]
        joined = [Residual(*square[1:])] if neuron == "ramp" else square[1:]
        network = SpikingNetwork(square[0], *joined, FirstSpikeLinear(6, 3, **options))
        layer = [*square, network[-1]][which]
        if pruned:
            prune.identity(layer, "weight")
        optimizer, times = torch.optim.SGD(network.parameters(), 0.1), some_times(5, 6)
        for _ in range(3):
            is_step = neuron == "step"
            scores = at_decision(network, times)[0] if is_step else network.potentials(times)
            optimizer.zero_grad()
            scores.square().sum().backward()
            optimizer.step()
        network(times)
        return torch.cat([network.potentials(times), layer.weight.T[:, :3]])

    assert torch.equal(trained(pruned=True), trained(pruned=False))


def test_hooks_see_the_times_of_ramp_layers():
    network = SpikingNetwork(*(layer(6, 6, neuron="ramp") for _ in range(2)))
    seen = []
    for one in network:
        one.register_forward_hook(lambda module, given, sent: seen.append((*given, sent)))
    times = some_times(5, 6)
    answer = network(times)
    (first, hidden), (second, last) = seen
    assert torch.equal(first, times) and torch.equal(hidden, network.layer_times(times)[1])
    assert torch.equal(second, hidden) and torch.equal(last, answer)


def test_weights_changed_behind_the_back_of_pytorch_count():
    model = by_input(fs.models.classifier(8, pixels=6, t_max=T_MAX, bias=False))
    images = torch.rand(5, 6)
    model.classify(images)
    for parameter in model.parameters():
        parameter.data.fill_(0)
    assert (model.classify(images).decisions == T_MAX).all()


@pytest.mark.parametrize("stored", [by_input, by_output])
def test_copies_and_pickles(stored):
    module, times = stored(layer()), some_times(5, 6)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(other(times), module(times))
        assert other.weight.data_ptr() != module.weight.data_ptr()


def test_arrays_that_run_backwards():
    images = np.arange(4 * 6, dtype=np.uint8).reshape(4, 6)
    model = fs.models.classifier(8, pixels=6)
    expected = model.classify(images[::-1].copy())
    assert torch.equal(model.classify(images[::-1]).decisions, expected.decisions)
    small = quantize(model)
    assert small.classify(images[:, ::-1]).classes.shape == (4,)


# Times that a dtype cannot hold


@pytest.mark.parametrize(
    ("dtype", "most"),
    [(torch.bfloat16, 256), (torch.float16, 2048), (torch.float32, 1 << 24)],
)
def test_times_beyond_the_dtype_are_refused(dtype, most):
    times, weight = torch.zeros(1, 3, dtype=dtype), -torch.ones(2, 3, dtype=dtype)
    assert fs.fire(times, weight, t_max=most).tolist() == [[most, most]]
    wanted = f"t_max must be at most {most} in {dtype}"
    for call in (
        lambda t_max: fs.fire(times, weight, t_max=t_max),
        lambda t_max: fs.decode(times, t_max),
        lambda t_max: fs.decide(times, t_max=t_max),
        lambda t_max: FirstSpikeLinear(3, 2, t_max=t_max).to(dtype)(times),
    ):
        with pytest.raises(ValueError, match=wanted):
            call(most + 1)


def test_sums_of_times_are_not_rounded():
    """255 + 2 is no number of bfloat16, and 256 is: the input did not arrive."""
    times = torch.tensor([[255.0]], dtype=torch.bfloat16)
    weight = torch.zeros(1, 1, dtype=torch.bfloat16, requires_grad=True)
    fs.fire(times, weight, t_max=256, delay=2, silent="pull").sum().backward()
    assert weight.grad.tolist() == [[0]]


def test_encoding_refuses_steps_that_it_cannot_hold():
    for call in (lambda: fs.encode(torch.zeros(2), 2**24 + 1),
                 lambda: fs.coding.noise_times(1, 2, 2**24 + 1)):  # fmt: skip
        with pytest.raises(ValueError, match="t_max must be at most 16777216"):
            call()


# Processes


class Fired(Dataset):
    """Spike times as a worker computes them."""

    def __init__(self) -> None:
        self.module, self.times = layer(), some_times(8, 6)

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.module(self.times[index : index + 1]).detach()[0]


@pytest.mark.skipif(
    "fork" not in torch.multiprocessing.get_all_start_methods(), reason="the system does not fork"
)
def test_forked_workers():
    data = Fired()
    expected = data.module(data.times)
    [found] = DataLoader(data, batch_size=8, num_workers=1, multiprocessing_context="fork")
    assert torch.equal(found, expected)


def test_spawned_workers():
    run_python(
        "import torch\n"
        "from test_torch_fit import Fired\n"
        "if __name__ == '__main__':\n"
        "    data = Fired()\n"
        "    loader = torch.utils.data.DataLoader(\n"
        "        data, batch_size=8, num_workers=1, multiprocessing_context='spawn')\n"
        "    [found] = loader\n"
        "    assert torch.equal(found, data.module(data.times))\n"
    )


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has none")
def test_data_parallel():
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        alone, module, times = layer(), layer(), some_times(5, 6)
        alone(times).sum().backward()
        torch.nn.parallel.DistributedDataParallel(module)(times).sum().backward()
    finally:
        torch.distributed.destroy_process_group()
    assert torch.equal(module.weight.grad, alone.weight.grad)


def one_of_two(rank: int, folder: str) -> None:
    """Learns from its half of a batch, beside another process; writes weights and gradients."""
    torch.set_num_threads(1)
    store = torch.distributed.FileStore(f"{folder}/store", 2)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    found = []
    for neuron in ("step", "ramp"):
        torch.manual_seed(rank)  # the weights of the first process hold
        module = torch.nn.parallel.DistributedDataParallel(FirstSpikeLinear(6, 3, neuron=neuron))
        optimizer = torch.optim.SGD(module.parameters(), 0.01)
        module(some_times(4, 6)[2 * rank : 2 * rank + 2]).sum().backward()
        gradient = module.module.weight.grad.clone()
        optimizer.step()
        found.append((gradient, module.module.weight.detach().clone()))
    torch.save(found, f"{folder}/{rank}.pt")
    store.set(f"{rank}", "done")
    store.wait(["0", "1"])
    # DDP keeps gloo's threads alive even when its group is destroyed; one that still lets go of a
    # tensor while the interpreter ends aborts the process (pytorch#179291). So it ends at once.
    os._exit(0)


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has none")
def test_data_parallel_in_two_processes(tmp_path):
    """Both have the mean gradient of their halves, and so the same weights."""
    run_python(
        "import torch\n"
        "from test_torch_fit import one_of_two\n"
        "if __name__ == '__main__':\n"
        f"    torch.multiprocessing.spawn(one_of_two, ({str(tmp_path)!r},), nprocs=2)\n"
    )
    both = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    for number, neuron in enumerate(("step", "ramp")):
        torch.manual_seed(0)
        alone = FirstSpikeLinear(6, 3, neuron=neuron)
        (alone(some_times(4, 6)).sum() / 2).backward()
        for gradient, weight in (both[0][number], both[1][number]):
            torch.testing.assert_close(gradient, alone.weight.grad)
            torch.testing.assert_close(weight, alone.weight.detach() - 0.01 * alone.weight.grad)
        assert torch.equal(both[0][number][1], both[1][number][1])
