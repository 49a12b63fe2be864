"""A convolutional network of ramp neurons, from training to int8: python convolutional.py IMAGES

IMAGES is how many of MNIST's 60,000 training images it learns from, each once; it decides on a
sixth as many test images.
"""

import sys

import torch

import firstspike as fs
from firstspike.counts import count
from firstspike.energy import energy
from firstspike.export import npz
from firstspike.models.networks import NetworkClassifier
from firstspike.models.quantized_ramps import quantize_ramps

T_MAX = 64


def convolution(inputs, outputs, kernel):
    """Neurons of which the earliest of each 2x2 block is heard; normalised while they learn."""
    norm = fs.nn.window_norm(outputs, 2)
    options = {"padding": kernel // 2, "pool": 2, "neuron": "ramp", "t_max": T_MAX}
    return fs.nn.FirstSpikeConv2d(inputs, outputs, kernel, norm=norm, **options)


torch.manual_seed(0)
network = NetworkClassifier(
    convolution(1, 8, 5),
    convolution(8, 16, 3),
    torch.nn.Flatten(),
    fs.nn.FirstSpikeLinear(16 * 7 * 7, 10, neuron="ramp", threshold=20.0, t_max=T_MAX),
)

used = int(sys.argv[1])
train, test = fs.load_mnist("train"), fs.load_mnist("test")
optimizer = torch.optim.Adam(network.parameters(), lr=4e-3)
for batch in torch.randperm(len(train))[:used].split(100):
    scores = network.potentials(network.times_of(train.images[batch]))
    loss = torch.nn.functional.cross_entropy(scores, train.labels[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

network = fs.nn.fold(network)  # normalisation moves into weights and biases
images, labels = test.images[: used // 6], test.labels[: used // 6]
decided = network.classify(images)
print(f"right: {(decided.classes == labels).double().mean():.1%} of the test images")
print(f"step of the decision: {decided.decisions.double().mean():.0f} of {network.windows * T_MAX}")

traces = network.traces(network.times_of(images[:1000]))  # what each layer received and sent
counts = count(network, traces)
names = ("pixels", "5x5", "3x3", "classes")
for name, sent, neurons in zip(names, counts.spikes.double().mean(0), counts.neurons, strict=True):
    print(f"{name}: {sent:.0f} spikes of {neurons} neurons, {sent / neurons:.2f} each")
additions, updates = (each.sum(1).double().mean() for each in (counts.additions, counts.updates))
print(f"{additions:,.0f} additions, {updates:,.0f} updates, {counts.macs:,} multiply-adds if dense")
share = energy(additions, counts.macs, updates=updates).ratio
print(f"energy over the dense network's: {share:.2f}")

small = quantize_ramps(network)  # int8, without calibration
same = small.classify(images).classes == decided.classes
print(f"decided alike with 8-bit weights: {same.double().mean():.2%}")
for name, saved in (("cnn.npz", network), ("cnn-int8.npz", small)):
    npz.save(name, saved, facts={"classes": list(train.names)})
