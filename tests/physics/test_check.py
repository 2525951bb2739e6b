"""physim check: prints the tables, keeps the page current, and says what does not hold."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from physim import integrators, systems
from physim.accuracy import conservation, plots, report, solvers, studies
from physim.accuracy.table import Table, number
from physim.cli.check import command
from physim.errors import PhysimError, SimulationError

PAGE = Path(__file__).parent.parent.parent / "docs" / "accuracy.md"
NAN = float("nan")
NAMES = ["truth", "solvers", "orders", "energy", "structure", "cost"]


def fake(broken):
    def tables(full, progress):
        progress("Part")
        yield Table("orders", "Title", ["a", "b"], [["1", "2"]], list(broken))

    return tables


def test_prints_tables_and_succeeds_when_all_promises_hold(monkeypatch, tmp_path):
    monkeypatch.setattr(report, "tables", fake([]))
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- orders -->\nold\n<!-- /orders -->\nafter\n", encoding="utf-8")
    result = CliRunner().invoke(command, ["--update", str(page)])
    assert result.exit_code == 0, result.output
    assert "| a | b |\n| --- | --- |\n| 1 | 2 |" in result.output
    assert result.output.endswith("all promises hold\n")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| 1 | 2 |" in text
    assert "old" not in text


def test_a_broken_promise_is_named_and_ends_with_1(monkeypatch):
    monkeypatch.setattr(report, "tables", fake(["orders: leapfrog has order 1.7"]))
    result = CliRunner().invoke(command, [])
    assert result.exit_code == 1
    assert "orders: leapfrog has order 1.7\n1 promise does not hold" in result.output


def test_a_page_without_markers_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing here", encoding="utf-8")
    with pytest.raises(PhysimError, match="has no markers <!-- orders -->"):
        Table("orders", "Title", ["a"]).update(page)


def test_a_table_notices_what_does_not_hold(monkeypatch):
    """Seen red: a rollout that loses energy, through the whole table."""
    monkeypatch.setattr(conservation, "FRAMES", 3)
    found = report._truth(full=False)
    assert not found.broken
    assert len(found.rows) == 2 * len(systems.SYSTEMS)
    wrong = conservation.Worst(5, 1e-6, 1e-6, 1e-6, 1e-6, 1.0)
    monkeypatch.setattr(conservation, "worst", lambda *_: wrong)
    assert len(report._truth(full=False).broken) == 8 * len(systems.SYSTEMS)


def test_what_could_not_be_computed_breaks_the_promises_of_the_truth(monkeypatch):
    wrong = conservation.Worst(5, NAN, NAN, NAN, None, 1.0)
    monkeypatch.setattr(conservation, "worst", lambda *_: wrong)
    table = report._truth(full=False)
    assert len(table.broken) == 6 * len(systems.SYSTEMS)
    assert (number(NAN), number(None)) == ("nan", "–")
    assert table.rows[0][3:7] == ["nan", "nan", "nan", "–"]


def right_orders(method, system, off=0.0):
    return studies.Convergence(np.ones(1), np.ones(1), method.order + off)


@pytest.mark.parametrize("name", ["leapfrog", "dop853", "gauss_radau"])
@pytest.mark.parametrize("off", [-3.0, 3.0, NAN])
def test_a_wrong_order_is_found(monkeypatch, name, off):
    monkeypatch.setattr(studies, "convergence", right_orders)
    right = report._orders(full=False)
    assert not right.broken
    (row,) = [row for row in right.rows if row[0] == name]
    measured = [cell for cell in row[2:] if cell not in ("–", "(rounding)")]

    def one_is_off(method, system):
        return right_orders(method, system, off if method.name == name else 0.0)

    monkeypatch.setattr(studies, "convergence", one_is_off)
    broken = report._orders(full=False).broken
    assert len(broken) == len(measured) > 1
    assert all(f"orders: {name} on " in sentence for sentence in broken)


def energies(method, system, states, dt, checkpoints):
    """As they should be: bounded for the symplectic methods, growing for the others."""
    late = 1e-3 if method.symplectic else 1e-2
    scale = 1e-10 if method.adaptive else 1.0
    return dict(zip(checkpoints, (1e-4 * scale, 1e-3 * scale, late * scale), strict=True))


def test_energies_that_do_not_drift_or_are_not_bounded_are_found(monkeypatch):
    monkeypatch.setattr(conservation, "energy_errors", energies)
    right = report._energies(full=False)
    assert not right.broken
    drifting = sum(row[2] == "no" for row in right.rows)
    assert 0 < drifting < len(right.rows)

    def constant(*arguments):
        return dict.fromkeys(arguments[-1], 1e-13)

    monkeypatch.setattr(conservation, "energy_errors", constant)
    broken = report._energies(full=False).broken
    assert len(broken) == drifting
    assert all("expected a drift" in sentence for sentence in broken)

    def growing(*arguments):
        return dict(zip(arguments[-1], (1e-4, 1e-3, 1e-2), strict=True))

    monkeypatch.setattr(conservation, "energy_errors", growing)
    broken = report._energies(full=False).broken
    assert sum("expected a bounded error" in one for one in broken) == len(right.rows) - drifting
    assert sum("expected less than 1e-11" in one for one in broken) == 2 * 3

    monkeypatch.setattr(conservation, "energy_errors", lambda *a: dict.fromkeys(a[-1], NAN))
    assert len(report._energies(full=False).broken) == len(right.rows) + 2 * 3


def structure(monkeypatch, defect, back):
    monkeypatch.setattr(conservation, "symplectic_defect", defect)
    monkeypatch.setattr(conservation, "return_error", back)
    return report._structure(full=False).broken


def test_euler_without_a_symplectic_defect_is_found(monkeypatch):
    def right(method, *_):
        return 0.0 if method.symplectic else 1e-4

    def zero(*_):
        return 0.0

    assert not structure(monkeypatch, right, zero)
    broken = structure(monkeypatch, zero, zero)
    assert [sentence.split(":")[1] for sentence in broken] == [" euler", " rk4"]
    broken = structure(monkeypatch, lambda *_: 1e-9, lambda *_: 1e-10)
    assert sum("defect" in sentence for sentence in broken) == 11
    assert sum("returns" in sentence for sentence in broken) == 9 - 1


@pytest.mark.parametrize("nowhere", systems.SYSTEMS)
def test_a_nan_on_any_one_system_is_found(monkeypatch, nowhere):
    """Python's max() keeps a nan only where it comes first."""

    def measured(method, system, *_):
        return NAN if system.name == nowhere else 0.0 if method.symplectic else 1e-4

    fits = [m for m in report.methods() if m.fits(systems.find(nowhere), 0.0)]
    broken = structure(monkeypatch, measured, lambda *_: 0.0)
    assert sum("defect nan" in sentence for sentence in broken) == len(fits)
    broken = structure(monkeypatch, lambda m, *_: 0.0 if m.symplectic else 1e-4, measured)
    assert sum("returns within nan" in sentence for sentence in broken) == len(fits)


