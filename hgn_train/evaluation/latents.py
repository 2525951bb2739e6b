"""What the latent states of a model are worth: against the true ones, and as samples."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hgn_train import checkpoint, data, metrics, prior, truth
from hgn_train.evaluation.image_report import NOT_FINITE, TOO_FEW, TOO_LARGE
from hgn_train.evaluation.judged import Judged, from_bytes, judged, to_bytes
from physim.errors import PhysimError

PRIOR = "prior.safetensors"

SYMETRIC_LARGEST = 128
"""Largest latent state for which SyMetric is computed; beyond it its regressions take hours."""


def judge_latent(it: Judged, states: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """How well the true state can be read off the latent one, and how symplectic that map is.

    Arguments:
        it: The model with its data.
        states: Rolled-out latent states of the first trajectories of `train` and of `test`, q and
            p together, (n, frames, size) each.

    Returns:
        `readout` and `symetric`.
    """
    latent, latent_test = states["train"], states["test"]
    (q, p), (q_test, p_test) = (
        (split.q[:n][:, : it.frames], split.p[:n][:, : it.frames])
        for split, n in (
            (it.source.dataset.train, len(latent)),
            (it.source.dataset.test, len(latent_test)),
        )
    )
    size = latent.shape[-1]
    found = truth.observed(it.source, q, p)
    found_test = truth.observed(it.source, q_test, p_test)
    scores = metrics.readout(
        latent.reshape(-1, size),
        found.reshape(-1, found.shape[-1]),
        latent_test.reshape(-1, size),
        found_test.reshape(-1, found.shape[-1]),
    )
    state = np.concatenate([q_test, p_test], -1)
    why = ""
    if size > SYMETRIC_LARGEST:
        why = TOO_LARGE
    elif len(state) < 5:
        why = TOO_FEW
    elif not np.isfinite(latent_test).all():
        why = NOT_FINITE
    starts = () if why else range(0, min(25, len(state) - 4), 5)
    rounds = [
        metrics.symetric(latent_test[start : start + 5], state[start : start + 5], seed=start)
        for start in starts
    ]

    def mean(values: list[float]) -> float | None:
        return float(np.mean(values)) if values else None

    return {
        "readout": dataclasses.asdict(scores),
        "symetric": {
            **({"why": why} if why else {}),
            "r2": mean([one.r2 for one in rounds]),
            "distance": mean([one.distance for one in rounds]),
            "good": mean([float(one.good) for one in rounds]),
            "batches": len(rounds),
        },
    }


def judge_samples(it: Judged, run: Path, n: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """How far samples are from the nearest frame of the data, beside how far test frames are."""
    split = it.source.dataset.train
    real = split.image[: min(len(split), 400)][:, : it.frames]
    real = real.reshape(-1, *real.shape[2:])
    test = it.source.dataset.test.image[:n][:, : it.frames]

    def nearest(images: np.ndarray) -> float:
        flat = images.reshape(-1, int(np.prod(images.shape[2:]))).astype(np.float32)
        return float(metrics.nearest_distances(flat, flat_real).mean())

    flat_real = from_bytes(real).reshape(len(real), -1)
    results: dict[str, Any] = {"test_frames": nearest(from_bytes(test))}
    drawn = it.rollout(it.latents(test), it.frames - 1 - it.anchor, it.anchor)[0]
    results["reconstructions"] = nearest(drawn)
    average = real.mean(0, dtype=np.float64)[None, None] / 255
    results["average_image"] = nearest(average)
    arrays = {}
    for kind in prior.KINDS if it.model.settings.stochastic else ("mixture",):
        generator = torch.Generator(device=it.device).manual_seed(0)
        z = sample_latents(it.model, run, kind, n, generator)
        images = it.rollout(z, it.frames - 1 - it.anchor, it.anchor)[0]
        results[kind] = nearest(images)
        arrays[f"samples_{kind}"] = to_bytes(images[:16])
    return results, arrays


def fit_prior(run: Path, device: torch.device, folder: str | None = None, n: int = 10_000) -> None:
    """Fit the mixture to the posteriors of training trajectories and write it beside the weights.

    The file says which weights it was fitted to; where these are still the run's, it stays.

    Arguments:
        run: Folder of the run.
        device: Where to compute.
        folder: Where the run's own data set is, if it has moved.
        n: Trajectories, at most.
    """
    path = run / "checkpoints" / PRIOR
    saved = checkpoint.load_model(run, device)[2]
    facts = {"weights": checkpoint.checksum(saved.tensors)}
    with contextlib.suppress(PhysimError):  # a damaged one is fitted again
        if path.is_file() and checkpoint.read(path).facts == facts:
            return
    it = judged(run, device, folder)
    split = it.source.dataset.train
    generator = torch.Generator().manual_seed(0)
    samples = []
    for rows in data.slices(min(n, len(split)), 128):
        images = torch.from_numpy(split.image[rows]).to(device)
        with torch.no_grad():
            mean, log_sigma = it.model.infer(images)
        noise = torch.randn(mean.shape, generator=generator)
        if not it.model.settings.stochastic:
            noise = torch.zeros_like(noise)
        samples.append((mean.cpu() + torch.exp(log_sigma.cpu()) * noise).flatten(1))
    z = torch.cat(samples).double().numpy()
    # a curved sheet takes many pieces: with few, bodies are drawn in the mean of their colours
    mixture = prior.fit_mixture(z, components=max(1, min(256, len(z) // (2 * z.shape[1]))))
    checkpoint.write(path, checkpoint.Checkpoint(mixture.tensors(), saved.step, facts))


def sample_latents(
    model: Any, run: Path, kind: str, n: int, generator: torch.Generator
) -> torch.Tensor:
    """Latent variables of new trajectories.

    Arguments:
        model: The model.
        run: Folder of the run.
        kind: `mixture` or `normal`.
        n: How many.
        generator: Where randomness comes from.

    Returns:
        (n, *latent).

    Raises:
        PhysimError: The kind does not exist, or the run holds no mixture.
    """
    if kind == "normal" and not model.settings.stochastic:
        raise PhysimError("prior: got 'normal', but this model has none; expected 'mixture'")
    if kind == "normal":
        return torch.randn(n, *model.latent_shape, generator=generator, device=generator.device)
    if kind != "mixture":
        raise PhysimError(f"prior: got '{kind}', expected one of {', '.join(prior.KINDS)}")
    saved = checkpoint.read(run / "checkpoints" / PRIOR).tensors
    mixture = prior.Mixture(**{name: t.to(generator.device) for name, t in saved.items()})
    return mixture.sample(n, generator).unflatten(1, model.latent_shape)
