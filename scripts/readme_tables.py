"""Renew the tables of README.md between its markers, from the lists of the code and the docs."""

from __future__ import annotations

import re
from pathlib import Path

from physim import integrators, systems
from physim.markdown import between, table

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def systems_table() -> str:
    """System, Hamiltonian, parameters, default integrator."""
    rows = []
    for name in systems.SYSTEMS:
        system = systems.find(name)
        parameters = "; ".join(f"{each.symbol} {each.meaning}" for each in system.parameters)
        rows.append((f"`{name}`", system.formula, parameters, f"`{system.default_integrator}`"))
    return table(("system", "H", "parameters", "default integrator"), rows)


def integrators_table() -> str:
    """Integrator, order, properties, description."""
    rows = []
    for integrator in map(integrators.find, integrators.INTEGRATORS):
        keeps = [
            *(["symplectic"] if integrator.symplectic else []),
            *(["reversible"] if integrator.reversible else []),
        ]
        order = str(integrator.order) if integrator.order else "exact"
        rows.append((f"`{integrator.name}`", order, ", ".join(keeps), integrator.summary))
    return table(("integrator", "order", "properties", "description"), rows)


def rows_of(page: str, column: str) -> list[dict[str, str]]:
    """Rows of the first table of a page of the docs that has a column of that name."""
    text = (ROOT / "docs" / page).read_text()
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        names, _, *rows = (
            [c.strip() for c in line.strip("| \n").split(" | ")] for line in block.splitlines()
        )
        if column in names:
            return [dict(zip(names, row, strict=True)) for row in rows]
    raise SystemExit(f"docs/{page}: no table with a column '{column}'")


def figures_table() -> str:
    """Headline numbers, from the pages that say how they were measured."""
    render = rows_of("performance.md", "trajectories/s")
    speeds = ", ".join(f"{row['system']} {row['trajectories/s']}" for row in render)
    plain = rows_of("performance.md", "times as fast")[0]["times as fast"]
    read = next(
        row
        for row in rows_of("performance.md", "times h5py")
        if row["read"] == "physim, 2 threads"
    )
    step = next(
        row
        for row in rows_of("performance.md", "times as fast as plain")
        if (row["network"], row["step"]) == ("paper, from 30 frames", "float32")
    )
    faster = step["times as fast as plain"]
    energy = max(
        float(row["energy"]) for row in rows_of("accuracy.md", "closest distance at a frame")
    )
    shares: dict[str, list[float]] = {}
    for row in rows_of("results.md", "share explained, test"):
        shares.setdefault(row["system"], []).append(float(row["share explained, test"]))
    learned = ", ".join(f"{system} {min(found):.2f}" for system, found in shares.items())
    rows = [
        (
            "trajectories per second, drawn and on disk, two cores",
            speeds,
            "[performance](docs/performance.md)",
        ),
        (
            "the same with SciPy, NumPy and gzip",
            f"{plain} times slower (two_body)",
            "[performance](docs/performance.md)",
        ),
        (
            "reading, decoded, two cores",
            f"{read['GB/s']} GB/s, {read['times h5py']} times h5py",
            "[performance](docs/performance.md)",
        ),
        (
            "one training step of the paper's HGN, 16 rollouts of 30 frames, two cores",
            f"{step['seconds per step']} s, {faster} times as fast as plain",
            "[performance](docs/performance.md#training)",
        ),
        (
            "worst energy error over 30 frames of 10,000 trajectories, all systems",
            f"{energy:.1e}",
            "[accuracy](docs/accuracy.md)",
        ),
        (
            "share explained of 30 frames predicted from 5, HGN trained on one core",
            learned,
            "[results](docs/results.md), [meaning](docs/scoring.md#what-the-numbers-mean)",
        ),
    ]
    return table(("quantity", "value", "details"), rows)


TABLES = {"figures": figures_table, "systems": systems_table, "integrators": integrators_table}


def renewed(text: str) -> str:
    """The page with each table as it is now.

    Raises:
        PhysimError: It has no place for one.
    """
    for name, made in TABLES.items():
        text = between(text, name, made())
    return text


if __name__ == "__main__":
    README.write_text(renewed(README.read_text()))
