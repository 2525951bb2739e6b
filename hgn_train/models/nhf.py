"""Neural Hamiltonian Flow: a density made by carrying a simple one along learned dynamics.

    (q₀, p₀) ~ base                       independent numbers, Gaussian or soft-edged uniform
    (q, p) = Φ(q₀, p₀)                    leapfrog along H = K(p) + V(q), a few steps
    q                                     is a point of the data, p is thrown away

A leapfrog step shears the momenta by a function of q and the positions by a function of p, so it
keeps volumes: the joint density is base(Φ⁻¹(q, p)), without a Jacobian. That of q alone is the
integral over p, which is bounded from below with an encoder f(p | q), a Gaussian:

    log ∫ base(Φ⁻¹(q, p)) dp ≥ E[log (1/k) Σᵢ base(Φ⁻¹(q, pᵢ)) / f(pᵢ | q)],  pᵢ ~ f(p | q)

For k = 1 it is the evidence bound; it never falls with k, and is tight where f is proportional to
the joint density. Φ⁻¹ is the same leapfrog with −dt. Points are shifted and scaled to mean 0 and
deviation 1 first, by constants that are part of the density.

Reference: Toth, Rezende, Jaegle, Racanière, Botev and Higgins (2019), "Hamiltonian Generative
Networks". The importance-weighted bound: Burda, Grosse and Salakhutdinov (2016),
"Importance Weighted Autoencoders".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hgn_train import activations, bases, integrators
from hgn_train.hamiltonian import Separable, mlp_energy
from hgn_train.layers import linear
from hgn_train.scores import Scores
from physim.errors import PhysimError


@dataclass(frozen=True)
class NHFSettings:
    """Everything that makes one flow different from another.

    Attributes:
        dimension: Numbers in a point.
        stages: Hamiltonians that the flow follows one after the other.
        substeps: Integrator steps along each.
        dt: Time of a step.
        hamiltonian: Widths of the hidden layers of K and V.
        activation: Smooth activation of K and V.
        harmonic: Whether K and V each have a quadratic part, ½ Σ k x² with learned k > 0 that
            starts at 1, besides the network.
        encoder: Widths of the hidden layers of f(p | q).
        base: One of `bases.BASES`.
        samples: k of the bound that is maximised.
        integrator: One of `integrators.INTEGRATORS` that is reversible and keeps volumes.
    """

    dimension: int = 2
    stages: int = 1
    substeps: int = 2
    dt: float = 0.5
    hamiltonian: tuple[int, ...] = (128, 128)
    activation: str = "softplus"
    harmonic: bool = False
    encoder: tuple[int, ...] = (128, 128)
    base: str = "gaussian"
    samples: int = 1
    integrator: str = "leapfrog"

    def __post_init__(self) -> None:
        """Refuse what makes no flow.

        Raises:
            PhysimError: Names the setting, its value and what is allowed.
        """
        for name in ("dimension", "stages", "substeps", "samples"):
            if getattr(self, name) < 1:
                raise PhysimError(
                    f"{name}: got {getattr(self, name)}, expected a whole number from 1"
                )
        if not 0 < self.dt < math.inf:
            raise PhysimError(f"dt: got {self.dt}, expected a number above 0")
        for name in ("hamiltonian", "encoder"):
            if not all(isinstance(width, int) and width > 0 for width in getattr(self, name)):
                raise PhysimError(
                    f"{name}: got {list(getattr(self, name))}, expected widths such as [128, 128]"
                )
        activations.check(self.activation)
        bases.find(self.base)
        chosen = integrators.find(self.integrator)
        if not (chosen.symplectic and chosen.reversible and chosen.needs_separable):
            fits = [
                one.name
                for one in integrators.INTEGRATORS.values()
                if one.symplectic and one.reversible and one.needs_separable
            ]
            raise PhysimError(
                f"integrator: got '{self.integrator}', whose steps back do not undo steps forward "
                f"exactly; expected one of {', '.join(fits)}"
            )


class MomentumEncoder(nn.Module):
    """f(p | q): a diagonal Gaussian, its mean and log-deviation by an MLP; N(0, 1) at the start.

    Arguments:
        dimension: Numbers in q, and in p.
        widths: Of the hidden layers.
    """

    def __init__(self, dimension: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise([dimension, *widths]):
            layers += [linear(a, b), nn.SiLU()]
        last = linear([dimension, *widths][-1], 2 * dimension)
        nn.init.zeros_(last.weight)
        self.network = nn.Sequential(*layers, last)

    def forward(self, q: Float[Tensor, "n d"]) -> tuple[Tensor, Tensor]:
        """Mean and log-deviation, (n, d) each."""
        mean, log_deviation = self.network(q).chunk(2, 1)
        return mean, log_deviation


class NHF(nn.Module):
    """The flow with its loss, its bounds and its samples.

    Arguments:
        settings: What it is made of.
    """

    inputs = ("points",)
    centre: Tensor
    deviation: Tensor

    def __init__(self, settings: NHFSettings) -> None:
        super().__init__()
        self.settings = settings
        s = settings
        stiffness = [1.0] * s.dimension if s.harmonic else []
        self.stages: Any = nn.ModuleList(
            Separable(
                *(mlp_energy(s.dimension, s.hamiltonian, s.activation, stiffness) for _ in "KV")
            )
            for _ in range(s.stages)
        )
        self.encoder = MomentumEncoder(s.dimension, s.encoder)
        self.base = bases.find(s.base)
        self.integrator = integrators.find(s.integrator)
        self.register_buffer("centre", torch.zeros(s.dimension))
        self.register_buffer("deviation", torch.ones(s.dimension))

    @property
    def event_shape(self) -> torch.Size:
        """Shape of a point."""
        return torch.Size([self.settings.dimension])

    def prepare(self, example: Mapping[str, Tensor]) -> None:
        """Take mean and deviation of some points, to which all are shifted and scaled."""
        points = example["points"]
        self.centre.copy_(points.mean(0))
        self.deviation.copy_(points.std(0).clamp(min=1e-12))

    def draws(self, batch_size: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Noise of the momenta.

        Arguments:
            batch_size: Points of the step.
            generator: Where randomness comes from.

        Returns:
            `noise`, (batch, k, d).
        """
        shape = (self.settings.samples, batch_size, self.settings.dimension)
        noise = torch.randn(shape, generator=generator, device=generator.device)
        return {"noise": noise.transpose(0, 1)}

    def forward(
        self, batch: Mapping[str, Tensor], draws: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Loss of a batch.

        Arguments:
            batch: `points`, (batch, d).
            draws: From `draws`.

        Returns:
            `loss`, minus the mean bound in nats per point, and `elbo`, the mean evidence bound.
        """
        weights = self.log_weights(batch["points"], draws["noise"].transpose(0, 1))
        return {"loss": -bound(weights).mean(), "elbo": weights.detach().mean()}

    @torch.no_grad()
    def score(self, rows: Mapping[str, Tensor]) -> Scores:
        """Minus the bound of 16 momenta a point, always the same ones."""
        points = rows["points"]
        generator = torch.Generator(points.device).manual_seed(0)
        return Scores(-self.log_prob(points, 16, generator).float())

    def flow(self, q: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """Φ: from the base to the (standardised) data, (n, d) each."""
        for hamiltonian in self.stages:
            q, p = self._along(hamiltonian, q, p, self.settings.dt)
        return q, p

    def inverse(self, q: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """Φ⁻¹: from the (standardised) data to the base, (n, d) each."""
        for hamiltonian in reversed(self.stages):
            q, p = self._along(hamiltonian, q, p, -self.settings.dt)
        return q, p

    def _along(
        self, hamiltonian: Separable, q: Tensor, p: Tensor, dt: float
    ) -> tuple[Tensor, Tensor]:
        q, p = self._states(hamiltonian, q, p, dt)
        return q[:, -1], p[:, -1]

    def _states(
        self, hamiltonian: Separable, q: Tensor, p: Tensor, dt: float
    ) -> tuple[Tensor, Tensor]:
        with torch.autocast(q.device.type, enabled=False):
            return integrators.rollout(
                self.integrator, hamiltonian, q, p, dt, self.settings.substeps
            )

    def path(self, q: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """States from the base to the (standardised) data, one after each step, (n, times, d)."""
        positions, momenta = [q[:, None]], [p[:, None]]
        for hamiltonian in self.stages:
            q, p = self._states(hamiltonian, q, p, self.settings.dt)
            positions.append(q[:, 1:])
            momenta.append(p[:, 1:])
            q, p = q[:, -1], p[:, -1]
        return torch.cat(positions, 1), torch.cat(momenta, 1)

    def start(self, shape: tuple[int, ...], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Positions and momenta of the base, of that shape each."""
        dtype = self.centre.dtype
        return self.base.sample(shape, generator, dtype), self.base.sample(shape, generator, dtype)

    def standardised(self, points: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Points as the flow sees them."""
        return (points - self.centre) / self.deviation

    def log_weights(
        self, points: Float[Tensor, "n d"], noise: Float[Tensor, "k n d"]
    ) -> Float[Tensor, "k n"]:
        """Log of base(Φ⁻¹(q, p)) / f(p | q), in the units of the points.

        Arguments:
            points: q.
            noise: From which p = mean + deviation × noise.

        Returns:
            In nats.
        """
        q = self.standardised(points)
        mean, log_deviation = self.encoder(q)
        p = mean + torch.exp(log_deviation) * noise
        of_p = bases.Gaussian().log_prob(noise) - log_deviation.sum(1)
        start_q, start_p = self.inverse(q.expand_as(p).flatten(0, 1), p.flatten(0, 1))
        joint = self.base.log_prob(start_q) + self.base.log_prob(start_p)
        return joint.unflatten(0, p.shape[:2]) - of_p - self.deviation.log().sum()

    def log_prob(
        self,
        value: Float[Tensor, "*batch d"],
        samples: int = 64,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "*batch"]:
        """A lower bound of the log-density, in expectation: that of `samples` momenta a point.

        The density itself is an integral over momenta that has no closed form.

        Arguments:
            value: Points.
            samples: k of the importance-weighted bound; 1 for a sample of the evidence bound.
            generator: Where momenta come from; by default torch's own.

        Returns:
            In nats.

        Raises:
            PhysimError: No samples, or points of another dimension.
        """
        if samples < 1:
            raise PhysimError(f"samples: got {samples}, expected a whole number from 1")
        if value.shape[-1:] != self.event_shape:
            raise PhysimError(
                f"value: got points of shape {tuple(value.shape)}, expected "
                f"(…, {self.settings.dimension})"
            )
        points = value.reshape(-1, self.settings.dimension)
        noise = torch.randn(
            (samples, *points.shape), generator=generator, device=points.device, dtype=points.dtype
        )
        return bound(self.log_weights(points, noise)).reshape(value.shape[:-1])

    def rsample(
        self, sample_shape: tuple[int, ...] = (), generator: torch.Generator | None = None
    ) -> Float[Tensor, "*sample d"]:
        """Exact samples of the density, differentiable with respect to the weights.

        Arguments:
            sample_shape: How many.
            generator: Where they come from, on the model's device; by default a new one with a
                seed of torch's own generator.

        Returns:
            Points.
        """
        if generator is None:
            generator = torch.Generator(self.centre.device)
            generator.manual_seed(int(torch.randint(2**62, ())))
        shape = (math.prod(sample_shape), self.settings.dimension)
        start_q, start_p = self.start(shape, generator)
        q, _ = self.flow(start_q, start_p)
        points = self.centre + self.deviation * q
        return points.reshape(*sample_shape, self.settings.dimension)

    @torch.no_grad()
    def sample(
        self, sample_shape: tuple[int, ...] = (), generator: torch.Generator | None = None
    ) -> Float[Tensor, "*sample d"]:
        """As `rsample`, without a graph."""
        return self.rsample(sample_shape, generator)


def bound(log_weights: Float[Tensor, "k n"]) -> Float[Tensor, " n"]:
    """Log of the mean weight: the importance-weighted bound for that many samples."""
    return torch.logsumexp(log_weights, 0) - math.log(len(log_weights))
