"""Models of states beside the figures that their authors report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hgn_train.evaluation import state_figures
from hgn_train.evaluation.markdown import how, table
from hgn_train.evaluation.results import load
from hgn_train.evaluation.state_figures import Models
from hgn_train.evaluation.state_report import with_error

REPORTED: dict[str, dict[str, tuple[str, str]]] = {
    "mass_spring": {"mlp": ("3.67e-2", "1.71e-1"), "hnn": ("3.59e-2", "3.84e-4")},
    "pendulum": {"mlp": ("3.53e-2", "4.15e-2"), "hnn": ("3.56e-2", "2.49e-2")},
    "two_body": {"mlp": ("2.96e-5", "6.33e-2"), "hnn": ("2.82e-6", "3.88e-5")},
    "three_body": {"mlp": ("3.80e-1", "1.09e2"), "hnn": ("4.88e-1", "4.19e-2")},
}
"""Greydanus et al. (2019) on their test data: error of derivatives, and of energy on rollouts."""

INTRODUCTION = """\
Mean squared errors on test trajectories; ± is the standard error over them. Energy and coordinates
are those of rollouts from the true initial states, integrated for the time in the table.
"""

HEAD = [
    "system",
    "model",
    "preset",
    "seed",
    "steps × batch",
    "training",
    "derivatives, observed states",
    "derivatives, true states",
    "time",
    "energy",
    "median",
    "coordinates",
    "derivatives, reported",
    "energy, reported",
]


def tables(found: Sequence[dict[str, Any]]) -> str:
    """Tables of evaluated runs beside the reported figures.

    Arguments:
        found: Results of the runs, in the order of the rows.

    Returns:
        Markdown.
    """
    parts = [INTRODUCTION, table(HEAD, [_cells(results) for results in found])]
    factors = _factors(found)
    if factors:
        head = ["system", "preset", "seed", "energy, baseline / HNN", "reported"]
        parts += ["", "How much better the HNN conserves energy:", "", table(head, factors)]
    return "\n".join(parts) + "\n"


def _cells(results: dict[str, Any]) -> list[str]:
    settings, test = results["settings"], results["splits"]["test"]
    training, rollout = results["training"], results["rollout"]
    reported = REPORTED.get(results["system"], {}).get(settings["model"], ("–", "–"))
    true = with_error(test["true_states"])
    return [
        results["system"],
        settings["model"],
        how(results),
        str(settings["train"]["seed"]),
        f"{training.get('steps', 0):,} × {settings['train']['batch_size']}",
        f"{training['seconds']:.0f} s" if "seconds" in training else "–",
        with_error(test["observed_states"]) if "observed_states" in test else true,
        true,
        f"{rollout['duration']:g}",
        with_error(rollout["energy"]),
        f"{rollout['energy']['median']:.2g}",
        with_error(rollout["coordinates"]),
        *reported,
    ]


def _factors(found: Sequence[dict[str, Any]]) -> list[list[str]]:
    """A row for each system, preset and seed of which there are both models."""
    energies: dict[tuple[str, str, int], dict[str, float]] = {}
    for results in found:
        settings = results["settings"]
        key = (results["system"], how(results), settings["train"]["seed"])
        model = settings["model"]
        energies.setdefault(key, {})[model] = results["rollout"]["energy"]["error"]
    cells = []
    for (system, preset, seed), of_model in energies.items():
        if {"hnn", "mlp"} <= of_model.keys():
            factor = f"{of_model['mlp'] / of_model['hnn']:.3g}"
            reported = REPORTED.get(system)
            theirs = (
                f"{float(reported['mlp'][1]) / float(reported['hnn'][1]):.3g}" if reported else "–"
            )
            cells.append([system, preset, str(seed), factor, theirs])
    return cells


def comparisons(found: Sequence[tuple[Path, dict[str, Any]]]) -> list[tuple[str, str, bytes]]:
    """Name, caption and bytes of pictures of both models, by system, of the first preset."""
    systems: dict[str, tuple[str, dict[str, Path]]] = {}
    for run, results in found:
        settings = results["settings"]
        preset, runs = systems.setdefault(results["system"], (settings["preset"], {}))
        if settings["preset"] == preset:
            runs.setdefault(settings["model"], run)
    drawn: list[tuple[str, str, bytes]] = []
    for system, (preset, runs) in systems.items():
        shown: Models = [(name, load(run)[1]) for name, run in sorted(runs.items())]
        for kind, words in WORDS.items():
            content = getattr(state_figures, kind)(shown)
            drawn.append((f"{system}-{kind}.png", f"{system}, preset {preset}: {words}", content))
    return drawn


WORDS = {
    "paths": "test rollouts; truth in grey",
    "energies": "change of the true H along six test rollouts",
    "errors": "squared error over time, mean over the test rollouts",
}
