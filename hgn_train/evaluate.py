"""From a run and its data to numbers and pictures: everything that a report shows.

Predictions start from the posterior mean of the inference frames. Numbers go to `evaluation.json`,
frames and curves that are drawn later to `evaluation.npz`, both in the folder of the run.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hgn_train import checkpoint, data, metrics, prior, truth
from hgn_train.data import Source
from physim.errors import PhysimError

SPEEDS = (0.5, 2.0)
SHOWN = 6
LATENTS = 256


@dataclass(frozen=True)
class Judged:
    """A model with what it is judged on.

    Attributes:
        model: In evaluation mode.
        source: The data set.
        device: Where the model is.
        frames: Frames of a training rollout.
        anchor: Index of the inferred state among them.
        dt: The model's time between frames.
    """

    model: Any
    source: Source
    device: torch.device
    frames: int
    anchor: int
    dt: float

    def latents(self, images: np.ndarray) -> torch.Tensor:
        """Posterior means, (n, *latent)."""
        with torch.no_grad():
            parts = [
                self.model.infer(torch.from_numpy(images[rows]).to(self.device))[0]
                for rows in data.slices(len(images), 128)
            ]
        return torch.cat(parts)

    def rollout(
        self, z: torch.Tensor, forward: int, backward: int, speed: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Images (n, frames, height, width, channel), q, p (n, frames, size), energy."""
        images, q, p, energy = [], [], [], []
        with torch.no_grad():
            for rows in data.slices(len(z), 64):
                out = self.model.rollout(z[rows], forward, backward, speed)
                images.append(out.images.float().permute(0, 1, 3, 4, 2).cpu().numpy())
                q.append(out.q.flatten(2).cpu().numpy())
                p.append(out.p.flatten(2).cpu().numpy())
                energy.append(out.energy.cpu().numpy())
        joined = [np.concatenate(part) for part in (images, q, p, energy)]
        return joined[0], joined[1], joined[2], joined[3]


def judged(run: Path, device: torch.device, folder: str | None = None) -> Judged:
    """Open a run and its data.

    Arguments:
        run: Folder of the run.
        device: Where to compute.
        folder: Another data set than the run's own.

    Returns:
        The model with its data.

    Raises:
        PhysimError: No run, a damaged checkpoint, or data that does not fit.
    """
    model, settings, _ = checkpoint.load_model(run, device)
    source = data.open_source(folder or settings.data)
    data.check_fits(settings.network, source)
    network = settings.network
    return Judged(model, source, device, network.frames, network.inferred, network.dt)


