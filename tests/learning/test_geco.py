"""GECO: λ rises while the error is above κ and falls below it, and the gradients are the
formula's."""

import copy
import itertools
import math
from types import SimpleNamespace

import pytest
import torch

from hgn_train import geco as module
from hgn_train.geco import Geco
from physim.errors import PhysimError


def steps(geco, error, n):
    optimizer = torch.optim.Adam(geco.parameters(), 1e-2)
    values = []
    for _ in range(n):
        optimizer.zero_grad()
        geco(torch.tensor(error), torch.tensor(0.0)).backward()
        optimizer.step()
        values.append(float(geco.multiplier.detach()))
    return values


@pytest.mark.parametrize("start", [0.1, 1.0, 30.0, 1000.0])
def test_starts_at_the_multiplier_asked_for(start):
    assert math.isclose(Geco(0.001, multiplier=start).multiplier.item(), start, rel_tol=1e-5)


def test_rises_above_kappa_and_falls_below():
    rising = steps(Geco(0.001), 0.01, 50)
    assert all(b > a for a, b in itertools.pairwise(rising))
    falling = steps(Geco(0.001), 0.0001, 50)
    assert all(b < a for a, b in itertools.pairwise(falling))
    assert min(falling) > 0


def test_gradients_are_descent_for_the_networks_and_ascent_for_lambda():
    geco = Geco(0.001, multiplier=2.0)
    error = torch.tensor(0.004, requires_grad=True)
    divergence = torch.tensor(0.5, requires_grad=True)
    geco(error, divergence).backward()
    assert math.isclose(float(error.grad), 2.0, rel_tol=1e-5)  # λ
    assert float(divergence.grad) == 1.0
    slope = 1 - math.exp(-2.0)  # d softplus / d v at softplus = 2
    assert math.isclose(float(geco.variable.grad), -0.003 * slope, rel_tol=1e-5)


def test_average_follows_with_its_memory_and_steers_lambda():
    geco = Geco(0.0, alpha=0.9)
    for error in (1.0, 0.0, 0.0):
        geco.variable.grad = None
        geco(torch.tensor(error), torch.tensor(0.0)).backward()
    assert math.isclose(float(geco.average), 0.81, rel_tol=1e-6)
    assert float(geco.variable.grad) < 0  # still rising, though the last error was 0


def test_what_is_remembered_is_part_of_its_state():
    """As a checkpoint keeps it: what goes on from it goes on as if it had never stopped."""
    first = Geco(0.0, alpha=0.75)
    first(torch.tensor(1.0), torch.tensor(0.0))
    second = Geco(0.0, alpha=0.75)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for geco in (first, second):
        geco(torch.tensor(0.0), torch.tensor(0.0))
        assert float(geco.average) == 0.75


def test_processes_remember_the_error_of_the_whole_batch(monkeypatch):
    """Of two, of which the other has thrice the error; in evaluation the first is alone."""
    asked = []

    def with_the_other(total):
        asked.append(float(total))
        total.mul_(4)

    two = SimpleNamespace(
        is_available=lambda: True,
        is_initialized=lambda: True,
        all_reduce=with_the_other,
        get_world_size=lambda: 2,
    )
    monkeypatch.setattr(module, "distributed", two)
    geco = Geco(0.0, alpha=0.5, multiplier=1.0)
    loss = geco(torch.tensor(0.25), torch.tensor(2.0))
    assert float(geco.average) == 0.5
    assert math.isclose(float(loss.detach()), 0.25 + 2 - 0.5, rel_tol=1e-6)  # C is of its own rows
    geco.eval()(torch.tensor(0.25), torch.tensor(2.0))
    assert asked == [0.25]


def test_evaluation_leaves_the_average_alone():
    geco = Geco(0.0, alpha=0.5).eval()
    geco(torch.tensor(1.0), torch.tensor(0.0))
    assert not geco.seen
    assert float(geco.average) == 0.0


@pytest.mark.parametrize(("name", "value"), [("alpha", 1.0), ("alpha", -0.1), ("multiplier", 0.0)])
def test_bad_settings(name, value):
    with pytest.raises(PhysimError, match=f"{name}: got"):
        Geco(0.001, **{name: value})
