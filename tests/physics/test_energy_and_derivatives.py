"""`physim.energy` and `physim.derivatives`: H and its gradients, of arrays of states."""

import numpy as np
import pytest
from reference import gradients, hamiltonian

import physim
from physim.errors import RecipeError

SYSTEMS = {"mass_spring": 1, "pendulum": 1, "double_pendulum": 2, "two_body": 4, "n_body": 10}


def constants(name, n):
    """Random parameters, n rows."""
    columns = {"mass_spring": 2, "pendulum": 3, "double_pendulum": 5, "two_body": 3, "n_body": 6}
    return np.random.default_rng(1).uniform(0.5, 1.5, (n, columns[name]))


@pytest.mark.parametrize("name", SYSTEMS)
def test_of_every_state(name):
    """One row for all, and one for each of the first axis, against the textbook's formula."""
    d = SYSTEMS[name]
    q, p = np.random.default_rng(0).normal(size=(2, 3, 2, d))
    rows = constants(name, 3)
    for params in (rows, rows[:1]):
        energy = physim.energy(name, q, p, params)
        dq_dt, dp_dt = physim.derivatives(name, q, p, params, friction=0.3)
        assert (energy.shape, dq_dt.shape, dp_dt.shape) == ((3, 2), q.shape, q.shape)
        for i in np.ndindex(3, 2):
            row = params[i[0] % len(params)]
            dh_dq, dh_dp = gradients(name, q[i], p[i], row)
            assert energy[i] == pytest.approx(hamiltonian(name, q[i], p[i], row), rel=1e-12)
            assert dq_dt[i] == pytest.approx(dh_dp, rel=1e-11, abs=1e-12)
            assert dp_dt[i] == pytest.approx(-dh_dq - 0.3 * dh_dp, rel=1e-11, abs=1e-12)
    assert physim.energy(name, q[0, 0], p[0, 0], rows[:1]).shape == ()


def test_arrays_may_lie_in_memory_in_any_order():
    rows = np.random.default_rng(2).uniform(0.5, 1.5, (3, 3))
    q, p = np.random.default_rng(3).normal(size=(2, 3, 4))
    expected = physim.energy("two_body", q, p, rows)
    pictures = physim.draw("two_body", q, rows, colors=np.eye(2, 3))
    strided = np.repeat(rows, 2, axis=1)[:, ::2]
    by_symbol = {"m": np.asfortranarray(rows[:, :2]), "G": rows[:, 2]}
    for params in (np.asfortranarray(rows), strided, by_symbol):
        assert np.array_equal(physim.energy("two_body", q, np.asfortranarray(p), params), expected)
        drawn = physim.draw("two_body", q, params, colors=np.asfortranarray(np.eye(2, 3)))
        assert np.array_equal(drawn, pictures)
    one = physim.draw("two_body", q[0], rows[0], colors=np.asfortranarray(np.eye(2, 3)))
    assert np.array_equal(one, pictures[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": np.zeros((3, 2))}, r"p: got shape \(3, 1\), expected \(3, 2\) as q"),
        ({"q": np.zeros((3, 2)), "p": np.zeros((3, 2))}, r"q: got shape \(3, 2\), expected"),
        ({"params": {"m": [1, 2]}}, r"params: got 2 rows for q of shape \(3, 1\)"),
        ({"q": 0.0, "p": 0.0}, r"q: got shape \(\)"),
        ({"q": np.ones((3, 1)) * 1j}, r"q: got array\(\[\[0"),
        ({"system": "pendulun"}, "did you mean 'pendulum'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(change, message):
    arguments = {"system": "pendulum", "q": np.zeros((3, 1)), "p": np.zeros((3, 1))} | change
    with pytest.raises(RecipeError, match=message):
        physim.energy(**arguments)
    with pytest.raises(RecipeError, match=message):
        physim.derivatives(**arguments)
