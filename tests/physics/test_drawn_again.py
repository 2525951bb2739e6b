"""Trajectories that cannot be shown, or not accurately, are drawn again from the sampler."""

import numpy as np
import pytest

from physim import trajectories
from physim.errors import SimulationError
from physim.integrators import rollout
from physim.recipe import Recipe
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


def test_what_has_nothing_to_collide_is_refused_at_once(monkeypatch):
    generator = Generator(Recipe.of({"system": "pendulum", "n": 3, "resolution": 8}))
    failing(monkeypatch, 1)
    with pytest.raises(SimulationError, match="trajectory 1: a state is not finite"):
        generator.block("train", 0, 3)


def test_attempts_that_leave_the_canvas_are_no_failures(monkeypatch):
    """Each trajectory leaves at 30 attempts, more than may fail."""
    generator = Generator(Recipe.of({"system": "three_body", "n": 3, "resolution": 8}))
    monkeypatch.setattr(trajectories, "MAX_FAILURES", 1)
    left = iter([np.ones(3, bool)] * 30 + [np.zeros(3, bool)])
    monkeypatch.setattr(generator, "_leave", lambda params, q: next(left))
    assert generator.block("train", 0, 3)["attempt"].tolist() == [30, 30, 30]
