"""A model that draws frames, with what it is evaluated on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hgn_train import checkpoint, data, models
from hgn_train.data import Source
from hgn_train.evaluation import elsewhere
from physim.errors import PhysimError


@dataclass(frozen=True)
class Judged:
    """A model with what it is evaluated on.

    Attributes:
        model: In evaluation mode.
        source: The data set.
        device: Where the model is.
        frames: Frames of a training rollout.
        anchor: Index of the inferred state among them.
    """

    model: Any
    source: Source
    device: torch.device
    frames: int
    anchor: int

    def posteriors(self, images: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Means and log-deviations of z, (n, *latent) each."""
        with torch.no_grad():
            parts = [
                self.model.infer(torch.from_numpy(images[rows]).to(self.device))
                for rows in data.slices(len(images), 128)
            ]
        means, log_sigmas = zip(*parts, strict=True)
        return torch.cat(means), torch.cat(log_sigmas)

    def latents(self, images: np.ndarray) -> torch.Tensor:
        """Posterior means, (n, *latent)."""
        return self.posteriors(images)[0]

    def rollout(
        self, z: torch.Tensor, forward: int, backward: int, speed: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Images (n, frames, height, width, channel), q, p (n, frames, size), energy."""
        images, q, p, energy = [], [], [], []
        # maps of 64 images stay below the 32 MiB above which glibc returns memory at once
        together = 64 if self.device.type == "cpu" else 256
        with torch.no_grad():
            for rows in data.slices(len(z), together):
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
        PhysimError: No run, one of a model without frames, a damaged checkpoint, or data that does
            not fit or has its frames at other intervals than what was trained on.
    """
    model, settings, _ = checkpoint.load_model(run, device)
    if models.find(settings.model).evaluation != "images":
        raise PhysimError(f"{run}: is a run of '{settings.model}', which draws no frames")
    if not folder:
        elsewhere.check_there(run, settings)
    source = data.open_source(folder or settings.data)
    data.check_fits(settings.network, source)
    if folder:
        check_interval(source, settings.data, settings.network)
    network = settings.network
    return Judged(model, source, device, network.frames, network.inferred)


def check_interval(source: Source, own: str, network: Any) -> None:
    """Refuse data whose frames are further apart, or nearer, than those of the training.

    Arguments:
        source: The data to evaluate on.
        own: Folder of the data of the training; where they are gone, the model's dt is believed.
        network: Settings of the model, perhaps with `dt`.

    Raises:
        PhysimError: The intervals differ.
    """
    there = data.is_there(own)
    trained = data.open_source(own).dt if there else getattr(network, "dt", source.dt)
    if not math.isclose(source.dt, trained):
        raise PhysimError(
            f"{source.folder}: has frames {source.dt:g} units of time apart, but the model was "
            f"trained on frames {trained:g} apart"
        )


def from_bytes(images: np.ndarray) -> np.ndarray:
    """From uint8 to 0 … 1, float32."""
    return images / np.float32(255)


def to_bytes(images: np.ndarray) -> np.ndarray:
    """From 0 … 1 to uint8; black where a number is not finite."""
    return np.round(255 * np.nan_to_num(np.clip(images, 0, 1))).astype(np.uint8)
