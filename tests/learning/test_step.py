"""An update: the loss and every gradient against a slow restatement, compiled, captured, in bf16.

The truth is `benchmarks/plain_step.py` in float64: frame by frame, with gradients of H by autograd
and textbook leapfrog. It shares weights with what is tested, and none of its shortcuts: closed
gradients, unfolded convolutions, kept kicks, upsampling inside of convolutions, Winograd's
algorithm, frames decoded together, channels-last.
"""

import contextlib
import copy
import types

import pytest
import torch

from benchmarks import plain_step
from hgn_train import adjoint, integrators, step
from hgn_train.hamiltonian import Separable, convolutional_energy, mlp_energy
from hgn_train.models.hgn import HGN
from hgn_train.presets import settings_of
from physim.errors import PhysimError

pytestmark = pytest.mark.filterwarnings(  # PyTorch's own, where it compiles such a function
    "ignore:.*autograd.function.Function.*should not be instantiated:DeprecationWarning"
)

SHRUNK = {"frames": 6, "resolution": 16}
FORMS = {  # presets with their own layers, objective and anchor, at widths of a test
    "paper": {
        "inference_frames": 6,
        "encoder": ((6, 8), (8,)),
        "decoder": ((8, 6), (6, 6)),
        "hamiltonian": (6, 8, 8, 8),
        "state_size": 4,
        "latent_size": 8,
    },
    "plus": {
        "encoder": ((8, 8), (8, 8)),
        "decoder": ((8, 6), (6, 6)),
        "hamiltonian": (12, 12, 12, 12),
        "state_size": 4,
        "latent_size": 8,
        "maps": 6,
    },
    "small": {
        "encoder": ((8, 8), (8,)),
        "decoder": ((8,), (8,)),
        "hamiltonian": (12, 12),
        "maps": 6,
        "decoded": 0,
        "both_ways": False,
        "moments": 0,  # noise has none: whitening them leaves only rounding
    },
}
ABLATIONS = {
    "euler": {"integrator": "euler"},
    "deterministic": {"stochastic": False},
    "no-transform": {"transform": False},
}
CASES = {
    **{name: (name, changes) for name, changes in FORMS.items()},
    **{name: ("paper", FORMS["paper"] | changes) for name, changes in ABLATIONS.items()},
}


def made(case, n=4, **changes):
    """A model of a case, a batch of it and its draws."""
    preset, network = CASES[case]
    torch.manual_seed(0)
    model = HGN(settings_of(preset, "", network=SHRUNK | network | changes).network)
    generator = torch.Generator().manual_seed(3)
    shape = (n, model.settings.frames, 16, 16, 3)
    batch = {"image": torch.randint(256, shape, dtype=torch.uint8, generator=generator)}
    model.prepare(batch)
    model = model.to(memory_format=torch.channels_last)
    return model, batch, model.draws(n, generator)


def doubled(case, monkeypatch):
    """The same in float64, where `float()` means at least float32."""
    model, batch, draws = made(case)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    return model.double(), batch, {name: value.double() for name, value in draws.items()}


@pytest.mark.parametrize("name", ["euler", "leapfrog", "symplectic_euler", "yoshida4"])
@pytest.mark.parametrize("form", ["maps", "vector", "stiff"])
def test_written_out_gradient_of_a_rollout_is_autograds(name, form):
    """In float64, in every weight and in both states, there and back, each with its own dt."""
    torch.manual_seed(0)
    maps = form == "maps"
    made_of = (lambda: convolutional_energy(2, 4, (5, 6, 4))) if maps else None
    stiff = [0.5, 1.0, 2.0] if form == "stiff" else []
    made_of = made_of or (lambda: mlp_energy(3, (7, 5), "swish", stiff))
    h = Separable(made_of(), made_of()).double()
    shape = (4, 32) if maps else (4, 3)
    q, p = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for _ in range(2))
    dt = torch.tensor([0.1, -0.2, 0.3, 0.1], dtype=torch.float64)
    leaves = [q, p, *(weight for weight in h.parameters() if weight.requires_grad)]
    pull = [torch.randn(4, 8, shape[1], dtype=torch.float64) for _ in range(2)]
    found = []
    for states, of in ((adjoint.states, h), (integrators.rollout, h.unfolded())):
        out = states(integrators.find(name), of, q, p, dt, 5, 2)
        loss = sum((x * y).sum() for x, y in zip(out, pull, strict=True))
        found.append((out, torch.autograd.grad(loss, leaves)))
    (states, grads), (truth, expected) = found
    torch.testing.assert_close(states, truth, rtol=1e-13, atol=1e-14)
    for one, other in zip(grads, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)  # sums in another order


