"""Rollouts of kicks and drifts on a GPU in one launch forward and one backward.

As plain calls a rollout of 30 steps is thousands of small kernels that wait for each other. In
`rollouts.cu` a block of threads does all steps of a trajectory; here it is compiled for the
energies at hand (`shapes.py`) and started, and of what it leaves gradients of weights are made.
The mathematics is that of `hgn_train/adjoint.py`, which asks here first.

It is float32 throughout, like the plain calls, and differs from them in the order of sums.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hgn_train.chain import Chain
from hgn_train.gpu import cuda
from hgn_train.gpu.shapes import Shapes, order, places, shapes_of
from hgn_train.hamiltonian import Separable
from hgn_train.integrators import DRIFT, Moves

_compiling = threading.Lock()


def suits(q: Tensor) -> bool:
    """Whether kernels may be asked: float32 on a GPU, plain calls."""
    return cuda.suits(q) and q.dtype == torch.float32 and cuda.has_compiler()


class Kernels:
    """The kernels of some shapes, and how weights lie for them and for PyTorch.

    Arguments:
        shapes: What they are compiled for.
        device: Where they run.
        program: The kernels themselves.
    """

    def __init__(self, shapes: Shapes, device: torch.device, program: Any) -> None:
        self.shapes, self.program = shapes, program
        self.order = order(shapes).to(device)
        self.places = [places(window) for window in shapes.windows]
        self.places = [each and (each[0].to(device), each[1].to(device)) for each in self.places]

    def packed(self, energy: Chain) -> Tensor:
        """Weights as the kernels read them."""
        parts = [part.detach().reshape(-1) for part in energy.tensors() if part is not None]
        return torch.cat(parts)[self.order]

    def of_weight(self, layer: int, back: Tensor, seen: Tensor) -> Tensor:
        """Gradient of a layer's weight, from what came back to its outputs and what it saw.

        Arguments:
            layer: Which.
            back: (rows, numbers behind it).
            seen: (rows, numbers before it).
        """
        product = back.T @ seen
        window, places = self.shapes.windows[layer], self.places[layer]
        shape = (window.outputs, window.inputs, window.kernel, window.kernel)
        if places is None:
            return product.view(shape)
        index, there = places
        return (product.view(-1)[index] * there).sum(0).view(shape)


@functools.lru_cache(maxsize=64)
def compiled(shapes: Shapes, device: torch.device) -> Kernels:
    """The kernels on a device."""
    with torch.cuda.device(device):
        program = cuda.Program(shapes.source(), shapes.shared(), shapes.threads)
        kernels = Kernels(shapes, device, program)
        torch.cuda.current_stream().synchronize()  # others use them on streams of their own
    return kernels


def kernels_for(moves: Moves, potential: Chain, kinetic: Chain, q: Tensor) -> Kernels | None:
    """Kernels for these energies, or none where plain calls have to do."""
    shapes = shapes_of(moves, potential, kinetic)
    if shapes is None or max(shapes.shared().values()) > cuda.shared_memory(q.device):
        return None
    with _compiling:
        return compiled(shapes, q.device)


def states(
    moves: Moves,
    network: Separable,
    q: Tensor,
    p: Tensor,
    dt: float | Tensor,
    forward: int,
    backward: int,
) -> tuple[Tensor, Tensor] | None:
    """As `adjoint.states`; none where there are no kernels for it."""
    if not suits(q):
        return None
    chains = network.chains()
    kernels = kernels_for(moves, *chains, q)
    if kernels is None:
        return None
    lengths = dt if isinstance(dt, Tensor) else torch.full((1,), dt, device=q.device)
    plan = Plan(kernels, *chains, lengths.contiguous(), forward, backward)
    if not torch.is_grad_enabled():
        qs, ps, _ = plan.rollout(q, p, keep=False)
        return qs, ps
    found: tuple[Tensor, Tensor] = _States.apply(
        plan, q, p, *chains[0].tensors(), *chains[1].tensors()
    )
    return found


@dataclass
class Arrays:
    """What a rollout leaves of one energy, and its products after it, in the order of the kernels.

    Each is an array (2, slopes, batch, width) for each layer, one behind the other in memory.

    Attributes:
        maps: What enters each activation, and what comes back to it.
        pulls: What comes back to its input, and the same along the direction of the product.
        seen: Directions, and what they start from.
    """

    maps: list[Tensor]
    pulls: list[Tensor]
    seen: list[Tensor]

    @classmethod
    def new(cls, slopes: int, batch: int, widths: Sequence[int], like: Tensor) -> Arrays:
        """Empty ones."""

        def made(widths: Sequence[int]) -> list[Tensor]:
            sizes = [2 * slopes * batch * width for width in widths]
            memory = like.new_empty(sum(sizes)).split(sizes)
            return [
                part.view(2, slopes, batch, width)
                for part, width in zip(memory, widths, strict=True)
            ]

        return cls(made(widths[1:]), made(widths[1:]), made(widths))

    def starts(self) -> list[Tensor]:
        """The first layer of each, where its memory begins."""
        return [self.maps[0], self.pulls[0], self.seen[0]]


@dataclass(frozen=True)
class Plan:
    """A rollout forward and backward from an anchor.

    Attributes:
        kernels: Its kernels.
        potential: V.
        kinetic: T.
        lengths: dt, (1,) or (batch,).
        forward: Steps forward.
        backward: Steps backward.
    """

    kernels: Kernels
    potential: Chain
    kinetic: Chain
    lengths: Tensor
    forward: int
    backward: int

    def slopes(self) -> list[tuple[int, int]]:
        """Of V and of T, how many slopes there are, and how many of them forward in time."""
        found = []
        for steps in (self.forward, self.backward):
            rows = self.kernels.shapes.moves.uses(steps)
            made = [way for row in rows for way, _, new in row if new]
            found.append((len(made) - made.count(DRIFT), made.count(DRIFT)))
        ahead, behind = found
        return [(a + b, a) for a, b in zip(ahead, behind, strict=True)]

    def head(self, batch: int) -> list[Any]:
        """What the kernels are told first."""
        return [batch, self.forward, self.backward, int(len(self.lengths) > 1), self.lengths]

    def launch(self, name: str, batch: int, words: Sequence[Any]) -> None:
        """Start a kernel: a block a trajectory and direction of time."""
        blocks = batch * (2 if self.backward else 1)
        self.kernels.program.launch(name, blocks, [*self.head(batch), *words])

    def rollout(self, q: Tensor, p: Tensor, keep: bool) -> tuple[Tensor, Tensor, list[Any]]:
        """States at all times, and what the kernels are told of both energies.

        Arguments:
            q: Positions, (batch, n).
            p: Momenta.
            keep: Whether what the gradient needs is kept.

        Returns:
            q and p, (batch, time, n), and, an entry an energy, weights, both numbers of slopes
            and `Arrays`, or none.
        """
        batch, n = q.shape
        qs, ps = (q.new_empty(batch, self.backward + 1 + self.forward, n) for _ in range(2))
        told: list[Any] = []
        for energy, (slopes, ahead) in zip(
            (self.potential, self.kinetic), self.slopes(), strict=True
        ):
            arrays = None
            if keep:
                arrays = Arrays.new(slopes, batch, self.kernels.shapes.widths, q)
            told.append((self.kernels.packed(energy), slopes, ahead, arrays))
        self.launch("rollout", batch, [q.contiguous(), p.contiguous(), qs, ps, *_flat(told)])
        return qs, ps, told

    def products(
        self, of_q: Tensor, of_p: Tensor, told: list[Any]
    ) -> tuple[Tensor, Tensor, list[Tensor | None]]:
        """Gradients with respect to the first state and to all weights.

        Arguments:
            of_q: Gradient with respect to all positions, (batch, time, n).
            of_p: And to all momenta.
            told: From `rollout`.
        """
        batch, n = of_q.shape[0], of_q.shape[2]
        of_q, of_p = of_q.contiguous(), of_p.contiguous()
        ways = 2 if self.backward else 1
        first = [of_q.new_empty(ways, batch, n) for _ in range(2)]
        self.launch("products", batch, [of_q, of_p, *first, *_flat(told)])
        whole = [
            at[:, self.backward] + of.sum(0) for at, of in zip((of_q, of_p), first, strict=True)
        ]
        of_weights = [x for *_, arrays in told for x in self.of_weights(arrays)]
        return whole[0], whole[1], of_weights

    def of_weights(self, arrays: Arrays) -> list[Tensor | None]:
        """Gradients in the order of `Chain.tensors`."""
        found: list[Tensor | None] = []
        windows = self.kernels.shapes.windows
        for layer, (window, pulls) in enumerate(zip(windows, arrays.pulls, strict=True)):
            back, seen = pulls.flatten(0, 2), arrays.seen[layer].flatten(0, 2)
            found.append(self.kernels.of_weight(layer, back, seen))
            found.append(pulls[1].flatten(0, 1).unflatten(1, (window.outputs, -1)).sum((0, 2)))
        stiffness = None
        if self.kernels.shapes.stiff:
            directions, inputs = arrays.seen[0]
            stiffness = (directions * inputs).sum((0, 1))
        return [*found, arrays.seen[-1][0].sum((0, 1)), stiffness]


def _flat(told: Sequence[Any]) -> list[Any]:
    """Weights, numbers of slopes and arrays of both energies as a kernel takes them."""
    return [
        word
        for weights, slopes, ahead, arrays in told
        for word in (weights, slopes, ahead, *(arrays.starts() if arrays else [None] * 3))
    ]


class _States(torch.autograd.Function):
    """Forward and backward, energies given as flat lists of tensors besides."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, q: Tensor, p: Tensor, *weights: Any) -> Any:
        qs, ps, ctx.told = plan.rollout(q, p, keep=True)
        ctx.plan = plan
        return qs, ps

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_q: Tensor, of_p: Tensor) -> Any:  # type: ignore[override]
        of_first_q, of_first_p, of_weights = ctx.plan.products(of_q, of_p, ctx.told)
        return None, of_first_q, of_first_p, *of_weights
