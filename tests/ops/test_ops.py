"""`fire` against tables worked out by hand, a naive oracle, and properties of the neuron."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import naive
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import run_python

from firstspike import fire
from firstspike.ops.cpu import fire as numba_cpu
from firstspike.ops.cpu import threads

IMPLS = ["reference", "numba"]
SILENT = 8  # t_max of most tests: the value that means silence


def spikes(times, weight, impl="auto", **options):
    """Spike times of one sample and a list of neurons, as a list."""
    options = {"t_max": SILENT, **options}
    times, weight = torch.tensor([times]).float(), torch.tensor(weight).float()
    return fire(times, weight, impl=impl, **options)[0].tolist()


@pytest.mark.parametrize("impl", IMPLS)
class TestByHand:
    def test_first_strict_crossing(self, impl):
        # Inputs arrive at 1, 2, 4 (delay 1). V of neuron 0: .5, 1.0 (not above 1), 1.5 -> 4.
        # Neuron 1: 2 -> 1. Neuron 2: .5, .75, .875 -> silent.
        weight = [[0.5, 0.5, 0.5], [2.0, 0.0, 0.0], [0.5, 0.25, 0.125]]
        assert spikes([0.0, 1.0, 3.0], weight, impl) == [4, 1, SILENT]

    @pytest.mark.parametrize(("delay", "expected"), [(0, 3), (1, 4), (2, 5), (4, 7)])
    def test_delay_shifts_the_arrival(self, impl, delay, expected):
        assert spikes([3.0], [[2.0]], impl, delay=delay) == [expected]

    def test_arrival_at_the_end_is_too_late(self, impl):
        # Arrivals at 3 + 5 = 8 = t_max and beyond; the simulation's last step is 7.
        for delay in (5, 6, 8, 100):
            assert spikes([3.0], [[2.0]], impl, delay=delay) == [SILENT]

    def test_threshold_is_tested_after_all_events_of_a_step(self, impl):
        # Both at step 1. 2 - 1.5 = .5 is not above 1, whatever the order of the two.
        assert spikes([0.0, 0.0], [[2.0, -1.5], [-1.5, 2.0]], impl) == [SILENT, SILENT]

    def test_falling_back_does_not_unfire(self, impl):
        # V: 2 at step 1 (fires), -8 at step 3. The second neuron: -1 at 1, 3 at 3.
        assert spikes([0.0, 2.0], [[2.0, -10.0], [-1.0, 4.0]], impl) == [1, 3]

    def test_bias_acts_from_step_0(self, impl):
        # Neuron 0 is above at once; 1 needs the input at step 3; 2 is at the threshold, not above.
        options = {"bias": torch.tensor([1.5, 0.75, 1.0]), "t_max": SILENT}
        assert spikes([2.0], [[0.0], [0.5], [0.0]], impl, **options) == [0, 3, SILENT]

    def test_bias_and_spikes_at_step_0_are_one_event(self, impl):
        # Bias 2 and input -1.5 both act at step 0 (delay 0): .5; then +1 at step 4: 1.5.
        bias = torch.tensor([2.0])
        assert spikes([0.0, 4.0], [[-1.5, 1.0]], impl, bias=bias, delay=0) == [4]
        assert spikes([0.0, 4.0], [[-1.5, 1.0]], impl, bias=bias, delay=1) == [0]

    def test_negative_threshold_needs_no_input(self, impl):
        # V = 0 > -1 from step 0 on.
        assert spikes([SILENT * 1.0], [[1.0]], impl, threshold=-1.0) == [0]

    def test_silent_inputs_never_contribute(self, impl):
        for delay in (0, 1):
            assert spikes([SILENT * 1.0] * 3, [[9.0, 9.0, 9.0]], impl, delay=delay) == [SILENT]

    def test_one_time_step(self, impl):
        assert spikes([0.0], [[2.0]], impl, t_max=1, delay=0) == [0]
        assert spikes([0.0], [[2.0]], impl, t_max=1, delay=1) == [1]
        assert spikes([1.0], [[2.0]], impl, t_max=1, delay=0) == [1]

    @pytest.mark.parametrize(("dtype", "expected"), [(torch.float32, SILENT), (torch.float64, 3)])
    def test_potentials_add_up_one_by_one_in_the_dtype_of_the_weights(self, impl, dtype, expected):
        # V in float32: -1e8 + 1.25 = -1e8, then 0: silent. In float64 V ends at 1.25 > 1.
        times = torch.tensor([[0.0, 1.0, 2.0]], dtype=dtype)
        weight = torch.tensor([[-1e8, 1.25, 1e8]], dtype=dtype)
        assert fire(times, weight, t_max=SILENT, impl=impl).item() == expected

    def test_threshold_is_rounded_to_the_dtype_of_the_weights(self, impl):
        # .1 in float32 is above .1 in float64, but not above itself.
        assert spikes([0.0], [[0.1]], impl, threshold=0.1) == [SILENT]

    def test_gradient(self, impl):
        # Arrivals 1, 2, 4, none. Neuron 0: V = 2 at 1, fires; input 0 contributed.
        # Neuron 1: V = -1, 0, 3: fires at 4; inputs 0-2 did. Neuron 2 is silent.
        times = torch.tensor([[0.0, 1.0, 3.0, 8.0]], requires_grad=True)
        weight = torch.tensor([[2.0, 3, 5, 7], [-1, 1, 3, 7], [0.1, 0.2, 0.3, 7]])
        weight.requires_grad_()
        bias = torch.zeros(3, requires_grad=True)
        fired = fire(times, weight, bias=bias, t_max=SILENT, impl=impl)
        assert fired.tolist() == [[1, 4, 8]]
        fired.backward(torch.tensor([[10.0, 100.0, 1000.0]]))
        # dL/dw_ji = -dL/dt_j; dL/dt_i = sum_j dL/dt_j w_ji: 10 * 2 - 100, 100, 300.
        assert weight.grad.tolist() == [[-10, 0, 0, 0], [-100, -100, -100, 0], [0, 0, 0, 0]]
        assert bias.grad.tolist() == [-10, -100, 0]
        assert times.grad.tolist() == [[-80, 100, 300, 0]]

    def test_pull_lets_through_what_asks_for_an_earlier_spike(self, impl):
        # A silent neuron with arrivals 1 and 8 (its time, t_max); L falls if t falls: dL/dt > 0.
        times = torch.tensor([[0.0, 7.0, 8.0]], requires_grad=True)
        weight = torch.tensor([[0.5, 0.25, 4.0]], requires_grad=True)
        for error, expected in ((10.0, -10), (-10.0, 0)):
            fired = fire(times, weight, t_max=SILENT, silent="pull", impl=impl)
            assert fired.item() == SILENT
            grads = torch.autograd.grad(fired, [weight, times], torch.tensor([[error]]))
            assert grads[0].tolist() == [[expected, expected, 0]]
            assert grads[1].tolist() == [[-expected * 0.5, -expected * 0.25, 0]]


def compare(batch, inputs, outputs, *, t_max=SILENT, delay=1, silent="zero", dtype=torch.float32,
            with_bias=True, seed=0, oracle=True, make_times=None):  # fmt: skip
    """Both implementations (and the oracle) on random input, ties and silent inputs among it."""
    generator = torch.Generator().manual_seed(seed)
    if make_times is None:
        times = torch.randint(t_max + 1, (batch, inputs), generator=generator).to(dtype)
    else:
        times = make_times(batch, inputs).to(dtype)
    weight = torch.randn(outputs, inputs, generator=generator, dtype=dtype) * 0.6 + 0.1
    bias = torch.randn(outputs, generator=generator, dtype=dtype) * 0.4 if with_bias else None
    error = torch.randn(batch, outputs, generator=generator, dtype=dtype)
    leaves = [x.requires_grad_() for x in (times, weight, bias) if x is not None]
    results = []
    for impl in IMPLS:
        fired = fire(times, weight, bias=bias, t_max=t_max, delay=delay, silent=silent, impl=impl)
        assert fired.dtype == dtype
        assert fired.shape == (batch, outputs)
        results.append((fired.detach(), torch.autograd.grad(fired, leaves, error)))
    (slow, slow_grads), (fast, fast_grads) = results
    assert torch.equal(slow, fast)
    for a, b in zip(slow_grads, fast_grads, strict=True):
        assert a.dtype == b.dtype == dtype
        torch.testing.assert_close(a, b, rtol=1e-5, atol=2e-5)
    if oracle:
        lists = [None if x is None else x.tolist() for x in (times, weight, bias)]
        in_32 = dtype == torch.float32
        expected = naive.fire(
            lists[0], lists[1], 1.0, t_max, lists[2], delay, np.float32 if in_32 else float
        )
        assert fast.tolist() == expected
        grads = naive.fire_backward(
            error.tolist(), lists[0], lists[1], expected, t_max, delay, silent
        )
        for got, want in zip(fast_grads, grads, strict=False):
            want = torch.tensor(want, dtype=dtype).reshape(got.shape)
            torch.testing.assert_close(got, want, rtol=1e-5, atol=2e-5)
    return fast


@pytest.mark.parametrize("silent", ["zero", "pull"])
@pytest.mark.parametrize("delay", [0, 1, 2])
@pytest.mark.parametrize("batch", [1, 3, 9])
def test_implementations_agree(batch, delay, silent):
    fired = compare(batch, 13, 11, delay=delay, silent=silent, seed=batch)
    assert 0 < (fired == SILENT).float().mean() < 1  # both kinds are there


@pytest.mark.parametrize("t_max", [1, 2, 30, 300, 5000])
def test_implementations_agree_for_any_number_of_steps(t_max):
    compare(4, 11, 7, t_max=t_max, delay=0, oracle=t_max <= 300)


@pytest.mark.parametrize("delay", [7, 8, 9, 1000])
@pytest.mark.parametrize("silent", ["zero", "pull"])
def test_implementations_agree_when_nothing_arrives_in_time(delay, silent):
    compare(3, 6, 5, delay=delay, silent=silent)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("with_bias", [True, False])
def test_implementations_agree_in_both_precisions(dtype, with_bias):
    compare(5, 17, 19, dtype=dtype, with_bias=with_bias)


@pytest.mark.parametrize("outputs", [1, 2, 63, 64, 65, 127, 129, 200, 400])
def test_implementations_agree_across_tiles(outputs):
    compare(3, 12, outputs, oracle=outputs < 3)


@pytest.mark.parametrize("batch", [70, 257])
def test_implementations_agree_on_large_batches(batch):
    compare(batch, 40, 30, t_max=64, oracle=False)


@pytest.mark.parametrize("value", [0, SILENT, SILENT - 1, 3])
def test_implementations_agree_when_all_times_are_the_same(value):
    compare(4, 9, 8, make_times=lambda *shape: torch.full(shape, float(value)))


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize(("batch", "inputs", "outputs"), [(0, 5, 4), (3, 0, 4), (3, 5, 0)])
def test_empty_dimensions(impl, batch, inputs, outputs):
    times = torch.zeros(batch, inputs, requires_grad=True)
    weight = torch.ones(outputs, inputs, requires_grad=True)
    bias = torch.full((outputs,), 2.0, requires_grad=True)
    fired = fire(times, weight, bias=bias, t_max=SILENT, impl=impl)
    assert fired.tolist() == [[0.0] * outputs] * batch
    fired.sum().backward()
    assert torch.equal(times.grad, torch.zeros(batch, inputs))
    assert torch.equal(weight.grad, torch.zeros(outputs, inputs))
    assert torch.equal(bias.grad, torch.full((outputs,), -1.0 * batch))


@pytest.mark.parametrize("impl", IMPLS)
def test_layout_does_not_matter(impl):
    times = torch.randint(SILENT + 1, (6, 10)).float()
    weight, bias = torch.randn(8, 10), torch.randn(8)
    expected = fire(times, weight, bias=bias, t_max=SILENT, impl=impl)
    spread = torch.stack([weight, weight], dim=2)[:, :, 0]
    for t in (times, times.t().contiguous().t(), torch.cat([times, times], 1)[:, :10]):
        for w in (weight, weight.t().contiguous().t(), spread):
            b = torch.stack([bias, bias], 1)[:, 0]
            w = w.detach().requires_grad_()
            fired = fire(t, w, bias=b, t_max=SILENT, impl=impl)
            assert torch.equal(fired, expected)
            fired.t().contiguous().t().sum().backward()
            assert w.grad.shape == w.shape


@pytest.mark.parametrize("impl", IMPLS)
def test_gradients_of_expanded_errors(impl):
    times, weight = torch.zeros(2, 3), torch.ones(4, 3, requires_grad=True)
    fire(times, weight, t_max=SILENT, impl=impl).sum().backward()  # a stride-0 gradient
    assert torch.equal(weight.grad, torch.full((4, 3), -2.0))


@pytest.mark.parametrize("team", [threads._team, None], ids=["PyTorch's threads", "Python's"])
def test_kernels_in_parts_give_the_same_bits(monkeypatch, team):
    """The number of threads changes nothing, not even the rounding of gradients; nor whose they
    are, where PyTorch's cannot be used."""
    monkeypatch.setattr(threads, "_WORTH_A_THREAD", 0)
    monkeypatch.setattr(threads, "_team", team)
    times = torch.randint(257, (67, 50)).float().requires_grad_()
    weight = torch.randn(70, 50, requires_grad=True)
    error = torch.randn(67, 70)
    results = []
    before = torch.get_num_threads()
    try:
        for number in (1, 2, 3, 5):
            torch.set_num_threads(number)
            fired = fire(times, weight, silent="pull", impl="numba")
            results.append((fired, *torch.autograd.grad(fired, [times, weight], error)))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_gradients_of_more_samples_than_are_held_at_a_time():
    torch.manual_seed(0)
    times = torch.randint(257, (1100, 20)).float()
    weight, bias = torch.randn(70, 20), torch.randn(70)
    error, found = torch.randn(1100, 70), []
    for impl in IMPLS:
        given = [part.clone().requires_grad_() for part in (times, weight, bias)]
        fired = fire(given[0], given[1], bias=given[2], impl=impl)
        found.append(torch.autograd.grad(fired, given, error))
    for slow, fast in zip(*found, strict=True):
        torch.testing.assert_close(slow, fast, rtol=1e-4, atol=1e-3)


