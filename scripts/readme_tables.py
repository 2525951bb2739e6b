"""Renew the tables of README.md between its markers, from the lists of the code."""

from __future__ import annotations

import re
from pathlib import Path

from physim import integrators, systems
from physim.card.words import table

README = Path(__file__).parents[1] / "README.md"


def systems_table() -> str:
    """System, Hamiltonian, parameters, default integrator."""
    rows = []
    for name in systems.SYSTEMS:
        system = systems.find(name)
        parameters = "; ".join(f"{each.symbol} {each.meaning}" for each in system.parameters)
        rows.append((f"`{name}`", system.formula, parameters, f"`{system.default_integrator}`"))
    return table(("system", "H", "parameters", "default integrator"), rows)


def integrators_table() -> str:
    """Integrator, order, what it keeps, cost, what it is."""
    rows = []
    for integrator in map(integrators.find, integrators.INTEGRATORS):
        keeps = [
            *(["symplectic"] if integrator.symplectic else []),
            *(["reversible"] if integrator.reversible else []),
        ]
        order = str(integrator.order) if integrator.order else "exact"
        rows.append((f"`{integrator.name}`", order, ", ".join(keeps), integrator.summary))
    return table(("integrator", "order", "keeps", "what it is"), rows)


TABLES = {"systems": systems_table, "integrators": integrators_table}


def renewed(text: str) -> str:
    """The page with each table as it is now."""
    for name, made in TABLES.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        content = made()
        text = re.sub(pattern, lambda m, c=content: f"{m[1]}{c}{m[2]}", text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    README.write_text(renewed(README.read_text()))
