"""A neuron and a layer of one's own: any module that maps spike times to spike times."""

import torch

import firstspike as fs


class NoisyNeurons(fs.nn.FirstSpikeLinear):
    """Neurons whose threshold is another one in each pass of training."""

    def forward(self, times):
        factor = 1 + 0.1 * torch.randn(()).item() if self.training else 1.0
        return fs.fire(
            times,
            self.weight,
            threshold=self.threshold * factor,
            t_max=self.t_max,
            bias=self.bias,
            delay=self.delay,
            silent=self.silent,
        )


class Axons(torch.nn.Module):
    """Each spike travels for a number of steps of its own."""

    def __init__(self, count, longest):
        super().__init__()
        self.register_buffer("steps", torch.randint(longest + 1, (count,)))

    def forward(self, times):
        return (times + self.steps).clamp(max=fs.T_MAX)


torch.manual_seed(0)
model = torch.nn.Sequential(
    NoisyNeurons(784, 100),
    Axons(100, longest=5),
    fs.nn.FirstSpikeLinear(100, 10, silent="pull"),
)
images = fs.load_mnist("train")
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for batch in torch.arange(1000).split(100):
    times = model(fs.encode(images.images[batch].flatten(1)))
    loss = fs.losses.cross_entropy(times, images.labels[batch]).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss of the last batch: {loss:.2f}")
