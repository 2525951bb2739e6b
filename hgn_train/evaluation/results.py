"""What an evaluation leaves in the folder of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from physim.errors import PhysimError


def keep(run: Path, results: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write `evaluation.json` and `evaluation.npz`.

    Arguments:
        run: Folder of the run.
        results: Numbers.
        arrays: What pictures are drawn from.
    """
    (run / "evaluation.json").write_text(json.dumps(results, indent=2) + "\n")
    np.savez_compressed(run / "evaluation.npz", **arrays)  # type: ignore[arg-type]


def numbers(run: Path) -> dict[str, Any]:
    """Results of an evaluated run.

    Arguments:
        run: Its folder.

    Returns:
        What `evaluate` returned.

    Raises:
        PhysimError: The run has not been evaluated.
    """
    path = run / "evaluation.json"
    if not path.is_file():
        raise PhysimError(f"{run}: not evaluated yet; expected `hgn-train evaluate {run}` first")
    return json.loads(path.read_text())


def load(run: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Results and arrays of an evaluated run.

    Arguments:
        run: Its folder.

    Returns:
        What `evaluate` wrote.

    Raises:
        PhysimError: The run has not been evaluated.
    """
    results = numbers(run)
    if not (run / "evaluation.npz").is_file():
        raise PhysimError(f"{run}: not evaluated yet; expected `hgn-train evaluate {run}` first")
    with np.load(run / "evaluation.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return results, arrays


def training_facts(run: Path) -> dict[str, Any]:
    """Steps, and the last line about held-out trajectories."""
    path = run / "metrics.jsonl"
    if not path.is_file():
        return {}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    facts: dict[str, Any] = {"steps": lines[-1]["step"] if lines else 0}
    for line in lines:
        if "loss" in line:
            facts["last"] = line
    seconds = run / "timing.json"
    if seconds.is_file():
        facts |= json.loads(seconds.read_text())
    return facts
