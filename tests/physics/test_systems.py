"""Every system against the textbook: H, gradients, samplers, where the bodies are."""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from reference import SYSTEMS, drawn

import physim
from physim import systems
from physim.accuracy import conservation
from physim.errors import RecipeError
from physim.fields import ENERGY, FIELD, SAMPLER, kernel
from physim.integrators import rollout
from physim.systems.parameters import Parameter, fixed
from physim.systems.positions import positions
from physim.systems.system import Sampler

every_system = pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)


@every_system
def test_energy_and_gradients(system):
    params, q0, p0 = drawn(system, 50)
    out = np.empty(system.dimension)
    for row, q, p in zip(params, q0, p0, strict=True):
        truth = reference.hamiltonian(system.name, q, p, row)
        scale = max(abs(truth), 1e-3)
        assert abs(system.hamiltonian(q, p, row) - truth) < 1e-13 * scale
        dh_dq, dh_dp = reference.gradients(system.name, q, p, row)
        system.dh_dq(q, p, row, out)
        # Rounding in H is relative to its terms, hence the scale of the largest component.
        np.testing.assert_allclose(out, dh_dq, rtol=0, atol=2e-13 * abs(dh_dq).max())
        system.dh_dp(q, p, row, out)
        np.testing.assert_allclose(out, dh_dp, rtol=0, atol=2e-13 * abs(dh_dp).max())


@every_system
def test_plain_python_agrees_with_machine_code(system):
    params, q0, p0 = drawn(system, 5)
    for row, q, p in zip(params, q0, p0, strict=True):
        assert system.hamiltonian.python(q, p, row) == pytest.approx(
            system.hamiltonian(q, p, row), rel=1e-14
        )
        for field in (system.dh_dq, system.dh_dp):
            one, two = np.empty(system.dimension), np.empty(system.dimension)
            field.python(q, p, row, one)
            field(q, p, row, two)
            np.testing.assert_allclose(one, two, rtol=1e-13, atol=1e-15)


@every_system
def test_sampler_varies_everything_that_has_a_range_and_repeats_itself(system):
    for sampler in range(len(system.samplers)):
        one = drawn(system, 400, sampler=sampler)
        for a, b in zip(one, drawn(system, 400, sampler=sampler), strict=True):
            assert np.array_equal(a, b)
        ranges = [p.default for p in system.parameters for _ in range(p.components)]
        varying = np.array([law.high > law.low for law in ranges])
        for array in (one[0][:, varying], *one[1:]):
            assert np.isfinite(array).all()
            assert (array.std(axis=0) > 1e-3).all()
        other = drawn(system, 400, sampler=sampler, seed=2)
        assert not np.array_equal(one[1], other[1])
        for parameter in system.parameters:
            values = one[0][:, system.columns[parameter.symbol]]
            assert values.min() >= parameter.default.low
            assert values.max() <= parameter.default.high


@every_system
def test_bodies_stay_on_the_canvas_for_most_of_the_default_set(system):
    params, q0, p0 = drawn(system, 500)
    q = np.empty((500, 30, system.dimension))
    times = 0.125 * np.arange(30)
    rollout.integrate(system, _default(system), params, q0, p0, times, q=q, p=np.empty_like(q))
    xy = positions(system, q, params).reshape(500, 30, -1, 2)
    radius = system.disc_radius * np.sqrt(system.masses(params))[:, None, :, None]
    reach = 0.0 if system.box else radius  # in a periodic box nothing has to stay whole
    leaves = (abs(xy) + reach > system.half_width).any(axis=(1, 2, 3))
    assert leaves.mean() < 0.05
    assert (xy.std(axis=(0, 1)).max(axis=1) > 0.05).all()


def _default(system):
    from physim import integrators

    return integrators.find(system.default_integrator)