@pytest.mark.skipif(threads._team is None, reason="PyTorch computes without GNU's OpenMP here")
def test_parts_are_computed_by_the_threads_of_pytorch(monkeypatch):
    """Not by others, which would wait for a core that PyTorch's keep busy for a while."""
    monkeypatch.setattr(threads, "_WORTH_A_THREAD", 0)
    monkeypatch.setattr(threads, "_pool", None)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert fire(torch.zeros(8, 3), torch.ones(4, 3), impl="numba").eq(1).all()
    finally:
        torch.set_num_threads(before)


def test_several_threads_of_python_share_out_at_once(monkeypatch):
    monkeypatch.setattr(threads, "_WORTH_A_THREAD", 0)
    times, weight = torch.randint(257, (40, 30)).float(), torch.randn(70, 30)
    expected = fire(times, weight, impl="reference")
    with ThreadPoolExecutor(4) as pool:
        for fired in pool.map(lambda _: fire(times, weight, impl="numba"), range(40)):
            assert torch.equal(fired, expected)


@pytest.mark.parametrize("steps", [4096, 4097, 70_000])
def test_spikes_are_sorted_among_any_number_of_steps(steps):
    """By one pass that counts them, and by digits where there are more steps than it looks at."""
    torch.manual_seed(0)
    times = torch.randint(steps + 1, (5, 200)).float()
    times[:, ::3] = times[:, 1::3][:, :67]  # some at one step
    weight = torch.randn(20, 200) / 5
    fired = fire(times, weight, t_max=steps, impl="numba")
    assert torch.equal(fired, fire(times, weight, t_max=steps, impl="reference"))


