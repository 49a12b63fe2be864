"""A backend of `fire` of one's own: sorted spikes and running sums, on any device, in float64."""

from types import SimpleNamespace

import torch

import firstspike as fs
from firstspike.ops import reference
from firstspike.ops.backends import Backend, register_backend
from firstspike.times import check_times


def forward(times, weight, bias, threshold, t_max, delay):
    check_times(times, t_max)
    steps, order = (times + delay).sort(dim=1, stable=True)
    rows = weight.t()[order]  # [B, in, out], in order of arrival
    start = rows.new_zeros(len(times), 1, len(weight)) + (0 if bias is None else bias)
    potential = torch.cat([start, rows], dim=1).cumsum(dim=1)
    steps = torch.cat([steps.new_zeros(len(times), 1), steps], dim=1)
    later = torch.cat([steps[:, 1:], steps.new_full((len(times), 1), torch.inf)], dim=1)
    ready = (later > steps) & (steps < t_max)  # all that comes in this step has come
    fires = (potential > threshold) & ready[:, :, None]
    return torch.where(fires, steps[:, :, None], t_max).amin(dim=1)


def is_double(times):
    return times.dtype == torch.float64


kernels = SimpleNamespace(forward=forward, backward=reference.backward)
register_backend("sorted", Backend(is_double, "float64", lambda: kernels))

torch.manual_seed(0)
times = fs.encode(fs.load_mnist("test").images[:20].flatten(1)).double()
weight = torch.randn(10, 784, dtype=torch.float64) / 10
fired = [fs.fire(times, weight, impl=impl) for impl in ("sorted", "reference")]
assert torch.equal(*fired)
print(f"{int((fired[0] < fs.T_MAX).sum())} of {fired[0].numel()} neurons fired")