def test_isotropic_samplers_cover_all_directions():
    for name, which in itertools.product(("mass_spring", "pendulum"), ("paper", "default")):
        system = systems.find(name)
        params, q0, p0 = drawn(system, 4000, which)
        scale = np.sqrt(params[:, 0] * params[:, 1]) if name == "mass_spring" else 1.0
        angle = np.arctan2(p0[:, 0] / scale, q0[:, 0])
        counts, _ = np.histogram(angle, 8, (-np.pi, np.pi))
        assert abs(counts - 500).max() < 5 * np.sqrt(500)
        radius = np.hypot(q0[:, 0], p0[:, 0] / scale)
        law = getattr(system.samplers[0].settings[0], which)
        assert law.low - 1e-12 <= radius.min() < law.low + 0.01
        assert law.high - 0.01 < radius.max() <= law.high + 1e-12


@pytest.mark.parametrize("bodies", range(2, 9))
def test_orbits_start_with_the_centre_of_mass_at_rest_at_the_origin(bodies):
    system = systems.find("n_body", bodies)
    for sampler in (0, 1):
        params, q0, p0 = drawn(system, 300, sampler=sampler)
        masses = params[:, :bodies]
        centre = np.einsum("nb,nbx->nx", masses, q0.reshape(300, bodies, 2))
        assert abs(centre).max() < 1e-14 * bodies
        assert abs(p0.reshape(300, bodies, 2).sum(axis=1)).max() < 1e-14 * bodies


@pytest.mark.parametrize(("bodies", "equal"), [(2, False), (3, False), (5, True), (8, True)])
def test_polygons_turn_like_rigid_bodies(bodies, equal):
    """Two and three bodies of any masses, more of equal ones: all distances stay the same."""
    system = systems.find("n_body", bodies)
    params, _, _ = drawn(system, 5)
    if equal:
        params[:, :bodies] = params[:, :1]
    q0, p0 = np.empty((5, 2 * bodies)), np.empty((5, 2 * bodies))
    u = np.full(system.samplers[0].draws, 0.3)
    for i in range(5):
        system.samplers[0].kernel(np.array([1.1, 0.0]), u, params[i], q0[i], p0[i])
        speed = reference.polygon_speed(params[i, :bodies], params[i, bodies], 1.1)
        x, y = q0[i].reshape(bodies, 2).T
        momenta = params[i, :bodies, None] * speed * np.stack([-y, x], axis=1)
        np.testing.assert_allclose(p0[i], momenta.ravel(), rtol=0, atol=1e-14)
    dh_dq = np.empty(2 * bodies)
    for i in range(5):
        system.dh_dq(q0[i], p0[i], params[i], dh_dq)
        speed = reference.polygon_speed(params[i, :bodies], params[i, bodies], 1.1)
        pull = np.repeat(params[i, :bodies], 2) * speed**2 * q0[i]
        np.testing.assert_allclose(dh_dq, pull, rtol=0, atol=1e-13)


def test_perturbation_is_a_factor_on_each_velocity_component():
    system = systems.find("two_body")
    params = np.array([1.0, 1.0, 1.0])
    u = np.array([0.1, 0.2, 0.9, 0.4, 0.3, 0.8])
    q, p, clean = np.empty(4), np.empty(4), np.empty(4)
    system.samplers[0].kernel(np.array([1.0, 0.0]), u, params, q, clean)
    system.samplers[0].kernel(np.array([1.0, 0.1]), u, params, q, p)
    expected = clean * (1 + 0.1 * (2 * u[2:] - 1))
    expected -= np.tile(expected.reshape(2, 2).mean(axis=0), 2)
    np.testing.assert_allclose(p, expected, rtol=0, atol=1e-15)


def test_both_senses_of_rotation_are_equally_frequent():
    params, q0, p0 = drawn(systems.find("two_body"), 2000, "paper")
    spin = q0[:, 0] * p0[:, 1] - q0[:, 1] * p0[:, 0]
    assert 900 < (spin > 0).sum() < 1100
    assert params.shape == (2000, 3)


def test_square_sampler_puts_the_first_body_where_it_was_told():
    system = systems.find("two_body")
    q, p = np.empty(4), np.empty(4)
    system.samplers[1].kernel(np.array([0.7, 1.2]), np.empty(0), np.ones(3), q, p)
    np.testing.assert_allclose(q, [0.7, 1.2, -0.7, -1.2], rtol=0, atol=1e-15)
    r = np.hypot(0.7, 1.2)
    np.testing.assert_allclose(p[:2], np.array([1.2, -0.7]) / (2 * r**1.5), rtol=1e-14)