# Whole multiples of 1/8: every sum is exact, in any order.
exact_weights = st.integers(-16, 24).map(lambda k: k / 8)
layers = st.integers(1, 7).flatmap(
    lambda inputs: st.tuples(
        st.lists(st.integers(0, SILENT).map(float), min_size=inputs, max_size=inputs),
        st.lists(st.lists(exact_weights, min_size=inputs, max_size=inputs), min_size=1, max_size=5),
    )
)
impls = st.sampled_from(IMPLS)


@settings(deadline=None)
@given(layer=layers, impl=impls, delay=st.integers(0, 2))
def test_times_are_those_of_the_oracle(layer, impl, delay):
    times, weight = layer
    assert (
        spikes(times, weight, impl, delay=delay)
        == naive.fire([times], weight, 1.0, SILENT, delay=delay)[0]
    )


@settings(deadline=None)
@given(layer=layers, impl=impls, order=st.randoms())
def test_order_of_inputs_does_not_matter(layer, impl, order):
    times, weight = layer
    shuffled = list(range(len(times)))
    order.shuffle(shuffled)
    assert spikes(times, weight, impl) == spikes(
        [times[i] for i in shuffled], [[row[i] for i in shuffled] for row in weight], impl
    )


@settings(deadline=None)
@given(layer=layers, impl=impls, shift=st.integers(1, SILENT))
def test_later_inputs_give_later_outputs(layer, impl, shift):
    times, weight = layer
    before = spikes(times, weight, impl)
    after = spikes([min(t + shift, SILENT) for t in times], weight, impl)
    assert after == [min(t + shift, SILENT) for t in before]


