"""`firstspike.fit` is the commands' loop: the same networks, from data as programs have them."""

from __future__ import annotations

import json

import pytest
import torch
from idx import write_digits
from torch.utils.data import DataLoader

import firstspike as fs
from firstspike import cli
from firstspike.data import ImageSet, draw_canvases
from firstspike.drawing.canvas_files import save_canvases
from firstspike.evaluation.networks import evaluate_network
from firstspike.models.networks import NetworkClassifier
from firstspike.runs.directory import RunDirectory
from firstspike.training import kinds

SMALL = {"hidden": 8, "epochs": 2, "batch": 8, "progress": False}


def some(count: int = 64, split: str = "train") -> ImageSet:
    images = fs.load_mnist(split)
    return ImageSet(images.images[:count], images.labels[:count], "some", images.names)


def own(t_max: int = 32, *first: torch.nn.Module) -> fs.nn.SpikingNetwork:
    torch.manual_seed(0)
    norm = fs.nn.window_norm(32, 1)
    return fs.nn.SpikingNetwork(
        *first,
        fs.nn.FirstSpikeLinear(784, 32, neuron="ramp", norm=norm, t_max=t_max),
        fs.nn.FirstSpikeLinear(32, 10, neuron="ramp", t_max=t_max),
    )


def weights(network: torch.nn.Module) -> list[torch.Tensor]:
    return [weight.detach().clone() for weight in network.parameters()]


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    pairs = zip(weights(one), weights(other), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


class Told(fs.Callback):
    def __init__(self):
        self.calls = []

    def on_fit_start(self, trainer, parts):
        self.calls.append(("start", len(parts.training), len(parts.held_out or [])))

    def on_epoch_end(self, trainer, epoch, stats):
        self.calls.append((epoch, sorted(trainer.networks), "train_accuracy" in stats))

    def on_fit_end(self, trainer, summary):
        self.calls.append(("end", summary["epochs"]))


@pytest.mark.parametrize("neuron", ["step", "ramp"])
def test_a_command_and_fit_train_the_same_network(tmp_path, neuron):
    (tmp_path / "data").mkdir()
    folder = write_digits(tmp_path / "data", digits=3, train=30, test=5)
    options = ["--hidden", "8", "--epochs", "2", "--batch", "8", "--neuron", neuron]
    line = ["train", "classifier", "--data", folder, "--out", str(tmp_path / "run"), *options]
    assert cli.main(line) == 0
    trained = fs.load_run(tmp_path / "run")
    images = fs.load_images(folder)
    for data in (folder, DataLoader(images, 7)):
        assert same(fs.fit("classifier", data, neuron=neuron, **SMALL), trained)
    other = fs.fit("classifier", images, neuron=neuron, run=tmp_path / "own", **SMALL)
    assert same(other, fs.load_run(tmp_path / "own")) and same(other, trained)
    summaries = [json.loads((tmp_path / n / "summary.json").read_text()) for n in ("run", "own")]
    for summary in summaries:
        del summary["seconds"], summary["checksum"]
    assert summaries[0] == summaries[1]


def test_a_network_of_ones_own_learns():
    network, unseen = own(), some(500, "test")
    before = weights(network)
    held_out = DataLoader(unseen, 100)
    images, told = some(2000), Told()
    spiking = fs.fit(
        network, (images.images.float() / 255, images.labels), held_out=held_out, epochs=3, lr=0.01,
        batch=25,
        callbacks=[told], progress=False,
    )  # fmt: skip
    assert told.calls == [
        ("start", 2000, 500), *((n, ["model"], True) for n in (1, 2, 3)), ("end", 3),
    ]  # fmt: skip
    assert any(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert isinstance(spiking, NetworkClassifier) and spiking.t_max == 32
    decided = spiking.classify(unseen.images)
    assert (decided.classes == unseen.labels).double().mean() > 0.8
    assert evaluate_network(spiking, held_out, 32).strict_accuracy > 0.8


def test_a_first_layer_may_flatten_by_itself():
    flat = own(32, torch.nn.Flatten())
    options = {"epochs": 1, "progress": False}
    assert same(fs.fit(own(), some(), **options), fs.fit(flat, some(), **options))


def test_a_gan_draws(tmp_path, capsys):
    gan = fs.fit(
        "gan", some(), digit="1", snapshots=0, run=tmp_path / "run", **(SMALL | {"progress": True})
    )
    assert gan.sample(gan.latents(3)).shape == (3, 28, 28)
    assert (tmp_path / "run" / "samples" / "epoch-002.png").is_file()
    assert "epoch 2:" in capsys.readouterr().out
    assert RunDirectory.open(tmp_path / "run").options["data"] == "in Python: some"


def test_a_run_goes_on_where_it_stopped(tmp_path):
    class Stop(fs.Callback):
        def on_epoch_end(self, trainer, epoch, stats):
            raise KeyboardInterrupt

    options = SMALL | {"neuron": "ramp", "run": tmp_path / "run"}
    with pytest.raises(KeyboardInterrupt):
        fs.fit("classifier", some(), callbacks=[Stop()], **options)
    told = Told()
    resumed = fs.fit("classifier", some(), callbacks=[told], **options)
    assert [call[0] for call in told.calls] == ["start", 2, "end"]
    assert same(resumed, fs.fit("classifier", some(), **(options | {"run": None})))
    with pytest.raises(ValueError, match="holds a run of other options or data"):
        fs.fit("classifier", some(), **(options | {"lr": 0.5}))
    with pytest.raises(ValueError, match="holds a run of other options or data"):
        fs.fit("classifier", (some().images, some().labels), **options)


def test_what_fails_before_its_first_checkpoint_leaves_nothing(tmp_path):
    class Fail(fs.Callback):
        def __init__(self, epoch):
            self.epoch = epoch

        def on_epoch_end(self, trainer, epoch, stats):
            if epoch == self.epoch:
                raise RuntimeError("enough")

        def on_fit_start(self, trainer, parts):
            self.on_epoch_end(trainer, 0, {})

    for epoch, kept in ((0, False), (2, True)):
        with pytest.raises(RuntimeError, match="enough"):
            run = tmp_path / "new" / "run"
            fs.fit("ann-classifier", some(), run=run, callbacks=[Fail(epoch)], **SMALL)
        assert (tmp_path / "new").exists() == kept
    assert RunDirectory.open(run).has_checkpoint()


def test_commands_say_that_data_were_given_in_python(tmp_path, firstspike):
    fs.fit("ann-classifier", some(), run=tmp_path / "run", **SMALL)
    code, _, said = firstspike("train", "ann-classifier", "--resume", str(tmp_path / "run"))
    assert code == 2 and "in Python: some: given to firstspike.fit, not as a file" in said


def test_the_bundled_images_are_what_commands_take(tmp_path, monkeypatch):
    from firstspike.training import fitting

    small = some()
    small = ImageSet(small.images, small.labels, "mnist-train", small.names)
    monkeypatch.setattr(fitting, "load_mnist", lambda split: small)
    fs.fit("ann-classifier", small, run=tmp_path / "run", **SMALL)
    assert RunDirectory.open(tmp_path / "run").options["data"] is None


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("detect", {"network": "4c3s4"}),
        ("segment", {"channels": 2, "depth": 1}),
        ("translate", {"channels": 2, "depth": 1, "task": "pairs", "colour": "gray"}),
    ],
)
def test_a_folder_is_read_as_its_kind_needs_it_beside_held_out_data_too(kind, options, tmp_path):
    folder = tmp_path / "canvases"
    digits = some()
    save_canvases(folder, draw_canvases(8, 0, digits), digits.names)
    (folder / "classes.txt").write_text("\n".join(("ground", *digits.names)))
    if kind == "translate":  # masks are pictures as well
        (folder / "images").rename(folder / "inputs")
        (folder / "masks").rename(folder / "targets")
    told, how = Told(), options | {"epochs": 1, "batch": 4, "progress": False}
    fs.fit(kind, folder, callbacks=[told], run=tmp_path / "run", **how)
    found = kinds.find(kind)
    config = found.read(RunDirectory.open(tmp_path / "run").options, tmp_path)
    unseen = kinds.load(found.trainer).load_split(config, "train").part(torch.arange(3), "part")
    fs.fit(kind, folder, held_out=unseen, callbacks=[told], **how)
    assert [call for call in told.calls if call[0] == "start"] == [("start", 8, 0), ("start", 8, 3)]


