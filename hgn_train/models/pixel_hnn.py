"""Pixel HNN: an autoencoder whose latent state moves along a learned Hamiltonian.

    z_t = (q_t, p_t) = encoder(frames t and t + 1)
    frames t and t + 1 = decoder(z_t)
    dq/dt = ∂H/∂p, dp/dt = −∂H/∂q          time in frames

and the loss is the sum of

    MSE of the decoded frames
    ‖p_t − (q_{t+1} − q_t)‖²                canonical coordinates: p is how q moves
    0.1 ‖z_{t+1} − (z_t + dz/dt)‖²          the HNN, one Euler step

each a mean over the batch. It is trained on neighbouring frames only and never rolled out; there
is no noise in z and no prior.

Reference: Greydanus, Dzamba and Yosinski (2019), "Hamiltonian Neural Networks", section 5. With
convolutions it is a baseline of Toth et al. (2019), "Hamiltonian Generative Networks".
"""

# ruff: noqa: UP037 - shapes are strings
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from hgn_train import activations, images, integrators
from hgn_train.autoencoder import Convolutional, Dense
from hgn_train.decoder import start_size
from hgn_train.encoder import check_blocks
from hgn_train.hamiltonian import Joint, mlp_energy
from hgn_train.images import Images, Rollout, pixels, rollout_errors, stacked
from hgn_train.layers import start_orthogonal
from hgn_train.scores import Scores
from physim.errors import PhysimError

