"""Judging a run of a model that draws frames: everything that its report shows.

Predictions start from the posterior mean of the inference frames. Numbers go to `evaluation.json`,
frames and curves that are drawn later to `evaluation.npz`, both in the folder of the run, or below
it where it is judged on other data than its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hgn_train import metrics
from hgn_train.evaluation import elsewhere
from hgn_train.evaluation.image_report import lead, pictures, rows
from hgn_train.evaluation.image_table import comparisons, tables
from hgn_train.evaluation.judged import Judged, from_bytes, judged, to_bytes
from hgn_train.evaluation.latents import fit_prior, judge_latent, judge_samples
from hgn_train.evaluation.results import also_chose, keep, training_facts
from hgn_train.models.hgn import kl_from_standard_normal
from hgn_train.settings import load
from physim.scoring import average_image

__all__ = ["comparisons", "evaluate", "lead", "pictures", "rows", "tables"]

EXTRA = 60
SPEEDS = (0.5, 2.0)
SHOWN = 6
LATENTS = 256


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
        device: Where to compute.
        n: Trajectories of each split.
        extra: Frames before and after a training rollout that predictions are followed to; by
            default `EXTRA`.
        folder: Another data set than the run's own.
        say: Called with what is being done.

    Returns:
        The results, as written to `evaluation.json`.

    Raises:
        PhysimError: No run, a damaged checkpoint, or data that does not fit.
    """
    started = time.perf_counter()
    extra = EXTRA if extra is None else extra
    it = judged(run, device, folder)
    place = elsewhere.folder_of(run, load(run), str(it.source.folder))
    fit_prior(run, device, folder if place == run else None)
    average = average_image(it.source.dataset).astype(np.float32)
    settings = json.loads((run / "config.json").read_text())
    results: dict[str, Any] = {
        "system": it.source.system,
        "data": str(it.source.folder),
        "own_data": place == run,
        "settings": settings,
        "parameters": sum(w.numel() for w in it.model.parameters()),
        "anchor": it.anchor,
        "training": training_facts(run),
        "splits": {},
    }
    arrays: dict[str, np.ndarray] = {"average_image": average}
    for name, split in it.source.dataset.splits.items():
        if not len(split):
            continue
        say(f"{name}: {min(n, len(split))} trajectories")
        results["splits"][name], kept = judge_split(it, name, min(n, len(split)), average)
        arrays |= {f"{name}_{key}": value for key, value in kept.items()}
        if name == "test" and place == run:
            results["splits"][name] |= also_chose(settings, len(split), n)
    say(f"{extra} frames further, backward and at other speeds")
    more, kept = judge_beyond(it, "test", min(n, 256), extra, average)
    results |= more
    arrays |= kept
    say("latent states")
    states = {
        name: np.concatenate([arrays[f"{name}_latent_q"], arrays[f"{name}_latent_p"]], -1)
        for name in results["splits"]
    }
    results["latent"] = judge_latent(it, states)
    say("samples of the prior")
    results["samples"], kept = judge_samples(it, run, 64)
    arrays |= kept
    results["seconds"] = time.perf_counter() - started
    keep(place, results, arrays)
    return results


