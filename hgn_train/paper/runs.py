"""Runs that figures are drawn from: those that are there, and how to say what one is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from shlex import quote

from hgn_train.evaluation.elsewhere import is_of_other_data, is_same
from hgn_train.evaluation.markdown import history
from hgn_train.evaluation.results import numbers
from hgn_train.paper.figure import Need, Run
from hgn_train.presets import changes
from physim.errors import PhysimError

PRESETS = ("tuned", "paper", "conv", "plus", "long", "small", "small-conv", "test")
"""Of several runs of a model on a system, the one of the first of these is shown."""


def found(folders: Iterable[Path]) -> list[Run]:
    """The evaluated runs below some folders, the best first.

    Arguments:
        folders: Folders of runs, or runs; links in them to others count too.

    Returns:
        The runs: of the largest preset first, then of the least seed, then of the first folder;
        those that started from another run or were prolonged come last.
        What they were judged to be on other data than their own is left out.

    Raises:
        PhysimError: A folder that is not there, or results that are damaged.
    """
    runs = []
    for folder in folders:
        if not folder.is_dir():
            raise PhysimError(f"--runs: got '{folder}', expected a folder of runs")
        links = [path for path in folder.iterdir() if path.is_symlink()]
        paths = sorted(path for at in (folder, *links) for path in at.rglob("evaluation.json"))
        runs += [_run(path) for path in paths if not is_of_other_data(path.parent)]
    return sorted(runs, key=_rank)  # stable: folders keep their order


def _run(path: Path) -> Run:
    try:
        results = numbers(path.parent)
        settings = results["settings"]
        need = Need(settings["model"], results["system"], settings["preset"])
        seed = settings["train"]["seed"]
    except (OSError, ValueError, KeyError, TypeError, PhysimError):
        seed = None
    if not isinstance(seed, int):
        raise PhysimError(f"{path}: damaged; `hgn-train evaluate {path.parent}` remakes it")
    return Run(path.parent, need, results)


def _rank(run: Run) -> tuple[bool, int, int]:
    preset = run.settings["preset"]
    place = PRESETS.index(preset) if preset in PRESETS else len(PRESETS)
    return bool(history(run.settings)), place, run.settings["train"]["seed"]


def sentence(run: Run) -> str:
    """What a run is: model, data, size, steps, seed, time, and the command that makes it.

    Arguments:
        run: A run.

    Returns:
        A line of Markdown.
    """
    results, settings = run.results, run.settings
    training, train = results["training"], settings["train"]
    rows = train["trajectories"]
    used = f"the first {rows:,} rows of the training data" if rows else "all training data"
    steps = training.get("steps", 0)
    of = f" of {train['steps']:,}" if steps < train["steps"] else ""
    parts = [
        f"{settings['model']} on {results['system']}",
        f"preset {settings['preset']}",
        f"{results['parameters']:,} parameters",
        used,
        f"{steps:,}{of} steps of {train['batch_size']}",
        f"seed {train['seed']}",
        *history(settings),
    ]
    device = training.get("device", "cpu")
    if device == "cpu" and "processor_seconds" in training:
        parts.append(f"trained in {training['processor_seconds']:.0f} s of processor time")
    elif "seconds" in training:
        parts.append(f"trained in {training['seconds']:.0f} s on {device}")
    return f"{', '.join(parts)}: `{command(run)}`"


def command(run: Run) -> str:
    """The command that makes such a run.

    Arguments:
        run: A run.

    Returns:
        A line for a shell, without folders that are defaults.
    """
    settings = run.settings
    start = settings.get("start")
    begin = fit if start else START.get(settings["model"], fit)
    words = ["hgn-train", *begin(run), *(["--from", quote(start["run"])] if start else [])]
    words += ["--preset", settings["preset"]]
    if settings["train"]["seed"]:
        words += ["--seed", str(settings["train"]["seed"])]
    for name, value in changes(settings, run.need.subject).items():
        words += ["--set", f"{name}={json.dumps(value).replace(' ', '').strip(chr(34))}"]
    return " ".join(words)


def fit(run: Run) -> list[str]:
    """The words of a run on a data set, or on the target of a flow."""
    model, data = run.need.model, run.settings["data"]
    option = "--target" if model == "nhf" else "--data"
    out = f"runs/{run.need.folder}"
    return ["fit", "--model", model, option, quote(data), "--out", quote(out)]


def auto(run: Run) -> list[str]:
    """The words from a system to a report, with the data where they are not the default."""
    subject, data = run.need.subject, run.settings["data"]
    words = ["auto", "--system", subject]
    return words if is_same(f"datasets/hgn/{subject}", data) else [*words, "--data", quote(data)]


START = {"hgn": auto}
"""By model, how its command starts where it is not `fit` with a folder of data."""
