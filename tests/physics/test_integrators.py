"""Every integrator keeps what its attributes promise, on every system that it fits."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import reference
from reference import SYSTEMS, drawn
from scipy.integrate import DOP853

from physim import integrators, systems
from physim.accuracy import studies
from physim.errors import RecipeError
from physim.integrators import composition, dop853, gauss, gauss_radau, rollout
from physim.recipe import Recipe, load
from physim.trajectories import Generator

METHODS = [integrators.find(name) for name in integrators.INTEGRATORS]

GENTLE = {
    "mass_spring": ([0.7], [0.4], [0.5, 2.0]),
    "pendulum": ([1.2], [0.5], [0.5, 1.0, 3.0]),
    "double_pendulum": ([0.6, -0.4], [0.2, 0.3], [0.5, 0.4, 1.0, 0.8, 3.0]),
    "two_body": ([1, 0.1, -1, -0.1], [0.05, 0.5, -0.05, -0.5], [1.0, 1.0, 1.0]),
    "three_body": (
        [1.0, 0.0, -0.5, 0.8, -0.5, -0.8],
        [0.0, 0.7, -0.6, -0.35, 0.6, -0.35],
        [1.0, 1.1, 0.9, 1.0],
    ),
    "n_body": (
        [1.2, 0, 0, 1.2, -1.2, 0.1, 0, -1.2],
        [0, 0.9, -0.9, 0, 0, -0.9, 0.9, 0.05],
        [1.0, 1.1, 0.9, 1.0, 1.0],
    ),
    "lennard_jones": (  # of a small depth, for equal steps as long as those of the others
        [0.1, 0.0, 1.3, 0.1, 0.0, 1.3, 1.3, 1.3],
        [0.02, -0.02, 0.01, 0.03, -0.03, 0.02, -0.01, -0.01],
        [1.0, 1.1, 0.9, 1.0, 0.01, 5.0],
    ),
}
"""Smooth motion without close encounters, for measuring orders."""


def pairs(promise):
    """All (integrator, system) that fit and keep the promise."""
    return pytest.mark.parametrize(
        ("method", "system"),
        [
            pytest.param(method, system, id=f"{method.name}-{system.name}")
            for method in METHODS
            for system in SYSTEMS
            if method.fits(system, 0.0) and promise(method)
        ],
    )


def end(method, system, start, time, steps, friction=0.0):
    """The state after so many equal steps; adaptive methods go without control."""
    q0, p0, params = (np.array([values], dtype=float) for values in start)
    d = system.dimension
    q, p = np.empty((1, 1, d)), np.empty((1, 1, d))
    ok = rollout.integrate(
        system,
        method,
        params,
        q0,
        p0,
        np.array([float(time)]),
        friction=friction,
        substeps=-steps if method.adaptive else steps,
        q=q,
        p=p,
    )
    assert ok.all()
    return np.concatenate([q[0, 0], p[0, 0]])


@pairs(lambda method: method.advance is not None and not method.adaptive)
def test_order(method, system):
    """Against the reference, which the tests below compare with SciPy and mpmath."""
    measured = studies.convergence(method, system).order
    assert abs(measured - method.order) < 0.1, measured


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_order_of_dop853_in_equal_steps(system):
    """Of some systems, its error is rounding while the next term still counts."""
    measured = studies.convergence(integrators.find("dop853"), system).order
    clear = {"mass_spring": 0.1, "two_body": 0.1, "three_body": 0.1, "n_body": 0.1}
    within = {"pendulum": 0.5, **clear}.get(system.name, 1.0)
    assert abs(measured - 8) < within


def test_dop853_tableau():
    """Quadrature with the weights is exact up to degree 7, and the rows sum to the nodes."""
    rows = np.zeros((12, 12))
    ends = [*dop853._FIRST, len(dop853._A)]
    for row in range(11):
        part = slice(ends[row], ends[row + 1])
        rows[row + 1, dop853._COLUMN[part]] = dop853._A[part]
    weights = np.zeros(12)
    weights[dop853._USED] = dop853._B
    nodes = rows.sum(axis=1)
    for power in range(8):
        assert abs(weights @ nodes**power - 1 / (power + 1)) < 1e-14
        # Trees with one branch more: they need a row's second sum as well.
        if power < 7:
            nested = weights @ (rows @ nodes**power)
            assert abs(nested - 1 / ((power + 1) * (power + 2))) < 1e-14
    assert abs(weights @ nodes**8 - 1 / 9) > 1e-8
    # Digit by digit, with the error estimates, which no condition above sees.
    assert np.array_equal(rows, DOP853.A[:12, :12])
    for ours, theirs in (
        (dop853._B, DOP853.B),
        (dop853._E3, DOP853.E3),
        (dop853._E5, DOP853.E5),
    ):
        expected = np.zeros(len(theirs))
        expected[dop853._USED] = ours
        assert np.array_equal(expected, theirs)


@pytest.mark.parametrize("name", ["mass_spring", "double_pendulum"])
def test_order_of_gauss_radau_in_equal_steps(name):
    """On the other systems the error is below rounding before the slope is straight."""
    method = integrators.find("gauss_radau")
    measured = studies.convergence(method, systems.find(name)).order
    assert 14.6 < measured < 15.2


def test_orders_hold_against_scipy_too():
    """The same slope with a truth that shares no line with physim."""

    def truth(system, states, end, friction):
        rows = [
            np.concatenate(reference.solution(system.name, q0, p0, row, [end], friction), axis=1)
            for row, q0, p0 in zip(states.params, states.q, states.p, strict=True)
        ]
        return np.concatenate(rows)

    for method, name in [("leapfrog", "three_body"), ("gauss4", "double_pendulum")]:
        system = systems.find(name)
        few = studies.drawn(system, 5, seed=7)
        found = integrators.find(method)
        measured = studies.convergence(found, system, few, truth).order
        assert abs(measured - found.order) < 0.1


def jacobian(method, system, start, dt):
    """Of one step, by differences of order 8: good to about 1e-13."""
    weights = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
    z = np.concatenate([start[0], start[1]]).astype(float)
    columns = []
    for i in range(z.size):
        column = np.zeros(z.size)
        for k, weight in weights.items():
            for sign in (1, -1):
                moved = z.copy()
                moved[i] += sign * k * 2e-3
                state = moved[: z.size // 2], moved[z.size // 2 :], start[2]
                column += sign * weight / 2e-3 * end(method, system, state, dt, 1)
        columns.append(column)
    return np.stack(columns, axis=1)


def defect(method, system, start, dt=0.1):
    """‖MᵀJM − J‖, largest entry."""
    M = jacobian(method, system, start, dt)
    d = system.dimension
    J = np.block([[np.zeros((d, d)), np.eye(d)], [-np.eye(d), np.zeros((d, d))]])
    return abs(M.T @ J @ M - J).max()


@pairs(lambda method: method.symplectic)
def test_symplectic_methods_preserve_the_symplectic_form(method, system):
    assert defect(method, system, GENTLE[system.name]) < 1e-10
    if method.separable_only or method.advance is None:
        params, q0, p0 = drawn(system, 4)
        dt = 0.005 if system.box else 0.1  # atoms collide faster than other bodies move
        for i in range(4):
            assert defect(method, system, (q0[i], p0[i], params[i]), dt) < 1e-10


@pytest.mark.parametrize("name", ["euler", "rk4"])
def test_methods_that_are_not_symplectic_do_not(name):
    method = integrators.find(name)
    for system in SYSTEMS:
        assert defect(method, system, GENTLE[system.name], dt=0.4) > 1e-8


@pairs(lambda method: method.reversible)
def test_reversible_methods_return(method, system):
    q0, p0, params = (np.array(values, dtype=float) for values in GENTLE[system.name])
    for substeps in (1, 4):
        there = end(method, system, (q0, p0, params), 3.0, 30 * substeps)
        d = system.dimension
        back = end(method, system, (there[:d], there[d:], params), -3.0, 30 * substeps)
        assert abs(back - np.concatenate([q0, p0])).max() < 1e-11


@pytest.mark.parametrize("name", ["euler", "symplectic_euler", "rk4"])
def test_other_methods_do_not_return(name):
    system = systems.find("pendulum")
    q0, p0, params = GENTLE["pendulum"]
    method = integrators.find(name)
    there = end(method, system, (q0, p0, params), 3.0, 30)
    back = end(method, system, (there[:1], there[1:], params), -3.0, 30)
    assert abs(back - np.concatenate([q0, p0])).max() > 1e-6


@pairs(lambda method: method.adaptive or method.advance is None)
def test_accurate_methods_agree_with_scipy(method, system):
    """What may be the ground truth: 30 frames of the default set, forward and backward."""
    params, q0, p0 = drawn(system, 2)
    for direction in (1, -1):
        times = direction * 0.125 * np.arange(0, 30, 7)
        q, p = (np.empty((2, times.size, system.dimension)) for _ in range(2))
        assert rollout.integrate(system, method, params, q0, p0, times, q=q, p=p).all()
        for i in range(2):
            true_q, true_p = reference.solution(system.name, q0[i], p0[i], params[i], times)
            np.testing.assert_allclose(q[i], true_q, rtol=0, atol=1e-9)
            np.testing.assert_allclose(p[i], true_p, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["pendulum", "three_body", "double_pendulum", "lennard_jones"])
def test_reference_against_the_taylor_method(name):
    """SciPy's DOP853 is good to 1e-12 only; here the last digits are looked at."""
    q0, p0, params = GENTLE[name]
    true_q, true_p = reference.taylor(name, q0, p0, params, [0.25])
    state = np.concatenate([true_q[0], true_p[0]])
    d = len(q0)
    system = systems.find(name)
    q, p = np.empty((1, 1, d)), np.empty((1, 1, d))
    rows = (np.array([values], dtype=float) for values in (params, q0, p0))
    method = integrators.find(integrators.REFERENCE)
    assert rollout.integrate(system, method, *rows, np.array([0.25]), q=q, p=p).all()
    np.testing.assert_allclose(np.concatenate([q[0, 0], p[0, 0]]), state, rtol=0, atol=2e-15)


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_default_integrator_conserves_energy_over_the_default_set(system):
    n = 300
    for which in ("default", "paper"):
        params, q0, p0 = drawn(system, n, which)
        q, p = (np.empty((n, 30, system.dimension)) for _ in range(2))
        method = integrators.choose(system)
        times = 0.125 * np.arange(30)
        assert rollout.integrate(system, method, params, q0, p0, times, q=q, p=p).all()
        energy = rollout.energy(system, q, p, params)
        kinetic = abs((p0 * rollout.derivatives(system, q, p, params)[0][:, 0]).sum(axis=1)) / 2
        scale = np.maximum(abs(energy[:, 0]), kinetic)  # H of atoms may be near 0
        assert (abs(energy - energy[:, :1]).max(axis=1) < 1e-12 * scale).all()


