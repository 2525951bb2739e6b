"""Flows beside what bounds them from above and from below, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hgn_train.evaluation.markdown import how, plus_minus, table, training_time

HEAD = [
    "target",
    "d",
    "preset",
    "seed",
    "weights",
    "steps × batch",
    "training",
    "one Gaussian",
    "evidence bound",
    "bound, 128 momenta",
    "target's log-density",
    "gap",
    "neural spline flow",
    "strays",
]


def tables(found: Sequence[dict[str, Any]]) -> str:
    """A table of evaluated flows.

    Arguments:
        found: Results of several runs.

    Returns:
        Markdown.
    """
    return (
        "Log-density of test points, in nats per point; ± is the standard error. The gap is the "
        "target's\nlog-density minus the bound, on the same points. The spline flow has about as "
        "many weights and was\ntrained for as much processor time; its log-density is exact. "
        "Strays are samples of the Hamiltonian\nflow where the target density is below that of "
        "99.9 % of its own points.\n\n" + table(HEAD, [cells(results) for results in found]) + "\n"
    )


def cells(results: dict[str, Any]) -> list[str]:
    """The line of a run."""
    settings, training = results["settings"], results["training"]
    split, spline = results["splits"]["test"], results.get("spline_flow")
    other = "–"
    if spline:
        other = f"{spline['log_prob']:.3f} ({spline['parameters']:,} weights)"
    known = "true" in split
    return [
        results["system"],
        str(results["dimension"]),
        how(results),
        str(settings["train"]["seed"]),
        f"{results['parameters']:,}",
        f"{training.get('steps', 0):,} × {settings['train']['batch_size']}",
        training_time(training),
        f"{split['gaussian']:.3f}",
        f"{split['bounds']['1']:.3f}",
        plus_minus(split, "log_prob"),
        f"{split['true']:.3f}" if known else "–",
        plus_minus(split, "gap", "gap_error") if known else "–",
        other,
        f"{100 * results['strays']:.2f} %" if known else "–",
    ]
