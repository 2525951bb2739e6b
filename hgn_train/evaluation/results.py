"""What an evaluation leaves in the folder of a run."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from hgn_train import files
from physim.errors import PhysimError

OPTIONAL = ("settings", "spline_flow")
"""Results that hold no numbers which may be undefined, or none at all."""


def to_null(value: Any) -> Any:
    """With None for all that JSON has no number for: what is undefined, or diverges."""
    if isinstance(value, Mapping):
        return {name: to_null(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [to_null(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def without_null(results: Mapping[str, Any]) -> dict[str, Any]:
    """Results with nan for what is undefined; JSON has null."""
    return {
        name: entry if name in OPTIONAL else _from_null(entry) for name, entry in results.items()
    }


def _from_null(value: Any) -> Any:
    """With nan for None."""
    if isinstance(value, dict):
        return {name: _from_null(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_from_null(entry) for entry in value]
    return math.nan if value is None else value


def keep(run: Path, results: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write `evaluation.npz` and, when that is whole, `evaluation.json`.

    Arguments:
        run: Folder of the run.
        results: Numbers.
        arrays: What pictures are drawn from.

    Raises:
        PhysimError: The disk is full, or the folder cannot be written.
    """
    with files.writing(run):
        run.mkdir(exist_ok=True)
    with files.written(run / "evaluation.npz") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    files.write(
        run / "evaluation.json", json.dumps(to_null(results), indent=2, allow_nan=False) + "\n"
    )


def numbers(run: Path) -> dict[str, Any]:
    """Results of an evaluated run.

    Arguments:
        run: Its folder.

    Returns:
        What `evaluate` returned.

    Raises:
        PhysimError: The run has not been evaluated, or its results are damaged.
    """
    path = run / "evaluation.json"
    if not path.is_file():
        raise PhysimError(f"{run}: not evaluated yet; expected `hgn-train evaluate {run}` first")
    try:
        kept: dict[str, Any] = json.loads(path.read_text())
        whole = "system" in kept and "model" in kept["settings"]
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise _damaged(path)
    return without_null(kept)


def load(run: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Results and arrays of an evaluated run.

    Arguments:
        run: Its folder.

    Returns:
        What `evaluate` wrote.

    Raises:
        PhysimError: The run has not been evaluated, or its results are damaged.
    """
    results = numbers(run)
    path = run / "evaluation.npz"
    if not path.is_file():
        raise PhysimError(f"{run}: not evaluated yet; expected `hgn-train evaluate {run}` first")
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, EOFError, BadZipFile, zlib.error, AttributeError, TypeError):
        raise _damaged(path) from None
    return results, arrays


def training_facts(run: Path) -> dict[str, Any]:
    """Steps, the last line of metrics with a loss, and how long the training took.

    Arguments:
        run: Folder of the run.

    Returns:
        By name; nothing where there are no metrics.

    Raises:
        PhysimError: What the training wrote is damaged.
    """
    from hgn_train import log

    path = run / "metrics.jsonl"
    if not path.is_file():
        return {}
    try:
        lines = log.lines(run)
        facts: dict[str, Any] = {"steps": lines[-1]["step"] if lines else 0}
        for line in lines:
            if "loss" in line:
                facts["last"] = line
        path = run / "timing.json"
        if path.is_file():
            facts |= json.loads(path.read_text())
    except (ValueError, KeyError, TypeError):
        raise PhysimError(
            f"{path}: damaged; only a new run remakes it, and without it the results "
            "lack what it says"
        ) from None
    return facts


def also_chose(settings: Mapping[str, Any], available: int, n: int) -> dict[str, int]:
    """How many of the first test rows of a run's own data also chose the weights that it kept.

    A training keeps the weights with the least error on the last rows of the test split; one that
    looks at these only at its end has chosen nothing.

    Arguments:
        settings: Of the run.
        available: Rows of the test split.
        n: How many of them are judged, from the first.

    Returns:
        `also_chose` for the results of the split; nothing where there is no such row.

    Example:
        >>> train = {"steps": 200, "evaluate_every": 50, "held_out": 30}
        >>> also_chose({"train": train}, available=100, n=80)
        {'also_chose': 10}
    """
    train = settings["train"]
    looked = 0 < train["evaluate_every"] < train["steps"]
    looked |= train["evaluate_every"] > 0 and bool(settings.get("extended"))
    both = min(n, available) - max(0, available - train["held_out"])
    return {"also_chose": both} if looked and both > 0 else {}


def _damaged(path: Path) -> PhysimError:
    return PhysimError(f"{path}: damaged; `hgn-train evaluate {path.parent}` remakes it")
