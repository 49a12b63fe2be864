"""One layer of neurons that spike at most once: times in, times out, and a gradient."""

import torch

import firstspike as fs

torch.manual_seed(0)
image = fs.load_mnist("test").images[:1]
times = fs.encode(image).flatten(1)  # white spikes at step 0, black never
print(f"{int((times < fs.T_MAX).sum())} of {times.numel()} pixels spike")

layer = fs.nn.FirstSpikeLinear(784, 10, silent="pull")
fired = layer(times)
for neuron, time in enumerate(fired[0].tolist()):
    print(f"neuron {neuron}: " + ("silent" if time == fs.T_MAX else f"spikes at step {time:.0f}"))

before = fs.fire(times, layer.weight, bias=layer.bias)
fired[0, 3].backward()  # ask neuron 3 to spike earlier
with torch.no_grad():
    layer.weight -= 0.02 * layer.weight.grad
    after = layer(times)
print(f"neuron 3 after one step of descent: {before[0, 3]:.0f} -> {after[0, 3]:.0f}")
