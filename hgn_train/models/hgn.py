"""Hamiltonian Generative Network: from frames to a state, along a learned H, and back to frames.

    z ~ q(z | frames)        encoder, a diagonal Gaussian; prior N(0, 1)
    s = (q, p) = f_ψ(z)      the state at one frame, the anchor
    (q_t, p_t)               leapfrog along H(q, p) = T(p) + V(q), both ways from the anchor
    x_t = decoder(q_t)       positions alone are drawn

and the loss is λ (MSE − κ) + KL / N with GECO's λ, or MSE + β KL / N, where N is the number of
pixel values in a rollout. With pixels from 0 to 1 and a Gaussian likelihood of deviation 1/√2, the
latter is the evidence bound per value, up to a constant.

Reference: Toth, Rezende, Jaegle, Racanière, Botev and Higgins (2019), "Hamiltonian Generative
Networks". The sizes of the presets, and training half of each batch backward in time, follow the
authors' later code for Botev et al. (2021), "Which priors matter?", and Higgins et al. (2021),
"SyMetric".
"""

# ruff: noqa: UP037 - shapes are strings
from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from hgn_train import adjoint, integrators
from hgn_train.decoder import Decoder, start_size
from hgn_train.encoder import MapEncoder, VectorEncoder, map_transform, vector_transform
from hgn_train.geco import Geco
from hgn_train.hamiltonian import (
    Joint,
    Separable,
    convolutional_energy,
    frequencies,
    mlp_energy,
)
from hgn_train.images import Rollout, pixels, rollout_errors, stacked
from hgn_train.models.hgn_settings import HGNSettings
from hgn_train.scores import Scores
from physim.errors import PhysimError

LEAST_VARIANCE = 1e-3
"""Of a coordinate of the state, as a share of the mean: one that varies less counts for less."""


