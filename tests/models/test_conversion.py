"""ReLU networks as ramp neurons: the same values in fine steps, the same decisions in coarse."""

from __future__ import annotations

import copy
import errno
import json

import pytest
import torch
from torch import nn

import firstspike as fs
from firstspike import cli
from firstspike.coding import decode, encode
from firstspike.models.conversion import agreement, convert
from firstspike.nn import EarliestPool2d, FirstSpikeConv2d, FirstSpikeLinear
from tests import untrained

GRAY = torch.randint(256, (60, 12, 12), generator=torch.Generator().manual_seed(0)).byte()
COLOUR = torch.rand((20, 3, 8, 8), generator=torch.Generator().manual_seed(1))


def norm2d(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with statistics and weights of its own."""
    norm = nn.BatchNorm2d(channels)
    for tensor in (norm.weight.data, norm.running_var):
        tensor.uniform_(0.5, 2)
    for tensor in (norm.bias.data, norm.running_mean):
        tensor.normal_(0, 0.1)
    return norm


def norm1d(features: int) -> nn.BatchNorm1d:
    norm = nn.BatchNorm1d(features)
    norm.load_state_dict(norm2d(features).state_dict())
    return norm


NETWORKS = {
    "dense": lambda: [nn.Linear(144, 30), nn.ReLU(), nn.Linear(30, 5)],
    "dense, norm, dropout": lambda: [
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(144, 30, bias=False),
        norm1d(30),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(30, 5),
        nn.Softmax(dim=1),
    ],
    "convolutions": lambda: [
        nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), norm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Sequential(nn.Conv2d(4, 8, 3, stride=2, groups=2, bias=False), norm2d(8), nn.ReLU()),
        nn.Flatten(),
        nn.Linear(32, 5),
    ],
    "pool before norm": lambda: [
        nn.Conv2d(1, 4, 3, padding="same"),
        nn.MaxPool2d(3, 2),
        norm2d(4),
        nn.ReLU6(),
        nn.Flatten(),
        nn.Linear(100, 5),
    ],
    "means": lambda: [
        nn.Conv2d(1, 4, 3, dilation=2, padding=2),
        nn.ReLU(inplace=True),
        nn.AvgPool2d((2, 3), stride=2, padding=(1, 0)),
        nn.Conv2d(4, 6, 1),
        norm2d(6),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d((1, None)),
        nn.Flatten(),
        nn.Linear(30, 5),
    ],
    "transposed": lambda: [
        nn.Linear(144, 32),
        nn.ReLU(),
        nn.Unflatten(1, (2, 4, 4)),
        nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1),
        norm2d(3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(192, 5),
    ],
}


@pytest.fixture(params=NETWORKS)
def network(request) -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(*NETWORKS[request.param]())


@torch.no_grad()
def values_of(network: nn.Sequential, images: torch.Tensor) -> torch.Tensor:
    pixels = images / 255
    flat = isinstance(network[0], nn.Linear)
    return copy.deepcopy(network).eval()(pixels.flatten(1) if flat else pixels.unsqueeze(1))


def test_fine_steps_give_the_values_of_the_relu_network(network):
    body = network[:-1] if isinstance(network[-1], nn.Softmax) else network
    body.append(nn.ReLU())
    wanted = values_of(body, GRAY)
    converted = convert(body, GRAY, 1 << 14)
    values = decode(converted(converted.times_of(GRAY)), 1 << 14) * wanted.max()
    assert torch.allclose(values, wanted, atol=3e-3 * float(wanted.max()))


def test_potentials_have_the_order_of_the_scores(network):
    body = network[:-1] if isinstance(network[-1], nn.Softmax) else network
    scores = values_of(body, GRAY)
    converted = convert(network, GRAY, 1 << 14)
    potentials = converted.potentials(converted.times_of(GRAY))
    top = scores.topk(2, dim=1).values
    low, high = top[:, 0].min(), torch.maximum(top[:, 1].max(), top[:, 0].min() + 1e-3)
    reach = float(high - low)
    assert torch.allclose(potentials * reach + low, scores, atol=3e-3 * float(scores.abs().max()))


def test_winners_spike_and_runners_up_come_later(network):
    converted = convert(network, GRAY, 1 << 10)
    times = converted(converted.times_of(GRAY)).sort(dim=1).values
    assert (times[:, 0] < 1 << 10).float().mean() > 0.9
    assert (times[:, 1] > 0).float().mean() > 0.9


def test_the_network_stays_as_it_is(network):
    network.train()
    before = copy.deepcopy(network.state_dict())
    convert(network, GRAY)
    assert network.training
    assert all(torch.equal(before[name], kept) for name, kept in network.state_dict().items())


def test_modules_are_what_one_expects():
    torch.manual_seed(0)
    converted = fs.convert(nn.Sequential(*NETWORKS["convolutions"]()), GRAY, t_max=32)
    kinds = [FirstSpikeConv2d, EarliestPool2d, FirstSpikeConv2d, nn.Flatten, FirstSpikeLinear]
    assert [type(module) for module in converted] == kinds
    assert converted.t_max == 32 and not converted.training
    assert {layer.neuron.threshold for layer in converted.layers} == {1.0}


def test_colour_and_double_precision():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).double()
    converted = convert(network, COLOUR)
    assert converted.layers[0].weight.dtype == torch.float64
    assert agreement(network, converted, COLOUR) > 0.9


def test_a_layer_without_activity():
    network = nn.Sequential(nn.Linear(144, 4), nn.ReLU(), nn.Linear(4, 3))
    nn.init.constant_(network[0].weight, -1)
    converted = convert(network, GRAY)
    assert agreement(network, converted, GRAY) == 1


def two(*middle: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), *middle, nn.Flatten(), nn.Linear(200, 3))


def negative_norm() -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(2)
    nn.init.constant_(norm.weight, -1)
    return norm


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (two(nn.Tanh()), "module 1 is a Tanh"),
        (two(nn.Sequential(nn.LeakyReLU())), "module 1.0 is a LeakyReLU"),
        (two(), "module 0 has no ReLU before module 2"),
        (two(nn.AvgPool2d(1)), "module 0 has no ReLU before module 1"),
        (two(nn.ReLU(), nn.BatchNorm2d(2)), "module 2: BatchNorm2d must come between"),
        (
            two(nn.BatchNorm2d(2, track_running_stats=False)),
            "module 1: BatchNorm2d must have running statistics",
        ),
        (two(nn.MaxPool2d(1), negative_norm()), "module 2: BatchNorm2d behind MaxPool2d must"),
        (two(nn.ReLU(), nn.MaxPool2d(3, 1, 1)), "module 2: padding of MaxPool2d must be 0, got 1"),
        (two(nn.ReLU(), nn.MaxPool2d((1, 2))), "module 2: kernel_size of MaxPool2d must be the"),
        (
            two(nn.ReLU(), nn.AdaptiveAvgPool2d(3)),
            r"images do not fit module 2, .* \[N, 2, 10, 10\]: output_size",
        ),
        (nn.Sequential(nn.Conv2d(1, 2, 2, padding="same")), "module 0: padding 'same' of an even"),
        (two(nn.Softmax(1), nn.ReLU()), "module 1: Softmax can be converted only at the end"),
        (nn.Sequential(nn.Flatten()), "network must hold at least one Linear"),
        (nn.Sequential(nn.Linear(7, 2)), "images do not fit module 0, which got"),
        (nn.LSTM(2, 2), "module 0 is a LSTM"),
    ],
)
def test_what_cannot_be_converted_is_named(network, message):
    with pytest.raises(ValueError, match=message):
        convert(network, GRAY)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (GRAY / 255 + float("nan"), "images must be .* NaN"),
        (GRAY.float(), "images must be .* outside 0..1"),
        (GRAY.long(), "images must be uint8"),
        (GRAY[:0], "images must hold at least one"),
        (None, "images must be uint8"),
    ],
)
def test_images_that_do_not_fit_are_named(images, message):
    network = nn.Sequential(nn.Linear(144, 5))
    with pytest.raises(ValueError, match=message):
        convert(network, images)


def test_values_that_are_no_number_are_named():
    network = nn.Sequential(nn.Linear(144, 4), nn.ReLU(), nn.Linear(4, 3))
    nn.init.constant_(network[0].weight, float("inf"))
    with pytest.raises(ValueError, match=r"module 0 gives values .* no number"):
        convert(network, GRAY)


def trained(network: nn.Sequential, count: int, epochs: int) -> nn.Sequential:
    """A network after a short training on MNIST's first training images."""
    images = fs.load_mnist()
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(epochs):
        for pick in torch.randperm(count).split(50):
            scores = network(images.images[pick].unsqueeze(1) / 255)
            optimizer.zero_grad()
            nn.functional.cross_entropy(scores, images.labels[pick]).backward()
            optimizer.step()
    return network


def dense() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10))


