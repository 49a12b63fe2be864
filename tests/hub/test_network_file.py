"""One file holds a network, whoever wrote it, or is refused in one line."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import safetensors.torch
import torch
from untrained import classifier, finished

import firstspike as fs
from firstspike.hub import network_file
from firstspike.models.networks import NetworkClassifier, deployed, spiking
from firstspike.runs import files
from firstspike.shape import Shape

RAMP = {"neuron": "ramp", "t_max": 16}


def own() -> fs.nn.SpikingNetwork:
    """Everything that a network may hold."""
    norm = fs.nn.window_norm(4, 2)
    return fs.nn.SpikingNetwork(
        torch.nn.Unflatten(1, (1, 8, 8)),
        fs.nn.FirstSpikeConv2d(1, 4, (3, 3), padding=1, norm=norm, pool=2, **RAMP),
        fs.nn.Residual(
            fs.nn.FirstSpikeConv2d(4, 4, 3, padding=1, norm=fs.nn.window_norm(4, 2), **RAMP),
            fs.nn.FirstSpikeConv2d(4, 6, 3, padding=1, **RAMP),
            shortcut=torch.nn.Conv2d(4, 6, 1, bias=False),
        ),
        fs.nn.MeanPool2d(2, t_max=16),
        fs.nn.SpikeDropout(0.25, 16),
        fs.nn.FirstSpikeConvTranspose2d(6, 2, 2, stride=2, threshold=1.5, **RAMP),
        fs.nn.EarliestPool2d(2, t_max=16),
        torch.nn.Identity(),
        torch.nn.Flatten(),
        fs.nn.FirstSpikeLinear(8, 3, neuron=fs.nn.RampNeuron(2.0, 0.1, 4.0), t_max=16),
    )


def steps() -> fs.nn.SpikingNetwork:
    return fs.nn.SpikingNetwork(
        fs.nn.FirstSpikeConv2d(1, 2, 5, delay=0, threshold=2.0, silent="pull"),
        torch.nn.Flatten(),
        fs.nn.FirstSpikeLinear(2 * 16, 3, delay=0, bias=False),
    )


def ramps() -> NetworkClassifier:
    network = spiking("2c3p2-4x4", Shape(1, 8, 8, ("a", "b", "c")), t_max=16)
    network.register_buffer("output_window", torch.tensor([0.0, 1.0]))
    return deployed(network, -0.5, 0.5)


def times_for(network, t_max: int) -> torch.Tensor:
    torch.manual_seed(1)
    times = torch.randint(t_max + 1, (5, 1, 8, 8)).to(next(network.parameters()).dtype)
    first = next(iter(network))
    flat = isinstance(first, (torch.nn.Unflatten, fs.nn.FirstSpikeLinear))
    return times.flatten(1) if flat else times


@pytest.mark.parametrize(
    "make",
    [
        own,
        steps,
        ramps,
        lambda: own().double(),
        lambda: classifier((64, 7, 3)),
        lambda: fs.nn.FirstSpikeSequential(fs.nn.FirstSpikeLinear(64, 3, threshold=0.5, t_max=9)),
    ],
    ids=["own", "steps", "ramps", "double", "classifier", "sequential"],
)
def test_a_network_comes_back_as_it_was(make, tmp_path):
    torch.manual_seed(0)
    network = make()
    fs.save(network.train(), tmp_path / "network.safetensors", card={"data": "none", "n": [1]})
    again = fs.load(tmp_path / "network.safetensors")
    assert type(again) is type(network) and not again.training
    assert network_file._described(again)[0] == network_file._described(network)[0]
    times = times_for(network, again.t_max)
    assert torch.equal(again(times), network.eval()(times))
    wanted = {name: weight.requires_grad for name, weight in network.named_parameters()}
    if make is not ramps:  # which learns no more
        assert {n: weight.requires_grad for n, weight in again.named_parameters()} == wanted
    assert network_file.read_card(tmp_path / "network.safetensors") == {"data": "none", "n": [1]}


def test_a_network_goes_on_learning(tmp_path):
    fs.save(own(), tmp_path / "n.safetensors")
    again = fs.load(tmp_path / "n.safetensors").train()
    again.potentials(times_for(again, 16)).sum().backward()
    assert all(w.grad is not None for w in again.parameters() if w.requires_grad)


@pytest.mark.parametrize("neuron", ["step", "ramp"])
def test_a_gan_comes_back_as_what_draws(neuron, tmp_path):
    run = finished(tmp_path / "run", "gan", digit="3", neuron=neuron)
    gan = fs.load(run.path)
    fs.save(gan, tmp_path / "gan.safetensors")
    again = fs.load(tmp_path / "gan.safetensors")
    latents = gan.latents(4, torch.Generator().manual_seed(0))
    assert torch.equal(again.sample(latents), gan.sample(latents))
    assert again.config.data is None and again.shape == gan.shape


def test_the_package_s_networks_fit_into_files(tmp_path, firstspike):
    for name in ("gan", "classifier"):
        fs.save(fs.load(name), tmp_path / f"{name}.safetensors", card={"from": name})
    gan, again = fs.load("gan"), fs.load(tmp_path / "gan.safetensors")
    latents = gan.latents(4, torch.Generator().manual_seed(0))
    assert torch.equal(again.sample(latents), gan.sample(latents))
    code, out, _ = firstspike("models", str(tmp_path / "gan.safetensors"))
    assert code == 0 and json.loads(out) == {"from": "gan"}


class Mine(fs.nn.FirstSpikeLinear):
    pass


@pytest.mark.parametrize(
    ("network", "name", "fault"),
    [
        (torch.nn.Linear(2, 2), "n.safetensors", "network must be a SpikingNetwork"),
        (fs.nn.SpikingNetwork(Mine(2, 2)), "n.safetensors", "cannot say what a Mine is"),
        (steps(), "n.pt", "path must end with .safetensors"),
    ],
)
def test_what_no_file_can_say(network, name, fault, tmp_path):
    with pytest.raises(ValueError, match=fault):
        fs.save(network, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_weights_that_are_no_numbers_are_not_saved(tmp_path):
    network = steps()
    with torch.no_grad():
        network[0].weight[0] = float("nan")
    with pytest.raises(ValueError, match=r"0\.weight is not finite"):
        fs.save(network, tmp_path / "n.safetensors")


# Files of somebody else


@pytest.fixture
def file(tmp_path) -> Path:
    torch.manual_seed(0)
    fs.save(fs.nn.SpikingNetwork(fs.nn.FirstSpikeLinear(4, 2, **RAMP)), tmp_path / "n.safetensors")
    return tmp_path / "n.safetensors"


def forged(file: Path, change=None, tensors=None, **entries: object) -> Path:
    """The file as somebody would change it who knows how it is made."""
    content = file.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    record = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["firstspike"])
    record = {**record, **entries}
    record.pop("checksum")
    if change is not None:
        change(record["network"])
    tensors = safetensors.torch.load(content) if tensors is None else tensors
    record["sha256"] = network_file._hash(safetensors.torch.save(tensors))
    told = json.dumps(files.sealed(record))
    file.write_bytes(safetensors.torch.save(tensors, metadata={"firstspike": told}))
    return file


def error_of(file: Path) -> str:
    with pytest.raises(ValueError) as caught:
        fs.load(file)
    assert "\n" not in str(caught.value) and str(file) in str(caught.value)
    return str(caught.value)


def test_every_flipped_bit_is_noticed(file):
    whole = file.read_bytes()
    network = fs.load(file)
    for place in range(0, len(whole), 3):
        changed = bytearray(whole)
        changed[place] ^= 1
        file.write_bytes(changed)
        try:
            again = fs.load(file)
        except ValueError:
            continue
        assert str(again) == str(network)  # white space of the header
        assert torch.equal(again[0].weight, network[0].weight)


@pytest.mark.parametrize("length", [0, 7, 8, 100, -1])
def test_a_file_that_was_cut_off(file, length):
    file.write_bytes(file.read_bytes()[:length])
    assert "damaged" in error_of(file)


def test_weights_alone_are_told(file):
    file.write_bytes(safetensors.torch.save({"x": torch.zeros(2)}))
    assert "holds weights, but not what network they are of" in error_of(file)


def layer(**changes: object):
    return lambda network: network["modules"][0].update(changes)


def put(**changes: object):
    return lambda network: network.update(changes)


def deep(network: dict) -> None:
    row = network["modules"]
    for _ in range(200):
        row = [{"module": "Residual", "layers": row, "shortcut": None}]
    network["modules"] = row


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (put(**{"class": "Popen"}), "describes no network"),
        (put(**{"class": ["x"]}), "describes no network"),
        (put(dtype="torch.int8"), "describes no network"),
        (put(modules={}), "no row of modules"),
        (put(modules=[]), "modules must hold at least one layer"),
        (put(modules=["x"]), "a module is no JSON object"),
        (layer(module="os.system"), "no module 'os.system' is known here"),
        (layer(module=None), "no module None is known here"),
        (layer(in_features=10**12), "in_features cannot be 1000000000000"),
        (layer(in_features=1 << 20, out_features=1 << 20), "of another architecture"),
        (layer(in_features=5), "of another architecture"),
        (layer(in_features="4"), "in_features cannot be '4'"),
        (layer(in_features=[4, 4]), "in_features must be"),
        (layer(t_max=float("1e9")), "t_max cannot be"),
        (layer(more=1), "unknown or missing 'more'"),
        (layer(neuron={"module": "RampNeuron", "threshold": -1, "leak": 0, "margin": 1}),
         "threshold must be positive"),
        (layer(neuron={"module": "StepNeuron", "threshold": 1, "delay": 0, "silent": "eval"}),
         "silent cannot be 'eval'"),
        (layer(norm={"module": "BatchNorm1d"}), "unknown or missing"),
        (layer(norm=5), "damaged"),
        (layer(bias=None), "bias cannot be None"),
        (deep, "no row of modules"),
    ],
)  # fmt: skip
def test_descriptions_that_no_version_writes(file, change, fault):
    assert fault in error_of(forged(file, change))


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        ({"format": 2}, "of format 2; update firstspike"),
        ({"format": "1"}, "of format '1'"),
        ({"network": []}, "'network' is missing or of another type"),
        ({"card": None}, "'card' is missing or of another type"),
    ],
)
def test_records_of_wrong_types(file, entries, fault):
    assert fault in error_of(forged(file, **entries))


def test_tensors_of_another_network(file):
    own = safetensors.torch.load(file.read_bytes())
    odd = {**own, "0.weight": own["0.weight"] * float("nan")}
    assert "0.weight is not finite" in error_of(forged(file, tensors=odd))
    assert "of another architecture" in error_of(
        forged(file, tensors={"0.weight": own["0.weight"]})
    )
    more = {**own, "x": torch.zeros(3)}
    assert "of another architecture" in error_of(forged(file, tensors=more))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (put(kind="painter"), "of a kind that is not known here"),
        (put(kind="classifier"), "no part 'average' of classifier draws"),
        (put(part="discriminator"), "no part 'discriminator'"),
        (put(options={"hidden": "8"}), "option 'hidden' cannot be '8'"),
        (put(shape={"channels": 1}), "shape: unknown or missing field"),
        (put(options=3), "describes no network"),
    ],
)
def test_gans_that_no_version_writes(tmp_path, change, fault):
    gan = fs.load(finished(tmp_path / "run", "gan", digit="3", neuron="step").path)
    fs.save(gan, tmp_path / "gan.safetensors")
    assert fault in error_of(forged(tmp_path / "gan.safetensors", change))