class HGN(nn.Module):
    """The network with its loss, rollouts and samples.

    Arguments:
        settings: What it is made of.
    """

    inputs = ("image",)
    updates: Tensor
    centre: Tensor
    deviation: Tensor

    def __init__(self, settings: HGNSettings) -> None:
        super().__init__()
        self.settings = settings
        s = settings
        stacked = s.inference_frames * s.channels
        size = start_size(s.resolution, s.decoder, s.shuffle)
        sizes = (stacked, s.resolution, s.encoder, s.latent_size, s.log_sigma)
        self.encoder: MapEncoder | VectorEncoder
        if s.state == "maps":
            self.encoder = MapEncoder(*sizes)
        else:
            self.encoder = VectorEncoder(*sizes, s.inference_frames, s.moments)
        if s.state == "maps" and self.encoder.size != size:
            raise PhysimError(
                f"encoder: got blocks that end at {self.encoder.size} pixels, expected {size}, "
                "where the decoder starts"
            )
        self.transform: nn.Module = nn.Identity()
        if s.transform and s.state == "maps":
            self.transform = map_transform(s.latent_size, 2 * s.state_size, size)
        elif s.transform:
            self.transform = vector_transform(s.latent_size, 2 * s.state_size)
        both = s.state_size if s.separable else 2 * s.state_size
        stiffness = frequencies(s.state_size) * (both // s.state_size) if s.harmonic else []
        energies = [
            mlp_energy(both, s.hamiltonian, s.activation, stiffness)
            if s.state == "vector"
            else convolutional_energy(both, size, s.hamiltonian, s.activation, stiffness)
            for _ in range(2 if s.separable else 1)
        ]
        self.hamiltonian = Separable(*energies) if s.separable else Joint(*energies)
        slope, maps = (0.2, 0) if s.state == "maps" else (0.01, s.maps)
        self.decoder = Decoder(s.state_size, size, s.decoder, s.channels, slope, maps, s.shuffle)
        self.geco = Geco(s.kappa, s.alpha, s.multiplier) if s.objective == "geco" else None
        self.register_buffer("updates", torch.zeros(()))
        self.register_buffer("centre", torch.zeros(s.channels))
        self.register_buffer("deviation", torch.ones(()))
        self.state_is_maps = s.state == "maps"
        self.latent_shape = (s.latent_size, size, size) if s.state == "maps" else (s.latent_size,)
        self.integrator = integrators.find(s.integrator, s.separable)

    def prepare(self, example: Mapping[str, Tensor]) -> None:
        """Start the decoder at the mean colour of some images, and look at how they differ.

        Arguments:
            example: `image`, some trajectories of the training split.
        """
        images = pixels(example["image"])
        colour = images.mean((0, 1, 3, 4))
        self.decoder.start_at(colour)
        if self.settings.standardize:
            self.centre.copy_(colour)
            self.deviation.copy_((images - images.mean((0, 1))).std() + 1e-3)
        if self.precise_maps(images.device):
            layout = torch.contiguous_format
            for part in (self.encoder, self.transform):
                part.to(images.device, memory_format=layout)  # type: ignore[call-overload]
        if isinstance(self.encoder, VectorEncoder) and self.encoder.moments is not None:
            n = self.settings.inference_frames
            windows = example["image"].unfold(1, n, n).movedim(-1, 2).flatten(0, 1)
            self.encoder.moments.prepare(self.seen(windows))

    def draws(self, batch_size: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Noise of the posterior, and which frames are decoded.

        Arguments:
            batch_size: Trajectories of the step.
            generator: Where randomness comes from.

        Returns:
            `noise`, (batch, *latent), and `shown`, (batch, decoded), where some frames are left
            out; `window`, (batch,), the start of the window that consistency looks at.
        """
        s, device = self.settings, generator.device
        drawn = {}
        if s.stochastic:
            shape = (batch_size, *self.latent_shape)
            drawn["noise"] = torch.randn(shape, generator=generator, device=device)
        if s.decoded:
            order = torch.rand(batch_size, s.frames, generator=generator, device=device).argsort(1)
            drawn["shown"] = order[:, : s.decoded]
        if s.consistency:
            last = s.frames - s.inference_frames
            drawn["window"] = torch.randint(
                last + 1, (batch_size,), generator=generator, device=device
            )
        return drawn

    def forward(
        self, batch: Mapping[str, UInt8[Tensor, "..."]], draws: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Loss of a batch.

        Arguments:
            batch: `image`, (batch, frames, height, width, channel) uint8.
            draws: From `draws`.

        Returns:
            `loss`; `error`, the mean squared error per value; `divergence`, KL in nats per
            trajectory; and `multiplier`, λ.
        """
        s = self.settings
        images = batch["image"]
        dt: float | Tensor = s.dt
        seen = images[:, : s.inference_frames]
        if s.both_ways:
            half = len(images) // 2
            seen = torch.cat([seen[:half], images[half:, -s.inference_frames :]])
            images = torch.cat([images[:half], images[half:].flip(1)])
            sign = torch.ones(len(images), device=images.device)
            dt = s.dt * torch.cat([sign[:half], -sign[half:]])
        mean, log_sigma = self.encode(seen)
        z = mean + torch.exp(log_sigma) * draws["noise"] if s.stochastic else mean
        q, p = self.unroll(*self.state(z), dt, s.frames - 1 - s.inferred, s.inferred)
        apart = self.inconsistency(images, q, p, draws["window"]) if s.consistency else None
        if s.decoded:
            rows = torch.arange(len(q), device=q.device)[:, None]
            q, images = q[rows, draws["shown"]], images[rows, draws["shown"]]
        drawn = self.decoder(q.flatten(0, 1))
        error = ((drawn - pixels(images).flatten(0, 1)) ** 2).mean()
        divergence = kl_from_standard_normal(mean, log_sigma).mean()
        values = s.frames * s.resolution**2 * s.channels
        weighed = divergence / values if s.stochastic else torch.zeros_like(error)
        if self.geco is None:
            rise = (self.updates / s.beta_delay).clamp(max=1) if s.beta_delay else 1.0
            loss, multiplier = error + s.beta * rise * weighed, torch.ones_like(error)
        else:
            loss, multiplier = self.geco(error, weighed), self.geco.multiplier
        if self.training:
            self.updates += 1
        out = {
            "loss": loss,
            "error": error.detach(),
            "divergence": divergence.detach(),
            "multiplier": multiplier.detach(),
        }
        if apart is not None:
            late = (self.updates - s.consistency_delay) / max(1, s.consistency_delay)
            out["loss"] = loss + s.consistency * late.clamp(0, 1) * apart
            out["inconsistency"] = apart.detach()
        return out

    def score(self, rows: Mapping[str, UInt8[Tensor, "..."]]) -> Scores:
        """Mean squared errors of rollouts from the posterior means, and some of them."""
        mean, _ = self.infer(rows["image"])
        inferred = self.settings.inferred
        rollout = self.rollout(mean, self.settings.frames - 1 - inferred, inferred)
        return rollout_errors(rollout, rows["image"])

    def inconsistency(self, images: Tensor, q: Tensor, p: Tensor, window: Tensor) -> Tensor:
        """Squared distance of rolled-out states from inferred ones, over the variance of states.

        Variances are over the batch: their mean, which is held fixed for the gradient, or, with
        `consistency_each`, that of each coordinate, for the mean of the quotients. As these depend
        on the scale of no coordinate, shrinking states makes them no smaller.

        Arguments:
            images: What the rollout should show, in its order, (batch, frames, …).
            q: Rolled-out positions, (batch, frames, *state).
            p: Rolled-out momenta.
            window: Start of the window to infer from, one per trajectory.

        Returns:
            A scalar: 0 where flow and encoder agree, about 2 where they have nothing in common.

        Raises:
            PhysimError: One trajectory has no variance.
        """
        s = self.settings
        if len(q) < 2:
            raise PhysimError(
                f"batch_size: got {len(q)} trajectory a process, expected at least 2 with a "
                "consistency above 0"
            )
        rows = torch.arange(len(q), device=q.device)
        frames = window[:, None] + torch.arange(s.inference_frames, device=q.device)
        if s.both_ways:  # the second half of the rollouts is in reverse, the encoder never is
            half = len(q) // 2
            frames = torch.cat([frames[:half], frames[half:].flip(1)])
        mean, _ = self.encode(images[rows[:, None], frames])
        inferred = torch.cat(self.state(mean), 1)
        at = window + s.inferred
        reached = torch.cat([q[rows, at], p[rows, at]], 1)
        distance = (reached - inferred) ** 2
        if s.consistency_each:
            variance = (inferred.var(0) + reached.var(0)) / 2
            least = LEAST_VARIANCE * variance.detach().mean() + 1e-6
            return (distance.mean(0) / (variance + least)).mean()
        spread = inferred.detach().var(0).mean()
        return distance.mean() / (spread + 1e-6)

    def infer(
        self, images: UInt8[Tensor, "batch time height width channel"]
    ) -> tuple[Tensor, Tensor]:
        """Mean and log σ of z from the inference frames; more frames than these are ignored."""
        return self.encode(images[:, : self.settings.inference_frames])

    def encode(
        self, seen: UInt8[Tensor, "batch time height width channel"]
    ) -> tuple[Tensor, Tensor]:
        """Mean and log σ of z from exactly the inference frames."""
        frames = self.seen(seen)
        if self.precise_maps(seen.device):
            frames = frames.contiguous()
        with self.precision(seen.device):
            return self.encoder(frames)

    def seen(self, images: UInt8[Tensor, "batch time height width channel"]) -> Tensor:
        """The inference frames as the encoder sees them, (batch, stacked, height, width)."""
        frames = stacked(images)
        if self.settings.standardize:
            colour = self.centre.repeat(self.settings.inference_frames)[:, None, None]
            frames = (frames - colour) / self.deviation
        return frames

    def precise_maps(self, device: torch.device) -> bool:
        """Whether encoder and f_ψ are float32 convolutions of a GPU.

        For these its library has kernels for maps one after the other alone, and would turn maps
        that lie channels last each time.
        """
        return device.type == "cuda" and self.settings.precise_encoder and self.state_is_maps

    def precision(self, device: torch.device) -> AbstractContextManager[object]:
        """Float32 where it is asked for, else whatever autocast says."""
        if self.settings.precise_encoder:
            return torch.autocast(device.type, enabled=False)
        return nullcontext()

    def state(self, z: Float[Tensor, "batch *latent"]) -> tuple[Tensor, Tensor]:
        """Q and p at the anchor, float32 whatever the precision of the networks."""
        with self.precision(z.device):
            q, p = self.transform(z).float().chunk(2, 1)
        return q, p

    def unroll(
        self, q: Tensor, p: Tensor, dt: float | Tensor, forward: int, backward: int = 0
    ) -> tuple[Tensor, Tensor]:
        """States before and after the given one, (batch, time, *state), in chronological order.

        Computed in the precision of q and p, outside of any autocast: H is kept only as far as the
        gradients are accurate.
        """
        n, shape = self.settings.substeps, q.shape[1:]
        with torch.autocast(q.device.type, enabled=False):
            q, p = adjoint.states(
                self.integrator,
                self.hamiltonian,
                q.flatten(1),
                p.flatten(1),
                dt / n,
                n * forward,
                n * backward,
            )
        return q[:, ::n].unflatten(2, shape), p[:, ::n].unflatten(2, shape)

    def energy(
        self, q: Float[Tensor, "batch time *state"], p: Tensor
    ) -> Float[Tensor, "batch time"]:
        """Learned H along a rollout."""
        with torch.autocast(q.device.type, enabled=False):
            return self.hamiltonian(q.flatten(0, 1), p.flatten(0, 1)).unflatten(0, q.shape[:2])

    def rollout(
        self,
        z: Float[Tensor, "batch *latent"],
        forward: int,
        backward: int = 0,
        speed: float = 1.0,
    ) -> Rollout:
        """Frames, states and energies around the anchor.

        Arguments:
            z: What the state follows from.
            forward: Frames after the anchor.
            backward: Frames before it.
            speed: Frames are `speed` times the model's dt apart.

        Returns:
            The rollout in chronological order; the anchor is at index `backward`.
        """
        q, p = self.unroll(*self.state(z), speed * self.settings.dt, forward, backward)
        images = torch.stack([self.decoder(q[:, t]) for t in range(q.shape[1])], 1)
        return Rollout(images, q, p, self.energy(q, p))


def kl_from_standard_normal(
    mean: Float[Tensor, "batch *latent"], log_sigma: Float[Tensor, "batch *latent"]
) -> Float[Tensor, " batch"]:
    """KL divergence of N(mean, σ²) from N(0, 1), in nats, summed over z."""
    terms = (mean**2 + torch.exp(2 * log_sigma) - 1) / 2 - log_sigma
    return terms.flatten(1).sum(1)
