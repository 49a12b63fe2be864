"""NIR files: what goes out comes back, and what cannot be expressed is named."""

import itertools
import sys

import h5py
import nir
import numpy as np
import pytest
import torch

from firstspike.export import nir as nir_io
from firstspike.models import Classifier
from firstspike.nn import FirstSpikeLinear, FirstSpikeSequential
from firstspike.runs import files

T_MAX = 32


def network(kind=FirstSpikeSequential, sizes=(20, 12, 5), seed=0, **options):
    """Layers whose biases, where they have some, keep some neurons well below the threshold."""
    torch.manual_seed(seed)
    layers = [
        FirstSpikeLinear(before, after, t_max=T_MAX, **options)
        for before, after in itertools.pairwise(sizes)
    ]
    for layer in layers:
        if layer.bias is not None:
            torch.nn.init.uniform_(layer.bias, -0.5, 0.9 * layer.threshold)
    return kind(*layers)


def inputs(count=50, features=20):
    return torch.randint(0, T_MAX + 1, (count, features)).float()


@pytest.mark.parametrize("portable", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"bias": False}, {"delay": 0}, {"threshold": 100.0}], ids=str
)
def test_a_network_comes_back_with_the_same_spikes(tmp_path, options, portable):
    model, times = network(**options), inputs()
    nir_io.save(tmp_path / "a.nir", model, portable=portable)
    loaded = nir_io.load(tmp_path / "a.nir")
    before, after = model.layer_times(times), loaded.layer_times(times)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert 0 < (before[-1] < T_MAX).float().mean() < 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.nir"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_parameters_come_back_bit_by_bit(tmp_path, dtype):
    model = network(Classifier, threshold=0.7, delay=2).to(dtype)
    nir_io.save(tmp_path / "a.nir", model)
    loaded = nir_io.load(tmp_path / "a.nir")
    assert type(loaded) is Classifier
    for old, new in zip(model.layers, loaded.layers, strict=True):
        assert torch.equal(old.weight, new.weight) and torch.equal(old.bias, new.bias)
        assert (old.threshold, old.t_max, old.delay) == (new.threshold, new.t_max, new.delay)
        assert new.weight.t().is_contiguous()


def test_the_graph_is_affine_and_if_that_never_fire_again(tmp_path):
    model = network()
    nir_io.save(tmp_path / "a.nir", model)
    graph = nir.read(tmp_path / "a.nir")
    kinds = {name: type(node).__name__ for name, node in graph.nodes.items()}
    assert kinds == {
        "input": "Input",
        "affine_1": "Affine",
        "if_1": "IF",
        "affine_2": "Affine",
        "if_2": "IF",
        "output": "Output",
    }
    neuron = graph.nodes["if_1"]
    assert (neuron.r == 1).all() and (neuron.v_reset == -1e9).all()
    assert not graph.nodes["affine_1"].bias.any()
    np.testing.assert_allclose(neuron.v_threshold, 1 - model[0].bias.detach().numpy(), rtol=1e-6)
    facts = {name: graph.metadata[name] for name in ("coding", "kind", "t_max", "delay")}
    assert facts == {
        "coding": "time-to-first-spike",
        "kind": "FirstSpikeSequential",
        "t_max": T_MAX,
        "delay": 1,
    }


def simulated(graph, times, reset):
    """Spike times [B, out] of a plain simulator that knows no delays: NIR's equations, dt = 1."""
    nodes, edges = graph.nodes, graph.edges
    neurons = [name for name in nodes if isinstance(nodes[name], nir.IF)]
    affines = {b: nodes[a] for a, b in edges if a.startswith("affine")}
    onces = {a: nodes[b] for a, b in edges if b.startswith("once")}
    v = {n: np.zeros((len(times), len(nodes[n].r)), np.float64) for n in neurons}
    spikes = {n: np.zeros_like(v[n]) for n in neurons}
    first = np.full_like(v[neurons[-1]], T_MAX)
    for step in range(T_MAX):
        arriving = (times == step).astype(float)
        for n in neurons:
            v[n] += arriving @ affines[n].weight.T
            if n in onces:
                v[n] += spikes[n] @ onces[n].weight.T
            spikes[n] = (v[n] > nodes[n].v_threshold).astype(float)
            v[n] = np.where(spikes[n] > 0, nodes[n].v_reset if reset else 0.0, v[n])
            arriving = spikes[n]
        assert not ((arriving > 0) & (first < T_MAX)).any(), "an output spikes twice"
        first = np.where(arriving > 0, step, first)
    late = first + len(neurons)  # delay 1
    return np.where(late < T_MAX, late, T_MAX)


