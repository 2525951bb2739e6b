"""The report of a model of states: its numbers, sentence and pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hgn_train.evaluation import state_figures
from hgn_train.evaluation.markdown import chosen_on, plus_minus, too_few, trained

Results = Mapping[str, Any]
NOT_LEARNED = 0.1
"""Share explained below which a model has learned no more than the mean derivative."""

WORDS = {"true_states": "at true states", "observed_states": "at observed, noisy states"}


def rows(results: Results) -> list[tuple[str, str]]:
    """The numbers of a run, as name and text.

    Arguments:
        results: What `evaluate` returned.

    Returns:
        Rows in the order of the report.
    """
    table: list[tuple[str, str]] = []
    for name, split in results["splits"].items():
        table += chosen_on(name, split)
        for key, words in WORDS.items():
            if key in split:
                part = split[key]
                table.append((f"{name}: derivatives, MSE {words}", with_error(part)))
                share = f"{part['share_explained']:.6f}"
                table.append((f"{name}: share of their variance explained, {words}", share))
    rollout = results["rollout"]
    start = f"test rollouts for {rollout['duration']:g} units of time"
    table += [
        (f"{start}: energy, MSE", with_error(rollout["energy"])),
        (f"{start}: energy, median over trajectories", f"{rollout['energy']['median']:.3g}"),
        (f"{start}: coordinates, MSE", with_error(rollout["coordinates"])),
        (
            f"{start}: coordinates, median over trajectories",
            f"{rollout['coordinates']['median']:.3g}",
        ),
        (f"{start}: mean |H|", f"{rollout['mean_absolute_energy']:.3g}"),
    ]
    lost = rollout.get("not_finite", 0)
    if lost:
        table.append((f"{start}: not finite at their end", f"{lost} of {rollout['trajectories']}"))
    if "learned_drift" in rollout:
        drift = f"{rollout['learned_drift']:.1g}"
        table.append(("learned H along them: largest change, due to integration alone", drift))
    return table


def with_error(part: Mapping[str, float]) -> str:
    """A mean squared error with its standard error."""
    return plus_minus(part, form=".3g", of_error=".1g")


def lead(results: Results) -> str:
    """The result in two sentences."""
    rollout = results["rollout"]
    energy, lost = rollout["energy"]["error"], rollout.get("not_finite", 0)
    share = results["splits"]["test"]["true_states"]["share_explained"]
    sentence = (
        f"The model explains {100 * share:.2f} % of the variance of test derivatives. Its motion, "
        f"integrated for {rollout['duration']:g} units of time from {rollout['trajectories']} "
        f"test states, has an energy MSE of {energy:.3g}, where |H| is "
        f"{rollout['mean_absolute_energy']:.3g} on average"
        f"{f'; {lost} of them diverge' if lost else ''}. "
    )
    sentence, verdict = sentence + trained(results, rows=" states"), ""
    if math.isnan(share):
        verdict = ". NOT LEARNED: its derivatives are not finite"
    elif share <= -NOT_LEARNED:
        verdict = ". NOT LEARNED: its derivatives are further from the truth than their mean"
    elif share < NOT_LEARNED:
        verdict = ". NOT LEARNED: every state moves in the same way"
    return sentence + verdict + (too_few(results) if verdict else "") + "."


def pictures(
    run: Path, results: Results, arrays: Mapping[str, np.ndarray]
) -> list[tuple[str, str, bytes]]:
    """File name, caption and bytes of each picture, in the order of the report."""
    models = [(results["settings"]["model"], arrays)]
    plane = arrays["q"].shape[-1] == 1
    found = [
        ("paths.png", PATHS[plane], state_figures.paths(models)),
        ("energy.png", ENERGY, state_figures.energies(models)),
        ("error.png", ERROR, state_figures.errors(models)),
    ]
    if (run / "metrics.jsonl").is_file():
        found.append(("training.png", "Training.", state_figures.training_curve(run)))
    return found


PATHS = {
    True: "Three test rollouts from the true initial states, in the phase plane. Truth in grey.",
    False: "The orbits of one test rollout from its true initial state. Truth in grey.",
}
"""By whether there is one degree of freedom."""

ENERGY = "Deviation of the true H of the model's states from its constant value, six rollouts."
ERROR = "Squared error over time, mean over all test rollouts."
