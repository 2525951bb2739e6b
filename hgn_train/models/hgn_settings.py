"""Everything that makes one HGN different from another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hgn_train import activations, integrators
from hgn_train.decoder import start_size
from hgn_train.encoder import check_blocks
from physim.errors import PhysimError

Widths = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class HGNSettings:
    """Everything that makes one HGN different from another; the defaults are the paper's.

    Attributes:
        frames: Frames of a training rollout.
        inference_frames: Frames that the encoder sees: all for autoencoding, the first few for
            prediction.
        anchor: Which of these frames the inferred state belongs to.
        resolution: Side in pixels.
        channels: Channels of a frame.
        state: Whether q and p are square maps or vectors.
        state_size: Channels of q (maps), or numbers in q (vector); as many for p.
        latent_size: Channels of z, or numbers in z.
        transform: Whether f_ψ maps z to the state; else z is the state.
        stochastic: Whether z is sampled and the KL divergence counts; else only the mean is used.
        separable: Whether H(q, p) = T(p) + V(q); else one network of both.
        integrator: One of `integrators.INTEGRATORS`.
        dt: Time between frames inside the model.
        substeps: Integrator steps between frames.
        encoder: Widths of the encoder's blocks.
        moments: Highest degree of the image moments that z's encoder sees besides its
            convolutions (vectors only), whitened over the data; 0 for none. The centre of a
            body's light is a moment, to a small part of a pixel; convolutions must learn it.
        standardize: Whether the encoder sees frames minus the mean colour of the data, over the
            deviation of its pixels. Where small bodies move on a plain background the pixels
            hardly differ, and the signal of the bodies is lost in that of the background.
        precise_encoder: Whether encoder and f_ψ compute in float32 even where the rest does not.
            Momenta are differences of sub-pixel positions, which bfloat16 rounds away.
        hamiltonian: Widths of the hidden layers of T and V.
        activation: Smooth activation of T and V.
        harmonic: Whether T and V each have a quadratic part, ½ Σ k x² with learned k > 0, besides
            the network. A network alone grows at most linearly with its input and lets rollouts
            drift away; this keeps them where energies are finite.
        decoder: Widths of the decoder's blocks.
        maps: Channels of the maps that a vector q is projected to.
        shuffle: Side of the block that the decoder's last convolution makes of each of its pixels.
        objective: `geco` or `elbo`.
        kappa: GECO's target error per value.
        alpha: GECO's memory.
        multiplier: GECO's λ at the start.
        beta: Weight of KL / N in the `elbo`.
        beta_delay: Updates over which it rises from 0.
        log_sigma: Posterior log σ at the start.
        decoded: Frames of each rollout drawn at random for the loss; 0 for all.
        both_ways: Whether half of each batch is inferred from the last frames and rolled out
            backward in time; needs an odd number of inference frames and the anchor in their
            middle.
        consistency: Weight of the distance between rolled-out states and those inferred from
            other windows of the same trajectory, in units of the variance of states; 0 for none,
            as in the paper. It makes the learned flow self-consistent: what it reaches is again a
            state that the encoder knows, so that rollouts continue beyond the trained length.
        consistency_delay: Updates before it takes effect; it then rises over as many.
        consistency_each: Whether each coordinate of the state counts alike, in units of its own
            variance, which the networks cannot lower to any gain; else the few that vary most
            decide. Maps have many that hardly vary, and the decoder sees them all.
    """

    frames: int = 30
    inference_frames: int = 30
    anchor: Literal["first", "middle", "last"] = "first"
    resolution: int = 32
    channels: int = 3
    state: Literal["maps", "vector"] = "maps"
    state_size: int = 16
    latent_size: int = 32
    transform: bool = True
    stochastic: bool = True
    separable: bool = True
    integrator: str = "leapfrog"
    dt: float = 0.125
    substeps: int = 1
    encoder: Widths = ((32, 64), (64, 64), (64,))
    moments: int = 0
    standardize: bool = False
    precise_encoder: bool = False
    hamiltonian: tuple[int, ...] = (32, 64, 64, 64)
    activation: str = "softplus"
    harmonic: bool = False
    decoder: Widths = ((64, 64), (64, 64), (64, 64))
    maps: int = 16
    shuffle: int = 1
    objective: Literal["geco", "elbo"] = "geco"
    kappa: float = 0.001
    alpha: float = 0.0
    multiplier: float = 1.0
    beta: float = 1.0
    beta_delay: int = 0
    log_sigma: float = -2.0
    decoded: int = 0
    both_ways: bool = False
    consistency: float = 0.0
    consistency_delay: int = 0
    consistency_each: bool = False

    def __post_init__(self) -> None:
        """Refuse what makes no model.

        Raises:
            PhysimError: Names the setting, its value and what is allowed.
        """
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise PhysimError(
                    f"{name}: got '{getattr(self, name)}', expected one of {', '.join(allowed)}"
                )
        for name in POSITIVE:
            if getattr(self, name) <= 0:
                raise PhysimError(f"{name}: got {getattr(self, name)}, expected a number above 0")
        for name in NOT_NEGATIVE:
            if getattr(self, name) < 0:
                raise PhysimError(f"{name}: got {getattr(self, name)}, expected a number from 0")
        if not 0 <= self.alpha < 1:
            raise PhysimError(f"alpha: got {self.alpha}, expected a number from 0 to below 1")
        activations.check(self.activation)
        check_blocks(self.encoder)
        if self.state == "vector" and self.maps < 1:
            raise PhysimError(f"maps: got {self.maps}, expected a number above 0")
        if not 1 <= self.inference_frames <= self.frames:
            raise PhysimError(
                f"inference_frames: got {self.inference_frames}, expected from 1 to "
                f"{self.frames}, the frames of a rollout"
            )
        if not 0 <= self.moments <= HIGHEST_MOMENT:
            raise PhysimError(
                f"moments: got {self.moments}, expected a degree from 0 to {HIGHEST_MOMENT}"
            )
        if self.moments and self.state != "vector":
            raise PhysimError(f"moments: got {self.moments} with maps, expected state 'vector'")
        if not 0 <= self.decoded <= self.frames:
            raise PhysimError(
                f"decoded: got {self.decoded}, expected from 0 to {self.frames}, "
                "the frames of a rollout"
            )
        if not self.transform and self.latent_size != 2 * self.state_size:
            raise PhysimError(
                f"latent_size: got {self.latent_size} without f_ψ, expected "
                f"{2 * self.state_size}, the size of (q, p)"
            )
        if self.both_ways and (self.anchor != "middle" or self.inference_frames % 2 == 0):
            raise PhysimError(
                f"both_ways: got {self.inference_frames} inference frames with anchor "
                f"'{self.anchor}', expected an odd number with anchor 'middle'"
            )
        start_size(self.resolution, self.decoder, self.shuffle)
        integrators.find(self.integrator, self.separable)

    @property
    def inferred(self) -> int:
        """Index of the anchor among the frames."""
        last = self.inference_frames - 1
        return {"first": 0, "middle": last // 2, "last": last}[self.anchor]


HIGHEST_MOMENT = 8
"""Degree beyond which image moments of 32 pixels mostly repeat each other."""

CHOICES = {
    "anchor": ("first", "middle", "last"),
    "state": ("maps", "vector"),
    "objective": ("geco", "elbo"),
}
POSITIVE = (
    "frames",
    "resolution",
    "channels",
    "state_size",
    "latent_size",
    "dt",
    "substeps",
    "shuffle",
    "kappa",
    "multiplier",
)
NOT_NEGATIVE = ("beta", "beta_delay", "consistency", "consistency_delay")
NEEDS: dict[tuple[str, ...], dict[str, Any]] = {
    ("kappa", "alpha", "multiplier"): {"objective": "geco"},
    ("beta", "beta_delay"): {"objective": "elbo", "stochastic": True},
    ("log_sigma",): {"stochastic": True},
    ("maps",): {"state": "vector"},
    ("consistency_delay", "consistency_each"): {"consistency": None},
}
"""Without which settings others have no effect: of what value, or of any but 0."""
