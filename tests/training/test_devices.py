"""Networks of any device: names checked first, checkpoints that load anywhere."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from firstspike.commands.evaluate import Evaluate
from firstspike.commands.generate import Generate
from firstspike.commands.train import TrainKind, commands
from firstspike.runs.directory import RunDirectory
from firstspike.training import devices, kinds
from firstspike.training.loading import build_trainer
from firstspike.training.trainer import Trainer

META = torch.device("meta")
ANYWHERE = {
    "ramp classifier": ("classifier", {"neuron": "ramp", "network": "4c3p2"}),
    "deep twin": ("ann-classifier", {"network": "4c3p2"}),
    "dense twin": ("ann-classifier", {"network": "dense"}),
    "ramp GAN": ("gan", {"neuron": "ramp"}),
    "convolutional GAN": ("gan", {"neuron": "ramp", "network": "conv"}),
    "twin GAN": ("ann-gan", {"loss": "relativistic"}),
}
STEP = {"step classifier": ("classifier", {}), "step GAN": ("gan", {"neuron": "step"})}


def trainer_of(name: str) -> Trainer:
    kind, chosen = {**ANYWHERE, **STEP}[name]
    defaults = kinds.find(kind).defaults(chosen)
    small = {"hidden": 12} if chosen.get("network", "dense") == "dense" else {}
    config = dataclasses.replace(defaults, **small, **chosen)
    return kinds.load(kinds.find(kind).trainer)(config)


@pytest.fixture
def accelerated(monkeypatch):
    """A machine with two devices of one kind, as far as names go."""
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)


@pytest.fixture
def plain(monkeypatch):
    """A machine with a CPU only."""
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: None)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 0)


def test_names_of_a_machine_without_an_accelerator(plain):
    assert devices.find("auto") == devices.find("cpu") == torch.device("cpu")
    for name in ("cuda", "mps", "meta", "cuda:0"):
        with pytest.raises(ValueError, match=f"^device {name}: not here; PyTorch finds cpu$"):
            devices.find(name)
    with pytest.raises(ValueError, match=r"^device must be auto, cpu, .*got 'gpu'"):
        devices.find("gpu")


def test_names_of_a_machine_with_an_accelerator(accelerated):
    assert devices.find("auto") == devices.find("cuda") == torch.device("cuda")
    assert devices.find("cuda:1") == torch.device("cuda:1")
    assert devices.find("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match=r"^device cuda:2: not here; .* cpu, cuda, 2 of the"):
        devices.find("cuda:2")


@pytest.mark.parametrize("name", STEP)
def test_step_networks_stay_on_the_cpu(name, accelerated):
    trainer = trainer_of(name)
    assert devices.moved(trainer, "auto").device.type == "cpu"
    with pytest.raises(ValueError, match=r"^device must be cpu, got cuda: .* step neurons"):
        devices.moved(trainer, "cuda")


@pytest.mark.parametrize("name", ANYWHERE)
def test_a_step_of_training_stays_on_the_device(name, monkeypatch):
    """On ``meta``, which computes no numbers but complains when devices meet."""
    trainer = trainer_of(name).on(META)
    for optimizer in trainer.optimizers.values():
        for group in optimizer.param_groups:
            group["fused"] = False  # there is no such kernel for meta
    monkeypatch.setattr(torch.Tensor, "__float__", lambda _: 0.5)
    monkeypatch.setattr(torch.Tensor, "tolist", lambda it: [0.5] * it.numel())
    images, rng = torch.zeros(4, 28, 28, dtype=torch.uint8), torch.Generator()
    if hasattr(trainer, "generator"):
        trainer.start_epoch(1)
        trainer.step(trainer.pixels(images).to(META), rng)
        assert trainer.draw(trainer.latents(3).to(META)).device == META
    else:
        trainer.step(images.to(META), torch.zeros(4, dtype=torch.int64, device=META), rng)
    for network in trainer.networks.values():
        assert {tensor.device for tensor in network.state_dict().values()} == {META}
    learned = [it for group in next(iter(trainer.optimizers.values())).param_groups
               for it in group["params"]]  # fmt: skip
    assert all(parameter.grad.device == META for parameter in learned)


@pytest.mark.filterwarnings("ignore:.*from a non-meta parameter:UserWarning")
@pytest.mark.parametrize("name", ANYWHERE)
def test_a_checkpoint_of_one_device_loads_on_another(name, tmp_path):
    """Files hold tensors of the CPU; a network on ``meta`` takes them where it is."""
    kind, _ = ANYWHERE[name]
    trainer = trainer_of(name)
    run = RunDirectory.create(tmp_path / "run", kind, trainer.config.as_dict())
    for optimizer in trainer.optimizers.values():
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.ones_like(parameter)
        optimizer.step()
    run.save_checkpoint(trainer.networks, trainer.optimizers, {"epoch": 1})
    other = build_trainer(run).on(META)
    run.load_checkpoint(other.networks, other.optimizers)
    assert other.device == META
    for optimizer in other.optimizers.values():
        moments = [slots["exp_avg"] for slots in optimizer.state.values()]
        assert moments and all(moment.device == META for moment in moments)
    again = build_trainer(run).on(devices.CPU).restored(run)
    for one, same in zip(trainer.networks.values(), again.networks.values(), strict=True):
        for first, second in zip(one.parameters(), same.parameters(), strict=True):
            assert torch.equal(first, second)


def test_commands_check_the_device_first(plain, tmp_path, monkeypatch):
    """Before data are read and folders are made."""
    monkeypatch.chdir(tmp_path)
    made, default = commands(["train", "classifier", "--neuron", "ramp"])["classifier"]
    place = dataclasses.replace(default.place, device="cuda", out=tmp_path / "run")
    command: TrainKind = made(config=default.config, place=place)
    with pytest.raises(ValueError, match=r"^device cuda: not here"):
        command()
    run = RunDirectory.create(tmp_path / "gan", "gan", trainer_of("ramp GAN").config.as_dict())
    with pytest.raises(ValueError, match=r"^device cuda: not here"):
        Generate(run.path, device="cuda")()
    with pytest.raises(ValueError, match=r"^device cuda: not here"):
        Evaluate((run.path,), device="cuda")()
    assert not (tmp_path / "run").exists() and not list(run.path.glob("eval*"))
