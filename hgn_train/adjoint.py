"""Rollouts of kicks and drifts whose gradient is written out: half the work of autograd's.

A step for H = T(p) + V(q) is a list of kicks p ← p − c dt V'(q) and drifts q ← q + c dt T'(p)
(`integrators.Moves`). Backward in the list, with λ_q and λ_p the gradients of the loss, the slope
g = V'(q) of a kick has gradient γ = −c dt λ_p, and λ_q grows by V''(q) γ; a drift alike. Kicks at
the same q share their slope; in Euler's step, where all slopes are of the state before it, so are
all γ of the λ behind it.

For an energy E(x) = Σ W_L a(… a(W_1 x + b_1)), with u_i what enters activation i, s_i = a'(u_i)
and h_i what comes back to u_i in the gradient of E, the product E''(x) γ is a pass forward and one
back along γ: ẋ_0 = γ, u̇_i = W_i ẋ_{i−1}, ẋ_i = s_i ∘ u̇_i, then ḣ_i likewise. They are also all
that the weights need: ∂⟨γ, E'(x)⟩ / ∂W_i = h_iᵀ ẋ_{i−1} + ḣ_iᵀ x_{i−1}. Autograd makes such a
product for each weight at each slope and adds them up; here what belongs to one weight is joined
over all slopes of a rollout and multiplied once.

It is the same gradient up to the order of sums. All of it is plain operations of fixed shapes, so
that it can be compiled or captured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from hgn_train import integrators
from hgn_train.gpu import rollouts
from hgn_train.hamiltonian import Joint, Separable, Unfolded, UnfoldedSum
from hgn_train.integrators import DRIFT, KICK, Integrator, Moves


@dataclass
class Slope:
    """What one evaluation of E'(x) leaves for its product with a direction, a list by layer.

    Attributes:
        inputs: x_0 … x_{L−1}, what enters each matrix but the last.
        before: u_1 … u_{L−1}, what enters each activation.
        back: What comes back to the output of each activation.
        pulls: h_1 … h_{L−1}, what comes back to each u.
    """

    inputs: list[Tensor]
    before: list[Tensor]
    back: list[Tensor]
    pulls: list[Tensor]


def states(
    integrator: Integrator,
    network: Separable | Joint,
    q: Tensor,
    p: Tensor,
    dt: float | Tensor,
    forward: int,
    backward: int = 0,
) -> tuple[Tensor, Tensor]:
    """As `integrators.rollout`, the gradient written out where steps are kicks and drifts.

    Arguments:
        integrator: How to step.
        network: The Hamiltonian.
        q: Flattened positions, (batch, n).
        p: Flattened momenta, (batch, n).
        dt: Time between states, a number or (batch,).
        forward: Number of states after the given one.
        backward: Number of states before it.

    Returns:
        q and p, (batch, backward + 1 + forward, n).
    """
    moves = integrator.moves
    if moves is not None and isinstance(network, Separable) and forward + backward > 0:
        found = rollouts.states(moves, network, q, p, dt, forward, backward)
        if found is not None:
            return found
    hamiltonian = network.unfolded()
    parts = None
    if isinstance(hamiltonian, UnfoldedSum):
        parts = (hamiltonian.potential, hamiltonian.kinetic)
    written = parts is not None and all(part.layers for part in parts)
    if parts is None or moves is None or not written or not torch.is_grad_enabled():
        return integrators.rollout(integrator, hamiltonian, q, p, dt, forward, backward)
    if isinstance(dt, Tensor):
        dt = dt[:, None]
    qs, ps = [q[:, None]], [p[:, None]]
    if forward:
        later = rollout(moves, *parts, q, p, dt, forward)
        qs, ps = [*qs, later[0]], [*ps, later[1]]
    if backward:
        earlier = rollout(moves, *parts, q, p, -dt, backward)
        qs, ps = [earlier[0].flip(1), *qs], [earlier[1].flip(1), *ps]
    return torch.cat(qs, 1), torch.cat(ps, 1)


def rollout(
    moves: Moves,
    potential: Unfolded,
    kinetic: Unfolded,
    q: Tensor,
    p: Tensor,
    dt: Tensor | float,
    steps: int,
) -> tuple[Tensor, Tensor]:
    """States after each step.

    Arguments:
        moves: Of the integrator.
        potential: V, with at least one hidden layer.
        kinetic: T, with as many.
        q: Positions, (batch, n).
        p: Momenta, (batch, n).
        dt: Length of a step: a number, or (batch, 1).
        steps: How many, at least 1.

    Returns:
        q and p, (batch, steps, n).
    """
    if not isinstance(dt, Tensor):
        dt = torch.full((1, 1), dt, dtype=q.dtype, device=q.device)
    plain = (moves, steps, potential.activation, kinetic.activation, len(potential.layers))
    found: tuple[Tensor, Tensor] = _Rollout.apply(
        plain, dt, q, p, *potential.tensors(), *kinetic.tensors()
    )
    return found


class _Rollout(torch.autograd.Function):
    """Forward and backward, energies given as flat lists of tensors."""

    @staticmethod
    def forward(ctx: Any, plain: Any, dt: Tensor, q: Tensor, p: Tensor, *weights: Any) -> Any:
        moves, steps, *_ = plain
        potential, kinetic = _energies(plain, weights)
        slopes: dict[str, list[Slope]] = {KICK: [], DRIFT: []}
        kept: dict[str, Tensor] = {}
        qs, ps = [], []
        for row in moves.uses(steps):
            q0, p0 = q, p
            for way, share, new in row:
                if new:
                    energy, x = (potential, q) if way == KICK else (kinetic, p)
                    if moves.together:
                        x = q0 if way == KICK else p0
                    kept[way], left = _slope(energy, x)
                    slopes[way].append(left)
                if way == KICK:
                    p = p - share * dt * kept[way]
                else:
                    q = q + share * dt * kept[way]
            qs.append(q)
            ps.append(p)
        joined = [_joined(slopes[way]) for way in (KICK, DRIFT)]
        ctx.plain = plain
        ctx.sizes = [len(part) for one in joined for part in one]
        ctx.save_for_backward(dt, *weights, *(x for one in joined for part in one for x in part))
        return torch.stack(qs, 1), torch.stack(ps, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_q: Tensor, of_p: Tensor) -> Any:  # type: ignore[override]
        moves, steps, *_ = ctx.plain
        dt, *rest = ctx.saved_tensors
        known = len(rest) - sum(ctx.sizes)
        potential, kinetic = _energies(ctx.plain, rest[:known])
        parts, first = [], known
        for size in ctx.sizes:
            parts.append(rest[first : first + size])
            first += size
        products = {
            KICK: _Products(potential, *parts[:4]),
            DRIFT: _Products(kinetic, *parts[4:]),
        }
        lambda_q, lambda_p = torch.zeros_like(of_q[:, 0]), torch.zeros_like(of_p[:, 0])
        made = moves.uses(steps)
        gamma: Tensor | None = None
        for step in reversed(range(steps)):
            lambda_q, lambda_p = lambda_q + of_q[:, step], lambda_p + of_p[:, step]
            behind_q, behind_p = lambda_q, lambda_p
            for way, share, new in reversed(made[step]):
                if not moves.together:
                    behind_q, behind_p = lambda_q, lambda_p
                pull = -share * dt * behind_p if way == KICK else share * dt * behind_q
                gamma = pull if gamma is None else gamma + pull
                if new:  # the slope was made here: all that used it has been seen
                    grown = products[way].along(gamma)
                    if way == KICK:
                        lambda_q = lambda_q + grown
                    else:
                        lambda_p = lambda_p + grown
                    gamma = None
        of_weights = [*products[KICK].of_weights(), *products[DRIFT].of_weights()]
        return None, None, lambda_q, lambda_p, *of_weights


def _energies(plain: Any, weights: Sequence[Tensor]) -> tuple[Unfolded, Unfolded]:
    _, _, of_potential, of_kinetic, depth = plain
    count = 2 * depth + 2
    return (
        Unfolded.of(of_potential, weights[:count]),
        Unfolded.of(of_kinetic, weights[count:]),
    )


def _slope(energy: Unfolded, x: Tensor) -> tuple[Tensor, Slope]:
    """E'(x), and what it leaves."""
    left = Slope([], [], [], [])
    stiff = None if energy.stiffness is None else energy.stiffness * x
    for weight, bias in energy.layers:
        left.inputs.append(x)
        u = functional.linear(x, weight, bias)
        left.before.append(u)
        x = energy.value_of(u)
    gradient = energy.last.expand_as(x)
    for (weight, _), u in zip(reversed(energy.layers), reversed(left.before), strict=True):
        left.back.append(gradient)
        pull = gradient * energy.slope_of(u)
        left.pulls.append(pull)
        gradient = functional.linear(pull, weight.T)
    left.back.reverse()
    left.pulls.reverse()
    return gradient if stiff is None else gradient + stiff, left


