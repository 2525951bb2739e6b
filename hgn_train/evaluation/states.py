"""Evaluation of a run of a model of states: its derivatives, and the resulting motion.

The learned motion is integrated in float64 from the true first states of test trajectories, by
SciPy's DOP853 at a tolerance of 1e-9, far below any model's error. The energy that is looked at is
the true H of the states that the model comes to.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hgn_train import checkpoint, metrics, states, truth
from hgn_train.data import Source
from hgn_train.evaluation import elsewhere
from hgn_train.evaluation.results import also_chose, keep, training_facts
from hgn_train.evaluation.state_report import lead, pictures, rows
from hgn_train.evaluation.state_table import comparisons, tables

__all__ = ["comparisons", "evaluate", "lead", "pictures", "rows", "tables"]

DURATIONS = {"mass_spring": 48.0, "pendulum": 20.0, "two_body": 25.0, "three_body": 3.0}
"""For how long the paper's authors follow a rollout. Their spring's times grow from trajectory to
trajectory, from about 22 to 73; this is the middle."""

POINTS = 500
TOLERANCE = 1e-9
SHOWN = 6


def evaluate(
    run: Path,
    device: torch.device,
    n: int = 512,
    extra: int | None = None,
    folder: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Judge a run.

    Arguments:
        run: Its folder.
        device: Unused: float64 and small networks want a CPU.
        n: Trajectories of each split, at most.
        extra: Frames that rollouts are followed beyond the length of the data; by default to
            `DURATIONS`, or not beyond.
        folder: Another data set than the run's own.
        say: Called with what is being done.

    Returns:
        The results, as written to `evaluation.json`.

    Raises:
        PhysimError: No run, a damaged checkpoint, or data that does not fit.
    """
    started = time.perf_counter()
    model, settings, _ = checkpoint.load_model(run, torch.device("cpu"))
    if not folder:
        elsewhere.check_there(run, settings)
    source = states.open_states(folder or settings.data, settings.network).source
    motion: Any = copy.deepcopy(model.motion).double()
    results: dict[str, Any] = {
        "system": source.system,
        "data": str(source.folder),
        "settings": json.loads((run / "config.json").read_text()),
        "parameters": sum(w.numel() for w in model.parameters() if w.requires_grad),
        "training": training_facts(run),
        "splits": {},
    }
    place = elsewhere.folder_of(run, settings, results["data"])
    for name, split in source.dataset.splits.items():
        if len(split):
            say(f"{name}: {min(n, len(split))} trajectories")
            results["splits"][name] = judge_split(motion, source, name, min(n, len(split)))
        if name == "test" and place == run:
            results["splits"][name] |= also_chose(results["settings"], len(split), n)
    duration = (source.frames - 1 + (extra or 0)) * source.dt
    if extra is None:
        duration = DURATIONS.get(source.system, duration)
    say(f"test: rollouts for {duration:g} units of time")
    results["rollout"], arrays = judge_rollouts(motion, source, n, duration)
    results["seconds"] = time.perf_counter() - started
    keep(place, results, arrays)
    return results


@torch.no_grad()
def judge_split(motion: nn.Module, source: Source, name: str, n: int) -> dict[str, Any]:
    """Errors of the derivatives at true states, and at observed ones where these are noisy."""
    results: dict[str, Any] = {"trajectories": n}
    for key, noisy in (("true_states", False), ("observed_states", True)):
        if noisy and not source.dataset.recipe.noise:
            continue
        found = states.states(source, name, n, noisy)
        flat = {
            key: torch.from_numpy(array.reshape(-1, array.shape[-1]))
            for key, array in found.items()
        }
        errors = states.derivative_error(motion, flat).reshape(n, -1).mean(1)
        mean, standard_error = metrics.mean_and_standard_error(errors.numpy())
        spread = np.mean(
            [
                found[kind].reshape(-1, source.dataset.system.dimension).var(0).mean()
                for kind in ("dq_dt", "dp_dt")
            ]
        )
        results[key] = {
            "error": mean,
            "standard_error": standard_error,
            "variance": float(spread),
            "share_explained": metrics.share_explained(mean, float(spread)),
        }
    return results