def gradients(model, loss):
    model.zero_grad(set_to_none=True)
    loss.backward()
    return {name: w.grad.double() for name, w in model.named_parameters() if w.grad is not None}


def distance(found, truth):
    """‖found − truth‖ / ‖truth‖ of the worst tensor, and of all together."""
    assert found.keys() == truth.keys()
    whole = torch.cat([truth[name].flatten() for name in truth]).norm()
    apart = {name: (found[name] - truth[name]).norm() for name in truth}
    floor = 1e-3 * whole  # tensors whose gradient is almost nothing are measured against all
    worst = max(apart[name] / truth[name].norm().clamp(min=floor) for name in truth)
    return worst.item(), (torch.stack(list(apart.values())).norm() / whole).item()


@pytest.mark.parametrize("case", CASES)
def test_equals_the_plain_loss_in_float64(case, monkeypatch):
    """Loss and every gradient, up to float64 sums of some thousands."""
    model, batch, draws = doubled(case, monkeypatch)
    truth = plain_step.loss(model, batch, draws)
    expected = gradients(model, truth)
    loss = model(batch, draws)["loss"]
    torch.testing.assert_close(loss.detach(), truth.detach(), rtol=1e-12, atol=1e-14)
    worst, _ = distance(gradients(model, loss), expected)
    assert worst < 1e-10


@pytest.mark.parametrize(
    ("precision", "of_loss", "of_gradient"),
    [("float32", 1e-5, 1e-3), ("bf16", 1e-2, 0.1)],  # some thousand sums of 24 and of 8 bits
)
@pytest.mark.parametrize("case", FORMS)
def test_float32_and_bf16_are_near_float64(case, precision, of_loss, of_gradient, monkeypatch):
    model, batch, draws = made(case)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        loss = model(batch, draws)["loss"]
    found = gradients(model, loss)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    model = model.double()
    truth = plain_step.loss(model, batch, draws)
    assert abs((loss.double() / truth).item() - 1) < of_loss
    _, whole = distance(found, gradients(model, truth))
    assert whole < of_gradient


EPSILON = 1e-3
"""Of Adam here: with 1e-8 a gradient that is only rounding moves a weight by a learning rate."""


def updated(case, forward=None, n=5, clip=0.05, kind=step.Update, device="cpu", **changes):
    """A model after some updates, its average, and what was summed."""
    model, batch, _ = made(case, **changes)
    model = model.to(device)
    batch = {name: value.to(device) for name, value in batch.items()}
    average = copy.deepcopy(model)
    wrapped = forward(model) if forward else model
    optimizer = step.adam(model, kind, 1e-3)
    optimizer.param_groups[0]["eps"] = EPSILON
    update = kind(wrapped, model, optimizer, average, clip)
    generator = torch.Generator(device)
    for number in range(n):
        generator.manual_seed(number)
        draws = model.draws(4, generator)
        update(number, 1e-3 * (1 + number) / n, batch, draws, min(0.9, (1 + number) / 10))
    return model, average, update


def assert_same(found, expected, tolerance):
    for a, b in zip(found[:2], expected[:2], strict=True):
        for (name, one), other in zip(
            a.state_dict().items(), b.state_dict().values(), strict=True
        ):
            torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance, msg=name)
    for name, value in expected[2].sums.items():
        torch.testing.assert_close(found[2].sums[name], value, rtol=10 * tolerance, atol=tolerance)