def convolutional(channels: int) -> nn.Sequential:
    torch.manual_seed(0)
    hidden = [nn.Conv2d(1, channels, 5, stride=2), nn.BatchNorm2d(channels), nn.ReLU()]
    more = [nn.Conv2d(channels, 2 * channels, 3, padding=1), nn.BatchNorm2d(2 * channels)]
    return nn.Sequential(
        nn.Sequential(*hidden),
        nn.Sequential(*more, nn.ReLU(), nn.MaxPool2d(2)),
        nn.Flatten(),
        nn.Linear(2 * channels * 36, 10),
    )


@pytest.mark.parametrize("make", [dense, lambda: convolutional(8)], ids=["dense", "convolutional"])
def test_trained_networks_decide_alike(make):
    network, test = trained(make(), 3000, 2), fs.load_mnist("test")
    converted = convert(network, fs.load_mnist().images[:500], 64)
    assert agreement(network, converted, test.images[:1000]) >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("make", [dense, lambda: convolutional(16)], ids=["dense", "convolutional"])
def test_trained_networks_decide_alike_on_the_test_set(make):
    network, test = trained(make(), 20_000, 3), fs.load_mnist("test")
    for t_max, least in ((256, 0.995), (64, 0.99)):
        converted = convert(network, fs.load_mnist().images[:1000], t_max)
        assert agreement(network, converted, test.images) >= least


