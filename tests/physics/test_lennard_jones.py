"""Atoms in a periodic box: forces, images, and whether they begin in thermal equilibrium."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from reference import drawn

import physim
from physim import inspection, integrators, systems
from physim.accuracy import conservation
from physim.errors import RecipeError
from physim.integrators import rollout
from physim.recipe import Recipe


def pair(distance, angle=0.3, side=8.0):
    """Two resting atoms that far apart, and what they are given to."""
    way = distance * np.array([np.cos(angle), np.sin(angle)])
    return np.concatenate([-way / 2, way / 2]), np.zeros(4), {"L": side}


def test_two_atoms_have_the_potential_of_lennard_and_jones():
    for distance in (0.9, 1.0, 1.2, 1.5):
        q, p, constants = pair(distance)
        expected = 4 * (distance**-12 - distance**-6)
        found = float(physim.energy("lennard_jones", q, p, constants))
        assert abs(found - expected) < 1e-5 * abs(expected) + 1e-12
    q, p, constants = pair(2 ** (1 / 6))
    assert float(physim.energy("lennard_jones", q, p, constants)) == pytest.approx(-1, abs=1e-6)
    pull = [physim.derivatives("lennard_jones", *pair(r))[1] for r in (1.1, 1.15)]
    assert pull[0][0] < 0 < pull[1][0]  # apart, then together
    near, far = (float(physim.energy("lennard_jones", *pair(r, side=12.0))) for r in (3.99, 4.01))
    assert abs(near) < 1e-17
    assert far == 0


@pytest.mark.parametrize("side", [5.0, 8.0, 12.0])
def test_the_potential_ends_at_half_the_box_or_at_four(side):
    for distance in np.linspace(0.95, 4.05, 32):
        q, p, constants = pair(distance, side=side)
        row = np.array([1.0, 1.0, 1.0, side])
        truth = reference.hamiltonian("lennard_jones", q, p, row)
        assert float(physim.energy("lennard_jones", q, p, constants)) == pytest.approx(
            truth, rel=1e-12, abs=1e-15
        )
        pull = -reference.gradients("lennard_jones", q, p, row)[0]
        found = physim.derivatives("lennard_jones", q, p, constants)[1]
        np.testing.assert_allclose(found, pull, rtol=1e-12, atol=1e-15)


def test_the_world_repeats_itself():
    system = systems.find("lennard_jones", 5)
    params, q, p = drawn(system, 20)
    side = float(params[0, -1])
    moves = side * np.random.default_rng(0).integers(-3, 4, q.shape)
    for move in (moves, np.tile([0.7, -1.9], 5)):  # by whole boxes; and all of them together
        for name in ("energy", "derivatives"):
            here = getattr(physim, name)(system, q[:, None], p[:, None], params)
            there = getattr(physim, name)(system, (q + move)[:, None], p[:, None], params)
            for one, two in zip(np.atleast_1d(here), np.atleast_1d(there), strict=True):
                np.testing.assert_allclose(one, two, rtol=0, atol=1e-10)
    one, two = np.empty(10), np.empty(10)
    system.positions(q[0], params[0], one)
    system.positions(q[0] + moves[0], params[0], two)
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-13)
    assert abs(one).max() <= side / 2


def at_temperature(system, temperature, n, first=1.0):
    """(q, p) of that many starts at one temperature, masses from that of the first one to 2."""
    params = np.concatenate([np.linspace(first, 2, system.bodies), [1.0, 5.5]])
    rng = np.random.default_rng(1)
    q, p = np.empty((n, system.dimension)), np.empty((n, system.dimension))
    for i in range(n):
        u = rng.random(system.samplers[0].draws)
        system.samplers[0].kernel(np.array([temperature]), u, params, q[i], p[i])
    return params, q, p


@pytest.mark.parametrize("bodies", [2, 5, 16])
def test_atoms_begin_at_their_temperature_with_the_centre_of_mass_at_rest(bodies):
    system = systems.find("lennard_jones", bodies)
    for temperature, first in ((0.5, 1.0), (2.0, 1.0), (100.0, 1.0), (2.0, 200.0)):
        n = 2000 // bodies
        params, q, p = at_temperature(system, temperature, n, first)
        masses = np.repeat(params[:bodies], 2)
        kinetic = (p**2 / masses).sum(axis=1) / 2
        error = kinetic.std() / np.sqrt(n)
        assert abs(kinetic.mean() - (bodies - 1) * temperature) < 4 * error
        # a sum of 2 (n - 1) squares: its variance is that many times T²/2
        assert kinetic.var() == pytest.approx((bodies - 1) * temperature**2, rel=0.35)
        assert abs(p.reshape(n, bodies, 2).sum(axis=1)).max() < 1e-12 * bodies
        assert abs(q).max() <= params[-1] / 2


def test_the_lattice_they_came_from_may_be_anywhere_in_the_box():
    """No force acts on the centre of mass, whose phase in the box stays that of the lattice."""
    system = systems.find("lennard_jones", 2)
    params, q, _ = at_temperature(system, 1.0, 1600, first=2.0)  # both masses are 2
    for axis in (0, 1):
        phase = np.exp(2j * np.pi * (q[:, axis] + q[:, 2 + axis]) / params[-1])
        assert abs(phase.mean()) < 5 / np.sqrt(1600)  # five standard errors; 0.24 if not moved


def test_the_smallest_of_random_numbers_makes_no_infinite_momentum():
    system = systems.find("lennard_jones", 2)
    q, p = np.empty(4), np.empty(4)
    params, u = np.array([1.0, 1.0, 1.0, 5.0]), np.zeros(system.samplers[0].draws)
    system.samplers[0].kernel(np.array([1.0]), u, params, q, p)
    assert np.isfinite(q).all()
    assert np.isfinite(p).all()


def test_distances_of_two_atoms_have_the_weights_of_boltzmann():
    system = systems.find("lennard_jones", 2)
    params, q, _ = at_temperature(system, 1.0, 4000)
    side = params[-1]
    apart = q[:, 2:] - q[:, :2]
    r = np.hypot(*(apart - side * np.round(apart / side)).T)
    grid = (np.arange(400) + 0.5) / 400 * side - side / 2
    places = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    states = np.concatenate([np.zeros_like(places), places], axis=1)
    weights = np.exp(-physim.energy(system, states, np.zeros_like(states), params))
    edges = [0, 1.05, 1.3, 1.6, 2.0, 2.5, 4.0]
    expected = np.histogram(np.hypot(*places.T), edges, weights=weights)[0] / weights.sum()
    found = np.histogram(r, edges)[0] / r.size
    assert abs(found - expected).max() < 0.02, (found, expected)


@pytest.mark.parametrize("bodies", [2, 5, 9, 16])
def test_the_smallest_box_is_large_enough(bodies):
    system = systems.find("lennard_jones", bodies)
    params = np.concatenate([np.ones(bodies), [1.0, system.parameters[-1].least]])
    rng = np.random.default_rng(2)
    q, p = np.empty(2 * bodies), np.empty(2 * bodies)
    for _ in range(50):
        u = rng.random(system.samplers[0].draws)
        system.samplers[0].kernel(np.array([1.0]), u, params, q, p)
        assert np.isfinite(q).all()
        energy = physim.energy(system, q, np.zeros_like(q), params)
        assert energy < 40.0 * bodies, energy  # of a lattice that is pressed together


@pytest.mark.parametrize("bodies", [4, 16])
def test_they_begin_in_the_middle_of_the_motion(bodies):
    """The mean kinetic energy would rise or fall if they came from a lattice."""
    system = systems.find("lennard_jones", bodies)
    n = 400 if bodies == 4 else 60
    params, q0, p0 = drawn(system, n, "paper")
    times = 0.5 * np.arange(7)
    q, p = np.empty((n, 7, 2 * bodies)), np.empty((n, 7, 2 * bodies))
    method = integrators.find("leapfrog")
    rollout.integrate(system, method, params, q0, p0, times, substeps=100, q=q, p=p)
    kinetic = (p**2).sum(axis=2).mean(axis=0)
    assert abs(kinetic[1:].mean() / kinetic[0] - 1) < 0.05, kinetic


def test_what_crosses_a_side_is_drawn_on_both():
    """Moving all atoms by half a box moves the picture by half its pixels, around the edges."""
    system = systems.find("lennard_jones", 6)
    params, q, _ = drawn(system, 10, "paper")
    side = params[0, -1]
    here = physim.draw(system, q[:, None], params)[:, 0]
    for axis in (0, 1):
        moved = q.copy()
        moved[:, axis::2] += side / 2
        there = physim.draw(system, moved[:, None], params)[:, 0].astype(int)
        rolled = np.roll(here, (16, -16)[axis], axis=(2, 1)[axis])
        assert abs(there - rolled).max() <= 1
    assert (here[:, :, 0] != here[:, 16:17, 16]).any()


def test_the_canvas_is_the_box():
    recipe = Recipe.of({"system": "lennard_jones", "parameters": {"L": 7.0}})
    assert recipe.half_width == 3.5
    assert Recipe.changed(recipe.model_dump(), "", {"parameters": {"L": 6.0}}).half_width == 3.0
    for settings, words in (
        (
            {"parameters": {"L": {"uniform": [5.0, 6.0]}}},
            r"parameters.L: got 5 … 6, expected a number",
        ),
        ({"half_width": 3.0}, r"half_width: got 3, but the canvas .* is the box"),
        ({"canvas_offset": True}, r"canvas_offset: got true"),
        ({"bodies": 16, "parameters": {"L": 3.3}}, r"parameters.L: got 3.3, expected 3.4 or more"),
    ):
        with pytest.raises(RecipeError, match=words):
            Recipe.of({"system": "lennard_jones", **settings})
    with pytest.raises(
        RecipeError, match=r"half_width: got 2.6, expected .* at most half the box"
    ):
        physim.draw("lennard_jones", np.zeros(8), half_width=2.6)
    with pytest.raises(RecipeError, match=r"params.L: got 5 … 6, expected one side"):
        physim.draw("lennard_jones", np.zeros((2, 8)), {"L": [5.0, 6.0]})
    near = physim.draw("lennard_jones", [0.0, 0, 1, 0, 0, 1, 1, 1], half_width=1.5)
    assert near.std() > 0


def test_a_set_of_them_keeps_its_promises(tmp_path):
    summary = physim.render(
        system="lennard_jones", bodies=3, n=6, n_test=2, noise=0.05, frames=8, out=tmp_path,
        store=["derivatives"],
    )  # fmt: skip
    assert "near 0" not in str(summary)
    summary.shards[0] = summary.shards[0].model_copy(update={"energy_error": 1e-8})
    assert "of an H near 0" in str(summary)
    assert physim.verify(tmp_path, deep=True).ok
    data = physim.open(tmp_path)
    assert data.train.image[:].std() > 0
    assert (data.train.attempt[:] == 0).all()
    assert inspection.out_of_sight(data, "train") == {"trajectories": 0, "frames": 0}
    names = data.to_xarray("train").coordinate.to_numpy().tolist()
    assert names == ["x1", "y1", "x2", "y2", "x3", "y3"]


def test_momentum_is_conserved_and_atoms_do_not_meet():
    found = conservation.worst(systems.find("lennard_jones"), 50, paper=True)
    assert found.momentum < 1e-12
    assert (found.spin, found.ellipse) == (None, None)
    assert 0.8 < found.closest < 1.0


def test_paths_end_where_an_atom_leaves_the_box(tmp_path):
    from physim.report.portraits import portraits

    physim.render(
        system="lennard_jones", bodies=2, n=8, n_test=0, frames=60, out=tmp_path,
        initial={"temperature": 3.0},
    )  # fmt: skip
    data = physim.open(tmp_path)
    xy = (data.train.q[:8] + 2.5) % 5.0
    jumps = (abs(np.diff(xy, axis=1)) > 2.5).reshape(8, 59, 2, 2).any(axis=3)
    pieces = 0
    for path in np.moveaxis(jumps, 2, 1).reshape(16, 59):
        lengths = np.diff([0, *(np.flatnonzero(path) + 1), 60])
        pieces += (lengths > 1).sum()  # a line has two points
    assert pieces > 26
    assert portraits(data, "train").count('class="path"') == pieces
