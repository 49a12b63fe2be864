"""A network for data of your own: any PyTorch Dataset of (image, label)."""

import torch
from torch.utils.data import Dataset, random_split

import firstspike as fs
from firstspike.evaluation.networks import evaluate_network


class Rings(Dataset):
    """Noisy discs, rings and squares, 20x20 pixels, floating point in 0..1."""

    classes = ("disc", "ring", "square")

    def __init__(self, count):
        rng = torch.Generator().manual_seed(0)
        self.labels = torch.randint(3, (count,), generator=rng)
        self.places = torch.rand(count, 2, generator=rng) * 8 + 6
        self.noise = torch.rand(count, 20, 20, generator=rng) * 0.6

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, number):
        across, down = torch.arange(20) - self.places[number].view(2, 1)
        far = (across**2 + down.view(-1, 1) ** 2).sqrt()
        square = torch.maximum(across.abs(), down.abs().view(-1, 1)) < 4
        ink = (far < 5, (far < 5) & (far > 3), square)[self.labels[number]]
        return torch.where(ink, 1 - self.noise[number], self.noise[number]), self.labels[number]


class Tell(fs.Callback):
    def on_epoch_end(self, trainer, epoch, stats):
        print(f"epoch {epoch}: {stats['validation_set_accuracy']:.1%} of those held out")


rings, unseen = random_split(Rings(2400), [2000, 400], torch.Generator().manual_seed(0))
network = fs.fit(
    "classifier", rings, held_out=unseen, neuron="ramp", network="8c3p2-16c3p2", augment="shift",
    epochs=4, batch=25, lr=1e-2, callbacks=[Tell()], progress=False,
)  # fmt: skip

report = evaluate_network(network, unseen, network.t_max)
print(f"right: {report.strict_accuracy:.1%}, at step {report.decision_step:.0f}")
print(f"spikes an image: {report.total_spikes:.0f}, {report.neurons_fired:.2f} a neuron")
print(f"energy: {report.energy_pj / 1e3:.0f} nJ, dense {report.dense_energy_pj / 1e3:.0f} nJ")
