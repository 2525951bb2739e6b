"""Closed forms against mpmath: separatrix, fixed points, every kind of orbit."""

from __future__ import annotations

import math

import numpy as np
import pytest
import reference
from reference import drawn

import physim
from physim import systems
from physim.errors import SimulationError

TIMES = np.array([0.0, 0.125, 1.0, 3.625, 20.0, -0.7, -11.0])


def closed(name, q0, p0, params, times):
    q, p = np.empty((len(times), len(q0))), np.empty((len(times), len(q0)))
    row = np.array(params, dtype=float)
    ok = systems.find(name).closed_form(
        np.array(q0, dtype=float), np.array(p0, dtype=float), row, np.asarray(times), q, p
    )
    return ok, q, p


@pytest.mark.parametrize("name", ["mass_spring", "pendulum", "two_body"])
def test_default_sets_against_the_taylor_method(name):
    system = systems.find(name)
    times = np.array([1.0])
    for row, q0, p0 in zip(*drawn(system, 1), strict=True):
        truth = reference.taylor(name, q0, p0, row, times)
        ok, q, p = closed(name, q0, p0, row, times)
        assert ok
        np.testing.assert_allclose(q, truth[0], rtol=0, atol=2e-13)
        np.testing.assert_allclose(p, truth[1], rtol=0, atol=2e-13)


def test_spring_turns_by_its_angle():
    _, q, p = closed("mass_spring", [0.3], [-0.2], [0.5, 2.0], TIMES)
    cosine, sine = np.cos(2 * TIMES), np.sin(2 * TIMES)
    np.testing.assert_allclose(q[:, 0], 0.3 * cosine - 0.2 * sine, atol=1e-14)
    np.testing.assert_allclose(p[:, 0], -0.2 * cosine - 0.3 * sine, atol=1e-14)


@pytest.mark.parametrize(
    ("q0", "p0"),
    [
        pytest.param(1e-9, 0.0, id="tiny swing"),
        pytest.param(0.3, -0.2, id="swing"),
        pytest.param(2.9, 0.0, id="large swing"),
        pytest.param(-3.1, 0.01, id="swing from near the top"),
        pytest.param(0.0, 2.3, id="rotation"),
        pytest.param(1.0, -2.9, id="rotation the other way"),
        pytest.param(0.0, 40.0, id="fast rotation"),
        pytest.param(3.0, 0.4, id="rotation from near the top"),
        pytest.param(math.pi - 1e-6, 0.0, id="a breath beside the top"),
        pytest.param(math.pi - 1e-6, 2e-6, id="a breath beside the top, over it"),
        pytest.param(40.0, 0.4, id="swing after many turns"),
        pytest.param(-25.3, -2.5, id="rotation after many turns"),
    ],
)
def test_pendulum_against_elliptic_integrals(q0, p0):
    params = (0.5, 1.0, 3.0)
    _, q, p = closed("pendulum", [q0], [p0], params, TIMES)
    angle, momentum = reference.swing(q0, p0, params, TIMES)
    # A relative error of 1e-16 in the frequency turns the phase by that times the time.
    scale = max(abs(momentum).max(), 1e-16)
    np.testing.assert_allclose(q[:, 0], angle, rtol=2e-15, atol=5e-13 * min(1, scale * 3))
    np.testing.assert_allclose(p[:, 0], momentum, rtol=0, atol=5e-13 * scale)


@pytest.mark.parametrize("excess", [1e-3, 1e-8, 1e-15, -1e-3, -1e-8, -1e-15])
def test_pendulum_beside_the_separatrix(excess):
    """p at the bottom a little above or below what takes the bob to the top."""
    params = (0.5, 1.0, 3.0)
    p0 = math.sqrt(3.0) * (1 + excess)
    times = np.array([0.125, 1.0, 3.625, -2.0])
    _, q, p = closed("pendulum", [0.0], [p0], params, times)
    angle, momentum = reference.swing(0.0, p0, params, times)
    # Beside the top errors grow like exp(ω t): 500-fold by t = 3.6.
    np.testing.assert_allclose(q[:, 0], angle, rtol=0, atol=2e-13)
    np.testing.assert_allclose(p[:, 0], momentum, rtol=0, atol=2e-13)