@pytest.mark.parametrize("name", ["two_body", "three_body", "n_body"])
def test_gravity_conserves_both_momenta_and_the_centre_of_mass(name):
    system = systems.find(name)
    params, q0, p0 = drawn(system, 100)
    q, p = (np.empty((100, 30, system.dimension)) for _ in range(2))
    times = 0.125 * np.arange(30)
    rollout.integrate(system, integrators.choose(system), params, q0, p0, times, q=q, p=p)
    bodies = system.bodies
    momentum = p.reshape(100, 30, bodies, 2).sum(axis=2)
    masses = params[:, None, :bodies, None]
    centre = (masses * q.reshape(100, 30, bodies, 2)).sum(axis=2) / masses.sum(axis=2)
    spin = (q[..., ::2] * p[..., 1::2] - q[..., 1::2] * p[..., ::2]).sum(axis=2)
    assert abs(momentum).max() < 1e-12
    assert abs(centre).max() < 1e-12
    assert abs(spin - spin[:, :1]).max() < 1e-12


def laplace_runge_lenz(q, p, params):
    """v × L/μ − r/‖r‖ of the relative motion: points to the closest approach, as long as e."""
    x = q[..., 2:] - q[..., :2]
    m1, m2, G = params[:, None, 0], params[:, None, 1], params[:, None, 2]
    v = p[..., 2:] / m2[..., None] - p[..., :2] / m1[..., None]
    spin = x[..., 0] * v[..., 1] - x[..., 1] * v[..., 0]
    turned = np.stack([v[..., 1], -v[..., 0]], axis=-1) * spin[..., None]
    pull = (G * (m1 + m2))[..., None]
    return turned / pull - x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.mark.parametrize("name", ["closed_form", "gauss_radau", "dop853"])
