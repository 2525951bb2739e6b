"""Pieces of Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence

SYSTEMS = ("mass_spring", "pendulum", "two_body", "three_body")
"""In the order of tables."""


def row(cells: Sequence[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with its head."""
    return "\n".join([row(head), row(["---"] * len(head)), *(row(cells) for cells in rows)])


def place(system: str) -> int:
    """Where a system stands in a table; unknown ones come last."""
    return SYSTEMS.index(system) if system in SYSTEMS else len(SYSTEMS)
