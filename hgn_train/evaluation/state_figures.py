"""Pictures of learned motions of states: phase portraits or orbits, energy and errors in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hgn_train import log
from hgn_train.figures import BLUE, GREY, ORANGE, as_png, sheet

Arrays = Mapping[str, np.ndarray]
Models = Sequence[tuple[str, Arrays]]
"""Name and arrays of each model that is shown, of the same data."""

COLOURS = {"hnn": BLUE, "mlp": ORANGE}
TRUTH: dict[str, Any] = {"color": GREY, "lw": 3, "alpha": 0.5}
SHOWN = 3


def paths(models: Models) -> bytes:
    """Truth and model side by side: the phase plane, or the orbits of one trajectory.

    Arguments:
        models: What is shown.

    Returns:
        PNG bytes.
    """
    figure, axes = sheet(len(models), 4, 3.6)
    for axis, (name, arrays) in zip(axes, models, strict=True):
        plane = arrays["q"].shape[-1] == 1
        true, learned = (_lines(arrays, who, plane) for who in ("", "model_"))
        for index, (x, y) in enumerate(true):
            axis.plot(x, y, **TRUTH, label="truth" if index == 0 else None)
        for index, (x, y) in enumerate(learned):
            colour = COLOURS.get(name, BLUE)
            axis.plot(x, y, color=colour, lw=1, label=name if index == 0 else None)
        reach = 1.4 * max(np.abs(np.concatenate(line)).max() for line in true)
        axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", title=name)
        axis.set(xlabel="q" if plane else "x", ylabel="p" if plane else "y")
        axis.legend(frameon=False, fontsize=8, loc="upper right")
    return as_png(figure)


def _lines(arrays: Arrays, who: str, plane: bool) -> list[np.ndarray]:
    """What is drawn, (2, times) each: of several rollouts, or of the bodies of one."""
    q, p = arrays[f"{who}q"], arrays[f"{who}p"]
    if plane:
        return [np.stack([q[k, :, 0], p[k, :, 0]]) for k in range(min(SHOWN, len(q)))]
    return [q[0, :, 2 * body : 2 * body + 2].T for body in range(q.shape[-1] // 2)]


def energies(models: Models) -> bytes:
    """True H of what the models come to, along some test rollouts, less that at the start."""
    figure, axes = sheet(len(models), 4)
    for axis, (name, arrays) in zip(axes, models, strict=True):
        axis.axhline(0, **TRUTH, label="truth")
        for index, energy in enumerate(arrays["model_energy"]):
            label = name if index == 0 else None
            change = energy - arrays["energy"][index]
            axis.plot(arrays["times"], change, color=COLOURS.get(name, BLUE), lw=1, label=label)
        axis.set(xlabel="time", ylabel="H of the model's state − H of the truth", title=name)
        axis.set_yscale("symlog", linthresh=_threshold([a for _, a in models]))
        axis.legend(fontsize=8, loc="upper left", edgecolor="none", framealpha=0.8)
    lowest = min(axis.get_ylim()[0] for axis in axes)
    highest = max(axis.get_ylim()[1] for axis in axes)
    for axis in axes:
        axis.set_ylim(lowest, highest)
    return as_png(figure)


def _threshold(models: Sequence[Arrays]) -> float:
    """Where a logarithmic axis becomes linear: a power of ten below the least median deviation."""
    medians = [np.nanmedian(np.abs(a["model_energy"] - a["energy"])) for a in models]
    return float(10 ** np.floor(np.log10(max(min(medians), 1e-12))))


def errors(models: Models) -> bytes:
    """Squared error of energy and of coordinates along time, means over test rollouts."""
    figure, axes = sheet(2)
    words = (("energy_error", "energy, MSE"), ("coordinate_error", "coordinates, MSE"))
    for axis, (key, label) in zip(axes, words, strict=True):
        for name, arrays in models:
            shown = slice(1, None)  # at the start there is none
            colour = COLOURS.get(name, BLUE)
            axis.plot(arrays["times"][shown], arrays[key][shown], color=colour, label=name)
        axis.set(xlabel="time", ylabel=label, yscale="log")
        axis.legend(frameon=False, fontsize=8)
    return as_png(figure)


def training_curve(run: Path) -> bytes:
    """Error of derivatives while training, and on held-out states."""
    lines = log.lines(run)
    figure, (axis,) = sheet(1)
    loss = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    held_out = [(e["step"], e["held_out_error"]) for e in lines if "held_out_error" in e]
    if loss:
        axis.plot(*np.array(loss).T, color=ORANGE, lw=1, label="training")
    if held_out:
        axis.plot(*np.array(held_out).T, color=BLUE, marker="o", ms=3, ls="", label="held out")
    axis.set(xlabel="step", ylabel="derivatives, MSE", yscale="log")
    axis.legend(frameon=False, fontsize=8)
    return as_png(figure)