def test_pendulum_on_the_separatrix_creeps_up_to_the_top():
    """m = l = g = 1 and p = 2 at the bottom is the separatrix in exact floating-point numbers."""
    times = np.array([0.5, 2.0, 5.0, 15.0, -3.0])
    _, q, p = closed("pendulum", [0.0], [2.0], (1.0, 1.0, 1.0), times)
    np.testing.assert_allclose(q[:, 0], 2 * np.arctan(np.sinh(times)), rtol=0, atol=1e-14)
    np.testing.assert_allclose(p[:, 0], 2 / np.cosh(times), rtol=0, atol=1e-14)


def test_pendulum_turns_back_where_only_a_product_tells_it_from_the_separatrix():
    """C² − V² would be off by 4e-9, and so the time of 10.4 that it takes to the turning point."""
    p0, times = 2.0 - 2.0**-26, np.array([5.0, 10.0, 20.0])
    _, q, p = closed("pendulum", [0.0], [p0], (1.0, 1.0, 1.0), times)
    angle, momentum = reference.swing(0.0, p0, (1.0, 1.0, 1.0), times)
    # On the way up errors grow like exp(t), 2e4-fold.
    np.testing.assert_allclose(q[:, 0], angle, rtol=0, atol=1e-11)
    np.testing.assert_allclose(p[:, 0], momentum, rtol=0, atol=1e-11)


def test_pendulum_rests_at_both_fixed_points():
    _, q, p = closed("pendulum", [0.0], [0.0], (0.5, 1.0, 3.0), TIMES)
    assert (q == 0).all()
    assert (p == 0).all()
    times = np.array([0.125, 1.0, 3.625, -2.0])
    for top in (math.pi, -math.pi, 3 * math.pi):
        _, q, p = closed("pendulum", [top], [0.0], (0.5, 1.0, 3.0), times)
        # π in float64 is off by 1e-16, and that grows by exp(√3 · 3.6) = 500.
        np.testing.assert_allclose(q, top, rtol=0, atol=1e-12)
        np.testing.assert_allclose(p, 0, rtol=0, atol=1e-12)


def test_pendulum_angles_are_continuous():
    times = np.linspace(-30, 30, 6001)
    for p0 in (2.0, -2.0, 5.0, math.sqrt(3.0) * (1 + 1e-12)):
        _, q, p = closed("pendulum", [2.0], [p0], (0.5, 1.0, 3.0), times)
        speed = abs(p).max() / 0.5
        assert abs(np.diff(q[:, 0])).max() < 1.01 * speed * 0.01