@pytest.mark.parametrize("portable", [False, True])
def test_a_simulator_of_nir_sees_our_spikes(tmp_path, portable):
    """A portable file even where the simulator resets to 0 whatever v_reset says."""
    model, times = network(), inputs()
    nir_io.save(tmp_path / "a.nir", model, portable=portable)
    seen = simulated(nir.read(tmp_path / "a.nir"), times.numpy(), reset=not portable)
    np.testing.assert_array_equal(seen, model(times).detach().numpy())


def test_a_portable_file_has_one_threshold_a_layer_and_no_v_reset(tmp_path):
    nir_io.save(tmp_path / "a.nir", network(), portable=True)
    with h5py.File(tmp_path / "a.nir") as file:
        nodes = file["node/nodes"]
        assert "v_reset" not in nodes["if_1"]
        assert np.unique(nodes["if_1/v_threshold"][()]).tolist() == [1.0]
        inhibition = nodes["once_1/weight"][()]
    assert (inhibition == np.diag(np.full(12, -1e9, np.float32))).all()


def test_a_foreign_file_is_read(tmp_path):
    """No metadata, Linear instead of Affine, another r and thresholds that differ."""
    weight = np.array([[0.5, 1.0], [2.0, 0.25]])
    neuron = nir.IF(np.array([2.0, 1.0]), np.array([1.5, 1.0]), np.full(2, -1e9))
    write(tmp_path / "a.nir", nir.Linear(weight), neuron)
    model = nir_io.load(tmp_path / "a.nir")
    assert model[0].t_max == 256 and model[0].delay == 0
    times = torch.tensor([[3.0, 7.0], [256.0, 7.0]], dtype=torch.float64)
    assert model(times).tolist() == [[7.0, 3.0], [7.0, 256.0]]


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_parameters_may_be_one_for_all_neurons(tmp_path, shape):
    """As some simulators write them, which the package nir takes without its check of types."""
    weight = np.array([[0.5, 1.0], [2.0, 0.25]])
    for name, sides in (("one", shape), ("each", (2,))):
        values = (np.full(sides, value) for value in (2.0, 1.5, -1e9))
        unchecked(tmp_path / name, nir.Linear(weight), nir.IF(*map(scalar, values)))
    one, each = (nir_io.load(tmp_path / name) for name in ("one", "each"))
    times = torch.tensor([[3.0, 7.0], [256.0, 7.0]], dtype=torch.float64)
    assert torch.equal(one(times), each(times)) and one[0].threshold == each[0].threshold
    assert (one(times) < 256).any()


def scalar(value):
    """NumPy's number of an array without dimensions, which HDF5 can hold."""
    return value[()] if value.ndim == 0 else value


def unchecked(path, *nodes, inputs=2, outputs=2):
    """A graph of these nodes in a row, whose sizes nobody has looked at."""
    ends = {"input": nir.Input({"input": np.array([inputs])})}
    ends |= {f"n{number}": node for number, node in enumerate(nodes)}
    ends["output"] = nir.Output({"output": np.array([outputs])})
    edges = list(itertools.pairwise(ends))
    nir.write(path, nir.NIRGraph(ends, edges, type_check=False))


@pytest.mark.parametrize(
    ("weight", "options", "told"),
    [
        (np.eye(2), {"r": np.ones(3)}, r"node 'n1' has r of shape \[3\] for 2 neurons"),
        (np.eye(2), {"r": np.ones((2, 2))}, r"node 'n1' has r of shape \[2, 2\]"),
        (np.eye(2) * 1j, {}, "node 'n0' must have weights that are real numbers"),
        (np.zeros((0, 2)), {}, "node 'n0' must have weights"),
        (np.ones((2, 3)), {}, "node 'input' gives 2 values, but node 'n0' takes 3"),
        (np.ones((3, 2)) / 9, {}, "node 'n1' gives 3 values, but node 'output' takes 2"),
    ],
)
def test_sizes_and_types_that_do_not_fit_are_named(tmp_path, weight, options, told):
    value = options.get("r", np.ones(1))
    odd = nir.IF(value, np.ones_like(value), np.full_like(value, -1e9))
    unchecked(tmp_path / "a.nir", nir.Linear(weight), odd)
    with pytest.raises(ValueError, match=told) as caught:
        nir_io.load(tmp_path / "a.nir")
    assert "\n" not in str(caught.value)