@settings(deadline=None)
@given(layer=layers, impl=impls, data=st.data())
def test_a_larger_weight_never_delays(layer, impl, data):
    times, weight = layer
    i = data.draw(st.integers(0, len(times) - 1))
    larger = [[w + (0.625 if k == i else 0) for k, w in enumerate(row)] for row in weight]
    before, after = spikes(times, weight, impl), spikes(times, larger, impl)
    assert all(b <= a for a, b in zip(before, after, strict=True))
    assert all(0 <= t <= SILENT and t == round(t) for t in before)


OPTIONS = (1.0, SILENT, 1, "pull")


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("with_bias", [True, False])
def test_opcheck(impl, with_bias):
    times = torch.randint(SILENT + 1, (3, 5)).float().requires_grad_()
    weight = torch.randn(4, 5, requires_grad=True)
    bias = torch.randn(4, requires_grad=True) if with_bias else None
    torch.library.opcheck(torch.ops.firstspike.fire, (times, weight, bias, *OPTIONS, impl))
    fired = fire(times, weight, bias=bias, t_max=SILENT).detach()
    args = (torch.randn(3, 4), times.detach(), weight.detach(), fired, *OPTIONS[1:], impl, True)
    torch.library.opcheck(torch.ops.firstspike.fire_backward, args)


