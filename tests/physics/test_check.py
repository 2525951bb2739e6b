"""physim check: prints the tables, keeps the page current, and says what does not hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from physim import integrators, systems
from physim.accuracy import conservation, plots, report, studies
from physim.cli.check import command
from physim.errors import PhysimError

PAGE = Path(__file__).parent.parent.parent / "docs" / "accuracy.md"
NAMES = ["truth", "solvers", "orders", "energy", "structure", "cost"]


def fake(broken):
    def tables(full, progress):
        progress("Part")
        yield report.Table("orders", "Title", ["a", "b"], [["1", "2"]], list(broken))

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
        report.update(page, report.Table("orders", "Title", ["a"]))


def test_a_table_notices_what_does_not_hold(monkeypatch):
    """Seen red: a rollout that loses energy, through the whole table."""
    monkeypatch.setattr(conservation, "FRAMES", 3)
    found = report._truth(full=False)
    assert not found.broken
    assert len(found.rows) == 2 * len(systems.SYSTEMS)
    wrong = conservation.Worst(5, 1e-6, 1e-6, 1e-6, 1e-6, 1.0)
    monkeypatch.setattr(conservation, "worst", lambda *_: wrong)
    assert len(report._truth(full=False).broken) == 8 * len(systems.SYSTEMS)


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


def test_a_method_that_is_not_symplectic_is_caught():
    """The measure itself: zero for leapfrog, not for Euler, and right for a known Jacobian."""
    system = systems.find("mass_spring")
    states = studies.drawn(system, 3, paper=True)
    leapfrog, euler = integrators.find("leapfrog"), integrators.find("euler")
    assert conservation.symplectic_defect(leapfrog, system, states, 0.1) < 1e-12
    # Explicit Euler on the spring: det M = 1 + (ω dt)², and MᵀJM = det M · J in one dimension.
    defect = conservation.symplectic_defect(euler, system, states, 0.1)
    assert defect == pytest.approx((2.0 * 0.1) ** 2, rel=1e-9)


def test_the_measured_order_of_a_wrong_method_is_wrong():
    """A leapfrog whose truth is off has slope 0; a truth of the first order in dt, order 1."""
    system = systems.find("pendulum")

    def off(system, states, end, friction):
        return studies.reference_truth(system, states, end, friction) + 1e-3

    measured = studies.convergence(integrators.find("leapfrog"), system, truth=off).order
    assert abs(measured) < 0.5
    assert np.isfinite(measured)
