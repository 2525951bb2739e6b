"""Pieces of tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

SYSTEMS = ("mass_spring", "pendulum", "two_body", "three_body")
"""In the order of tables."""


def row(cells: Sequence[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with its head."""
    return "\n".join([row(head), row(["---"] * len(head)), *(row(cells) for cells in rows)])


def plus_minus(
    part: Mapping[str, Any],
    name: str = "error",
    error: str = "standard_error",
    form: str = ".3f",
    scale: float = 1,
    of_error: str = "",
) -> str:
    """A mean with its standard error, which a single value has not.

    Arguments:
        part: Results.
        name: Of the mean.
        error: Of its standard error.
        form: How the mean is written.
        scale: What both are multiplied by.
        of_error: How the error is written, if not as the mean.

    Example:
        >>> plus_minus({"error": 2e-4, "standard_error": 1e-5}, form=".1f", scale=1e4)
        '2.0 ± 0.1'
    """
    text, spread = format(scale * part[name], form), scale * part[error]
    return text if math.isnan(spread) else f"{text} ± {format(spread, of_error or form)}"


def chosen_on(name: str, split: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A row for the rows of a split that also chose the weights, if there are any.

    Arguments:
        name: Of the split.
        split: Its results.

    Example:
        >>> chosen_on("test", {"trajectories": 80, "also_chose": 10})
        [('test: of these trajectories, also used to choose the weights', '10 of 80')]
    """
    kind = "points" if "points" in split else "trajectories"
    if "also_chose" not in split:
        return []
    row = f"{name}: of these {kind}, also used to choose the weights"
    return [(row, f"{split['also_chose']} of {split[kind]}")]


def training_time(training: Mapping[str, Any]) -> str:
    """How long a training took: of one thread the processor's time, which other programs leave.

    Arguments:
        training: What a run says of it; nothing of time if it was not timed.

    Example:
        >>> facts = {"seconds": 130.0, "processor_seconds": 61.2, "threads": 1, "device": "cpu"}
        >>> training_time(facts)
        '61 s of one core'
    """
    if "seconds" not in training:
        return "–"
    device, threads = training.get("device", "cpu"), training.get("threads", 0)
    if device != "cpu":
        return f"{training['seconds']:.0f} s on {device}"
    if threads == 1 and "processor_seconds" in training:
        return f"{training['processor_seconds']:.0f} s of one core"
    return f"{training['seconds']:.0f} s on cpu" + (f", {threads} threads" if threads else "")


def place(system: str) -> int:
    """Where a system stands in a table; unknown ones come last."""
    return SYSTEMS.index(system) if system in SYSTEMS else len(SYSTEMS)
