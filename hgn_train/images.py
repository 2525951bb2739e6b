"""Frames as what a model is trained on, and as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from hgn_train import data
from hgn_train.data import Batches, Source

if TYPE_CHECKING:
    from hgn_train.models import model


@dataclass(frozen=True)
class Rollout:
    """A model's own trajectory.

    Attributes:
        images: (batch, time, channel, height, width), from 0 to 1.
        q: (batch, time, *state).
        p: (batch, time, *state).
        energy: Learned H, (batch, time).
    """

    images: Tensor
    q: Tensor
    p: Tensor
    energy: Tensor


def pixels(
    images: UInt8[Tensor, "batch time height width channel"],
) -> Float[Tensor, "batch time channel height width"]:
    """From bytes to numbers from 0 to 1, channels before height and width."""
    return images.permute(0, 1, 4, 2, 3).float() / 255


def stacked(
    images: UInt8[Tensor, "batch time height width channel"],
) -> Float[Tensor, "batch stacked height width"]:
    """Frames on the channel axis, from 0 to 1, in channels-last memory."""
    return pixels(images).flatten(1, 2).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Images:
    """Windows of trajectories of a data set, and the average image as reference.

    Attributes:
        source: The data set.
        frames: Length of the windows.
    """

    source: Source
    frames: int

    @property
    def collapse(self) -> str:
        """What a model does that has not learned."""
        return "the decoder draws the average image"

    @property
    def system(self) -> str:
        """Name of the system."""
        return self.source.system

    def train(
        self,
        names: Sequence[str],
        device: torch.device,
        batch_size: int,
        seed: int,
        n: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> Batches:
        """Windows of the training split."""
        split = self.source.dataset.train
        return Batches(split, names, device, batch_size, seed, n, self.frames, rank, world_size)

    def held_out(
        self, names: Sequence[str], device: torch.device, seed: int, n: int = 0
    ) -> Batches:
        """Windows of the test split, from the first frame on."""
        split = self.source.dataset.test
        n = min(n, len(split.image))
        return Batches(split, names, device, 1, seed, n, self.frames)

    @torch.no_grad()
    def reference(self, train: model.Batches, held_out: model.Batches) -> float:
        """Error on held-out frames of the average training frame."""
        total, n = torch.zeros(()), 0
        for rows in data.slices(min(train.n, 2000), 200):
            images = pixels(train.rows(torch.arange(rows.start, rows.stop))["image"])
            total = images.sum((0, 1)) + total.to(images)
            n += images.shape[0] * images.shape[1]
        errors = []
        for rows in data.slices(held_out.n, 64):
            images = pixels(held_out.rows(torch.arange(rows.start, rows.stop))["image"])
            errors.append(((images - total / n) ** 2).mean((1, 2, 3, 4)))
        return float(torch.cat(errors).mean())


def open_images(folder: str, network: Any) -> Images:
    """Open a data set for a model that sees frames.

    Arguments:
        folder: Where it was rendered to.
        network: Settings of the model, with `frames`, `resolution` and `channels`.

    Returns:
        The material.

    Raises:
        PhysimError: There is none, or it does not fit.
    """
    source = data.open_source(folder)
    data.check_fits(network, source)
    return Images(source, network.frames)


def adapt(network: dict[str, Any], folder: str) -> str:
    """Take dt from the data where it is not given, as the model's time is the data's.

    Arguments:
        network: Settings of the model, changed in place.
        folder: Folder of the data set.

    Returns:
        Name of the data's system.
    """
    source = data.open_source(folder)
    network.setdefault("dt", source.dt)
    return source.system