def test_training_leaves_threads_as_they_were():
    class Look(fs.Callback):
        def on_epoch_end(self, trainer, epoch, stats):
            seen.append(torch.get_num_threads())

    seen, before = [], torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        fs.fit("gan", some(), digit="1", snapshots=0, callbacks=[Look()], **SMALL)
        assert seen == [1, 1] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("network", "options", "fault"),
    [
        ("painter", {}, "network: a painter run, of a kind that is not known here"),
        (torch.nn.Linear(2, 2), {}, "network must be one of gan, .* got Linear"),
        ("classifier", {"hiden": 3}, "hiden is no option of classifier; see firstspike train"),
        ("classifier", {"data": "x"}, "data is no option"),
        ("classifier", {"lr": -1.0}, "lr must be above 0.0"),
        ("classifier", {"device": "moon"}, "device must be"),
        ("classifier", {"callbacks": [print]}, "callbacks must be of fs.Callback"),
        ("classifier", {"held_out": 3}, "held_out must be a Dataset"),
        ("classifier", {"held_out": "self", "validation": 0.1}, "validation does nothing beside"),
        ("classifier", {"held_out": (torch.zeros(2, 5, 5), [0, 1])}, "images of"),
        ("gan", {"digit": "x"}, "digit x is not in some"),
        (own(), {"hidden": 3}, "hidden is for networks that are made here"),
        (own(), {"run": "x"}, "run: its options cannot say how a network of your own is made"),
        (own()[:1], {}, "network must end with a dense layer of 10 neurons"),
        (fs.nn.SpikingNetwork(fs.nn.FirstSpikeLinear(784, 10)), {}, "of ramp neurons"),
    ],
)  # fmt: skip
def test_mistakes_are_told_before_work_starts(network, options, fault, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if options.get("held_out") == "self":
        options = options | {"held_out": some()}
    with pytest.raises(ValueError, match=fault):
        fs.fit(network, some(), **({"progress": False} | options))
    assert not list(tmp_path.iterdir())
    if isinstance(network, str):
        with pytest.raises(ValueError, match="data must be a Dataset"):
            fs.fit("classifier", some().images)