def write(path, *nodes, **metadata):
    graph = nir.NIRGraph.from_list(*nodes)
    graph.metadata = metadata
    nir.write(path, graph)


def changed(path, change):
    """A file of ours with a change."""
    nir_io.save(path, network())
    graph = nir.read(path)
    change(graph)
    nir.write(path, nir.NIRGraph(graph.nodes, graph.edges, graph.metadata))


def neuron(**options):
    given = {"r": np.ones(2), "v_threshold": np.ones(2), "v_reset": np.full(2, -1e9)}
    return nir.IF(**given | options)


EYE = np.eye(2, dtype=np.float32)
LIF = nir.LIF(np.ones(2), np.ones(2), np.zeros(2), np.ones(2))
FOREIGN = {
    "leak": ([nir.Linear(EYE), LIF], "'lif' is a LIF node"),
    "convolution": (
        [nir.Flatten({"input": np.array([1, 2])}, 0), nir.Linear(EYE), neuron()],
        "'flatten' is a Flatten node",
    ),
    "resets to 0": (
        [nir.Linear(2 * EYE), neuron(v_reset=np.zeros(2))],
        "2 neurons that can fire again",
    ),
    "bias": ([nir.Affine(EYE, np.array([0.0, 1.0])), neuron()], "'affine' has a bias"),
    "no weights": ([neuron()], "'if', an IF node, is out of place"),
    "no neurons": ([nir.Linear(EYE)], "is out of place"),
    "two weights": ([nir.Linear(EYE), nir.Linear(EYE), neuron()], "is out of place"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_cannot_be_expressed_is_named(tmp_path, name):
    nodes, wanted = FOREIGN[name]
    write(tmp_path / "a.nir", *nodes)
    with pytest.raises(ValueError, match=r"a\.nir") as error:
        nir_io.load(tmp_path / "a.nir")
    assert wanted in str(error.value) and "\n" not in str(error.value)


def recur(graph):
    graph.nodes["back"] = nir.Linear(np.ones((12, 12), np.float32))
    graph.edges += [("if_1", "back"), ("back", "if_1")]


def cut(graph):
    graph.edges.remove(("if_1", "affine_2"))


@pytest.mark.parametrize(
    ("change", "wanted"),
    [(recur, "'back' joins neurons of one layer"), (cut, "is out of place")],
)
def test_a_graph_that_is_no_row_is_named(tmp_path, change, wanted):
    changed(tmp_path / "a.nir", change)
    with pytest.raises(ValueError, match=wanted):
        nir_io.load(tmp_path / "a.nir")


def test_a_branch_is_named(tmp_path):
    nodes = {
        "input": nir.Input(np.array([2])),
        "a": nir.Linear(EYE),
        "b": nir.Linear(EYE),
        "if": neuron(),
        "output": nir.Output(np.array([2])),
    }
    edges = [("input", "a"), ("input", "b"), ("a", "if"), ("b", "if"), ("if", "output")]
    nir.write(tmp_path / "a.nir", nir.NIRGraph(nodes, edges))
    with pytest.raises(ValueError, match="'input', an Input node, is out of place"):
        nir_io.load(tmp_path / "a.nir")


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["weight", "r", "v_threshold", "v_reset"])
def test_values_that_are_no_numbers_are_named(tmp_path, name, odd):
    values = np.full(2, -1e9 if name == "v_reset" else 1.0)
    values[1] = odd
    weight = np.where(EYE > 0, np.float32(odd), EYE) if name == "weight" else EYE
    options = {} if name == "weight" else {name: values}
    write(tmp_path / "a.nir", nir.Linear(weight), neuron(**options))
    with pytest.raises(ValueError, match=r"node 'if' has .* that are no finite numbers"):
        nir_io.load(tmp_path / "a.nir")


def test_an_exact_bias_that_is_no_number_is_named(tmp_path):
    def change(graph):
        graph.nodes["if_1"].metadata["bias"] = np.full(12, np.nan)

    changed(tmp_path / "a.nir", change)
    with pytest.raises(ValueError, match="has metadata that are no finite numbers"):
        nir_io.load(tmp_path / "a.nir")


@pytest.mark.parametrize(("reset", "fits"), [(-1.0, True), (-0.999, False)])
def test_a_neuron_that_only_reaches_its_threshold_does_not_fire_again(tmp_path, reset, fits):
    """Weights of 2 after a reset to -1 come to the threshold of 1, which must be exceeded."""
    write(tmp_path / "a.nir", nir.Linear(2 * EYE), neuron(v_reset=np.full(2, reset)))
    if fits:
        assert nir_io.load(tmp_path / "a.nir").sizes == (2, 2)
        return
    with pytest.raises(ValueError, match="2 neurons that can fire again"):
        nir_io.load(tmp_path / "a.nir")


def outside(file):
    del file["node/nodes/affine_1/weight"]
    file["node/nodes/affine_1/weight"] = h5py.ExternalLink("other.h5", "x")


def soft(file):
    file["node/more"] = h5py.SoftLink("/node")


def huge(file):
    file.create_dataset("node/nodes/affine_1/more", (1 << 20, 1 << 12), chunks=True, dtype="f8")


def deep(file):
    file.create_group("/".join("a" * 30))


def stored_elsewhere(file):
    file.create_dataset("more", (4,), "u1", external=[("other.bin", 0, 4)])


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (outside, "'weight' is a link to elsewhere"),
        (soft, "'more' is a link to elsewhere"),
        (huge, "bytes unpacked, more than"),
        (deep, "groups within groups"),
        (stored_elsewhere, "'more' has its data elsewhere"),
    ],
)
def test_a_file_that_reaches_out_or_blows_up_is_refused(tmp_path, change, wanted):
    nir_io.save(tmp_path / "a.nir", network())
    with h5py.File(tmp_path / "a.nir", "r+") as file:
        change(file)
    with pytest.raises(ValueError, match=rf"a\.nir: no graph that nir can read: .*{wanted}"):
        nir_io.load(tmp_path / "a.nir")