Widths = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class PixelHNNSettings:
    """What makes one pixel HNN different from another; the defaults are the paper's.

    Attributes:
        frames: Frames of a rollout in evaluation; it is trained on three at a time.
        inference_frames: Frames that are stacked, and that a rollout starts from.
        resolution: Side in pixels.
        channels: Channels of a frame.
        autoencoder: `dense` or `convolutional`.
        state_size: Numbers in q, and as many in p.
        width: Of the hidden layers of the dense autoencoder.
        encoder: Widths of the blocks of the convolutional encoder.
        decoder: Widths of the blocks of the convolutional decoder.
        maps: Channels of the maps that the convolutional decoder starts from.
        shuffle: Side of the block that its last convolution makes of each of its pixels.
        hamiltonian: Widths of the hidden layers of H.
        activation: Smooth activation of H.
        integrator: One of `integrators.INTEGRATORS` that needs no separable H, for rollouts.
        substeps: Integrator steps between frames.
        canonical: Weight of the loss that makes p the motion of q.
        dynamics: Weight of the HNN's loss.
    """

    frames: int = 30
    inference_frames: int = 2
    resolution: int = 32
    channels: int = 3
    autoencoder: Literal["dense", "convolutional"] = "dense"
    state_size: int = 1
    width: int = 200
    encoder: Widths = ((32, 64), (64, 64), (64,))
    decoder: Widths = ((64, 64), (64, 64), (64, 64))
    maps: int = 16
    shuffle: int = 1
    hamiltonian: tuple[int, ...] = (200, 200)
    activation: str = "tanh"
    integrator: str = "rk4"
    substeps: int = 4
    canonical: float = 1.0
    dynamics: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what makes no model.

        Raises:
            PhysimError: Names the setting, its value and what is allowed.
        """
        if self.autoencoder not in ("dense", "convolutional"):
            raise PhysimError(
                f"autoencoder: got '{self.autoencoder}', expected one of dense, convolutional"
            )
        for name in (
            "resolution",
            "channels",
            "state_size",
            "width",
            "maps",
            "substeps",
            "shuffle",
        ):
            if getattr(self, name) < 1:
                raise PhysimError(f"{name}: got {getattr(self, name)}, expected a number from 1")
        for name in ("canonical", "dynamics"):
            if getattr(self, name) < 0:
                raise PhysimError(f"{name}: got {getattr(self, name)}, expected a number from 0")
        if not 2 <= self.inference_frames < self.frames:
            raise PhysimError(
                f"inference_frames: got {self.inference_frames}, expected from 2 to "
                f"{self.frames - 1}, fewer than the frames of a rollout"
            )
        activations.check(self.activation)
        check_blocks(self.encoder)
        start_size(self.resolution, self.decoder, self.shuffle)
        integrators.find(self.integrator, separable=False)

    @property
    def inferred(self) -> int:
        """Index among the frames of the state that a rollout starts from."""
        return 0

    @property
    def stochastic(self) -> bool:
        """Whether z is sampled."""
        return False


NEEDS: dict[tuple[str, ...], dict[str, Any]] = {
    ("width",): {"autoencoder": "dense"},
    ("encoder", "decoder", "maps", "shuffle"): {"autoencoder": "convolutional"},
}
"""Without which settings others have no effect."""


class PixelHNN(nn.Module):
    """The network with its loss and rollouts.

    Arguments:
        settings: What it is made of.
    """

    inputs = ("image",)

    def __init__(self, settings: PixelHNNSettings) -> None:
        super().__init__()
        self.settings = s = settings
        sizes = (s.inference_frames * s.channels, s.resolution, 2 * s.state_size)
        self.autoencoder: Dense | Convolutional
        if s.autoencoder == "dense":
            self.autoencoder = Dense(*sizes, s.width)
        else:
            self.autoencoder = Convolutional(*sizes, s.encoder, s.decoder, s.maps, s.shuffle)
        self.hamiltonian = Joint(mlp_energy(2 * s.state_size, s.hamiltonian, s.activation))
        start_orthogonal(self.hamiltonian)
        self.latent_shape = (2 * s.state_size,)
        self.integrator = integrators.find(s.integrator, separable=False)

    def prepare(self, example: Mapping[str, Tensor]) -> None:
        """Start at the mean colour of some images."""
        colour = pixels(example["image"]).mean((0, 1, 3, 4))
        self.autoencoder.start_at(colour.repeat(self.settings.inference_frames))

    def draws(self, batch_size: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Nothing is drawn."""
        return {}

    def forward(
        self, batch: Mapping[str, UInt8[Tensor, "..."]], draws: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Loss of a batch.

        Arguments:
            batch: `image`, (batch, inference_frames + 1, height, width, channel) uint8.
            draws: Nothing.

        Returns:
            `loss`; `error`, the mean squared error per value of the decoded frames; `canonical`
            and `dynamics`, the other two terms before weighting.
        """
        s = self.settings
        now, after = stacked(batch["image"][:, :-1]), stacked(batch["image"][:, 1:])
        z, z_after = self.autoencoder.encode(torch.cat([now, after])).chunk(2)
        error = ((self.autoencoder.decode(z) - now) ** 2).mean()
        (q, p), (q_after, _) = z.chunk(2, 1), z_after.chunk(2, 1)
        canonical = ((p - (q_after - q)) ** 2).mean()
        with torch.autocast(z.device.type, enabled=False):
            dq, dp = self.hamiltonian.gradients(q, p)
        dynamics = ((z_after - (z + torch.cat([dp, -dq], 1))) ** 2).mean()
        return {
            "loss": error + s.canonical * canonical + s.dynamics * dynamics,
            "error": error.detach(),
            "canonical": canonical.detach(),
            "dynamics": dynamics.detach(),
        }

    def score(self, rows: Mapping[str, UInt8[Tensor, "..."]]) -> Scores:
        """Mean squared errors of rollouts from the first frames, and some of them."""
        z, _ = self.infer(rows["image"])
        return rollout_errors(self.rollout(z, self.settings.frames - 1), rows["image"])

    def infer(
        self, images: UInt8[Tensor, "batch time height width channel"]
    ) -> tuple[Tensor, Tensor]:
        """The state at the first frame, as mean and log σ of a Gaussian without width."""
        z = self.autoencoder.encode(stacked(images[:, : self.settings.inference_frames]))
        return z, torch.full_like(z, -torch.inf)

    def rollout(
        self,
        z: Float[Tensor, "batch state"],
        forward: int,
        backward: int = 0,
        speed: float = 1.0,
    ) -> Rollout:
        """Frames, states and energies around the first frame.

        Arguments:
            z: The state there.
            forward: Frames after it.
            backward: Frames before it.
            speed: Time between frames, in units of the data's.

        Returns:
            The rollout in chronological order; of the frames that a state decodes to, the first.
        """
        s, n = self.settings, self.settings.substeps
        q, p = z.chunk(2, 1)
        with torch.autocast(z.device.type, enabled=False):
            q, p = integrators.rollout(
                self.integrator, self.hamiltonian, q, p, speed / n, n * forward, n * backward
            )
            q, p = q[:, ::n], p[:, ::n]
            energy = self.hamiltonian(q.flatten(0, 1), p.flatten(0, 1)).unflatten(0, q.shape[:2])
        states = torch.cat([q, p], 2)
        drawn = [self.autoencoder.decode(states[:, t]) for t in range(states.shape[1])]
        return Rollout(torch.stack(drawn, 1)[:, :, : s.channels], q, p, energy)


def open_neighbours(folder: str, network: Any) -> Images:
    """Open a data set for training on neighbouring frames.

    Arguments:
        folder: Where it was rendered to.
        network: Settings of the model.

    Returns:
        The material.

    Raises:
        PhysimError: There is none, or it does not fit.
    """
    opened = images.open_images(folder, network)
    return Images(opened.source, opened.frames, network.inference_frames + 1)