def test_compiled_whole_graph_gives_the_same():
    times = torch.randint(SILENT + 1, (6, 5)).float()
    weight = torch.randn(4, 5, requires_grad=True)

    def loss(times, weight):
        return fire(times + 0.0, weight, t_max=SILENT, impl="numba").square().sum()

    expected = torch.autograd.grad(loss(times, weight), weight)[0]
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    assert torch.equal(torch.autograd.grad(compiled(times, weight), weight)[0], expected)


@pytest.mark.parametrize("impl", IMPLS)
def test_second_derivative_is_refused(impl):
    times = torch.zeros(1, 2, requires_grad=True)
    weight = torch.ones(3, 2, requires_grad=True)
    loss = fire(times, weight, t_max=SILENT, impl=impl).square().sum()
    grad = torch.autograd.grad(loss, [times, weight], create_graph=True)
    with pytest.raises(RuntimeError, match="fire has no second derivative"):
        grad[0].sum().backward()


def test_threads_do_not_disturb_each_other(monkeypatch):
    monkeypatch.setattr(threads, "_WORTH_A_THREAD", 0)
    weight = torch.randn(30, 40)
    batches = [torch.randint(257, (25, 40)).float() for _ in range(2)]
    expected = [fire(times, weight, impl="reference") for times in batches]
    results = [[], []]

    def work(k):
        for _ in range(20):
            results[k].append(fire(batches[k], weight, impl="numba"))

    workers = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    for k in range(2):
        assert len(results[k]) == 20
        assert all(torch.equal(result, expected[k]) for result in results[k])


def test_auto_takes_the_fast_way_where_it_fits(monkeypatch):
    calls = []
    kernel = numba_cpu.forward
    monkeypatch.setattr(numba_cpu, "forward", lambda *a: calls.append(1) or kernel(*a))
    for dtype, count in ((torch.float32, 1), (torch.float64, 2), (torch.bfloat16, 2)):
        fired = fire(torch.zeros(1, 2, dtype=dtype), torch.ones(3, 2, dtype=dtype), t_max=SILENT)
        assert fired.tolist() == [[1, 1, 1]]
        assert fired.dtype == dtype
        assert len(calls) == count


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_a_forked_process_has_threads_of_its_own():
    """As in a `DataLoader` worker: the threads of the parent do not exist in the child."""
    run_python(
        "import os, torch\n"
        "from firstspike.ops import fire\n"
        "from firstspike.ops.cpu import threads\n"
        "threads._WORTH_A_THREAD = 0\n"
        "torch.set_num_threads(2)\n"
        "times, weight = torch.zeros(8, 3), torch.ones(4, 3)\n"
        "assert fire(times, weight).eq(1).all()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if fire(times, weight).eq(1).all() else 1)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
    )