def judge_rollouts(
    motion: nn.Module, source: Source, n: int, duration: float
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The learned motion beside the true one, from the same first states."""
    split = source.dataset.test
    n = min(n, len(split))
    params = source.dataset.params("test", slice(0, n))
    times = np.linspace(0, duration, POINTS)
    q, p = source.dataset.states("test", slice(0, n), times)
    model_q, model_p = integrated(motion, split.q[:n][:, 0], split.p[:n][:, 0], times)
    with np.errstate(over="ignore", invalid="ignore"):  # a motion may diverge
        energy, model_energy = (
            truth.energy(source, x, y, params) for x, y in ((q, p), (model_q, model_p))
        )
        energy_errors = (model_energy - energy) ** 2
        apart = np.concatenate([model_q - q, model_p - p], -1)
        coordinate_errors = (apart**2).mean(-1)
    results: dict[str, Any] = {
        "trajectories": n,
        "duration": duration,
        "not_finite": int((~np.isfinite(energy_errors).all(1)).sum()),
        "energy": _spread(energy_errors),
        "coordinates": _spread(coordinate_errors),
        "mean_absolute_energy": float(np.abs(energy).mean()),
    }
    if hasattr(motion, "hamiltonian"):
        learned = learned_energy(motion, model_q, model_p)
        results["learned_drift"] = float(np.abs(learned - learned[:, :1]).max())
    kept = slice(0, SHOWN)
    arrays = {
        "times": times,
        "q": q[kept],
        "p": p[kept],
        "model_q": model_q[kept],
        "model_p": model_p[kept],
        "energy": energy[kept],
        "model_energy": model_energy[kept],
        "energy_error": energy_errors.mean(0),
        "coordinate_error": coordinate_errors.mean(0),
    }
    return results, arrays


def _spread(errors: np.ndarray) -> dict[str, float]:
    """Mean, its standard error and median over trajectories of errors, (n, times).

    Those that diverge make the first two nan, and count as the largest for the median.
    """
    each = errors.mean(1)
    each[~np.isfinite(each)] = np.nan
    mean, standard_error = metrics.mean_and_standard_error(each)
    return {
        "error": mean,
        "standard_error": standard_error,
        "median": float(np.median(np.nan_to_num(each, nan=np.inf))),
    }


def integrated(
    motion: nn.Module, q0: np.ndarray, p0: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The learned motion from given states, all trajectories as one system.

    Arguments:
        motion: From q and p to their derivatives, float64.
        q0: (n, d).
        p0: (n, d).
        times: From 0 on, (times,).

    Returns:
        q and p, (n, times, d); nan from where a trajectory that diverges can be followed to.
    """
    from scipy.integrate import solve_ivp

    shape = (2, *q0.shape)

    def field(_: float, y: np.ndarray) -> np.ndarray:
        q, p = torch.from_numpy(y.reshape(shape))
        with torch.no_grad():
            return torch.stack(motion(q, p)).numpy().reshape(-1)

    with np.errstate(over="ignore", invalid="ignore"):
        found = solve_ivp(
            field,
            (0.0, float(times[-1])),
            np.stack([q0, p0]).reshape(-1),
            method="DOP853",
            t_eval=times,
            rtol=TOLERANCE,
            atol=TOLERANCE,
        )
    if not found.success and len(q0) > 1:  # one that diverges does not end the others
        half = len(q0) // 2
        parts = [
            integrated(motion, q0[rows], p0[rows], times)
            for rows in (slice(half), slice(half, None))
        ]
        q, p = (np.concatenate(both) for both in zip(*parts, strict=True))
        return q, p
    reached = np.full((q0.size + p0.size, len(times)), np.nan)
    reached[:, : found.y.shape[1]] = found.y
    q, p = reached.reshape(*shape, len(times)).transpose(0, 1, 3, 2)
    return q, p


@torch.no_grad()
def learned_energy(motion: nn.Module, q: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Learned H of states, (n, times)."""
    flat = (torch.from_numpy(np.ascontiguousarray(x).reshape(-1, x.shape[-1])) for x in (q, p))
    return motion.hamiltonian(*flat).reshape(q.shape[:2]).numpy()  # type: ignore[operator]
