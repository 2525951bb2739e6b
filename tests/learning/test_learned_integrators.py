"""Integrators keep the promises of their list: order, symplecticity, reversibility."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from hgn_train import integrators
from hgn_train.hamiltonian import Joint, Separable, mlp_energy
from hgn_train.integrators import INTEGRATORS, YOSHIDA4, implicit_midpoint, rollout
from physim.errors import PhysimError


def named(one):
    return one.name if hasattr(one, "name") else str(one)


SYMPLECTIC = [one for one in INTEGRATORS.values() if one.symplectic]
REVERSIBLE = [one for one in INTEGRATORS.values() if one.reversible]


class Pendulum:
    """H = p²/2 − cos q, written by hand."""

    is_separable = True

    def dq(self, q, p):
        return torch.sin(q)

    def dp(self, q, p):
        return p

    def gradients(self, q, p):
        return self.dq(q, p), self.dp(q, p)

    def __call__(self, q, p):
        return (p**2 / 2 - torch.cos(q)).sum(1)


def learned(separable=True):
    torch.manual_seed(1)
    if separable:
        return Separable(mlp_energy(2, (16, 16)), mlp_energy(2, (16, 16))).double()
    return Joint(mlp_energy(4, (16, 16))).double()


def exact(one):
    """The implicit rule solved to the last digit; the others as they are."""
    return implicit_midpoint(40) if one.name == "implicit_midpoint" else one


def state():
    return torch.tensor([[0.7, -0.4]]).double(), torch.tensor([[0.3, 0.9]]).double()


@pytest.mark.parametrize("one", INTEGRATORS.values(), ids=named)
def test_order(one):
    """Against SciPy's DOP853 at 1e-13, on the pendulum's own formula."""
    truth = solve_ivp(
        lambda t, y: [y[1], -math.sin(y[0])], (0, 2), [1.1, 0.4], "DOP853", rtol=1e-13, atol=1e-14
    ).y[:, -1]
    errors = []
    counts = (64, 128, 256) if one.order < 4 else (16, 32, 64)
    for steps in counts:
        q, p = (torch.tensor([[x]], dtype=torch.float64) for x in (1.1, 0.4))
        qs, ps = rollout(one, Pendulum(), q, p, 2 / steps, steps)
        errors.append(np.hypot(float(qs[0, -1]) - truth[0], float(ps[0, -1]) - truth[1]))
    slopes = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert abs(slopes[-1] - one.order) < 0.15, slopes


@pytest.mark.parametrize("one", SYMPLECTIC, ids=named)
@pytest.mark.parametrize("separable", [True, False])
def test_rollout_is_symplectic(one, separable):
    if one.needs_separable and not separable:
        with pytest.raises(PhysimError, match="needs H = T"):
            integrators.find(one.name, separable=False)
        return
    h, steps = learned(separable), 10

    def flow(s):
        q, p = rollout(exact(one), h, s[None, :2], s[None, 2:], 0.2, steps)
        return torch.cat([q[0, -1], p[0, -1]])

    jacobian = torch.autograd.functional.jacobian(flow, torch.cat([s[0] for s in state()]))
    one_, zero = torch.eye(2).double(), torch.zeros(2, 2).double()
    form = torch.cat([torch.cat([zero, one_], 1), torch.cat([-one_, zero], 1)])
    assert (jacobian.T @ form @ jacobian - form).abs().max() < 1e-10
    assert (jacobian - torch.eye(4)).abs().max() > 0.1  # it does move


@pytest.mark.parametrize("one", [o for o in INTEGRATORS.values() if not o.symplectic], ids=named)
def test_what_is_not_symplectic_says_so(one):
    def flow(s):
        q, p = rollout(one, Pendulum(), s[None, :1], s[None, 1:], 0.5, 4)
        return torch.cat([q[0, -1], p[0, -1]])

    jacobian = torch.autograd.functional.jacobian(flow, torch.tensor([1.0, 0.5]).double())
    assert abs(float(torch.linalg.det(jacobian)) - 1) > 1e-7


@pytest.mark.parametrize("one", REVERSIBLE, ids=named)
def test_forward_then_backward_returns(one):
    h, (q, p) = learned(), state()
    qs, ps = rollout(exact(one), h, q, p, 0.2, 30)
    back_q, back_p = rollout(exact(one), h, qs[:, -1], ps[:, -1], -0.2, 30)
    assert (back_q[:, -1] - q).abs().max() < 1e-12
    assert (back_p[:, -1] - p).abs().max() < 1e-12
    assert (qs[:, -1] - q).abs().max() > 0.1


@pytest.mark.parametrize("one", [o for o in INTEGRATORS.values() if not o.reversible], ids=named)
def test_what_is_not_reversible_says_so(one):
    q, p = state()
    qs, ps = rollout(one, Pendulum(), q, p, 0.5, 4)
    back, _ = rollout(one, Pendulum(), qs[:, -1], ps[:, -1], -0.5, 4)
    assert (back[:, -1] - q).abs().max() > 1e-7


def test_symplectic_euler_kicks_first():
    q, p = state()
    qs, ps = rollout(INTEGRATORS["symplectic_euler"], Pendulum(), q, p, 0.3, 1)
    kicked = p - 0.3 * torch.sin(q)
    torch.testing.assert_close(ps[:, 1], kicked, rtol=1e-15, atol=0)
    torch.testing.assert_close(qs[:, 1], q + 0.3 * kicked, rtol=1e-15, atol=0)


@pytest.mark.parametrize(("name", "drifts"), [("leapfrog", 1), ("yoshida4", 3)])
def test_two_kicks_without_a_drift_between_share_a_slope(name, drifts):
    """So that a step needs as many of V as of T, and one more at the start of a rollout."""
    asked, steps = [], 5

    class Counted(Pendulum):
        def dq(self, q, p):
            asked.append("dq")
            return super().dq(q, p)

        def dp(self, q, p):
            asked.append("dp")
            return super().dp(q, p)

    rollout(INTEGRATORS[name], Counted(), *state(), 0.2, steps)
    assert (asked.count("dq"), asked.count("dp")) == (drifts * steps + 1, drifts * steps)


@pytest.mark.parametrize("name", ["leapfrog", "implicit_midpoint"])
def test_energy_error_falls_with_dt_squared(name):
    h, (q, p) = learned(), state()
    errors = []
    for refine in (1, 2, 4):
        qs, ps = rollout(INTEGRATORS[name], h, q, p, 0.2 / refine, 20 * refine)
        energy = h(qs[0], ps[0]).detach()
        errors.append(float((energy / energy[0] - 1).abs().max()))
    assert 3.6 < errors[0] / errors[1] < 4.4
    assert 3.6 < errors[1] / errors[2] < 4.4


def test_backward_and_forward_parts_are_chronological():
    h, (q, p) = learned(), state()
    leapfrog = INTEGRATORS["leapfrog"]
    qs, _ = rollout(leapfrog, h, q, p, 0.1, forward=3, backward=2)
    assert qs.shape == (1, 6, 2)
    assert torch.equal(qs[:, 2], q)
    start, momenta = rollout(leapfrog, h, q, p, -0.1, 2)
    again, _ = rollout(leapfrog, h, start[:, -1], momenta[:, -1], 0.1, 5)
    torch.testing.assert_close(qs, again, rtol=0, atol=1e-13)


def test_dt_may_differ_between_trajectories():
    h, leapfrog = learned(), INTEGRATORS["leapfrog"]
    q, p = (torch.cat([s, s]) for s in state())
    qs, _ = rollout(leapfrog, h, q, p, torch.tensor([0.1, -0.2], dtype=torch.float64), 4)
    alone, _ = rollout(leapfrog, h, q[1:], p[1:], -0.2, 4)
    torch.testing.assert_close(qs[1:], alone, rtol=0, atol=1e-14)
    assert (qs[0] - qs[1]).abs().max() > 0.01


def test_dt_may_differ_between_trajectories_of_maps():
    leapfrog = INTEGRATORS["leapfrog"]
    q, p = torch.randn(2, 2, 3, 4, 4, dtype=torch.float64)
    dt = torch.tensor([0.1, -0.2], dtype=torch.float64)
    qs, ps = rollout(leapfrog, Pendulum(), q, p, dt, 2, 1)
    for row, own in enumerate(dt.tolist()):
        alone = rollout(leapfrog, Pendulum(), q[row : row + 1], p[row : row + 1], own, 2, 1)
        torch.testing.assert_close(qs[row], alone[0][0], rtol=0, atol=1e-14)
        torch.testing.assert_close(ps[row], alone[1][0], rtol=0, atol=1e-14)


GRADIENTS = {"euler": 1, "rk4": 4, "implicit_midpoint": 8}
"""Of a joint H a step, each of both q and p."""


@pytest.mark.parametrize("name", GRADIENTS)
def test_a_joint_h_is_asked_once_for_both_gradients(name, monkeypatch):
    """And the states are, bit for bit, those of asking for each by itself."""
    h, steps = learned(separable=False), 3

    class Apart:
        is_separable, dq, dp = False, h.dq, h.dp

        def gradients(self, q, p):
            return h.dq(q, p), h.dp(q, p)

    expected = rollout(INTEGRATORS[name], Apart(), *state(), 0.2, steps)
    asked, gradient = [], h.energy.gradient
    monkeypatch.setattr(h.energy, "gradient", lambda x: asked.append(x) or gradient(x))
    found = rollout(INTEGRATORS[name], h, *state(), 0.2, steps)
    assert len(asked) == GRADIENTS[name] * steps
    assert all(map(torch.equal, found, expected))
    flat = rollout(INTEGRATORS[name], h.unfolded(), *state(), 0.2, steps)
    assert all(map(torch.allclose, flat, expected))


@pytest.mark.parametrize("one", [o for o in INTEGRATORS.values() if o.needs_separable], ids=named)
def test_rollout_refuses_what_is_wrong_for_a_joint_h(one):
    for h in (learned(separable=False), learned(separable=False).unfolded()):
        with pytest.raises(PhysimError, match=f"integrator: got '{one.name}', which needs H = T"):
            rollout(one, h, *state(), 0.2, 1)
    with pytest.raises(PhysimError, match=r"expected one of euler, rk4, implicit_midpoint$"):
        integrators.find(one.name, separable=False)


def test_rollout_has_the_gradients_that_finite_differences_have():
    h = learned()
    weights = [h.kinetic.layers[0].weight, h.potential.layers[1].bias]

    def end(q, p, *given):
        for weight, value in zip(weights, given, strict=True):
            weight.data = value.data
        names = ("kinetic.layers.0.weight", "potential.layers.1.bias")
        parameters = dict(h.named_parameters()) | dict(zip(names, given, strict=True))

        class Frozen:
            is_separable = True

            def dq(self, q, p):
                return _call(h, parameters, "dq", q, p)

            def dp(self, q, p):
                return _call(h, parameters, "dp", q, p)

        qs, ps = rollout(INTEGRATORS["leapfrog"], Frozen(), q, p, 0.2, 3)
        return qs[:, -1], ps[:, -1]

    q, p = (s.requires_grad_() for s in state())
    given = [weight.detach().clone().requires_grad_() for weight in weights]
    assert torch.autograd.gradcheck(end, (q, p, *given))


def _call(h, parameters, name, *arguments):
    class Method(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.h = h

        def forward(self, *inner):
            return getattr(self.h, name)(*inner)

    named = {f"h.{key}": value for key, value in parameters.items()}
    return torch.func.functional_call(Method(), named, arguments)


def test_yoshida_coefficients():
    assert math.isclose(sum(YOSHIDA4), 1, abs_tol=1e-15)
    assert YOSHIDA4[0] == YOSHIDA4[2]
    assert abs(sum(share**3 for share in YOSHIDA4)) < 1e-14


def test_an_integrator_that_does_not_exist_is_named():
    with pytest.raises(PhysimError, match="did you mean 'leapfrog'"):
        integrators.find("leapfrg")
