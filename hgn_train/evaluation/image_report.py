"""The report of a model that draws frames: its numbers, sentence and pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hgn_train import figures
from hgn_train.evaluation.markdown import chosen_on, plus_minus, too_few, trained

Results = Mapping[str, Any]

NOT_LEARNED = 0.1
"""Share explained below which a model has learned no more than the average image."""

EQUAL_TO_PRIOR = 0.1
"""Nats of a mean KL divergence below which posteriors count as the prior: what the latent state
tells of the frames is at most that, a seventh of a bit."""


def rows(results: Results) -> list[tuple[str, str]]:
    """The numbers of a run, as name and text.

    Arguments:
        results: What `evaluate` returned.

    Returns:
        Rows in the order of the report.
    """
    network = results["settings"]["network"]
    seen, frames = network["inference_frames"], network["frames"]
    table = []
    for name, split in results["splits"].items():
        error = plus_minus(split, form=".2f", scale=1e4)
        table.append((f"{name}: pixel MSE × 1e4, {frames} frames from {seen}", error))
        table += chosen_on(name, split)
        table.append((f"{name}: average image", f"{1e4 * split['average_image']:.2f}"))
        table.append((f"{name}: oracle", f"{1e4 * split['oracle']:.2f}"))
        table.append((f"{name}: share explained", f"{split['share_explained']:.4f}"))
        if "unseen_frames" in split:
            unseen = split["unseen_frames"]["share_explained"]
            table.append((f"{name}: share explained of unseen frames", f"{unseen:.4f}"))
        if "divergence" in split:
            found = split["divergence"]
            text = plus_minus(found, "mean", form=".3g", of_error=".1g")
            if is_the_prior(split):
                text += ", the prior itself"
            table.append((f"{name}: KL of the posteriors from N(0, 1), nats", text))
    energy = results["splits"]["test"]["energy"]
    table.append(("learned H along a test rollout: mean", f"{energy['mean']:.4g}"))
    table.append(("learned H along a test rollout: variance", f"{energy['variance']:.3g}"))
    spread = f"{energy['relative_spread']:.3g}"
    table.append(("learned H: deviation along a rollout / between rollouts", spread))
    if "beyond" in results:
        beyond = results["beyond"]
        for way in ("forward", "backward"):
            share = beyond[way]["share_explained"]
            name = f"{beyond['extra']} frames further {way}"
            table.append((f"{name}: share explained", f"{share:.4f}"))
            if f"valid_{way}" in beyond:
                valid = (
                    f"{beyond[f'valid_{way}']:.2f} ({beyond[f'valid_frames_{way}']:.0f} frames)"
                )
                table.append((f"{name}: valid prediction time, share", valid))
        for speed, part in results["speeds"].items():
            error = plus_minus(part, form=".2f", scale=1e4)
            table.append((f"speed {speed}: pixel MSE × 1e4", error))
            table.append((f"speed {speed}: share explained", f"{part['share_explained']:.4f}"))
    latent = results["latent"]
    table.append(
        ("true state from the latent one: R², linear", f"{latent['readout']['linear']:.3f}")
    )
    table.append(
        ("true state from the latent one: R², quadratic", f"{latent['readout']['quadratic']:.3f}")
    )
    symetric = latent["symetric"]
    if symetric["batches"]:
        table.append(("SyMetric: share of batches that pass", f"{symetric['good']:.2f}"))
        table.append(("SyMetric: R² of its regression", f"{symetric['r2']:.3f}"))
        table.append(("SyMetric: distance from symplectic", f"{symetric['distance']:.3g}"))
    else:
        table.append(("SyMetric", symetric.get("why", TOO_LARGE)))
    samples = results["samples"]
    for key, name in SAMPLES.items():
        if key not in samples:
            continue
        table.append(
            (f"to the nearest training frame, MSE × 1e4: {name}", f"{1e4 * samples[key]:.2f}")
        )
    return table


TOO_LARGE = "not computed for so large a state"
TOO_FEW = "not computed for fewer than five test trajectories"
NOT_FINITE = "not computed for states that are not finite"


SAMPLES = {
    "test_frames": "test frames",
    "reconstructions": "reconstructed test frames",
    "mixture": "samples of the fitted prior",
    "normal": "samples of N(0, 1)",
    "average_image": "the average image",
}


def lead(results: Results) -> str:
    """The result in two sentences."""
    split, settings = results["splits"]["test"], results["settings"]
    network = settings["network"]
    sentence = (
        f"From {network['inference_frames']} frames the model draws {network['frames']} frames of "
        f"test trajectories with a pixel MSE × 1e4 of {1e4 * split['error']:.2f}, where the "
        f"average image has {1e4 * split['average_image']:.2f}: "
        f"{100 * split['share_explained']:.1f} % explained. "
    )
    sentence += trained(results)
    if results.get("own_data", True):
        return sentence + verdict(split, too_few(results)) + "."
    carries = split["share_explained"] >= NOT_LEARNED
    return sentence + ("." if carries else ". What it learned does not carry over to these data.")


def verdict(split: Mapping[str, Any], short: str = "") -> str:
    """What a model does that has not learned, as the end of a sentence; else nothing.

    Arguments:
        split: Results on the test split.
        short: That it was trained for less than usual, if it was.

    Returns:
        The verdict on its rollouts, and on its posteriors where they equal the prior.
    """
    share, text = split["share_explained"], ""
    if math.isnan(share):
        text = ". NOT LEARNED: its rollouts are not finite"
    elif share <= -NOT_LEARNED:
        text = ". NOT LEARNED: its rollouts are further from the truth than the average image"
    elif share < NOT_LEARNED:
        word = "NOT LEARNED YET" if short else "COLLAPSED"
        text = f". {word}: it draws little but the average image"
    text += short if text else ""
    if is_the_prior(split):
        text += (
            f". POSTERIOR EQUAL TO THE PRIOR: their KL divergence is "
            f"{split['divergence']['mean']:.2g} nats, so the latent state carries no information "
            "about the frames"
        )
    elif text and "divergence" in split:
        text += f"; the KL divergence of its posteriors is {split['divergence']['mean']:.3g} nats"
    return text


def is_the_prior(split: Mapping[str, Any]) -> bool:
    """Whether the posteriors of a model that samples are N(0, 1), whatever it sees."""
    return "divergence" in split and split["divergence"]["mean"] < EQUAL_TO_PRIOR


def pictures(
    run: Path, results: Results, arrays: Mapping[str, np.ndarray]
) -> list[tuple[str, str, bytes]]:
    """File name, caption and bytes of each picture, in the order of the report."""
    both = np.concatenate([arrays["test_images"], arrays["test_drawn"]])
    moving = figures.animation(both, zoom=3, columns=len(arrays["test_images"]))
    found = [("rollout.gif", CAPTIONS["rollout.gif"], moving)]
    order = movement(arrays["test_images"])
    found += [
        (
            f"rollout-{place}.png",
            CAPTIONS["rollout.png"],
            figures.rollout_rows(results, arrays, index),
        )
        for place, index in enumerate(order[:2])
    ]
    found += [
        ("error.png", CAPTIONS["error.png"], figures.error_per_frame(results)),
        ("samples.png", CAPTIONS["samples.png"], figures.sample_rows(arrays, "mixture")),
        ("energy.png", CAPTIONS["energy.png"], figures.energy_along_time(arrays)),
        ("phase.png", CAPTIONS["phase.png"], figures.phase_portrait(arrays)),
    ]
    if "samples_normal" in arrays:
        normal = figures.sample_rows(arrays, "normal")
        found.append(("samples-normal.png", CAPTIONS["samples-normal.png"], normal))
    if (run / "metrics.jsonl").is_file():
        found.append(("training.png", CAPTIONS["training.png"], figures.training_curve(run)))
    return found


def movement(images: np.ndarray) -> list[int]:
    """Trajectories in the order of how much their frames change, most first."""
    changes = images.astype(np.float32).std(1).mean((1, 2, 3))
    return [int(index) for index in np.argsort(-changes)]


CAPTIONS = {
    "rollout.gif": "Test trajectories: true above, model below.",
    "rollout.png": (
        "A test trajectory and what the model makes of its first frames: every other frame of the "
        "original and of the reconstruction; then, each below the simulator's, backward in time "
        "from the inferred state, at double and at half speed."
    ),
    "error.png": "Error of each frame, within the trained length and beyond.",
    "samples.png": (
        "New trajectories, one per row, sampled from the prior fitted to the posteriors of the "
        "training data."
    ),
    "samples-normal.png": (
        "The same from N(0, 1), as in the paper. With a small KL weight the encoder uses little "
        "of it."
    ),
    "energy.png": "Learned H along test rollouts, including beyond the trained length.",
    "phase.png": (
        "The learned phase space: latent q and p of test rollouts along their two main "
        "directions, coloured by the true ones."
    ),
    "training.png": "Training.",
}
