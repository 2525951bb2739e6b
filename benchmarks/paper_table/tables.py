"""Tables of results in Markdown: variants by systems, a table for each measure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.paper_table.cells import SYSTEMS
from physim.markdown import table

Row = dict[str, Any]
"""A run: its variant, system, seed, and evaluation if it has one."""

Measure = Callable[[dict[str, Any]], Sequence[float]]

ERROR = "Pixel MSE × 1e4, training / test"
SECONDS = "Seconds of training of each seed, with others beside it"

MEASURES: dict[str, Measure] = {
    ERROR: lambda of: [1e4 * of["splits"][split]["error"] for split in ("train", "test")],
    "Share explained, test": lambda of: [of["splits"]["test"]["share_explained"]],
    "Share explained further forward / backward": lambda of: [
        of["beyond"][way]["share_explained"] for way in ("forward", "backward")
    ],
    "Valid prediction time forward / backward, share": lambda of: [
        of["beyond"][f"valid_{way}"] for way in ("forward", "backward")
    ],
    "Learned H, deviation along a test rollout / between rollouts": lambda of: [
        of["splits"]["test"]["energy"]["relative_spread"]
    ],
    SECONDS: lambda of: [of["training"]["seconds"]],
}
"""Caption of a table, and a run's numbers in it."""


def tables(rows: Sequence[Row]) -> str:
    """A table for each measure; means over seeds ± their deviation.

    Arguments:
        rows: Runs, in the order of the tables; those without an evaluation are left out.

    Returns:
        Markdown.
    """
    from hgn_train.evaluation.image_table import REPORTED
    from hgn_train.evaluation.results import without_null

    evaluated = [
        row | {"evaluation": without_null(row["evaluation"])}
        for row in rows
        if "evaluation" in row
    ]
    systems = [name for name in SYSTEMS if any(row["system"] == name for row in evaluated)]
    parts = []
    for caption, measure in MEASURES.items():
        lines = [[label, *cells] for label, cells in _lines(evaluated, systems, measure)]
        if not lines:
            continue
        if caption == ERROR:
            lines.insert(0, ["average image", *(_average(evaluated, name) for name in systems)])
            which = [SYSTEMS.index(name) for name in systems]
            for model, numbers in REPORTED.items() if _as_reported(evaluated) else ():
                lines.append([model, *(" / ".join(numbers[i]) for i in which)])
        parts.append(f"#### {caption}\n\n{table(['variant', *systems], lines)}")
    return "\n".join(parts)


def labels(rows: Sequence[Row]) -> list[str]:
    """Names of rows: the variant, and its batches where they are not those of its preset."""
    from hgn_train.presets import changes

    found = []
    for row in rows:
        settings = row["evaluation"]["settings"]
        batch = changes(settings, row["system"]).get("batch_size")
        found.append(row["variant"] + (f", batches of {batch}" if batch else ""))
    return found


def _lines(
    rows: Sequence[Row], systems: Sequence[str], measure: Measure
) -> Iterator[tuple[str, list[str]]]:
    """Label and cells of each row of a table that has any."""
    values: dict[str, dict[str, list[Sequence[float]]]] = {}
    for label, row in zip(labels(rows), rows, strict=True):
        try:
            found = measure(row["evaluation"])
        except KeyError:  # another kind of model has other measures
            continue
        values.setdefault(label, {}).setdefault(row["system"], []).append(found)
    cell = _each if measure is MEASURES[SECONDS] else _cell
    for label, of in values.items():
        yield label, [cell(of[name]) if name in of else "–" for name in systems]


def _as_reported(rows: Sequence[Row]) -> bool:
    """Whether rollouts are as long, and frames as large, as those of the papers."""
    networks = [row["evaluation"]["settings"]["network"] for row in rows]
    return all((of["frames"], of["resolution"]) == (30, 32) for of in networks)


def _average(rows: Sequence[Row], system: str) -> str:
    splits = next(row["evaluation"]["splits"] for row in rows if row["system"] == system)
    return f"{1e4 * splits['test']['average_image']:.2f}"


def _each(of_seeds: Sequence[Sequence[float]]) -> str:
    """All numbers, where their mean says nothing: machines are differently busy."""
    return ", ".join(f"{value:.0f}" for values in of_seeds for value in values)


def _cell(of_seeds: Sequence[Sequence[float]]) -> str:
    """Means over the seeds, with deviation and number where there are several."""
    text = " / ".join(map(_number, zip(*of_seeds, strict=True)))
    return text + (f" ({len(of_seeds)})" if len(of_seeds) > 1 else "")


def _number(of_seeds: Sequence[float]) -> str:
    """Three significant digits, and the deviation to as many places."""
    mean = float(np.mean(of_seeds))
    size = math.floor(math.log10(abs(mean))) if mean and math.isfinite(mean) else 0
    places = max(0, 2 - size)
    text = f"{mean:.{places}f}"
    if len(of_seeds) == 1:
        return text
    with np.errstate(invalid="ignore"):  # of one that is infinite
        return f"{text} ± {np.std(of_seeds, ddof=1):.{places}f}"