def test_a_system_that_does_not_fork():
    run_python(
        "import os, torch\n"
        "if hasattr(os, 'register_at_fork'):\n"
        "    del os.register_at_fork\n"
        "from firstspike.ops import fire\n"
        "assert fire(torch.zeros(8, 3), torch.ones(4, 3), impl='numba').eq(1).all()\n"
    )


TIMES, WEIGHT = torch.zeros(2, 3), torch.zeros(4, 3)


@pytest.mark.parametrize(
    ("name", "times", "weight", "options"),
    [
        ("t_max", TIMES, WEIGHT, {"t_max": 0}),
        ("t_max", TIMES, WEIGHT, {"t_max": 2.5}),
        ("times", TIMES[0], WEIGHT, {}),
        ("times", TIMES.long(), WEIGHT.long(), {}),
        ("weight", TIMES, WEIGHT[:, :2], {}),
        ("weight", TIMES, WEIGHT[0], {}),
        ("weight", TIMES, WEIGHT.double(), {}),
        ("weight", TIMES, WEIGHT.to("meta"), {}),
        ("bias", TIMES, WEIGHT, {"bias": torch.zeros(3)}),
        ("bias", TIMES, WEIGHT, {"bias": torch.zeros(4, 1)}),
        ("bias", TIMES, WEIGHT, {"bias": torch.zeros(4).double()}),
        ("delay", TIMES, WEIGHT, {"delay": -1}),
        ("delay", TIMES, WEIGHT, {"delay": 0.5}),
        ("delay", TIMES, WEIGHT, {"delay": True}),
        ("silent", TIMES, WEIGHT, {"silent": "push"}),
        ("impl", TIMES, WEIGHT, {"impl": "cuda"}),
        ("impl", TIMES.half(), WEIGHT.half(), {"impl": "numba"}),
    ],
)
def test_errors_name_the_argument(name, times, weight, options):
    with pytest.raises(ValueError, match=f"^{name} "):
        fire(times, weight, **options)


NO_TIMES = [float("nan"), float("inf"), -1.0, 257.0, 0.5, 1e10, -float("inf")]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bad", NO_TIMES)
def test_none_of_many_inputs_may_be_no_spike_time(bad, dtype):
    weight = torch.zeros(2, 150, dtype=dtype)
    for place in (0, 70, 149):  # vectors, and what is left
        times = torch.zeros(2, 150, dtype=dtype)
        times[1, place] = bad
        with pytest.raises(ValueError, match=r"^times must be whole time steps in 0\.\.256"):
            fire(times, weight, impl="numba")


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("bad", NO_TIMES)
def test_values_that_are_no_spike_times_are_refused(impl, bad):
    times = torch.zeros(2, 3)
    times[1, 1] = bad
    with pytest.raises(ValueError, match=r"^times must be whole time steps in 0\.\.256"):
        fire(times, WEIGHT, impl=impl)


def test_kernels_agree_without_compilation():
    """The kernels as plain Python, which is also how coverage sees them."""
    run_python(
        "import test_ops as t\n"
        "t.compare(3, 7, 5, delay=0)\n"
        "t.compare(2, 6, 9, silent='pull', with_bias=False)\n"
        "t.compare(2, 9, 3, t_max=1)\n"
        "t.compare(2, 3, 70)\n"
        "t.compare(2, 70, 3)\n"
        "t.compare(2, 5, 3, t_max=300)\n",
        NUMBA_DISABLE_JIT="1",
    )


@pytest.mark.parametrize("name", ["times", "weight", "bias"])
def test_what_is_no_tensor_is_named(name):
    arguments = {"times": torch.zeros(2, 3), "weight": torch.zeros(4, 3), "bias": torch.zeros(4)}
    arguments[name] = arguments[name].numpy()
    with pytest.raises(ValueError, match=f"^{name} must be a tensor, got ndarray"):
        fire(arguments["times"], arguments["weight"], bias=arguments["bias"])


@pytest.mark.parametrize("impl", ["reference", "numba"])
def test_weights_that_are_no_numbers_are_silence(impl):
    weight = torch.tensor([[1.0, float("nan"), 9.0], [0.5, 0.5, 9.0]])
    times = torch.tensor([[0.0, 1.0, 2.0]])
    assert fire(times, weight, threshold=1.5, t_max=9, impl=impl).tolist() == [[9.0, 3.0]]