def test_an_update_is_what_it_says():
    """Adam, clipping and averaging as in plain PyTorch, written out."""
    model, average, update = updated("small")
    again, batch, _ = made("small")
    expected = {name: w.detach().clone() for name, w in again.named_parameters()}
    optimizer = torch.optim.AdamW(again.parameters(), weight_decay=0.0, eps=EPSILON)
    losses = []
    for number in range(5):
        draws = again.draws(4, torch.Generator().manual_seed(number))
        optimizer.param_groups[0]["lr"] = 1e-3 * (1 + number) / 5
        loss = again(batch, draws)["loss"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(again.parameters(), 0.05)
        optimizer.step()
        decay = min(0.9, (1 + number) / 10)
        for name, weight in again.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * weight.detach()
        losses.append(loss.detach())
    for name, weight in again.named_parameters():  # float32
        torch.testing.assert_close(model.get_parameter(name), weight, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(
            average.get_parameter(name), expected[name], rtol=1e-4, atol=1e-6
        )
    torch.testing.assert_close(update.sums["loss"], sum(losses), rtol=1e-5, atol=1e-7)
    assert set(update.sums) >= {"loss", "error", "divergence", "gradient"}
    assert all(update.sums.values())
    update.begin_again()
    assert not any(update.sums.values())
    assert update.first_bad.item() == step.NEVER


def test_the_first_bad_update_is_known():
    model, batch, draws = made("small")
    update = step.Update(model, model, step.adam(model, step.Update, 1e-3))
    for number in range(4):
        if number == 2:
            with torch.no_grad():
                model.decoder.constant.fill_(float("nan"))
        update(number, 1e-3, batch, draws)
    assert update.first_bad.item() == 2


def test_an_average_takes_buffers_as_they_are():
    """Weights follow by a share of the way; what is not learned is copied."""
    model = torch.nn.BatchNorm1d(2)
    average = copy.deepcopy(model)
    with torch.no_grad():
        model.weight += 1
    model.running_mean += 3
    model.num_batches_tracked += 4
    step.average_weights(average, model, torch.tensor(0.25))
    assert average.weight.tolist() == [1.25, 1.25]
    assert average.running_mean.tolist() == [3, 3]
    assert average.num_batches_tracked.item() == 4


SHORT = {"frames": 3, "inference_frames": 3, "hamiltonian": (6, 6)}  # compiling takes seconds


@pytest.mark.parametrize("case", ["paper", "small"])
def test_compiled_is_eager(case):
    """One graph of the forward pass and one of the backward pass, no break."""

    def compiled(model):
        return torch.compile(model, fullgraph=True, backend="aot_eager")

    # sums in another order, in float32
    assert_same(updated(case, compiled, 3, **SHORT), updated(case, None, 3, **SHORT), 1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("case", ["paper", "small"])
def test_compiled_by_inductor_is_eager(case):
    def compiled(model):
        return torch.compile(model, fullgraph=True)

    assert_same(updated(case, compiled, 3, **SHORT), updated(case, None, 3, **SHORT), 1e-4)


def test_replays_do_not_run_far_ahead_of_the_device(monkeypatch):
    """Each mark sleeps until the one before the last is reached."""
    made, waited = [], []

    class Event:
        def __init__(self, blocking):
            assert blocking
            made.append(self)

        def record(self):
            pass

        def synchronize(self):
            waited.append(self)

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: None)
    update = step.Captured(None, torch.nn.Linear(1, 1), None)
    update.graph = types.SimpleNamespace(replay=lambda: None)
    update.done = step.WARM_UP
    for _ in range(5 * step.AHEAD):
        update.run({}, {})
    assert len(made) == 5
    assert waited == made[:3]


class Recorder:
    """Stands in for CUDA's graphs where there is none: what is recorded is done when replayed."""

    def __init__(self, update):
        self.update = update
        self.replays = 0

    def __enter__(self):
        self.update.work = lambda batch, draws: None  # recorded, not done

    def __exit__(self, *error):
        del self.update.work

    def replay(self):
        self.replays += 1
        self.update.work(self.update.batch, self.update.draws)


def test_captured_does_the_same_updates(monkeypatch):
    """On a machine without a GPU: which calls are made when, and what the graph reads."""
    recorders = []

    class Recorded(step.Captured):
        def captured(self):
            recorders.append(Recorder(self))
            monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: recorders[0])
            monkeypatch.setattr(torch.cuda, "graph", lambda graph, **named: graph)
            return super().captured()

    class Stream:
        def wait_stream(self, other):
            pass

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream())
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    n = step.WARM_UP + 4
    assert_same(updated("small", n=n, kind=Recorded), updated("small", n=n), 0)
    assert [recorder.replays for recorder in recorders] == [4]