@pytest.mark.parametrize("difference", [1e-8, NAN])
def test_a_solver_that_disagrees_is_found(monkeypatch, difference):
    asked = []

    def taylor(_system, states, _frames):
        asked.append(states)
        return 1e-15

    monkeypatch.setattr(
        solvers, "scipy_differences", lambda _, states: np.eye(1, len(states.q), 3)[0] * 1e-13
    )
    monkeypatch.setattr(solvers, "taylor_difference", taylor)
    table = report._solvers(full=True)
    assert not table.broken
    assert len(table.rows) == 2 * len(systems.SYSTEMS)
    # mpmath solves the trajectory on which SciPy differs most, of all systems but atoms.
    names = [row[0].split(",")[0] for row in table.rows if row[3] != number(None)]
    assert names == [name for name in systems.SYSTEMS if name != "lennard_jones" for _ in range(2)]
    last = studies.drawn(systems.find(names[-1]), 4)
    np.testing.assert_array_equal(asked[-1].q, last.q[3:])
    monkeypatch.setattr(
        solvers, "scipy_differences", lambda _, states: np.full(len(states.q), difference)
    )
    monkeypatch.setattr(solvers, "taylor_difference", lambda *_: difference)
    broken = report._solvers(full=True).broken
    assert sum("from SciPy" in sentence for sentence in broken) == 2 * len(systems.SYSTEMS)
    assert sum("from mpmath" in sentence for sentence in broken) == len(names)


