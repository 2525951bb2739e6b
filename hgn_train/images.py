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
from hgn_train.scores import Scores
from physim.errors import PhysimError
from physim.scoring import average_image

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
    """From bytes to numbers from 0 to 1, channels before height and width.

    Raises:
        PhysimError: They are not bytes.
    """
    if images.dtype != torch.uint8:
        raise PhysimError(f"images: got {images.dtype}, expected torch.uint8 from 0 to 255")
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
        frames: Length of the rollouts that a model is evaluated on.
        window: Length of the windows that it is trained on; 0 for the same.
    """

    source: Source
    frames: int
    window: int = 0

    @property
    def collapse(self) -> str:
        """What a model does that has not learned."""
        return "the decoder draws the average image"

    @property
    def system(self) -> str:
        """Name of the system."""
        return self.source.system

    @property
    def fingerprint(self) -> str:
        """Of the data set."""
        return self.source.fingerprint

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
        length = self.window or self.frames
        return Batches(split, names, device, batch_size, seed, n, length, rank, world_size)

    def held_out(
        self, names: Sequence[str], device: torch.device, seed: int, n: int = 0
    ) -> Batches:
        """The last windows of the test split, from the first frame on."""
        split = self.source.dataset.test
        n = min(n, len(split.image)) if n else len(split.image)
        return Batches(split, names, device, 1, seed, n, self.frames, first=len(split.image) - n)

    @torch.no_grad()
    def reference(self, train: model.Batches, held_out: model.Batches) -> float:
        """Error on held-out frames of the average training frame."""
        average = torch.from_numpy(average_image(self.source.dataset)).float().permute(2, 0, 1)
        errors = []
        for rows in data.slices(held_out.n, 64):
            truth = pixels(held_out.rows(torch.arange(rows.start, rows.stop))["image"])
            errors.append(((truth - average.to(truth.device)) ** 2).mean((1, 2, 3, 4)))
        return float(torch.cat(errors).mean())


def rollout_errors(rollout: Rollout, images: UInt8[Tensor, ...]) -> Scores:
    """Mean squared errors of rollouts against true frames, and some of both to look at.

    Arguments:
        rollout: The model's, (batch, time, …).
        images: (batch, time, height, width, channel).

    Returns:
        One error a rollout.
    """
    drawn, truth = rollout.images.float(), pixels(images)
    return Scores(((drawn - truth) ** 2).mean((1, 2, 3, 4)), (truth[:4], drawn[:4]))


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


def fit_frames(network: dict[str, Any], folder: str) -> str:
    """Take the size of frames from the data where it is not given.

    Arguments:
        network: Settings of the model, changed in place.
        folder: Folder of the data set.

    Returns:
        Name of the data's system.

    Raises:
        PhysimError: There is no data set, or it is damaged.
    """
    source = data.open_source(folder)
    for name in ("resolution", "channels"):
        network.setdefault(name, getattr(source, name))
    return source.system


def adapt(network: dict[str, Any], folder: str) -> str:
    """Take the size of frames and dt from the data where they are not given.

    Arguments:
        network: Settings of the model, changed in place.
        folder: Folder of the data set.

    Returns:
        Name of the data's system.

    Raises:
        PhysimError: There is no data set, it is damaged, or its frames go backward in time.
    """
    source = data.open_source(folder)
    if source.dt < 0:
        raise PhysimError(
            f"{folder}: its frames go backward in time (dt {source.dt:g}), expected a dt above 0"
        )
    network.setdefault("dt", source.dt)
    return fit_frames(network, folder)