def test_a_full_disk_ends_no_process(tmp_path, monkeypatch):
    def full(file, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write", full)
    for portable in (False, True):
        with pytest.raises(ValueError, match=r"a\.nir: cannot be written: No space left"):
            nir_io.save(tmp_path / "a.nir", network(), portable=portable)
    assert not list(tmp_path.iterdir())


def test_a_graph_without_a_start_or_without_nodes_is_named(tmp_path):
    nodes = {"a": nir.Linear(EYE), "b": nir.Linear(EYE), "output": nir.Output(np.array([2]))}
    for content, wanted in (
        (nir.NIRGraph(nodes, [("a", "b"), ("b", "a")], {}, type_check=False), "is out of place"),
        (nir.NIRGraph({}, [], {}, type_check=False), "a graph without nodes|no graph that nir"),
    ):
        nir.write(tmp_path / "a.nir", content)
        with pytest.raises(ValueError, match=wanted):
            nir_io.load(tmp_path / "a.nir")


@pytest.mark.parametrize("metadata", [{"t_max": 0}, {"t_max": "x"}, {"delay": -1}, {"t_max": 2.5}])
def test_odd_metadata_are_named(tmp_path, metadata):
    write(tmp_path / "a.nir", nir.Linear(EYE), neuron(), **metadata)
    with pytest.raises(ValueError, match=next(iter(metadata))):
        nir_io.load(tmp_path / "a.nir")


@pytest.mark.parametrize("content", [None, b"", b"no HDF5"])
def test_a_file_that_is_no_graph_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "a.nir").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.nir: no ") as error:
        nir_io.load(tmp_path / "a.nir")
    assert "\n" not in str(error.value)


def test_a_single_node_is_no_graph(tmp_path):
    nir.write(tmp_path / "a.nir", nir.Linear(EYE))
    with pytest.raises(ValueError, match="no graph that nir can read"):
        nir_io.load(tmp_path / "a.nir")


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    mixed = FirstSpikeSequential(FirstSpikeLinear(4, 3), FirstSpikeLinear(3, 2))
    mixed[0].delay = 0
    with pytest.raises(ValueError, match="delay must be that of all layers"):
        nir_io.save(tmp_path / "a.nir", mixed)
    eager = network()
    torch.nn.init.constant_(eager[1].bias, 1.5)
    with pytest.raises(ValueError, match="5 neurons of layer 2 fire by their bias alone"):
        nir_io.save(tmp_path / "a.nir", eager, portable=True)
    with pytest.raises(ValueError, match="cannot be written"):
        nir_io.save(tmp_path / "no" / "a.nir", eager)
    assert not list(tmp_path.iterdir())


def test_the_package_nir_is_optional(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nir", None)
    for act in (lambda: nir_io.save(tmp_path / "a.nir", network()), lambda: nir_io.load("a.nir")):
        with pytest.raises(ValueError, match=r"pip install 'firstspike\[nir\]'"):
            act()