@pytest.mark.parametrize("last", [False, True])
def test_the_measures_keep_a_nan(monkeypatch, last):
    """A nan in the first or the last trajectory reaches the table, flagged or not."""
    system = systems.find("mass_spring")
    states = studies.drawn(system, 2)
    euler = integrators.find("euler")
    honest = studies.trajectories

    def broken(*arguments, flagged, **settings):
        q, p, ok = honest(*arguments, **settings)
        p[-1 if last else 0, -1] = np.nan
        return q, p, ok & ~(flagged & np.isnan(p).any(axis=(1, 2)))

    for flagged in (False, True):
        for module in (conservation, solvers):
            monkeypatch.setattr(module, "trajectories", partial(broken, flagged=flagged))
        assert np.isnan(conservation.symplectic_defect(euler, system, states, 0.1))
        assert np.isnan(conservation.return_error(euler, system, states, 0.1, 2))
        errors = conservation.energy_errors(euler, system, states, 0.1, (3, 6))
        assert np.isnan(errors[3])
        assert np.isnan(errors[6])
        assert np.isnan(conservation.worst(system, 2, paper=False).energy)
        assert np.isnan(solvers.scipy_differences(system, states)[-1 if last else 0])
        assert np.isnan(solvers.taylor_difference(system, states, (1, 2)))


def test_a_wrong_study_ends_the_command_with_1(monkeypatch):
    monkeypatch.setattr(conservation, "symplectic_defect", lambda *_: 0.0)
    monkeypatch.setattr(conservation, "return_error", lambda *_: NAN)

    def tables(full, progress):
        yield report._structure(full)

    monkeypatch.setattr(report, "tables", tables)
    result = CliRunner().invoke(command, [])
    assert result.exit_code == 1
    assert "structure: euler: defect 0.0e+00, expected more than 1e-08" in result.output
    assert "structure: leapfrog: returns within nan" in result.output
    assert result.output.endswith("15 promises do not hold\n")


def test_the_truth_of_the_order_study_is_complete():
    """One interval of 4 is longer than a first trial step of the double pendulum can be."""
    system = systems.find("double_pendulum")
    states = studies.drawn(system, 40, seed=7)
    assert np.isfinite(studies.reference_truth(system, states, 4.0)).all()
    states.p[3] = np.nan
    with pytest.raises(SimulationError, match="1 states have no truth at t = 4"):
        studies.reference_truth(system, states, 4.0)


def test_the_page_shows_every_table_and_picture_and_names_every_integrator():
    text = PAGE.read_text(encoding="utf-8")
    for name in NAMES:
        table = text.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
        assert table.count("\n|") > 4, name
    for picture in ("orders", "energy", "area", "cost"):
        path = PAGE.parent / "img" / f"accuracy-{picture}.png"
        assert f"(img/{path.name})" in text
        assert 10_000 < path.stat().st_size < 300_000
    structure = text.split("<!-- structure -->")[1].split("<!-- /structure -->")[0]
    for name in integrators.INTEGRATORS:
        assert f"| {name} |" in structure


@pytest.mark.slow
def test_the_whole_study_holds(tmp_path):
    broken = [
        sentence
        for table in report.tables(full=False, progress=lambda _: None)
        for sentence in table.broken
    ]
    assert not broken
    assert len(list(plots.draw(tmp_path))) == 4


def test_a_single_body_needs_no_closed_form():
    """As the system that the page on extending adds."""
    system = replace(systems.find("pendulum"), closed_form=None)
    found = conservation.worst(system, 3, paper=True)
    assert found.energy < 1e-12
    assert (found.momentum, found.spin, found.ellipse, found.closest) == (None,) * 4


def test_a_method_that_is_not_symplectic_is_caught():
    """The measure itself: zero for leapfrog, not for Euler, and right for a known Jacobian."""
    system = systems.find("mass_spring")
    states = studies.drawn(system, 3, paper=True)
    leapfrog, euler = integrators.find("leapfrog"), integrators.find("euler")
    assert conservation.symplectic_defect(leapfrog, system, states, 0.1) < 1e-12
    # Explicit Euler on the spring: det M = 1 + (ω dt)², and MᵀJM = det M · J in one dimension.
    defect = conservation.symplectic_defect(euler, system, states, 0.1)
    assert defect == pytest.approx((2.0 * 0.1) ** 2, rel=1e-9)


