"""Results of several calls as one: `python -m benchmarks.paper_table.merge RESULTS.json …`.

Calls may differ in variants, seeds (`--first-seed`), batches and machines, and a run may be in
several of them if it is in the same state. Prints the tables; `--out` writes what they were made
of, with fewer digits and without the curves, and `--update` puts them into a page, between its
markers `<!-- gpu -->` and `<!-- /gpu -->`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.paper_table.tables import labels, tables
from physim.errors import PhysimError
from physim.markdown import between

LEFT_OUT = ("per_frame", "per_frame_average_image", "data")
"""Curves, and where the data were."""

PLACE = "gpu"
DIGITS = 5


def merged(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Evaluated runs of several calls.

    Arguments:
        results: Contents of their `results.json`, or of files that this has written.

    Returns:
        `cells` in the order of variants, systems and seeds, as they are met, and `sources`: the
        machine and the command of each call.

    Raises:
        PhysimError: Two different runs of a variant, system, seed and batch size, or seeds of one
            variant with different settings.
    """
    sources: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for one in results:
        for source in one.get("sources") or [_source(one)]:
            if source not in sources:
                sources.append(source)
        rows += [_shorter(row) for row in one["cells"] if "evaluation" in row]
    kept: dict[tuple[str, str, int], dict[str, Any]] = {}
    for label, row in zip(labels(rows), rows, strict=True):
        key = label, row["system"], row["seed"]
        if kept.setdefault(key, row) != row:
            raise PhysimError(f"{row['system']}, {label}, seed {row['seed']}: two different runs")
    _check_settings(kept)
    order: dict[str, int] = {}
    for label, _, _ in kept:
        order.setdefault(label, len(order))
    cells = [kept[key] for key in sorted(kept, key=lambda key: order[key[0]])]
    return {"sources": sources, "cells": cells}


def _check_settings(kept: dict[tuple[str, str, int], dict[str, Any]]) -> None:
    """Refuse seeds that would be averaged but differ in more than the seed."""
    first: dict[tuple[str, str], dict[str, Any]] = {}
    for (label, system, _), row in kept.items():
        settings = row["evaluation"]["settings"]
        ours = settings["network"] | settings["train"] | {"seed": None}
        theirs = first.setdefault((label, system), ours)
        for name, value in ours.items():
            if theirs.get(name) != value:
                raise PhysimError(
                    f"{system}, {label}: seeds with different settings ({name} "
                    f"{theirs.get(name)} and {value}), expected the same"
                )


def _source(one: dict[str, Any]) -> dict[str, Any]:
    return one["machine"] | {"command": one["call"]["command"]}


def _shorter(value: Any) -> Any:
    """Without what is left out, floats with fewer digits."""
    if isinstance(value, dict):
        return {name: _shorter(each) for name, each in value.items() if name not in LEFT_OUT}
    if isinstance(value, list):
        return [_shorter(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def lines(found: dict[str, Any]) -> str:
    """JSON, a source or a run in each line."""
    parts = []
    for name, entries in found.items():
        each = ",\n".join(json.dumps(entry, allow_nan=False) for entry in entries)
        parts.append(f"{json.dumps(name)}: [\n{each}\n]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main(words: Sequence[str]) -> None:
    """Read, merge, print, and write what is asked for."""
    parser = argparse.ArgumentParser(prog="benchmarks.paper_table.merge", description=__doc__)
    parser.add_argument("results", type=Path, nargs="+", help="results.json of each call")
    parser.add_argument("--out", type=Path, help="where to write them as one")
    parser.add_argument("--update", type=Path, help="page to put the tables into")
    options = parser.parse_args(words)
    found = merged([json.loads(path.read_text()) for path in options.results])
    text = tables(found["cells"])
    if options.out:
        options.out.write_text(lines(found))
    if options.update:
        options.update.write_text(between(options.update.read_text(), PLACE, text))
    print(text, end="")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (PhysimError, OSError, ValueError, KeyError) as error:
        sys.exit(f"Error: {error}")