@pytest.mark.gpu
@pytest.mark.parametrize("case", CASES)
def test_captured_is_eager_on_a_gpu(case):
    """The same kernels on the same numbers; convolutions may be chosen anew."""
    n = step.WARM_UP + 6
    found = updated(case, n=n, kind=step.Captured, device="cuda")
    assert_same(found, updated(case, n=n, device="cuda"), 1e-4)
    assert found[2].graph is not None


@pytest.mark.gpu
@pytest.mark.parametrize("case", FORMS)
def test_captured_and_compiled_is_eager_on_a_gpu(case):
    n = step.WARM_UP + 6

    def compiled(model):
        return torch.compile(model, fullgraph=True)

    found = updated(case, compiled, n=n, kind=step.Captured, device="cuda")
    assert_same(found, updated(case, n=n, device="cuda"), 1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("case", FORMS)
def test_a_gpu_agrees_with_float64(case, monkeypatch):
    model, batch, draws = made(case)
    on_gpu = copy.deepcopy(model).to("cuda", memory_format=torch.channels_last)
    moved = [{name: value.cuda() for name, value in one.items()} for one in (batch, draws)]
    loss = on_gpu(*moved)["loss"]
    found = {name: value.cpu() for name, value in gradients(on_gpu, loss).items()}
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    truth = plain_step.loss(model.double(), batch, draws)
    assert abs((loss.double().cpu() / truth).item() - 1) < 1e-3  # TF32 convolutions: 10 bits
    assert distance(found, gradients(model, truth))[1] < 1e-2


def test_an_update_never_asks_the_device():
    """No operation of a whole update that would wait for a GPU."""
    from torch.utils._python_dispatch import TorchDispatchMode

    waits = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "_unique2")
    seen = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), named=None):
            seen.append(function.overloadpacket.__name__)
            return function(*arguments, **(named or {}))

    model, batch, draws = made("paper")
    update = step.Update(model, model, step.adam(model, step.Update, 1e-3), None, 0.1)
    update(0, 1e-3, batch, draws)
    with Watch():
        update(1, 1e-3, batch, draws)
    assert len(seen) > 100
    assert [name for name in seen if name in waits] == []


@pytest.mark.parametrize(
    ("way", "device", "processes", "expected"),
    [
        ("auto", "cpu", 1, step.Update),
        ("eager", "cuda", 1, step.Update),
        ("auto", "cuda", 1, step.Captured),
        ("captured", "cuda", 1, step.Captured),
        ("auto", "cuda", 2, step.Update),
    ],
)
def test_the_way_follows_from_the_machine(way, device, processes, expected):
    assert step.kind(way, torch.device(device), processes) is expected


@pytest.mark.parametrize(
    ("way", "device", "processes", "message"),
    [
        ("captured", "cpu", 1, "step: got 'captured' on cpu, which needs a CUDA device"),
        ("captured", "cuda", 2, "step: got 'captured' with 2 processes"),
        ("graph", "cpu", 1, "step: got 'graph', expected one of auto, eager, captured"),
    ],
)
def test_a_way_that_cannot_be_is_named(way, device, processes, message):
    with pytest.raises(PhysimError, match=message):
        step.kind(way, torch.device(device), processes)
