"""Models that draw frames, as figures 5 and 6 name and colour them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hgn_train.paper import page
from hgn_train.paper.figure import Material, Need, Run

COLOURS = {"HGN": page.BLUE, "HNN": page.ORANGE, "HNN, convolutional": page.GREEN}

PRESETS = {"HNN": "small", "HNN, convolutional": "small-conv"}
"""Of the baselines, by which the small scale trains what is missing."""


def name_of(run: Run) -> str:
    """The name of the model of a run, one of `COLOURS`, or nothing where it draws no frames."""
    if run.need.model == "hgn":
        return "HGN"
    if run.need.model == "pixel-hnn":
        dense = run.settings["network"]["autoencoder"] == "dense"
        return "HNN" if dense else "HNN, convolutional"
    return ""


def find(material: Material, name: str, system: str) -> Run | None:
    """The run of a model on a system, or none."""
    there = (run for run in material.runs if run.need.subject == system)
    return next((run for run in there if name_of(run) == name), None)


def on(material: Material, system: str) -> dict[str, Run]:
    """The run of each model on a system, by name."""
    found = {name: find(material, name, system) for name in COLOURS}
    return {name: run for name, run in found.items() if run is not None}


def explained(runs: Iterable[Run]) -> str:
    """A sentence about the baselines, if there are any among the runs."""
    names = dict.fromkeys(name_of(run) for run in runs if run.need.model == "pixel-hnn")
    if not names:
        return ""
    words = {"HNN": "with the authors' dense autoencoder", "HNN, convolutional": "with HGN's"}
    parts = " and ".join(words[name] for name in names)
    return (
        f" HNN is the pixel model of Greydanus et al. (2019), {parts}, trained on consecutive "
        "frames and rolled out from the first ones."
    )


def needs(systems: Sequence[str]) -> list[Need]:
    """Each model on each system."""
    baselines = [Need("pixel-hnn", name, of) for of in PRESETS.values() for name in systems]
    return [*(Need("hgn", name) for name in systems), *baselines]
