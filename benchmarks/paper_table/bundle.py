"""What is carried home: results, table, times, pictures and weights, in few files."""

from __future__ import annotations

import datetime
import json
import platform
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import installed
from benchmarks.paper_table.cells import Cell
from benchmarks.paper_table.tables import tables
from benchmarks.paper_table.work import DONE, FAILED, TIMES

LIMIT = 15 * 2**20
"""Bytes of a file, at most."""

AROUND = 76
"""Bytes of an archive's two headers of a file, which hold its name besides."""

END = 22
"""Bytes that end an archive."""

PICTURES = ("rollout-0.png", "error.png", "energy.png")


def write(out: Path, cells: Sequence[Cell], facts: dict[str, Any]) -> tuple[Path, list[Path]]:
    """Rewrite the bundle from what is there.

    Arguments:
        out: Where runs are.
        cells: All of them, in the order of their worth.
        facts: Of this call: its options and seconds.

    Returns:
        The folder, and the files that are too large for an archive and are left out.
    """
    from hgn_train.evaluation.results import to_null

    folder = out / "bundle"
    folder.mkdir(parents=True, exist_ok=True)
    rows = [_row(out / "runs" / cell.name, cell) for cell in cells]
    kept = {"machine": machine(), "call": facts, "cells": rows}
    for name, content in (("results", kept), ("timing", timing(out, rows, facts))):
        text = json.dumps(to_null(content), indent=1, allow_nan=False)
        (folder / f"{name}.json").write_text(text + "\n")
    (folder / "table.md").write_text(markdown(rows, facts))
    runs = [(cell, out / "runs" / cell.name) for cell in cells]
    pictures = [(cell.name, run / "pictures" / name) for cell, run in runs for name in PICTURES]
    weights = [
        (cell.name, run / name)
        for cell, run in runs
        for name in ("config.json", "checkpoints/best.safetensors")
    ]
    left_out = archives(folder, "pictures", pictures) + archives(folder, "weights", weights)
    return folder, left_out


def machine() -> dict[str, Any]:
    """Where the figures come from."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    names = ("physim", "torch", "numpy", "lightning-fabric")
    return {
        "device": gpu or platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "versions": {name: found for name in names if (found := installed(name))},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def _row(run: Path, cell: Cell) -> dict[str, Any]:
    row: dict[str, Any] = {
        "variant": cell.variant.name,
        "system": cell.system,
        "seed": cell.seed,
        "state": state(run),
    }
    for name, path in (("times", run / TIMES), ("failed", run / FAILED)):
        if path.is_file():
            row[name] = json.loads(path.read_text())
    if row["state"] == "evaluated":
        from hgn_train.evaluation.results import numbers

        row["evaluation"] = numbers(run)
    return row


def state(run: Path) -> str:
    """`missing`, `failed`, `started`, `trained` or `evaluated`."""
    if (run / FAILED).is_file():
        return "failed"
    if (run / DONE).is_file():
        return "evaluated" if (run / "report.html").is_file() else "trained"
    return "started" if (run / "checkpoints").is_dir() else "missing"


def timing(out: Path, rows: Sequence[dict[str, Any]], facts: dict[str, Any]) -> dict[str, Any]:
    """Seconds of rendering, of each training and of each evaluation."""
    trainings = []
    for row in rows:
        for call in row.get("times", []):
            name = f"{row['system']}-{row['variant']}-{row['seed']}"
            speed = call["steps"] / call["seconds"] if call["seconds"] else 0.0
            trainings.append({"cell": name, **call, "steps_a_second": speed})
    evaluations = {
        f"{row['system']}-{row['variant']}-{row['seed']}": row["evaluation"].get("seconds")
        for row in rows
        if "evaluation" in row
    }
    path = out / "data" / "seconds.json"
    rendering = json.loads(path.read_text()) if path.is_file() else {}
    return {
        "machine": machine(),
        "call": facts,
        "rendering": rendering,
        "trainings": trainings,
        "evaluations": evaluations,
    }


def markdown(rows: Sequence[dict[str, Any]], facts: dict[str, Any]) -> str:
    """The tables, below how many runs they are of, where and by which command."""
    of = machine()
    evaluated = [row for row in rows if "evaluation" in row]
    versions = ", ".join(f"{name} {number}" for name, number in of["versions"].items())
    where = f"on {of['device']}, {of['date']}; Python {of['python']}, {versions}"
    command = facts.get("command", "")
    heading = f"{len(evaluated)} of {len(rows)} runs, {where}. `{command}`"
    return f"{heading}\n\n{tables(rows)}"


def archives(folder: Path, stem: str, files: Sequence[tuple[str, Path]]) -> list[Path]:
    """Write files into as many archives as it takes: `stem.zip`, `stem-2.zip`, and so on.

    Those of an earlier call are replaced.

    Arguments:
        folder: Where to.
        stem: Name of the archives.
        files: The folder of each inside the archive, and the file; missing ones are
            skipped.

    Returns:
        Files that exceed the limit by themselves and are in no archive.
    """
    for old in [folder / f"{stem}.zip", *folder.glob(f"{stem}-[0-9]*.zip")]:
        old.unlink(missing_ok=True)
    parts: list[list[tuple[Path, str]]] = [[]]
    size, left_out = END, []
    for inside, path in files:
        if not path.is_file():
            continue
        name = f"{inside}/{path.name}"
        more = path.stat().st_size + AROUND + 2 * len(name.encode())
        if END + more > LIMIT:
            left_out.append(path)
            continue
        if size + more > LIMIT:
            parts.append([])
            size = END
        parts[-1].append((path, name))
        size += more
    for number, part in enumerate(parts, 1):
        archive = folder / (f"{stem}-{number}.zip" if number > 1 else f"{stem}.zip")
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as opened:
            for path, name in part:
                opened.write(path, name)
    return left_out