@pytest.mark.parametrize("steps", [7, 1500])
def test_the_energy_and_the_way_back_of_euler_are_known(steps):
    """On the spring its step is a rotation times √(1 + (ω dt)²), and so is the step back."""
    system, euler = systems.find("mass_spring"), integrators.find("euler")
    states = studies.drawn(system, 3, paper=True)
    growth = (1 + (2.0 * 0.02) ** 2) ** np.array([4, steps])  # ω = 2
    found = conservation.energy_errors(euler, system, states, 0.02, (4, steps))
    assert list(found.items()) == [
        (4, pytest.approx(growth[0] - 1)),
        (steps, pytest.approx(growth[1] - 1)),
    ]
    back = conservation.return_error(euler, system, states, 0.02, steps)
    largest = max(abs(states.q).max(), abs(states.p).max())
    assert back == pytest.approx((growth[1] - 1) * largest)


@pytest.mark.parametrize("name", ["two_body", "three_body"])
def test_what_is_not_conserved_is_measured(monkeypatch, name):
    """Of random states, which conserve nothing, beside the formulas with cross products."""
    system, n = systems.find(name), 4
    shape = (n, studies.FRAMES, system.bodies, 2)
    r, p = np.random.default_rng(5).normal(size=(2, *shape))
    flat = [x.reshape(n, studies.FRAMES, -1) for x in (r, p)]
    monkeypatch.setattr(conservation, "trajectories", lambda *_: (*flat, np.ones(n, dtype=bool)))
    found = conservation.worst(system, n, paper=False)
    params = studies.drawn(system, n).params
    masses, G = system.masses(params)[:, None, :, None], params[:, None, -1]
    gaps = np.linalg.norm(r[:, :, :, None] - r[:, :, None], axis=-1)
    pairs = np.triu_indices(system.bodies, 1)
    assert found.closest == pytest.approx(gaps[:, :, *pairs].min())
    products = (masses * np.swapaxes(masses, 2, 3))[:, :, *pairs]
    energy = (p**2 / (2 * masses)).sum((2, 3)) - (
        G[..., None] * products / gaps[:, :, *pairs]
    ).sum(2)
    assert found.energy == pytest.approx(abs(energy / energy[:, :1] - 1).max())
    deep = [np.pad(x, ((0, 0), (0, 0), (0, 0), (0, 1))) for x in (r, p, p / masses)]
    total, spin = p.sum(2), np.cross(deep[0], deep[1])[..., 2].sum(2)
    assert found.momentum == pytest.approx(abs(total - total[:, :1]).max())
    assert found.spin == pytest.approx(abs(spin - spin[:, :1]).max())
    assert (found.ellipse is None) is (name == "three_body")
    if found.ellipse is not None:
        x, v = (one[:, :, 1] - one[:, :, 0] for one in deep[::2])
        turned = np.cross(v, np.cross(x, v)) / (G * masses.sum(2)[..., 0])[..., None]
        vector = turned - x / np.linalg.norm(x, axis=-1, keepdims=True)
        assert found.ellipse == pytest.approx(abs(vector - vector[:, :1]).max())
        np.testing.assert_allclose(conservation.laplace_runge_lenz(*flat, params), vector[..., :2])


@pytest.mark.parametrize("name", ["mass_spring", "two_body"])
def test_the_solvers_see_a_coordinate_that_is_off(monkeypatch, name):
    system = systems.find(name)
    states = studies.drawn(system, 2)
    honest = studies.trajectories

    def off(*arguments):
        q, p, ok = honest(*arguments)
        p[1, 1] += 1e-3
        return q, p, ok

    monkeypatch.setattr(solvers, "trajectories", off)
    found = solvers.scipy_differences(system, states)
    assert found == pytest.approx([0, 1e-3], abs=1e-11)
    if system.dimension == 1:
        assert solvers.taylor_difference(system, states, (1, 2)) == pytest.approx(1e-3, abs=1e-11)
        monkeypatch.undo()
        assert solvers.taylor_difference(system, states, (1,)) < 1e-11


def test_the_measured_order_of_a_wrong_method_is_wrong():
    """A leapfrog whose truth is off has slope 0; a truth of the first order in dt, order 1."""
    system = systems.find("pendulum")

    def off(system, states, end, friction):
        return studies.reference_truth(system, states, end, friction) + 1e-3

    measured = studies.convergence(integrators.find("leapfrog"), system, truth=off).order
    assert abs(measured) < 0.5
    assert np.isfinite(measured)