def evaluate(
    run: Path,
    device: torch.device,
    n: int = 512,
    extra: int = 60,
    folder: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Judge a run.

    Arguments:
        run: Its folder.
        device: Where to compute.
        n: Trajectories of each split.
        extra: Frames before and after a training rollout that predictions are followed to.
        folder: Another data set than the run's own.
        say: Called with what is being done.

    Returns:
        The results, as written to `evaluation.json`.

    Raises:
        PhysimError: No run, a damaged checkpoint, or data that does not fit.
    """
    started = time.perf_counter()
    it = judged(run, device, folder)
    average = average_image(it)
    results: dict[str, Any] = {
        "system": it.source.system,
        "data": str(it.source.folder),
        "settings": json.loads((run / "config.json").read_text()),
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
    if truth.can_be_drawn(it.source):
        say(f"{extra} frames further, backward and at other speeds")
        more, kept = judge_beyond(it, "test", min(n, 256), extra, average)
        results |= more
        arrays |= kept
    say("latent states")
    results["latent"] = judge_latent(it, min(LATENTS, n))
    say("samples of the prior")
    results["samples"], kept = judge_samples(it, run, 64)
    arrays |= kept
    results["seconds"] = time.perf_counter() - started
    (run / "evaluation.json").write_text(json.dumps(results, indent=2) + "\n")
    np.savez_compressed(run / "evaluation.npz", **arrays)  # type: ignore[arg-type]
    return results


def average_image(it: Judged) -> np.ndarray:
    """Mean training frame from 0 to 1, (height, width, channel)."""
    split = it.source.dataset.train
    images = split.image[: min(len(split), 2000)]
    return images.mean((0, 1), dtype=np.float64) / 255


def judge_split(
    it: Judged, name: str, n: int, average: np.ndarray
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Errors on trajectories of the length that was trained on."""
    split = it.source.dataset.splits[name]
    images = split.image[:n][:, : it.frames]
    z = it.latents(images)
    drawn, q, p, energy = it.rollout(z, it.frames - 1 - it.anchor, it.anchor)
    errors = metrics.frame_errors(drawn, images / 255)
    averages = metrics.frame_errors(np.broadcast_to(average, drawn.shape), images / 255)
    oracle = np.zeros_like(errors)
    recipe = it.source.dataset.recipe
    if recipe.noise and truth.can_be_drawn(it.source):
        params = it.source.dataset.params(name, slice(0, n))
        clean = truth.draw(it.source, split.q[:n][:, : it.frames], params)
        oracle = metrics.frame_errors(clean / 255, images / 255)
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
    params = it.source.dataset.params(name, slice(0, n))
    q0, p0 = split.q[:n][:, it.anchor], split.p[:n][:, it.anchor]
    z = it.latents(images)
    dt = it.source.dt
    ahead, behind = it.frames - 1 - it.anchor + extra, it.anchor + extra
    q, _ = truth.around(it.source, q0, p0, params, dt, ahead, behind)
    real = truth.draw(it.source, q, params) / 255
    drawn, _, _, energy = it.rollout(z, ahead, behind)
    errors = metrics.frame_errors(drawn, real)
    averages = metrics.frame_errors(np.broadcast_to(average, drawn.shape), real)
    first, last = behind - it.anchor, behind - it.anchor + it.frames
    after = metrics.valid_prediction_time(drawn[:, behind:], real[:, behind:])
    before = metrics.valid_prediction_time(drawn[:, behind::-1], real[:, behind::-1])
    results: dict[str, Any] = {
        "beyond": {
            "extra": extra,
            "trajectories": n,
            "per_frame": errors.mean(0).tolist(),
            "per_frame_average_image": averages.mean(0).tolist(),
            "first_frame": -first,
            "forward": beyond_part(errors[:, last:], averages[:, last:]),
            "backward": beyond_part(errors[:, :first], averages[:, :first]),
            "valid_forward": float(np.median(after)) / (ahead + 1),
            "valid_backward": float(np.median(before)) / (behind + 1),
            "valid_frames_forward": float(np.median(after)),
            "valid_frames_backward": float(np.median(before)),
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
        q, _p = truth.around(it.source, q0, p0, params, speed * dt, ahead, behind)
        real = truth.draw(it.source, q, params) / 255
        drawn, _, _, _ = it.rollout(z, ahead, behind, speed)
        errors = metrics.frame_errors(drawn, real)
        averages = metrics.frame_errors(np.broadcast_to(average, drawn.shape), real)
        results["speeds"][str(speed)] = beyond_part(errors, averages)
        arrays[f"speed_{speed}_images"] = to_bytes(real[:SHOWN])
        arrays[f"speed_{speed}_drawn"] = to_bytes(drawn[:SHOWN])
    return results, arrays


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


def judge_latent(it: Judged, n: int) -> dict[str, Any]:
    """How well the true state can be read off the latent one, and how symplectic that map is."""
    states = {}
    for name in ("train", "test"):
        split = it.source.dataset.splits[name]
        images = split.image[:n][:, : it.frames]
        _, q, p, _ = it.rollout(it.latents(images), it.frames - 1 - it.anchor, it.anchor)
        true_q, true_p = split.q[:n][:, : it.frames], split.p[:n][:, : it.frames]
        states[name] = (np.concatenate([q, p], -1), true_q, true_p)
    (latent, q, p), (latent_test, q_test, p_test) = states["train"], states["test"]
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
    rounds = [
        metrics.symetric(latent_test[start : start + 5], state[start : start + 5], seed=start)
        for start in range(0, min(25, len(state) - 4), 5)
    ]
    return {
        "readout": dataclasses.asdict(scores),
        "symetric": {
            "r2": float(np.mean([one.r2 for one in rounds])),
            "distance": float(np.mean([one.distance for one in rounds])),
            "good": float(np.mean([one.good for one in rounds])),
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

    flat_real = real.reshape(len(real), -1).astype(np.float32) / 255
    results: dict[str, Any] = {"test_frames": nearest(test / 255)}
    drawn = it.rollout(it.latents(test), it.frames - 1 - it.anchor, it.anchor)[0]
    results["reconstructions"] = nearest(drawn)
    average = real.mean(0, dtype=np.float64)[None, None] / 255
    results["average_image"] = nearest(average)
    arrays = {}
    for kind in prior.KINDS:
        generator = torch.Generator(device=it.device).manual_seed(0)
        z = sample_latents(it.model, run, kind, n, generator)
        images = it.rollout(z, it.frames - 1 - it.anchor, it.anchor)[0]
        results[kind] = nearest(images)
        arrays[f"samples_{kind}"] = to_bytes(images[:16])
    return results, arrays


def fit_prior(run: Path, device: torch.device, n: int = 5000) -> None:
    """Fit the mixture to the posteriors of training trajectories and write it beside the weights.

    Arguments:
        run: Folder of the run.
        device: Where to compute.
        n: Trajectories, at most.
    """
    it = judged(run, device)
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
    mixture = prior.fit_mixture(z, components=max(1, min(64, len(z) // (2 * z.shape[1]))))
    checkpoint.write(
        run / "checkpoints" / "prior.safetensors", checkpoint.Checkpoint(mixture.tensors(), 0)
    )


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
    if kind == "normal":
        return torch.randn(n, *model.latent_shape, generator=generator, device=generator.device)
    if kind != "mixture":
        raise PhysimError(f"prior: got '{kind}', expected one of {', '.join(prior.KINDS)}")
    saved = checkpoint.read(run / "checkpoints" / "prior.safetensors").tensors
    mixture = prior.Mixture(**{name: t.to(generator.device) for name, t in saved.items()})
    return mixture.sample(n, generator).unflatten(1, model.latent_shape)


def training_facts(run: Path) -> dict[str, Any]:
    """Steps, and the last line about held-out trajectories."""
    path = run / "metrics.jsonl"
    if not path.is_file():
        return {}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    facts: dict[str, Any] = {"steps": lines[-1]["step"] if lines else 0}
    for line in lines:
        if "loss" in line:
            facts["last"] = line
    seconds = run / "timing.json"
    if seconds.is_file():
        facts |= json.loads(seconds.read_text())
    return facts


def to_bytes(images: np.ndarray) -> np.ndarray:
    """From 0 … 1 to uint8."""
    return np.round(255 * np.clip(images, 0, 1)).astype(np.uint8)