def test_each_arm_starts_on_a_circle_of_its_own_radius():
    system = systems.find("double_pendulum")
    u, radii = np.array([0.1, 0.4]), np.array([1.4, 2.2])
    q, p = np.empty(2), np.empty(2)
    system.samplers[0].kernel(radii, u, np.ones(5), q, p)
    np.testing.assert_allclose(q, radii * np.cos(2 * np.pi * u), rtol=1e-15)
    np.testing.assert_allclose(p, radii * np.sin(2 * np.pi * u), rtol=1e-15)


def test_pendulums_hang_down_and_y_is_up():
    xy = np.empty(2)
    systems.find("pendulum").positions(np.zeros(1), np.array([0.5, 1.2, 3.0]), xy)
    np.testing.assert_allclose(xy, [0, -1.2])
    systems.find("pendulum").positions(np.array([np.pi / 2]), np.array([0.5, 1.2, 3.0]), xy)
    np.testing.assert_allclose(xy, [1.2, 0], atol=1e-15)
    systems.find("mass_spring").positions(np.array([0.7]), np.ones(2), xy)
    np.testing.assert_allclose(xy, [0, 0.7])
    four = np.empty(4)
    systems.find("double_pendulum").positions(
        np.array([0.0, np.pi / 2]), np.array([1, 1, 1, 0.5, 3.0]), four
    )
    np.testing.assert_allclose(four, [0, -1, 0.5, -1], atol=1e-15)


@kernel(ENERGY)
def _planar(q, p, params):
    return params[0] * (q[0] ** 2 + q[1] ** 2 + p[0] ** 2 + p[1] ** 2) / 2


@kernel(FIELD)
def _planar_dq(q, p, params, out):
    out[0], out[1] = params[0] * q[0], params[0] * q[1]


@kernel(FIELD)
def _planar_dp(q, p, params, out):
    out[0], out[1] = params[0] * p[0], params[0] * p[1]


@kernel(SAMPLER)
def _planar_start(initial, u, params, q, p):
    q[0], q[1], p[0], p[1] = 1.0, 0.0, 0.0, 0.5


def test_a_body_in_the_plane_may_have_no_mass_and_keeps_no_momentum():
    system = replace(
        systems.find("two_body"),
        name="planar",
        dimension=2,
        bodies=1,
        parameters=(Parameter("w", "frequency", fixed(1.0), fixed(1.0)),),
        samplers=(Sampler("start", "always the same", (), 0, _planar_start),),
        hamiltonian=_planar,
        dh_dq=_planar_dq,
        dh_dp=_planar_dp,
        default_integrator="gauss_radau",
        closed_form=None,
    )
    found = conservation.worst(system, 2, paper=True)
    assert found.energy < 1e-14
    assert (found.momentum, found.spin, found.ellipse, found.closest) == (None,) * 4
    assert physim.draw(system, [1.0, 0.0]).std() > 0


@given(st.text(max_size=12).filter(lambda name: name not in systems.SYSTEMS))
def test_unknown_systems_are_refused(name):
    with pytest.raises(RecipeError, match="system: got"):
        systems.find(name)


def test_unknown_systems_and_bodies_are_refused_with_what_would_do():
    with pytest.raises(RecipeError, match="did you mean 'pendulum'"):
        systems.find("pendulun")
    with pytest.raises(RecipeError, match=r"bodies: got 9, expected 2 … 8 for n_body"):
        systems.find("n_body", 9)
    with pytest.raises(RecipeError, match=r"bodies: got 17, expected 2 … 16 for lennard_jones"):
        systems.find("lennard_jones", 17)
    with pytest.raises(RecipeError, match="bodies: got 3, but two_body always has 2"):
        systems.find("two_body", 3)
    with pytest.raises(RecipeError, match="bodies: got 2, but pendulum always has 1"):
        systems.find("pendulum", 2)
    assert systems.find("two_body", 2).name == "two_body"


def test_names_are_known_without_numba():
    code = (
        "import sys; from physim import systems, integrators; "
        "list(systems.SYSTEMS), list(integrators.INTEGRATORS); "
        "sys.exit('numba' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
