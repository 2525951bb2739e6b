"""A system whose functions do not fit what it declares is refused, and the sentence says which."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

import physim
from physim import systems
from physim.errors import RecipeError, SimulationError
from physim.fields import CLOSED_FORM, ENERGY, FIELD, POSITIONS, SAMPLER, kernel
from physim.systems.parameters import Distribution, Parameter, fixed, uniform

PENDULUM = systems.find("pendulum")
EVERY = [
    *((name, None) for name in systems.SYSTEMS),
    *(("n_body", bodies) for bodies in systems.choice_of_bodies("n_body")),
    *(("lennard_jones", bodies) for bodies in (2, 3, 9, 16)),
]


@pytest.mark.parametrize(("name", "bodies"), EVERY)
def test_those_in_the_list_are_sound(name, bodies):
    assert systems.find(name, bodies).fault == ""


@kernel(FIELD)
def _uphill(q, p, params, out):
    out[0] = -params[0] * params[2] * params[1] * math.sin(q[0])


@kernel(FIELD)
def _two(q, p, params, out):
    out[0] = params[0] * params[2] * params[1] * math.sin(q[0])
    out[1] = 0.0


@kernel(FIELD)
def _nearly(q, p, params, out):
    out[0] = 1.003 * params[0] * params[2] * params[1] * math.sin(q[0])


@kernel(FIELD)
def _rubbed(q, p, params, out):
    out[0] = params[0] * params[2] * params[1] * math.sin(q[0]) + 1e-9 * p[0]


@kernel(FIELD)
def _slow(q, p, params, out):
    out[0] = p[0] / (params[0] * params[1])


@kernel(ENERGY)
def _mass_missing(q, p, params):
    return p[0] ** 2 / 2 + params[3]


@kernel(SAMPLER)
def _two_numbers(initial, u, params, q, p):
    q[0] = u[0]
    p[0] = u[1]


@kernel(SAMPLER)
def _two_components(initial, u, params, q, p):
    q[0] = q[1] = p[0] = u[0]


@kernel(POSITIONS)
def _two_bodies(q, params, xy):
    xy[0] = xy[1] = xy[2] = xy[3] = q[0]


def _starting(kernel):
    return (replace(PENDULUM.samplers[0], kernel=kernel),)


WRONG = {
    "dh_dq[0] is 1.41483, but hamiltonian rises by -1.41483 per unit of q[0]": {"dh_dq": _uphill},
    "dh_dq[0] is -1.41907, but hamiltonian rises by -1.41483": {"dh_dq": _nearly},
    "dh_dq fills [-1.41483] and more, expected 1": {"dh_dq": _two},
    "separable is True, but dh_dq depends on p": {"dh_dq": _rubbed},
    "dh_dp[0] is 0.249932, but hamiltonian rises by 0.199946 per unit of p[0]": {
        "dh_dp": _slow,
        "parameters": (
            Parameter("m", "mass", fixed(4.2), fixed(1.0)),
            Parameter("l", "length", fixed(1.25), fixed(1.0)),
            Parameter("g", "gravity", fixed(1.0), fixed(1.0)),
        ),
    },
    "hamiltonian gives nan": {"hamiltonian": _mass_missing},
    "may read 1 settings, 1 draws and 3 params": {"samplers": _starting(_two_numbers)},
    "writes beyond q or p, dimension is 1": {"samplers": _starting(_two_components)},
    "positions fills [-1.23218, -1.23218] and more": {"positions": _two_bodies},
    "expected 2 numbers for each of 2 bodies": {"bodies": 2},
    "gives q = [-1.23218, nan]": {"dimension": 2},
    "params = [0.5, 1]; it may read nothing beyond these": {"parameters": PENDULUM.parameters[:2]},
}


@pytest.mark.parametrize(("said", "changes"), WRONG.items(), ids=WRONG)
def test_what_does_not_fit_is_named(said, changes):
    fault = replace(PENDULUM, **changes).fault
    assert fault.startswith("pendulum: ")
    assert said in fault


@pytest.fixture
def own(monkeypatch):
    """Put a system into the list, as `own`."""

    def listed(**changes):
        found = SimpleNamespace(SYSTEM=replace(PENDULUM, name="own", **changes))
        monkeypatch.setitem(systems.SYSTEMS, "own", ("own_system_of_a_test", None))
        monkeypatch.setitem(sys.modules, "own_system_of_a_test", found)
        systems.find.cache_clear()
        return found.SYSTEM

    yield listed
    systems.find.cache_clear()


@kernel(CLOSED_FORM)
def _at_rest(q0, p0, params, times, q, p):
    for t in range(times.size):
        q[t, 0], p[t, 0] = q0[0], p0[0]
    return True


@kernel(CLOSED_FORM)
def _swings_little(q0, p0, params, times, q, p):
    """The motion of a pendulum whose sine is its angle."""
    omega = math.sqrt(params[2] / params[1])
    inertia = params[0] * params[1] ** 2
    for t in range(times.size):
        c, s = math.cos(omega * times[t]), math.sin(omega * times[t])
        q[t, 0] = q0[0] * c + p0[0] / (inertia * omega) * s
        p[t, 0] = p0[0] * c - q0[0] * inertia * omega * s
    return True


@pytest.mark.parametrize("closed_form", [_at_rest, _swings_little])
def test_a_closed_form_solves_the_equations_of_motion(closed_form):
    fault = replace(PENDULUM, closed_form=closed_form).fault
    assert "closed_form does not move as the gradients of H say" in fault


def test_a_closed_form_begins_with_the_initial_state():
    late = systems.find("mass_spring")

    @kernel(CLOSED_FORM)
    def shifted(q0, p0, params, times, q, p):
        omega = math.sqrt(params[1] / params[0])
        for t in range(times.size):
            c, s = math.cos(omega * (times[t] + 1.0)), math.sin(omega * (times[t] + 1.0))
            q[t, 0] = q0[0] * c + p0[0] / (params[0] * omega) * s
            p[t, 0] = p0[0] * c - q0[0] * params[0] * omega * s
        return True

    assert (
        "closed_form at time 0 is not the initial state"
        in replace(late, closed_form=shifted).fault
    )


def test_every_sampler_is_tried():
    broken = replace(PENDULUM.samplers[0], name="second", kernel=_two_components)
    fault = replace(PENDULUM, samplers=(*PENDULUM.samplers, broken)).fault
    assert "the sampler 'second' writes beyond q or p" in fault


def test_no_data_set_is_made_of_it(own, tmp_path):
    own(dh_dq=_uphill)
    with pytest.raises(RecipeError, match=r"own: dh_dq\[0\] is"):
        physim.render(system="own", n=4, integrator="leapfrog", out=tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_simulation_that_fails_says_so(own):
    own(dh_dq=_uphill, default_integrator="gauss_radau", closed_form=None)
    with pytest.raises(SimulationError, match=r"trajectory 0: own: dh_dq\[0\] is"):
        physim.simulate("own", [[1.0]], [[0.0]], None, np.arange(0, 200, 5.0))


def test_a_symbol_that_no_array_can_have_is_refused(own, tmp_path):
    for symbol in ("λ", "energy", "m" * 33, "times", "time", "name"):
        own(
            parameters=(
                Parameter(symbol, "mass", fixed(1.0), fixed(1.0)),
                *PENDULUM.parameters[1:],
            )
        )
        with pytest.raises(
            RecipeError, match=f"own: got the parameter '{symbol}', expected a sym"
        ):
            physim.render(system="own", n=4, out=tmp_path / "a")


def test_a_signed_parameter(own, tmp_path):
    """A gravity of either sign, which turns the pendulum upside down."""
    *others, gravity = PENDULUM.parameters
    both = replace(gravity, default=uniform(-3.0, 3.0), signed=True)
    own(parameters=(*others, both), default_integrator="gauss_radau", closed_form=None)
    physim.render(system="own", n=40, out=tmp_path / "a")
    with h5py.File(tmp_path / "a" / "train" / "00000.h5") as file:
        assert file["g"][:].min() < -1
        assert file["g"][:].max() > 1
        assert file["g"].attrs["description"] == b"Gravity"
        assert file["m"].attrs["description"] == b"Mass"
    assert physim.verify(tmp_path / "a").ok
    physim.render(system="own", n=5, parameters={"g": -1.0}, out=tmp_path / "b")
    assert physim.verify(tmp_path / "b").ok
    up, _ = physim.simulate("own", [0.1], [0.0], {"g": -1.0}, [0.0, 2.0])
    down, _ = physim.simulate("own", [math.pi + 0.1], [0.0], {"g": 1.0}, [0.0, 2.0])
    np.testing.assert_allclose(up, down - math.pi, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("values", "changes", "said"),
    [
        (uniform(-1, 1), {}, "got -1 … 1, expected a number above 0; `positive=False`"),
        (uniform(0, 1), {}, "expected a number above 0"),
        (uniform(-1, 1), {"positive": False}, "got -1 … 1, expected 0 or more"),
        (uniform(2, 1), {}, "got 2 … 1, expected low ≤ high"),
        (fixed(1.0), {"least": 2.0}, "expected 2 or more"),
        (
            Distribution("log_uniform", 0.0, 1.0),
            {"positive": False},
            r"got 0 … 1 \(log_uniform\), expected a number above 0",
        ),
        (
            Distribution("area", -1.0, 1.0),
            {"signed": True},
            "expected a number from 0, as of a ra",
        ),
    ],
)
def test_a_default_that_no_recipe_could_repeat_is_refused(values, changes, said):
    with pytest.raises(RecipeError, match=said):
        Parameter("e", "charge", values, fixed(3.0), **changes)
