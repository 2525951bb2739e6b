"""Rollouts in kernels of a GPU: the same states and gradients as plain calls.

The kernels are compiled as C++ and run on the processor (`emulated.py`); what a GPU makes of them
is asked by the tests that need one.
"""

import functools
import shutil
import sys

import emulated
import pytest
import torch

from hgn_train import adjoint, integrators
from hgn_train.activations import CURVATURE, SMOOTH
from hgn_train.gpu import cuda, plain_calls, rollouts, shapes
from hgn_train.hamiltonian import Separable, convolutional_energy, mlp_energy
from hgn_train.models.hgn import HGN
from hgn_train.presets import settings_of

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")

FORMS = {
    "maps": lambda: convolutional_energy(2, 4, (5, 6, 4, 7)),
    "stiff-maps": lambda: convolutional_energy(3, 4, (4, 8), "tanh", [0.5, 1.0, 2.0]),
    "vector": lambda: mlp_energy(3, (12, 5), "swish"),
    "stiff-vector": lambda: mlp_energy(4, (9,), "softplus", [0.5, 1.0, 2.0, 3.0]),
}


def made(form):
    torch.manual_seed(0)
    h = Separable(FORMS[form](), FORMS[form]())
    return shaken(h), {"maps": 2 * 16, "stiff-maps": 3 * 16, "vector": 3, "stiff-vector": 4}[form]


def shaken(h):
    """In float64, with other biases than 0, where a wrong one would not show."""
    with torch.no_grad():
        for weight in h.parameters():
            if weight.ndim == 1:
                weight += 0.3 * torch.randn_like(weight)
    return h.double()


def outcome(h, integrator, q, p, dt, dtype, device="cpu", forward=5, backward=2):
    """States and gradients of all that they depend on."""
    h = h.to(device, dtype)
    q, p = (x.detach().to(device, dtype).requires_grad_() for x in (q, p))
    leaves = [q, p, *(weight for weight in h.parameters() if weight.requires_grad)]
    states = adjoint.states(integrators.find(integrator), h, q, p, dt.to(q), forward, backward)
    generator = torch.Generator().manual_seed(1)
    pulls = [torch.randn(x.shape, dtype=torch.float64, generator=generator) for x in states]
    loss = sum((x * pull.to(x)).sum() for x, pull in zip(states, pulls, strict=True))
    return [x.double().cpu() for x in (*states, *torch.autograd.grad(loss, leaves))]


def assert_near(found, truth, most):
    for one, expected in zip(found, truth, strict=True):
        assert ((one - expected).norm() / expected.norm()).item() < most


@needs_compiler
@pytest.mark.parametrize("integrator", ["euler", "leapfrog", "symplectic_euler", "yoshida4"])
@pytest.mark.parametrize("form", FORMS)
def test_kernels_do_what_plain_calls_do(form, integrator, monkeypatch, tmp_path):
    """To the rounding of float32, in states and every gradient, there and back."""
    h, n = made(form)
    q, p = torch.randn(2, 3, n, dtype=torch.float64)
    dt = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
    truth = outcome(h, integrator, q, p, dt, torch.float64)
    made_of = []

    def compiled(shapes, device):
        program = emulated.Program(shapes.source(), tmp_path, ("rollout", "products"))
        made_of.append(rollouts.Kernels(shapes, device, program))
        return made_of[-1]

    monkeypatch.setattr(shapes, "THREADS", 24)
    monkeypatch.setattr(rollouts, "suits", lambda q: q.dtype == torch.float32)
    monkeypatch.setattr(rollouts, "compiled", functools.lru_cache(compiled))
    monkeypatch.setattr(cuda, "shared_memory", lambda device: 2**17)
    found = outcome(h, integrator, q, p, dt, torch.float32)
    (kernels,) = made_of
    assert kernels.program.launches == ["rollout", "products"]
    assert_near(found, truth, 1e-5)
    with torch.no_grad():  # nothing is kept, and the states are the same
        alone = adjoint.states(
            integrators.find(integrator), h, q.float(), p.float(), dt.float(), 5, 2
        )
    assert kernels.program.launches == ["rollout", "products", "rollout"]
    assert_near([x.double() for x in alone], found[:2], 1e-12)
    monkeypatch.setattr(cuda, "shared_memory", lambda device: 100)  # a GPU that has too little
    outcome(h, integrator, q, p, dt, torch.float32)
    assert len(kernels.program.launches) == 3