def test_two_bodies_keep_their_ellipse(name):
    system = systems.find("two_body")
    params, q0, p0 = drawn(system, 100)
    q, p = (np.empty((100, 30, 4)) for _ in range(2))
    times = np.arange(30.0)
    rollout.integrate(system, integrators.find(name), params, q0, p0, times, q=q, p=p)
    vector = laplace_runge_lenz(q, p, params)
    assert abs(vector - vector[:, :1]).max() < 1e-12


def test_long_runs_bounded_for_symplectic_methods_only():
    system = systems.find("pendulum")
    q0, p0, params = GENTLE["pendulum"]
    energy = {}
    for name in ("leapfrog", "yoshida4", "gauss4", "rk4"):
        method = integrators.find(name)
        rows = [np.array([values]) for values in (params, q0, p0)]
        times = 0.1 * np.arange(10_001)
        q, p = np.empty((1, times.size, 1)), np.empty((1, times.size, 1))
        rollout.integrate(system, method, *rows, times, q=q, p=p)
        H = rollout.energy(system, q, p, rows[0])[0]
        error = abs(H / H[0] - 1)
        energy[name] = error[:1000].max(), error[-1000:].max()
    for name in ("leapfrog", "yoshida4", "gauss4"):
        assert energy[name][1] < 1.5 * energy[name][0]
    assert energy["rk4"][1] > 8 * energy["rk4"][0]


