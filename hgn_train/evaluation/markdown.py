"""Pieces of tables and of sentences about runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hgn_train.presets import changes, settings_of
from physim.errors import PhysimError

SYSTEMS = ("mass_spring", "pendulum", "two_body", "three_body")
"""In the order of tables."""


def row(cells: Sequence[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with its head."""
    return "\n".join([row(head), row(["---"] * len(head)), *(row(cells) for cells in rows)])


def plus_minus(
    part: Mapping[str, Any],
    name: str = "error",
    error: str = "standard_error",
    form: str = ".3f",
    scale: float = 1,
    of_error: str = "",
) -> str:
    """A mean with its standard error, which a single value has not.

    Arguments:
        part: Results.
        name: Of the mean.
        error: Of its standard error.
        form: How the mean is written.
        scale: What both are multiplied by.
        of_error: How the error is written, if not as the mean.

    Example:
        >>> plus_minus({"error": 2e-4, "standard_error": 1e-5}, form=".1f", scale=1e4)
        '2.0 ± 0.1'
    """
    text, spread = format(scale * part[name], form), scale * part[error]
    return text if math.isnan(spread) else f"{text} ± {format(spread, of_error or form)}"


def chosen_on(name: str, split: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A row for the rows of a split that also chose the weights, if there are any.

    Arguments:
        name: Of the split.
        split: Its results.

    Example:
        >>> chosen_on("test", {"trajectories": 80, "also_chose": 10})
        [('test: of these trajectories, also used to choose the weights', '10 of 80')]
    """
    kind = "points" if "points" in split else "trajectories"
    if "also_chose" not in split:
        return []
    row = f"{name}: of these {kind}, also used to choose the weights"
    return [(row, f"{split['also_chose']} of {split[kind]}")]


def training_time(training: Mapping[str, Any]) -> str:
    """How long a training took: of one thread the processor's time, which other programs leave.

    Arguments:
        training: What a run says of it; nothing of time if it was not timed.

    Example:
        >>> facts = {"seconds": 130.0, "processor_seconds": 61.2, "threads": 1, "device": "cpu"}
        >>> training_time(facts)
        '61 s of one core'
    """
    if "seconds" not in training:
        return "–"
    device, threads = training.get("device", "cpu"), training.get("threads", 0)
    if device != "cpu":
        return f"{training['seconds']:.0f} s on {device}"
    if threads == 1 and "processor_seconds" in training:
        return f"{training['processor_seconds']:.0f} s of one core"
    return f"{training['seconds']:.0f} s on cpu" + (f", {threads} threads" if threads else "")


def history(settings: Mapping[str, Any]) -> list[str]:
    """What happened to a run that is not one training from its own first weights, in phrases.

    Arguments:
        settings: Of the run.

    Example:
        >>> history({"start": {"run": "runs/a", "step": 200}, "extended": [[300, 300]]})
        ['from the weights of runs/a after 200 steps', 'prolonged at step 300 of 300']
    """
    start, extended = settings.get("start"), settings.get("extended", ())
    words = [f"prolonged at step {done:,} of {of:,}" for done, of in extended]
    if start:
        words.insert(0, f"from the weights of {start['run']} after {start['step']:,} steps")
    return words


def how(results: Mapping[str, Any]) -> str:
    """A run's preset, what it changes of it, and its history, as a cell of a table."""
    settings = results["settings"]
    other = changes(settings, results["system"])
    words = [settings["preset"], *(f"{name}={value}".lower() for name, value in other.items())]
    return ", ".join([*words, *history(settings)])


def trained(results: Mapping[str, Any], weights: str = "parameters", rows: str = "") -> str:
    """How a run was trained, as a sentence without its full stop.

    Arguments:
        results: Of the run.
        weights: What its weights are called.
        rows: What a batch is made of.
    """
    settings, training = results["settings"], results["training"]
    words = [
        f"Preset {settings['preset']}",
        f"{results['parameters']:,} {weights}",
        f"{training.get('steps', 0):,} steps of {settings['train']['batch_size']}{rows}",
        *history(settings),
    ]
    if "seconds" in training:
        words.append(f"trained in {training['seconds']:.0f} s on {training.get('device', 'cpu')}")
    return ", ".join(words)


def too_few(results: Mapping[str, Any]) -> str:
    """That a run had fewer steps than its preset has, as the end of a sentence; else nothing.

    Arguments:
        results: Of the run.
    """
    settings, steps = results["settings"], results["training"].get("steps", math.inf)
    try:
        usual = settings_of(
            settings["preset"], "", settings["model"], system=results["system"]
        ).train.steps
    except (PhysimError, KeyError):  # the preset has gone
        return ""
    return f", after {steps:,} steps, where its preset has {usual:,}" if steps < usual else ""


def place(system: str) -> int:
    """Where a system stands in a table; unknown ones come last."""
    return SYSTEMS.index(system) if system in SYSTEMS else len(SYSTEMS)
