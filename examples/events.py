"""Which way does an edge move? Recordings of an event camera, told apart by first spikes."""

import torch

import firstspike as fs

SIDE, DURATION, T_MAX = 16, 1000.0, 32
WAYS = ("right", "left", "down", "up")


def recording(way, rng):
    """Events (x, y, t, p) of a bar that crosses the view: brighter before it, darker behind it."""
    pixels = torch.arange(SIDE * SIDE)
    x, y = pixels % SIDE, pixels // SIDE
    place = (x, SIDE - 1 - x, y, SIDE - 1 - y)[way]
    pace, start = 20 + 30 * torch.rand(2, generator=rng)
    time = start + pace * place + 10 * torch.rand(SIDE * SIDE, generator=rng)
    rows = [torch.stack([x, y, time + p * 3 * pace, torch.full_like(x, 1 - p)], 1) for p in (0, 1)]
    events = torch.cat(rows)
    kept = torch.rand(len(events), generator=rng) < 0.3  # most pixels miss it
    noise = torch.rand(40, 4, generator=rng) * torch.tensor([SIDE, SIDE, DURATION, 2])
    noise[:, [0, 1, 3]] = noise[:, [0, 1, 3]].floor()
    return torch.cat([events[kept], noise])


rng = torch.Generator().manual_seed(0)
labels = torch.randint(len(WAYS), (1200,), generator=rng)
options = {"t_max": T_MAX, "shape": (SIDE, SIDE), "duration": DURATION}
times = torch.stack([fs.encode_events(recording(way, rng), **options) for way in labels])
train, test = slice(0, 1000), slice(1000, None)
print(f"{(times < T_MAX).flatten(1).sum(1).double().mean():.0f} first events a recording")

torch.manual_seed(0)
neurons = {"neuron": "ramp", "t_max": T_MAX}
network = fs.nn.SpikingNetwork(
    fs.nn.FirstSpikeConv2d(2, 8, 3, padding=1, pool=2, norm=fs.nn.window_norm(8, 2), **neurons),
    torch.nn.Flatten(),
    fs.nn.FirstSpikeLinear(8 * 8 * 8, len(WAYS), threshold=20.0, **neurons),
)
optimizer = torch.optim.Adam(network.parameters(), lr=4e-3)
for _ in range(10):
    for batch in torch.randperm(1000).split(50):
        loss = torch.nn.functional.cross_entropy(network.potentials(times[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

network = fs.nn.fold(network.eval())
seen = times[test]
decided = fs.decide(network(seen), network.potentials(seen), T_MAX)
print(f"right: {(decided == labels[test]).double().mean():.1%} of recordings that it has not seen")