def test_without_a_step_there_is_nothing_to_launch(monkeypatch):
    monkeypatch.setattr(rollouts, "states", None)
    h, n = made("maps")
    q, p = torch.randn(2, 3, n, dtype=torch.float64)
    states = adjoint.states(integrators.find("leapfrog"), h, q, p, 0.1, 0)
    assert [torch.equal(x[:, 0], y) for x, y in zip(states, (q, p), strict=True)] == [True, True]


def test_every_activation_has_kernels():
    assert set(shapes.ACTIVATIONS) == set(SMOOTH) == set(CURVATURE)


def test_no_compiler_is_said_once(monkeypatch):
    """Where PyTorch for CUDA is there without it, plain calls do, and a line says so."""
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    cuda.has_compiler.cache_clear()
    try:
        with pytest.warns(UserWarning, match="cuda-bindings"):
            assert not cuda.has_compiler()
        assert not cuda.has_compiler()
    finally:
        cuda.has_compiler.cache_clear()


@pytest.mark.parametrize(
    ("potential", "kinetic", "fits"),
    [
        (FORMS["maps"], FORMS["maps"], True),
        (FORMS["vector"], FORMS["vector"], True),
        (FORMS["vector"], lambda: mlp_energy(3, (12, 6), "swish"), False),
        (FORMS["vector"], lambda: mlp_energy(3, (12, 5), "tanh"), False),
        (*[lambda: mlp_energy(3, (600, 5))] * 2, False),
        (*[lambda: convolutional_energy(2, 8, (5, 6))] * 2, False),
    ],
    ids=["maps", "vector", "other-widths", "other-activations", "too-wide", "large-maps"],
)
def test_what_has_kernels(potential, kinetic, fits):
    """Two energies alike, as many channels as threads at most, maps of 4 pixels a side at most."""
    moves = integrators.LEAPFROG
    found = shapes.shapes_of(moves, potential().chain(), kinetic().chain())
    assert (found is not None) == fits


def test_a_processor_makes_plain_calls():
    assert not rollouts.suits(torch.zeros(1, 4))


@pytest.mark.gpu
@pytest.mark.parametrize("integrator", ["euler", "leapfrog", "symplectic_euler", "yoshida4"])
@pytest.mark.parametrize("preset", ["tuned", "paper", "small", "plus", "test"])
def test_a_gpu_does_what_plain_calls_do(preset, integrator, monkeypatch):
    """At the sizes of the presets, more trajectories than the GPU has multiprocessors."""
    torch.manual_seed(0)
    model = HGN(settings_of(preset, "").network)
    h = shaken(model.hamiltonian)
    q, p = model.state(torch.randn(160, *model.latent_shape))
    q, p = q.flatten(1), p.flatten(1)
    dt = torch.linspace(-0.2, 0.2, 160, dtype=torch.float64)
    launched = []
    launch = cuda.Program.launch
    monkeypatch.setattr(
        cuda.Program, "launch", lambda *words: (launched.append(words[1]), launch(*words))
    )
    truth = outcome(h, integrator, q, p, dt, torch.float64)
    found = outcome(h, integrator, q, p, dt, torch.float32, "cuda")
    assert launched == ["rollout", "products"]
    with plain_calls():
        plain = outcome(h, integrator, q, p, dt, torch.float32, "cuda")
    assert len(launched) == 2
    assert_near(plain, truth, 1e-4)
    assert_near(found, truth, 1e-4)
