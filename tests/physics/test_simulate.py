"""physim.simulate: shapes, threads, and one sentence for every mistake."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import reference
from reference import drawn

import physim
from physim import integrators, systems
from physim.errors import RecipeError, SimulationError


def test_shapes():
    one = physim.simulate("two_body", [1, 0, -1, 0], [0, 0.5, 0, -0.5], times=[0.0, 1.0, 2.0])
    assert [array.shape for array in one] == [(3, 4), (3, 4)]
    many = physim.simulate("pendulum", [[0.1], [0.2]], [0.0], {"l": [1.0, 2.0]}, [0.0, 0.5])
    assert many[0].shape == (2, 2, 1)
    spread = physim.simulate("pendulum", [0.1], [0.0], {"g": np.linspace(1, 4, 7)}, 0.5)
    assert spread[0].shape == (7, 1, 1)
    masses = {"m": [[1.0, 2.0], [2.0, 1.0]], "G": 1.0}
    assert physim.simulate("two_body", [1, 0, -1, 0], [0] * 4, masses, [0.1])[0].shape == (2, 1, 4)


@pytest.mark.parametrize("bodies", [2, 6])
def test_as_many_bodies_as_have_positions(bodies):
    generator = np.random.default_rng(0)
    q0, p0 = generator.normal(size=(2, 2 * bodies))
    q, p = physim.simulate("n_body", q0, p0, times=[0.0, 0.01])
    assert q.shape == p.shape == (2, 2 * bodies)
    system = physim.systems.find("n_body", bodies)
    expected = physim.simulate(system, q0, p0, times=[0.0, 0.01])
    assert np.array_equal((q, p), expected)
    image = physim.draw("n_body", q, resolution=8)
    assert np.array_equal(image, physim.draw(system, q, resolution=8))


def test_left_out_parameters_have_the_values_of_the_paper():
    q, p = physim.simulate("mass_spring", [0.5], [0.0], times=[1.0])
    assert q[0, 0] == pytest.approx(0.5 * np.cos(2.0), abs=1e-15)
    rows = physim.simulate("mass_spring", [0.5], [0.0], [0.5, 2.0], [1.0])
    assert np.array_equal(q, rows[0])
    assert np.array_equal(p, rows[1])


def test_threads_do_not_change_a_bit():
    system = systems.find("three_body")
    params, q0, p0 = drawn(system, 300)
    times = 0.125 * np.arange(10)
    one = physim.simulate(system, q0, p0, params, times, workers=1)
    three = physim.simulate(system, q0, p0, params, times, workers=3)
    for a, b in zip(one, three, strict=True):
        assert np.array_equal(a, b)


def test_time_runs_backward_with_every_integrator():
    for name in systems.SYSTEMS:
        system = systems.find(name)
        params, q0, p0 = drawn(system, 1)
        for method in integrators.fitting(system):
            if not integrators.find(method).reversible:
                continue
            times = np.linspace(0, 0.5, 5)
            settings = {"integrator": method, "substeps": 1 if method == "closed_form" else 40}
            q, p = physim.simulate(system, q0, p0, params, times, **settings)
            back = physim.simulate(system, q[:, -1], p[:, -1], params, -times, **settings)
            np.testing.assert_allclose(back[0][:, -1], q0, rtol=0, atol=1e-11)
            np.testing.assert_allclose(back[1][:, -1], p0, rtol=0, atol=1e-11)


def test_default_is_right_backward_too():
    q0, p0 = np.array([0.6, -0.4]), np.array([0.2, 0.3])
    params = np.array([0.5, 0.4, 1.0, 0.8, 3.0])
    q, p = physim.simulate("double_pendulum", q0, p0, params, [-1.0])
    true = reference.solution("double_pendulum", q0, p0, params, [-1.0])
    np.testing.assert_allclose(q, true[0], rtol=0, atol=1e-11)
    np.testing.assert_allclose(p, true[1], rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", ["closed_form", "gauss_radau", "leapfrog"])
def test_times_may_come_in_any_order(name):
    """Those on one side of 0 are reached one from the other, whatever stands between them."""
    times = np.array([0.4, -0.2, 0.0, 1.0, -0.7, 0.4])
    settings = {"system": "pendulum", "q0": [[1.0], [2.0]], "p0": [[0.3], [0.0]]}
    q, p = physim.simulate(**settings, times=times, integrator=name)
    for order in ([2, 0, 5, 3], [1, 4]):
        one_way = physim.simulate(**settings, times=times[order], integrator=name)
        assert np.array_equal(q[:, order], one_way[0])
        assert np.array_equal(p[:, order], one_way[1])


BAD = {
    "system: got 'pendulun' .did you mean 'pendulum'": {"system": "pendulun"},
    r"q0: got shape \(2,\), expected \(1,\) or \(n, 1\) for pendulum": {"q0": [1.0, 2.0]},
    "q0: got a value that is not finite": {"q0": [np.nan]},
    "p0: got 'fast', expected numbers": {"p0": "fast"},
    "p0: got 3 states, but q0 has 2": {"q0": [[1], [2]], "p0": [[1], [2], [3]]},
    "params: got 'k'; known: m, l, g": {"params": {"k": 1.0}},
    r"params.m: got -1, expected a number above 0 \(mass\)": {"params": {"m": -1.0}},
    r"params.l: got 0, expected a number above 0 \(length\)": {"params": {"l": 0.0}},
    r"params: got shape \(2,\), expected \(3,\)": {"params": [1.0, 2.0]},
    "params: got columns of lengths": {"params": {"m": [1, 2], "l": [1, 2, 3]}},
    "params: got 3 rows for 2 initial states": {"q0": [[1], [2]], "params": {"m": [1, 2, 3]}},
    r"times: got shape \(0,\), expected \(T,\), at least one": {"times": []},
    r"times: got shape \(1, 2\), expected \(T,\)": {"times": [[0.0, 1.0]]},
    "times: got a value that is not finite": {"times": [np.inf]},
    "substeps: got 0, expected a whole number from 1": {"substeps": 0},
    "substeps: got 1.5, expected a whole number from 1": {"substeps": 1.5},
    "workers: got 0, expected a whole number from 1": {"workers": 0},
    "friction: got -1.0, expected a number from 0": {"friction": -1.0},
    "friction: got nan, expected a number from 0": {"friction": float("nan")},
    "params: got 'g' .did you mean 'G'": {
        "system": "two_body",
        "q0": [1, 0, -1, 0],
        "p0": [0, 0.5, 0, -0.5],
        "params": {"g": 1.0},
    },
    "integrator: got 'rk5' .did you mean 'rk4'": {"integrator": "rk5"},
    "closed_form knows no friction": {"integrator": "closed_form", "friction": 0.1},
    "friction: got 'a', expected a number from 0": {"friction": "a"},
    "friction: got None, expected a number from 0": {"friction": None},
    "friction: got 10000000": {"friction": 10**400},
    "substeps: got 4, but closed_form takes no steps": {"substeps": 4},
    "substeps: got 'a', expected a whole number from 1": {"substeps": "a"},
    "substeps: got nan, expected a whole number from 1": {"substeps": float("nan")},
    "substeps: got 1000000000000": {"substeps": 10**30, "integrator": "leapfrog"},
    "workers: got 'a', expected a whole number from 1": {"workers": "a"},
    "integrator: got .*did you mean 'leapfrog'": {"integrator": ["leapfrog"]},
    "system: got '3'; known: mass_spring": {"system": 3},
    "q0: got .10000000.*expected numbers": {"q0": [10**400]},
}


@pytest.mark.parametrize("sentence", BAD)
def test_every_mistake_has_a_sentence(sentence):
    settings = {"system": "pendulum", "q0": [1.0], "p0": [0.0], "times": [0.0, 1.0]}
    with pytest.raises(RecipeError, match=sentence):
        physim.simulate(**(settings | BAD[sentence]))


@pytest.mark.parametrize("name", ["gauss_radau", "dop853", "closed_form", "leapfrog", "euler"])
def test_a_collision_names_the_trajectory_and_everything_needed_to_see_it_again(name):
    q0 = [[1, 0, -1, 0], [0.5, 0, 0.5, 0]]
    with pytest.raises(SimulationError) as caught:
        physim.simulate("two_body", q0, [0, 0.5, 0, -0.5], times=[0.0, 0.5], integrator=name)
    sentence = str(caught.value)
    assert "two_body: trajectory 1: two bodies collide, or a state is not finite" in sentence
    assert "m=[1.0, 1.0], G=1.0, q0=[0.5, 0.0, 0.5, 0.0], p0=[0.0, 0.5, 0.0, -0.5]" in sentence


def test_what_explodes_is_refused():
    with pytest.raises(SimulationError, match="mass_spring: trajectory 0: a state is not finite"):
        physim.simulate("mass_spring", [1.0], [0.0], times=np.arange(2000.0), integrator="euler")
    with pytest.raises(SimulationError, match="mass_spring: trajectory 0: a state is not finite"):
        physim.simulate("mass_spring", [1e308], [0.0], {"k": 200.0}, [0.0, 0.05])  # p = 1e309


FALLING = {
    "three in a line": ("three_body", [1.0, 0, -1, 0, 0, 0]),
    "a triangle": ("three_body", [1.0, 0, -0.5, 3**0.5 / 2, -0.5, -(3**0.5) / 2]),
    "a square": ("n_body", [1.0, 0, 0, 1, -1, 0, 0, -1]),
}


@pytest.mark.parametrize("name", ["gauss_radau", "dop853"])
@pytest.mark.parametrize("case", FALLING)
def test_symmetric_collisions_are_not_stepped_over(case, name):
    """From rest: by symmetry the forces before and after the collision are finite."""
    system, q0 = FALLING[case]
    with pytest.raises(SimulationError, match="trajectory 0"):
        physim.simulate(
            system, q0, [0.0] * len(q0), {"m": 1, "G": 1}, np.arange(30.0), integrator=name
        )


@pytest.mark.parametrize("name", ["gauss_radau", "dop853"])
def test_intervals_that_are_too_long_for_one_step_are_divided(name):
    """A first trial step that diverges is not a number; it must be refused, not believed."""
    system = systems.find("double_pendulum")
    params, q0, p0 = drawn(system, 40)
    fine = physim.simulate(system, q0, p0, params, np.linspace(0, 4, 41), integrator=name)
    coarse = physim.simulate(system, q0, p0, params, np.array([0.0, 4.0]), integrator=name)
    # chaos multiplies 1e-15 by some thousands in 4 units of time
    assert np.abs(coarse[0][:, -1] - fine[0][:, -1]).max() < 1e-8
    physim.simulate(system, q0, p0, params, [10.0], integrator=name)  # none is given up


@pytest.mark.parametrize("name", ["gauss_radau", "dop853"])
def test_a_collision_before_the_only_time_is_not_stepped_over(name):
    """The energy to keep is that of the start, which stands in no row of the answer."""
    with pytest.raises(SimulationError, match="two bodies collide"):
        physim.simulate("two_body", [1, 0, -1, 0], [0] * 4, times=[29.0], integrator=name)


@pytest.mark.parametrize("name", ["gauss_radau", "dop853"])
def test_an_energy_of_almost_zero_is_no_sign_of_a_collision(name):
    """On a parabola all of H is rounding, of which any change is a large share."""
    start = [1, 0, -1, 0], [0, np.sqrt(0.5), 0, -np.sqrt(0.5)]
    assert 0 < abs(physim.energy("two_body", *start)) < 1e-15
    found = physim.simulate("two_body", *start, times=np.arange(9.0), integrator=name)
    exact = physim.simulate("two_body", *start, times=np.arange(9.0), integrator="closed_form")
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["gauss_radau", "dop853"])
@pytest.mark.parametrize("times", [np.arange(30.0), [29.0]], ids=["often", "once"])
@pytest.mark.parametrize("case", FALLING)
def test_collisions_with_friction_are_not_stepped_over(case, times, name):
    """Friction takes energy away: where H rises, bodies have passed through each other."""
    system, q0 = FALLING[case]
    start = q0, [0.0] * len(q0), {"m": 1, "G": 1}
    with pytest.raises(SimulationError, match="trajectory 0: two bodies collide"):
        physim.simulate(system, *start, times, integrator=name, friction=0.05)


@pytest.mark.parametrize("name", ["gauss_radau", "dop853"])
def test_rounding_is_no_collision_where_the_energy_is_nothing(name):
    """Two atoms at rest where their potential is 0, up to rounding."""
    for angle in np.linspace(0, 6, 40):
        start = [0.0, 0.0, np.cos(angle), np.sin(angle)]
        q, _ = physim.simulate("lennard_jones", start, [0.0] * 4, None, [0.5, 1.0], name)
        assert np.hypot(*(q[1, 2:] - q[1, :2])) > 1.0


@pytest.mark.parametrize("name", ["gauss_radau", "dop853"])
@pytest.mark.parametrize("first", [1e-20, 1e-200, 1e-300])
def test_a_first_interval_of_next_to_nothing(name, first):
    q, _ = physim.simulate("pendulum", [1.0], [0.0], None, [first, 1.0], name)
    assert q[1] == pytest.approx(physim.simulate("pendulum", [1.0], [0.0], None, [1.0])[0][0])


@pytest.mark.parametrize("name", ["mass_spring", "double_pendulum", "three_body"])
def test_friction_backward_is_right_and_the_energy_grows(name):
    system = systems.find(name)
    params, q0, p0 = drawn(system, 2)
    times = -0.1 * np.arange(15)
    q, p = physim.simulate(system, q0, p0, params, times, friction=0.1)
    for i in range(2):
        true = reference.solution(name, q0[i], p0[i], params[i], times, 0.1)
        np.testing.assert_allclose(q[i], true[0], rtol=0, atol=1e-9)
        np.testing.assert_allclose(p[i], true[1], rtol=0, atol=1e-9)
        H = [reference.hamiltonian(name, *state, params[i]) for state in zip(*true, strict=True)]
        assert (np.diff(H) > 0).all()


@pytest.mark.parametrize("name", ["gauss_radau", "dop853"])
def test_intervals_of_many_steps(name):
    """Six thousand periods at once; dop853 may err by 1e-14 in each of 5e4 steps."""
    q, p = physim.simulate("mass_spring", [1.0], [0.0], times=[2e4], integrator=name)
    assert abs(q[0, 0] - float(mpmath.cos(40_000))) < 1e-10
    assert abs(p[0, 0] + float(mpmath.sin(40_000))) < 1e-10


@pytest.mark.parametrize("name", ["gauss_radau", "dop853"])
def test_long_intervals_may_take_more_than_a_hundred_thousand_steps(name):
    q, _ = physim.simulate(
        "mass_spring", [1.0], [0.0], times=[1.0], integrator=name, substeps=105_000
    )
    assert q[0, 0] == pytest.approx(np.cos(2.0), abs=1e-11)


def test_why_a_trajectory_is_given_up():
    """A binary that spirals in takes ever more steps; no state is infinite, and none collides."""
    spiral = {"q0": [1, 0, -1, 0], "p0": [0, 0.5, 0, -0.5], "times": [30.0], "friction": 1.0}
    with pytest.raises(SimulationError, match="or with gauss_radau the steps are too short for"):
        physim.simulate("two_body", **spiral)
    for name in ("mass_spring", "pendulum"):  # the stages grow without end, wander without end
        with pytest.raises(SimulationError, match="or with gauss4 a step is too long for its"):
            physim.simulate(name, [1.0], [0.0], times=[100.0], integrator="gauss4")