@pytest.mark.parametrize(
    ("q0", "p0", "masses"),
    [
        pytest.param([1, 0, -1, 0], [0, 0.5, 0, -0.5], (1, 1), id="circle"),
        pytest.param([1, 0, -1, 0], [0.1, 0.2, -0.1, -0.2], (1, 1), id="ellipse"),
        pytest.param([1, 0, -1, 0], [0, 0.05, 0, -0.05], (1, 1), id="eccentricity 0.99"),
        pytest.param([1, 0.3, -1, 0], [0.4, 0.5, 0.2, -0.1], (0.7, 2.0), id="drift, masses"),
        pytest.param([1, 0, -1, 0], [-1.2, 0.6, 1.2, -0.6], (1, 1), id="hyperbola inwards"),
        pytest.param([1, 0, -1, 0], [1.5, 0.1, -1.5, -0.1], (1, 1), id="hyperbola outwards"),
        pytest.param(
            [1, 0, -1, 0], [0, math.sqrt(0.5), 0, -math.sqrt(0.5)], (1, 1), id="parabola"
        ),
        pytest.param([-0.4, 0, 0.4, 0], [1, -0.5, -1, 0.5], (1, 1), id="parabola inwards"),
        pytest.param([1, 0, -1, 0], [0.8, 0, -0.8, 0], (1, 1), id="straight away"),
        pytest.param([1, 0, -1, 0], [0.01, 0, -0.01, 0], (1, 1), id="straight, then back"),
    ],
)
def test_two_bodies_against_the_taylor_method(q0, p0, masses):
    params = (*masses, 1.0)
    times = np.array([1.0])
    truth = reference.taylor("two_body", q0, p0, params, times)
    ok, q, p = closed("two_body", q0, p0, params, times)
    assert ok
    # The eccentric orbit passes its closest point at 0.01 with momenta of 10.
    np.testing.assert_allclose(q, truth[0], rtol=0, atol=3e-13)
    np.testing.assert_allclose(p, truth[1], rtol=3e-13, atol=3e-13)
    # Time backward is time forward with reversed momenta.
    ok, back_q, back_p = closed("two_body", q0, [-x for x in p0], params, -times)
    assert ok
    np.testing.assert_allclose(back_q, q, rtol=0, atol=1e-14)
    np.testing.assert_allclose(back_p, -p, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("way", [1, -1])
@pytest.mark.parametrize(
    "times",
    [
        pytest.param(0.125 * np.arange(1000), id="frames"),
        pytest.param(np.array([100.0]), id="one step"),
        pytest.param(np.array([0.0, 1e4, 1e7]), id="long steps"),
    ],
)
def test_unbound_bodies_at_late_times(times, way):
    rng = np.random.default_rng(5)
    unbound = 0
    for _ in range(60):
        q0, p0 = rng.uniform(-2, 2, 4), rng.uniform(-1.5, 1.5, 4)
        energy = (p0**2).sum() / 2 - 1 / np.hypot(q0[2] - q0[0], q0[3] - q0[1])
        drift = (p0[:2] + p0[2:]) / 2
        if energy < (drift**2).sum():  # of the bodies about their centre
            continue
        unbound += 1
        ok, q, _ = closed("two_body", q0, p0, (1, 1, 1), way * times)
        assert ok
        for i in {len(times) - 1, 8 * len(times) // 10, len(times) // 3}:
            truth = reference.kepler(q0, p0, way * times[i])
            np.testing.assert_allclose(
                q[i], truth, rtol=2e-14, atol=2e-14 * (1 + abs(truth).max())
            )
    assert unbound > 20


@pytest.mark.parametrize("excess", [1e-4, 1e-6, -1e-4, -1e-6])
def test_two_bodies_beside_the_parabola(excess):
    """At distance 1 and μ = 2 the escape speed is 2: long ellipses and straight hyperbolas."""
    q0, p0 = [0.5, 0, -0.5, 0], [0, 1 + excess, 0, -1 - excess]
    times = np.array([0.5, 5.0, 20.0, -5.0])
    _, q, _ = closed("two_body", q0, p0, (1, 1, 1), times)
    truth = [reference.kepler(q0, p0, time) for time in times]
    np.testing.assert_allclose(q, truth, rtol=0, atol=5e-14)


def test_every_point_of_an_ellipse_leads_to_every_other():
    """Kepler's equation gives the times of eccentric anomalies without being solved."""
    a, e, rate = 1.3, 0.9, math.sqrt(2.0 / 1.3**3)
    x = np.linspace(-3.0, 3.0, 13)
    mean = x - e * np.sin(x)
    place = a * np.stack([np.cos(x) - e, math.sqrt(1 - e * e) * np.sin(x)], axis=1)
    velocity = a * rate * np.stack([-np.sin(x), math.sqrt(1 - e * e) * np.cos(x)], axis=1)
    velocity /= (1 - e * np.cos(x))[:, None]
    q, p = (np.concatenate([-half, half], axis=1) / 2 for half in (place, velocity))
    for i in range(x.size):
        ok, found_q, found_p = closed("two_body", q[i], p[i], (1, 1, 1), (mean - mean[i]) / rate)
        assert ok
        # Starts are rounded; where the bodies are ten times closer that counts hundredfold.
        np.testing.assert_allclose(found_q, q, rtol=0, atol=1e-13)
        np.testing.assert_allclose(found_p, p, rtol=0, atol=1e-12)


def test_two_bodies_come_back_after_every_period():
    a, e = 1.3, 0.8
    mu = 2.0
    period = 2 * math.pi * math.sqrt(a**3 / mu)
    near, fast = a * (1 - e), math.sqrt(mu / a * (1 + e) / (1 - e))
    q0 = [near / 2, 0, -near / 2, 0]
    p0 = [0, fast / 2, 0, -fast / 2]
    _, q, p = closed("two_body", q0, p0, (1, 1, 1), np.array([1, 10, -100]) * period)
    # After 100 periods the rounding of q0 and p0 alone has moved the bodies by 2e-12.
    np.testing.assert_allclose(q, [q0] * 3, rtol=0, atol=1e-11)
    np.testing.assert_allclose(p, [p0] * 3, rtol=0, atol=1e-10)
    _, q, _ = closed("two_body", q0, p0, (1, 1, 1), np.array([0.5 * period]))
    np.testing.assert_allclose(q[0], [-a * (1 + e) / 2, 0, a * (1 + e) / 2, 0], atol=1e-14)


def test_frames_may_fall_on_whole_periods():
    """Where the time since the last passage of the start is exactly 0, or one rounding away."""
    params, q0, p0 = drawn(systems.find("two_body"), 40)
    for row, q, p in zip(params, q0, p0, strict=True):
        mu = row[2] * (row[0] + row[1])
        velocity = p[2:] / row[1] - p[:2] / row[0]
        beta = 2 * mu / math.dist(q[2:], q[:2]) - velocity @ velocity
        period = 2 * math.pi / (beta * math.sqrt(beta) / mu)
        for way in (1, -1):
            ok, found_q, found_p = closed("two_body", q, p, row, way * period * np.arange(25) / 8)
            assert ok
            # The rounding of β moves the bodies by parts in 1e-15 a period.
            np.testing.assert_allclose(found_q[::8], [q] * 4, rtol=0, atol=2e-13)
            np.testing.assert_allclose(found_p[::8], [p] * 4, rtol=0, atol=2e-13)


def test_bodies_that_fall_into_each_other_are_refused_when_they_meet():
    """Released at rest at distance 2 with μ = 2 they meet after π/√2 · … = π a^{3/2}/√μ, a = 1."""
    meeting = math.pi / math.sqrt(2.0)
    q0, p0 = [1, 0, -1, 0], [0, 0, 0, 0]
    assert closed("two_body", q0, p0, (1, 1, 1), np.array([0.0, 0.999 * meeting]))[0]
    assert closed("two_body", q0, p0, (1, 1, 1), np.array([0.0, -0.999 * meeting]))[0]
    for late in (1.001, 2.5, 40.0):
        assert not closed("two_body", q0, p0, (1, 1, 1), np.array([0.0, late * meeting]))[0]
        assert not closed("two_body", q0, p0, (1, 1, 1), np.array([0.0, -late * meeting]))[0]
    fast = [-2.0, 0, 2.0, 0]  # unbound, head on
    assert closed("two_body", q0, fast, (1, 1, 1), np.array([0.3]))[0]
    assert not closed("two_body", q0, fast, (1, 1, 1), np.array([1.0]))[0]
    assert closed("two_body", q0, fast, (1, 1, 1), np.array([-50.0]))[0]
    apart = [2.0, 0, -2.0, 0]  # as they would have been before
    assert closed("two_body", q0, apart, (1, 1, 1), np.array([-0.3]))[0]
    assert not closed("two_body", q0, apart, (1, 1, 1), np.array([-1.0]))[0]
    assert not closed("two_body", [1, 0, 1, 0], fast, (1, 1, 1), np.array([1.0]))[0]
    for angle in (0.1, 0.7, 1.3, 2.2):  # rounding leaves an angular momentum
        way = np.array([math.cos(angle), math.sin(angle)])
        for speed in (0.3, 0.9):  # bound, unbound
            start = np.concatenate([way, -way]), speed * np.concatenate([-way, way])
            assert closed("two_body", *start, (1, 1, 1), np.array([0.5]))[0]
            assert not closed("two_body", *start, (1, 1, 1), np.array([2.5]))[0]
    with pytest.raises(SimulationError, match=r"two_body: trajectory 1: two bodies collide"):
        physim.simulate("two_body", [q0, q0], [[0, 0.5, 0, -0.5], p0], times=[0.0, 10.0])


def test_bodies_that_fall_at_escape_speed_meet_after_a_known_time():
    """From distance 1 with μ = 2 after (√2/3) r^{3/2}/√μ = 1/3."""
    q0, p0 = [0.5, 0, -0.5, 0], np.array([-1.0, 0, 1.0, 0])
    for way in (1, -1):
        assert closed("two_body", q0, way * p0, (1, 1, 1), np.array([way * 0.33]))[0]
        assert not closed("two_body", q0, way * p0, (1, 1, 1), np.array([way * 0.34]))[0]
        assert closed("two_body", q0, way * p0, (1, 1, 1), np.array([way * -10.0]))[0]