def test_encoding_is_that_of_the_library():
    network = nn.Sequential(nn.Linear(144, 5))
    converted = convert(network, GRAY, 16)
    assert torch.equal(converted.times_of(GRAY), encode(GRAY, 16))


@pytest.mark.parametrize("network", ["dense", "6c3p2-8", "16x5"])
def test_a_run_is_converted_into_a_run(tmp_path, capsys, network):
    source = untrained.finished(
        tmp_path / "dense", "ann-classifier", network=network, validation=0.01
    )
    out = tmp_path / "spiking"
    assert cli.main(["convert", str(source.path), "--out", str(out), "--images", "200"]) == 0
    said = capsys.readouterr().out
    assert "of the 599 images of mnist-train-validation" in said
    summary = json.loads((out / "summary.json").read_text())
    assert summary["converted_from"] == str(source.path) and summary["agreement"] > 0.9
    images = fs.data.load_parts(None, 0.01).training.images
    chosen = torch.linspace(0, len(images) - 1, 200).long()
    wanted = convert(fs.load_run(source.path), images[chosen])
    loaded = fs.load_run(out)
    some = fs.load_mnist("test").images[:200]
    same = loaded.classify(some).classes == wanted.classify(some).classes
    assert same.float().mean() > 0.99


def test_other_runs_are_refused(tmp_path, capsys):
    gan = untrained.finished(tmp_path / "gan", "gan")
    assert cli.main(["convert", str(gan.path), "--out", str(tmp_path / "x")]) == 2
    assert "a gan run; give one of ann-classifier" in capsys.readouterr().err


def test_a_conversion_that_fails_leaves_nothing(tmp_path, capsys, monkeypatch):
    source = untrained.finished(tmp_path / "dense", "ann-classifier", validation=0.01)
    command = ["convert", str(source.path), "--images", "20", "--out"]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("firstspike.runs.checkpoint.save", full)
        assert cli.main([*command, str(tmp_path / "new" / "spiking")]) == 2
    said = capsys.readouterr().err
    assert "No space left on device; make room there" in said and "resume" not in said
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr("firstspike.training.conversion.convert", lambda *_: pytest.fail("works"))
    assert cli.main([*command, str(source.path)]) == 2
    assert "holds another run" in capsys.readouterr().err