@pairs(lambda method: method.friction)
def test_energy_falls_at_the_rate_of_friction(method, system):
    """dH/dt = −c ‖∂H/∂p‖², with H and the rate both from the textbook."""
    c = 0.3
    q0, p0, params = (np.array(values, dtype=float) for values in GENTLE[system.name])
    name, d = system.name, system.dimension
    h = 1e-3
    steps = 50
    states = [
        end(method, system, (q0, p0, params), k * h, steps * abs(k), c) for k in (-2, -1, 1, 2)
    ]
    H = [reference.hamiltonian(name, z[:d], z[d:], params) for z in states]
    slope = (8 * (H[2] - H[1]) - (H[3] - H[0])) / (12 * h)
    _, velocity = reference.gradients(name, q0, p0, params)
    rate = -c * (velocity**2).sum()
    # The rounding of H, over h; first-order methods are off by h/steps more.
    tolerance = 2e-3 if method.order == 1 else 3e-9
    assert abs(slope - rate) < tolerance * max(1, abs(rate))


@pairs(lambda method: method.friction and not method.adaptive)
def test_order_with_friction(method, system):
    measured = studies.convergence(method, system, friction=0.3).order
    assert abs(measured - method.order) < 0.1, measured


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_derivatives_carry_friction(system):
    params, q0, p0 = drawn(system, 3)
    dq, dp = rollout.derivatives(system, q0[:, None], p0[:, None], params, 0.05)
    for i in range(3):
        dh_dq, dh_dp = reference.gradients(system.name, q0[i], p0[i], params[i])
        np.testing.assert_allclose(dq[i, 0], dh_dp, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(dp[i, 0], -dh_dq - 0.05 * dh_dp, rtol=1e-12, atol=1e-12)


def test_damped_spring_against_its_formula():
    """q'' = −(k/m) q − (c/m) q', underdamped."""
    m, k, c = 0.5, 2.0, 0.4
    times = 0.125 * np.arange(30)
    system = systems.find("mass_spring")
    rows = np.array([[m, k]]), np.array([[0.7]]), np.array([[0.0]])
    q, p = np.empty((1, 30, 1)), np.empty((1, 30, 1))
    rollout.integrate(
        system, integrators.choose(system, "", c), *rows, times, friction=c, q=q, p=p
    )
    decay = c / (2 * m)
    omega = math.sqrt(k / m - decay**2)
    expected = (
        0.7
        * np.exp(-decay * times)
        * (np.cos(omega * times) + decay / omega * np.sin(omega * times))
    )
    np.testing.assert_allclose(q[0, :, 0], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["gauss_radau", "dop853"])
def test_overdamped_spring_against_its_formula(name):
    """Steps as long as the slow decay allows are too long for the fast one, 400 times as fast."""
    m, k, c = 0.5, 2.0, 20.0
    fast = c / (2 * m) + math.sqrt((c / (2 * m)) ** 2 - k / m)
    slow = k / m / fast
    times = np.arange(30.0)
    rows = np.array([[m, k]]), np.array([[0.7]]), np.array([[0.3]])
    q, p = np.empty((1, 30, 1)), np.empty((1, 30, 1))
    system, method = systems.find("mass_spring"), integrators.find(name)
    assert rollout.integrate(system, method, *rows, times, friction=c, q=q, p=p).all()
    part = (0.3 / m + slow * 0.7) / (slow - fast)
    expected = (0.7 - part) * np.exp(-slow * times) + part * np.exp(-fast * times)
    np.testing.assert_allclose(q[0, :, 0], expected, rtol=0, atol=3e-14)


def test_energy_that_friction_takes_away_does_not_come_back():
    """H, here q², may fall from frame to frame where time runs forward, and rise backward."""
    system = systems.find("mass_spring")
    H = np.array([[0.9, 0.5, 0.3], [0.9, 0.5, 0.6], [0.9, 1.0, 0.3], [0.9, 1.0, 1.1]])
    q, params = np.sqrt(H)[:, :, None], np.tile([0.5, 2.0], (4, 1))
    states = system, params, q[:, 0], np.zeros((4, 1)), q, np.zeros((4, 3, 1))
    assert rollout._keeps_energy(*states, 1.0).tolist() == [True, False, False, False]
    assert rollout._keeps_energy(*states, -1.0).tolist() == [False, False, False, True]


@pytest.mark.parametrize("order", [4, 6, 8])
def test_composition_weights(order):
    """A palindrome that sums to 1, whose odd power sums vanish as far as the order asks."""
    weights = composition.palindrome(order)
    assert abs(math.fsum(weights) - 1) < 1e-15
    assert np.array_equal(weights, weights[::-1])
    assert abs(math.fsum(weights**3)) < 1e-14
    if order > 4:
        assert abs(math.fsum(weights**5)) < 1e-14
    if order > 6:
        assert abs(math.fsum(weights**7)) < 1e-14


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_gauss_tableau(stages):
    a, b = gauss.tableau(stages)
    c = a.sum(axis=1)
    for power in range(2 * stages):
        assert abs(b @ c**power - 1 / (power + 1)) < 1e-15
    # The condition of symplectic Runge–Kutta methods.
    m = b[:, None] * a + (b[:, None] * a).T - np.outer(b, b)
    assert abs(m).max() < 1e-15


def test_radau_tableau():
    """Quadrature with the weights is exact up to degree 14, collocation up to degree 7."""
    a = gauss_radau._A
    for power in range(15):
        assert abs(a[8] @ gauss_radau.NODES**power - 1 / (power + 1)) < 1e-14
    for power in range(8):
        expected = gauss_radau.NODES ** (power + 1) / (power + 1)
        assert abs(a[:8] @ gauss_radau.NODES**power - expected).max() < 1e-15
    with mpmath.workdps(30):  # the roots of P₇ + P₈ on [0, 1]
        for node in gauss_radau.NODES:
            root = mpmath.findroot(
                lambda s: mpmath.legendre(7, 2 * s - 1) + mpmath.legendre(8, 2 * s - 1), node
            )
            assert abs(root - node) < 1e-16


@pytest.mark.parametrize("name", ["gauss4", "gauss6", "dop853", "gauss_radau"])
def test_what_rounding_cuts_off_a_step_is_not_lost(name):
    """Bodies that hardly attract fly straight on, each step rounded in the same direction."""
    q0, p0 = np.array([100.0, 7.0, -100.0, 70.0]), np.array([0.1, 0.3, -0.7, 0.9])
    method, system = integrators.find(name), systems.find("two_body")
    there = end(method, system, (q0, p0, [1.0, 1.0, 1e-200]), 100.0, 10_000)
    # A step's own sum of slopes may be off by parts in 1e-15; what is cut off comes to 1e-11.
    np.testing.assert_allclose(there[:4], q0 + 100.0 * p0, rtol=0, atol=3e-13)


def test_close_encounter_of_three_bodies():
    """Burrau's problem: from rest at the corners of a 3-4-5 triangle, encounters at 1e-2."""
    system = systems.find("three_body")
    rows = (
        np.array([[3.0, 4.0, 5.0, 1.0]]),
        np.array([[1.0, 3.0, -2.0, -1.0, 1.0, -1.0]]),
        np.zeros((1, 6)),
    )
    times = np.array([0.0, 10.0, 1.8793])
    times.sort()
    q, p = np.empty((1, 3, 6)), np.empty((1, 3, 6))
    method = integrators.find("gauss_radau")
    assert rollout.integrate(system, method, *rows, times, q=q, p=p).all()
    energy = rollout.energy(system, q, p, rows[0])[0]
    assert abs(energy / energy[0] - 1).max() < 1e-11
    # At 1.8793 the bodies of mass 4 and 5 pass each other at about 0.01.
    assert np.hypot(*(q[0, 1, 2:4] - q[0, 1, 4:6])) < 0.05


@pytest.mark.slow
def test_the_first_ten_thousand_of_three_bodies():
    """As `physim render hgn/three_body` makes them, the closest encounter against SciPy too."""
    recipe = Recipe.of(load("hgn/three_body"))
    generator = Generator(recipe)
    images = generator.new_images(500)
    worst, closest, wildest = 0.0, np.inf, {}
    for start in range(0, 10_000, 500):
        block = generator.block("train", start, start + 500, images)
        q, p, energy = block["q"], block["p"], block["energy"]
        assert np.isfinite(q).all()
        assert np.isfinite(p).all()
        assert np.array_equal(block["index"], np.arange(start, start + 500))
        assert q.shape == (500, 30, 6)
        G = np.broadcast_to(block["G"][:, None], (500, 1))
        params = np.concatenate([block["m"], G], axis=1)
        # The energy both as stored and from the textbook's H of the stored states.
        H = reference.hamiltonian(
            "three_body",
            np.moveaxis(q, -1, 0),
            np.moveaxis(p, -1, 0),
            params.T[:, :, None],
        )
        np.testing.assert_allclose(energy, H, rtol=1e-13, atol=0)
        worst = np.max([worst, abs(H / H[:, :1] - 1).max(), abs(energy / energy[:, :1] - 1).max()])
        xy = q.reshape(500, 30, 3, 2)
        gaps = np.min([np.hypot(*(xy[:, :, i] - xy[:, :, i - 1]).T).T for i in range(3)], axis=0)
        i = int(gaps.min(axis=1).argmin())
        if gaps[i].min() < closest:
            closest, wildest = gaps[i].min(), {"q": q[i], "p": p[i], "params": params[i]}
    assert worst <= 1e-11
    q, p = wildest["q"], wildest["p"]
    times = recipe.dt * np.arange(30)
    true_q, true_p = reference.solution("three_body", q[0], p[0], wildest["params"], times)
    np.testing.assert_allclose(q, true_q, rtol=0, atol=1e-9)
    np.testing.assert_allclose(p, true_p, rtol=0, atol=1e-9)


def test_every_refusal_names_what_fits():
    double = systems.find("double_pendulum")
    with pytest.raises(RecipeError, match=r"leapfrog needs H = T.*expected one of euler, rk4"):
        integrators.choose(double, "leapfrog")
    with pytest.raises(RecipeError, match=r"closed_form knows no friction.*gauss_radau"):
        integrators.choose(systems.find("pendulum"), "closed_form", 0.1)
    with pytest.raises(RecipeError, match="three_body has no closed form"):
        integrators.choose(systems.find("three_body"), "closed_form")
    for name, near in {
        "leapfrogg": "leapfrog",
        "Verlet": "leapfrog",
        "velocity-verlet": "leapfrog",
        "RK45": "dop853",
        "rk5": "rk4",
    }.items():
        with pytest.raises(RecipeError, match=f"did you mean '{near}'"):
            integrators.find(name)
    with pytest.raises(RecipeError, match="got 'nothing'; known: euler"):
        integrators.find("nothing")
    assert integrators.SYNONYMS.keys().isdisjoint(integrators.INTEGRATORS)
    assert set(integrators.SYNONYMS.values()) <= set(integrators.INTEGRATORS)
    for system in SYSTEMS:
        for friction in (0.0, 0.1):
            assert integrators.choose(system, "", friction).fits(system, friction)
            for name in integrators.fitting(system, friction):
                assert integrators.choose(system, name, friction).name == name


def test_names_in_the_list_are_the_names_of_the_methods():
    for name, method in zip(integrators.INTEGRATORS, METHODS, strict=True):
        assert method.name == name
        assert method.reference
        assert method.summary