def judge_split(
    it: Judged, name: str, n: int, average: np.ndarray
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Errors on trajectories of the length that was trained on."""
    split = it.source.dataset.splits[name]
    images = split.image[:n][:, : it.frames]
    z, log_sigma = it.posteriors(images)
    drawn, q, p, energy = it.rollout(z, it.frames - 1 - it.anchor, it.anchor)
    real = from_bytes(images)
    errors = metrics.frame_errors(drawn, real)
    averages = metrics.frame_errors(np.broadcast_to(average, drawn.shape), real)
    oracle = np.zeros_like(errors)
    if it.source.dataset.recipe.noise:
        clean = it.source.dataset.draw(name, slice(0, n), split.q[:n][:, : it.frames])
        oracle = metrics.frame_errors(from_bytes(clean), real)
    mean, standard_error = metrics.mean_and_standard_error(errors.mean(1))
    seen = it.model.settings.inference_frames
    results = {
        "trajectories": n,
        "error": mean,
        "standard_error": standard_error,
        "average_image": float(averages.mean()),
        "oracle": float(oracle.mean()),
        "share_explained": metrics.share_explained(
            mean, float(averages.mean()), float(oracle.mean())
        ),
        "per_frame": errors.mean(0).tolist(),
        "per_frame_average_image": averages.mean(0).tolist(),
        "energy": metrics.energy_statistics(energy),
    }
    if it.model.settings.stochastic:
        divergences = kl_from_standard_normal(z, log_sigma).double().cpu().numpy()
        mean, standard_error = metrics.mean_and_standard_error(divergences)
        results["divergence"] = {"mean": mean, "standard_error": standard_error}
    if seen < it.frames:
        unseen = metrics.share_explained(
            float(errors[:, seen:].mean()),
            float(averages[:, seen:].mean()),
            float(oracle[:, seen:].mean()),
        )
        results["unseen_frames"] = {
            "error": float(errors[:, seen:].mean()),
            "share_explained": unseen,
        }
    kept = {
        "images": images[:SHOWN],
        "drawn": to_bytes(drawn[:SHOWN]),
        "energy": energy[:SHOWN],
        "latent_q": q[:LATENTS],
        "latent_p": p[:LATENTS],
        "true_q": split.q[:n][:LATENTS, : it.frames, 0],
        "true_p": split.p[:n][:LATENTS, : it.frames, 0],
    }
    return results, kept


def judge_beyond(
    it: Judged, name: str, n: int, extra: int, average: np.ndarray
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Further forward and backward than trained, and at other speeds, against the simulator."""
    split = it.source.dataset.splits[name]
    n = min(n, len(split))
    images = split.image[:n][:, : it.frames]
    z = it.latents(images)
    ahead, behind = it.frames - 1 - it.anchor + extra, it.anchor + extra
    real = true_frames(it, name, slice(0, n), ahead, behind)
    drawn, _, _, energy = it.rollout(z, ahead, behind)
    errors = metrics.frame_errors(drawn, real)
    averages = metrics.frame_errors(np.broadcast_to(average, drawn.shape), real)
    first, last = behind - it.anchor, behind - it.anchor + it.frames
    results: dict[str, Any] = {
        "beyond": {
            "extra": extra,
            "trajectories": n,
            "per_frame": errors.mean(0).tolist(),
            "per_frame_average_image": averages.mean(0).tolist(),
            "first_frame": -first,
            "forward": beyond_part(errors[:, last:], averages[:, last:]),
            "backward": beyond_part(errors[:, :first], averages[:, :first]),
            **valid_part("forward", drawn[:, behind:], real[:, behind:], average),
            **valid_part("backward", drawn[:, behind::-1], real[:, behind::-1], average),
            "energy": metrics.energy_statistics(energy),
        },
        "speeds": {},
    }
    arrays = {
        "beyond_images": to_bytes(real[:SHOWN]),
        "beyond_drawn": to_bytes(drawn[:SHOWN]),
        "beyond_energy": energy[:SHOWN],
    }
    for speed in SPEEDS:
        ahead, behind = it.frames - 1 - it.anchor, it.anchor
        real = true_frames(it, name, slice(0, n), ahead, behind, speed)
        drawn, _, _, _ = it.rollout(z, ahead, behind, speed)
        errors = metrics.frame_errors(drawn, real)
        averages = metrics.frame_errors(np.broadcast_to(average, drawn.shape), real)
        results["speeds"][str(speed)] = beyond_part(errors, averages)
        arrays[f"speed_{speed}_images"] = to_bytes(real[:SHOWN])
        arrays[f"speed_{speed}_drawn"] = to_bytes(drawn[:SHOWN])
    return results, arrays


def true_frames(
    it: Judged, name: str, rows: slice, ahead: int, behind: int, speed: float = 1.0
) -> np.ndarray:
    """What the simulator draws around the inferred state, (n, frames, height, width, channel)."""
    times = it.source.dt * (it.anchor + speed * np.arange(-behind, ahead + 1))
    q, _ = it.source.dataset.states(name, rows, times)
    return from_bytes(it.source.dataset.draw(name, rows, q))


def valid_part(
    way: str, drawn: np.ndarray, real: np.ndarray, average: np.ndarray
) -> dict[str, float]:
    """Median of the valid prediction time, in frames and as a share of all.

    Nothing where most rollouts of the average image are valid to their end, as those of bodies so
    small that they hardly change a frame: there it says nothing about a model.
    """
    frames = drawn.shape[1]
    blank = metrics.valid_prediction_time(np.broadcast_to(average, real.shape), real)
    if np.median(blank) == frames:
        return {}
    valid = float(np.median(metrics.valid_prediction_time(drawn, real)))
    return {f"valid_{way}": valid / frames, f"valid_frames_{way}": valid}


def beyond_part(errors: np.ndarray, averages: np.ndarray) -> dict[str, float]:
    """Error, its reference and the share explained, of some frames."""
    if errors.size == 0:
        return {}
    mean, standard_error = metrics.mean_and_standard_error(errors.mean(1))
    return {
        "error": mean,
        "standard_error": standard_error,
        "average_image": float(averages.mean()),
        "share_explained": metrics.share_explained(mean, float(averages.mean())),
    }
