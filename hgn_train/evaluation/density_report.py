"""What the report of a flow says and shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hgn_train.evaluation import density_figures
from hgn_train.evaluation.markdown import chosen_on, plus_minus, trained

Results = Mapping[str, Any]

PLATEAU = 0.02
"""Nats by which a flow must be better than one Gaussian to have learned more than that."""


def rows(results: Results) -> list[tuple[str, str]]:
    """The numbers of a run, as name and text.

    Arguments:
        results: What `evaluate` returned.

    Returns:
        Rows in the order of the report; log-densities in nats per point.
    """
    table: list[tuple[str, str]] = []
    for name, split in results["splits"].items():
        table += chosen_on(name, split)
        for k, value in split["bounds"].items():
            best = value == split["log_prob"]
            text = plus_minus(split, "log_prob") if best else f"{value:.3f}"
            bound = "evidence bound" if k == "1" else f"bound of {k} momenta"
            table.append((f"{name}: {bound}", text))
        if "true" in split:
            table.append((f"{name}: the target's log-density", f"{split['true']:.3f}"))
            gap = plus_minus(split, "gap", "gap_error")
            table.append((f"{name}: the target's log-density minus the bound", gap))
        table.append((f"{name}: one Gaussian", f"{split['gaussian']:.3f}"))
    if "entropy" in results:
        table.append(("minus the entropy of the target", f"{-results['entropy']:.3f}"))
        share = f"{100 * results['strays']:.2f} %"
        table.append(
            ("samples where the target density is below that of 99.9 % of its own", share)
        )
    spline = results.get("spline_flow")
    if spline:
        text = plus_minus(spline, "log_prob")
        name = (
            f"test: neural spline flow, {spline['parameters']:,} weights, "
            f"{spline['processor_seconds']:.0f} s of processor time"
        )
        table.append((name, text))
    return table


def lead(results: Results) -> str:
    """The result in two sentences."""
    split = results["splits"]["test"]
    sentence = (
        f"Points that the flow has not seen have a log-density of at least "
        f"{plus_minus(split, 'log_prob')} nats"
    )
    if "true" in split:
        sentence += (
            f", {plus_minus(split, 'gap', 'gap_error')} below the target's, where one "
            f"Gaussian is {split['true'] - split['gaussian']:.3f} below"
        )
    else:
        sentence += f", where one Gaussian gives them {split['gaussian']:.3f}"
    sentence += f". {trained(results, 'weights')}"
    if split["log_prob"] < split["gaussian"] + PLATEAU:
        sentence += ". NO BETTER THAN ONE GAUSSIAN: more steps or another seed may help"
    return sentence + "."


def pictures(
    run: Path, results: Results, arrays: Mapping[str, np.ndarray]
) -> list[tuple[str, str, bytes]]:
    """File name, caption and bytes of each picture, in the order of the report."""
    last = arrays["path_q"].shape[1] - 2
    found = [
        ("density.png", CAPTIONS["density.png"], density_figures.density(arrays)),
        ("energies.png", CAPTIONS["energies.png"], density_figures.energies(arrays)),
        ("step.png", CAPTIONS["step.png"], density_figures.single_step(arrays, last)),
        ("flow.png", CAPTIONS["flow.png"], density_figures.flow(arrays)),
    ]
    if (run / "metrics.jsonl").is_file():
        split = results["splits"]["test"]
        content = density_figures.training(run, split["gaussian"], split.get("true"))
        found.append(("training.png", CAPTIONS["training.png"], content))
    return found


CAPTIONS = {
    "density.png": (
        "Kernel estimates of the target's density and of the flow's, each from 20,000 points or "
        "as many as there are, and the bound of the flow's log-density; the first two coordinates."
    ),
    "energies.png": (
        "What the flow has learned, in the order from the base to the data: V over positions and "
        "K over momenta, in units of the standardised data, first two coordinates, others at 0."
    ),
    "step.png": "The last leapfrog step: arrows from points before it to points after it.",
    "flow.png": "The whole flow: positions of samples from the base to the data, coloured by the "
    "angle at which they start; each picture on its own scale.",
    "training.png": "The bound while training.",
}
ON_A_PAGE = {
    "density.png": "kernel estimates of target and samples, and the learned log-density",
    "energies.png": "learned V and K",
    "step.png": "the last leapfrog step",
    "flow.png": "the whole flow",
}


WHOLE = "circle"
"""The target that a page shows everything of."""


def comparisons(found: Sequence[tuple[Path, Results]]) -> list[tuple[str, str, bytes]]:
    """Name, caption and bytes of a page's pictures: all for the circle, densities for the rest."""
    drawn: list[tuple[str, str, bytes]] = []
    for run, results in found:
        start = f"{results['system']}-{results['settings']['preset']}"
        for name in list(ON_A_PAGE)[: None if results["system"] == WHOLE else 1]:
            source = run / "pictures" / name
            if source.is_file():
                caption = f"{start}: {ON_A_PAGE[name]}"
                drawn.append((f"{start}-{name}", caption, source.read_bytes()))
    return drawn
