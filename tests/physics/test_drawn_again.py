"""Trajectories that cannot be shown, or not accurately, are drawn again from the sampler."""

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from physim import systems, trajectories
from physim.errors import SimulationError
from physim.fields import ENERGY, FIELD, POSITIONS, SAMPLER, kernel
from physim.integrators import rollout
from physim.recipe import Recipe
from physim.systems.parameters import Parameter, fixed, uniform
from physim.systems.system import Sampler, System
from physim.trajectories import HELD, MAX_FAILURES, Generator

EIGHT = {"system": "n_body", "bodies": 8, "n": 50, "resolution": 8}


def test_bodies_that_pass_too_close_are_drawn_again():
    """A trajectory of eight bodies whose energy, at the first attempt, is off by 2e-9."""
    generator = Generator(Recipe.of(EIGHT))
    rows, failed = generator._attempt("train", np.array([42]), np.array([0], np.int32))
    assert failed.all()
    assert 1e-9 < rollout.energy_error(rows["energy"]).max() < 1e-8
    block = generator.block("train", 40, 45)
    assert block["attempt"][2] > 0
    assert rollout.energy_error(block["energy"]).max() <= HELD
    alone = generator.block("train", 42, 43)
    for name, values in alone.items():
        assert np.array_equal(values[0], block[name][2]), name


@pytest.mark.parametrize(
    "changed",
    [{"integrator": "leapfrog", "substeps": 20}, {"friction": 0.1}],
    ids=["a method that does not keep the energy", "friction"],
)
def test_energy_that_is_not_expected_to_hold_is_no_reason(changed):
    generator = Generator(Recipe.of(EIGHT | changed))
    rows, failed = generator._attempt("train", np.arange(4), np.zeros(4, np.int32))
    assert rollout.energy_error(rows["energy"]).max() > HELD
    assert not failed.any()


def failing(monkeypatch, times):
    """Every integration of a block that fails for its second trajectory, so many times."""
    integrate, left = rollout.integrate, [times]

    def fail(*arguments, **named):
        ok = integrate(*arguments, **named)
        row = 0 if len(ok) == 1 else 1
        if left[0]:
            left[0] -= 1
            ok[row] = False
            named["q"][row] = named["p"][row] = np.nan
        return ok

    monkeypatch.setattr(rollout, "integrate", fail)


def test_collisions_are_drawn_again(monkeypatch):
    generator = Generator(Recipe.of({"system": "three_body", "n": 3, "resolution": 8}))
    usual = generator.block("train", 0, 3)
    assert not usual["attempt"].any()
    failing(monkeypatch, 2)
    found = generator.block("train", 0, 3)
    assert found["attempt"].tolist() == [0, 2, 0]
    assert np.isfinite(found["q"]).all()
    assert not np.array_equal(found["q"][1], usual["q"][1])
    assert np.array_equal(found["q"][2], usual["q"][2])


def test_collisions_at_every_attempt_are_refused(monkeypatch):
    generator = Generator(Recipe.of({"system": "three_body", "n": 3, "resolution": 8}))
    failing(monkeypatch, MAX_FAILURES - 1)
    assert generator.block("train", 0, 3)["attempt"].tolist() == [0, MAX_FAILURES - 1, 0]
    failing(monkeypatch, MAX_FAILURES)
    with pytest.raises(
        SimulationError, match=r"trajectory 1: two bodies collide.* not hold to 1e"
    ):
        generator.block("train", 0, 3)


@kernel(ENERGY)
def _hill(q, p, params):
    return p[0] ** 2 / 2 + q[0] ** 2 / 2 - q[0] ** 4 / 4


@kernel(FIELD)
def _slope(q, p, params, out):
    out[0] = q[0] - q[0] ** 3


@kernel(FIELD)
def _speed(q, p, params, out):
    out[0] = p[0]


@kernel(POSITIONS)
def _height(q, params, xy):
    xy[0] = 0.0
    xy[1] = q[0]


@kernel(SAMPLER)
def _aside(initial, u, params, q, p):
    q[0] = initial[0]
    p[0] = math.sqrt(1.1 - initial[0]) * (1 - 2 * u[0])


def escaping(monkeypatch, **settings):
    """A system that is infinitely far away at a finite time if it begins beyond the hill at 1."""
    start = Sampler(
        "aside", "", (Parameter("x", "place", uniform(0.1, 1.3), fixed(0.5)),), 1, _aside
    )
    system = System(
        "hill", "", "", 1, 1, (Parameter("m", "mass", fixed(1.0), fixed(1.0)),), (start,),
        _hill, _slope, _speed, True, _height, 2.0, 0.1, lambda largest: 2.0, "gauss_radau",
    )  # fmt: skip
    monkeypatch.setitem(systems.SYSTEMS, "hill", ("hill_of_a_test", None))
    monkeypatch.setitem(sys.modules, "hill_of_a_test", SimpleNamespace(SYSTEM=system))
    systems.find.cache_clear()
    return Generator(Recipe.of({"system": "hill", "n": 60, "resolution": 8, **settings}))


def test_what_runs_away_to_infinity_is_drawn_again(monkeypatch):
    generator = escaping(monkeypatch, frames=60, initial={"x": {"uniform": [0.5, 1.05]}})
    _, failed = generator._attempt("train", np.arange(60), np.zeros(60, np.int32))
    assert 5 < failed.sum() < 40
    found = generator.block("train", 0, 60)
    assert (found["attempt"][failed] > 0).all()
    assert np.isfinite(found["q"]).all()
    assert np.abs(found["q"]).max() < 2


def test_what_always_runs_away_is_refused(monkeypatch):
    generator = escaping(monkeypatch, frames=60, initial={"x": 1.099})
    with pytest.raises(SimulationError, match="a state is not finite, or with gauss_radau"):
        generator.block("train", 0, 1)


def test_a_start_that_is_not_finite_is_named(monkeypatch):
    generator = escaping(monkeypatch, initial={"x": 1.2})
    with pytest.raises(SimulationError, match="the sampler 'aside' begins with a state that is"):
        generator.block("train", 0, 1)


def test_attempts_that_leave_the_canvas_are_no_failures(monkeypatch):
    """Each trajectory leaves at 30 attempts, more than may fail."""
    generator = Generator(Recipe.of({"system": "three_body", "n": 3, "resolution": 8}))
    monkeypatch.setattr(trajectories, "MAX_FAILURES", 1)
    left = iter([np.ones(3, bool)] * 30 + [np.zeros(3, bool)])
    monkeypatch.setattr(generator, "_leave", lambda params, q: next(left))
    assert generator.block("train", 0, 3)["attempt"].tolist() == [30, 30, 30]