def _joined(slopes: Sequence[Slope]) -> list[list[Tensor]]:
    """Of each layer, what all slopes left, (slopes, batch, width)."""
    return [
        [torch.stack(list(layer)) for layer in zip(*parts, strict=True)]
        for parts in (
            [one.inputs for one in slopes],
            [one.before for one in slopes],
            [one.back for one in slopes],
            [one.pulls for one in slopes],
        )
    ]


class _Products:
    """Products E''(x) γ of the slopes of a rollout, the last slope first."""

    def __init__(
        self,
        energy: Unfolded,
        inputs: Sequence[Tensor],
        before: Sequence[Tensor],
        back: Sequence[Tensor],
        pulls: Sequence[Tensor],
    ) -> None:
        self.energy, self.inputs, self.pulls = energy, inputs, pulls
        self.slopes = [energy.slope_of(u) for u in before]
        self.bends = [energy.curvature_of(u) * g for u, g in zip(before, back, strict=True)]
        self.directions: list[list[Tensor]] = []  # ẋ_0 … ẋ_{L−1} of each slope, the last first
        self.pulls_along: list[list[Tensor]] = []

    def along(self, gamma: Tensor) -> Tensor:
        """The product of the next slope with a direction, (batch, n)."""
        energy, index = self.energy, len(self.inputs[0]) - 1 - len(self.directions)
        x, directions, before = gamma, [gamma], []
        for (weight, _), slopes in zip(energy.layers, self.slopes, strict=True):
            before.append(functional.linear(x, weight))
            x = slopes[index] * before[-1]
            directions.append(x)
        pulls: list[Tensor] = []
        gradient: Tensor | None = None
        for layer, (weight, _) in reversed(list(enumerate(energy.layers))):
            pull = self.bends[layer][index] * before[layer]
            if gradient is not None:
                pull = torch.addcmul(pull, gradient, self.slopes[layer][index])
            pulls.append(pull)
            gradient = functional.linear(pull, weight.T)
        self.directions.append(directions)
        self.pulls_along.append(pulls[::-1])
        assert gradient is not None  # noqa: S101 - there is a hidden layer
        return gradient if energy.stiffness is None else gradient + energy.stiffness * gamma

    def of_weights(self) -> list[Tensor | None]:
        """Gradients in the order of `Unfolded.tensors`: one product a weight for the rollout."""
        directions = [
            torch.stack(list(layer)) for layer in zip(*reversed(self.directions), strict=True)
        ]
        along = [
            torch.stack(list(layer)) for layer in zip(*reversed(self.pulls_along), strict=True)
        ]
        found: list[Tensor | None] = []
        for layer in range(len(self.energy.layers)):
            weight = _product(self.pulls[layer], directions[layer])
            weight = weight + _product(along[layer], self.inputs[layer])
            found += [weight, along[layer].sum((0, 1))]
        stiffness = None
        if self.energy.stiffness is not None:
            stiffness = (directions[0] * self.inputs[0]).sum((0, 1))
        return [*found, directions[-1].sum((0, 1)), stiffness]


def _product(left: Tensor, right: Tensor) -> Tensor:
    """leftᵀ right over slopes and batch."""
    return left.flatten(0, 1).T @ right.flatten(0, 1)
