"""Rollouts of kicks and drifts on a GPU in one launch forward and one backward.

As plain calls a rollout of 30 steps is thousands of small kernels that wait for each other. In
`hgn_train/rollout.cu` a block of threads does all steps of a trajectory; here that source gets its
shapes, weights are laid out for it, and what it leaves is handed to `hgn_train/adjoint.py`, where
the mathematics is, in the form that plain calls leave it.

It is float32 throughout, like the plain calls, and differs from them in the order of sums.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import torch
from torch import Tensor

from hgn_train.gpu import Program
from hgn_train.hamiltonian import Unfolded, Window
from hgn_train.integrators import DRIFT, Moves

THREADS = 512
"""Of a block."""

PLACES = 16
"""Pixels of a map, at most: each thread has so many sums in registers."""

MEMORY = 200 * 1024
"""Bytes of shared memory of a block, at most."""

ACTIVATIONS = {
    "softplus": (
        "u > 20 ? u : log1pf(expf(u))",
        "1 / (1 + expf(-u))",
        "slope(u) * (1 - slope(u))",
    ),
    "tanh": ("tanhf(u)", "1 - tanhf(u) * tanhf(u)", "-2 * tanhf(u) * (1 - tanhf(u) * tanhf(u))"),
    "swish": (
        "u * gate(u)",
        "gate(u) * (1 + u * (1 - gate(u)))",
        "gate(u) * (1 - gate(u)) * (2 + u * (1 - 2 * gate(u)))",
    ),
}
"""Each with its two derivatives, as in `hamiltonian.SMOOTH` and `hamiltonian.CURVATURE`."""

_compiling = threading.Lock()
_plain = contextvars.ContextVar("plain", default=False)


@contextlib.contextmanager
def plain_calls() -> Iterator[None]:
    """Have rollouts done by plain calls meanwhile, as where the two are compared."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


@dataclass(frozen=True)
class Shapes:
    """What a kernel is compiled for.

    Attributes:
        windows: Of each hidden layer.
        stiff: Whether there is a quadratic part.
        activation: One of `ACTIVATIONS`.
        moves: Kicks and drifts of a step.
        threads: Of a block.
    """

    windows: tuple[Window, ...]
    stiff: bool
    activation: str
    moves: Moves
    threads: int

    @property
    def widths(self) -> list[int]:
        """Numbers in the state and behind each hidden layer."""
        return [self.windows[0].numbers_in, *(window.numbers_out for window in self.windows)]

    @property
    def partial(self) -> int:
        """Numbers that all groups of threads leave to be added up."""
        sizes = []
        for window in self.windows:
            for channels, side in (
                (window.outputs, window.after),
                (window.inputs, window.side),
            ):
                groups = self.threads // channels
                sizes.append(groups * side**2 * (channels + 1))
        return max(sizes)

    def shared(self) -> dict[str, int]:
        """Bytes of shared memory of each kernel."""
        n, widest, hidden = self.widths[0], max(self.widths), sum(self.widths[1:])
        return {
            "rollout": 4 * (4 * n + widest + hidden + self.partial),
            "products": 4 * (5 * n + widest + 3 * hidden + self.partial),
        }

    def fit(self) -> bool:
        """Whether the kernels can have them."""
        channels = max(max(window.inputs, window.outputs) for window in self.windows)
        side = max(max(window.side, window.after) for window in self.windows)
        if self.activation not in ACTIVATIONS or channels > self.threads or side**2 > PLACES:
            return False
        return max(self.shared().values()) <= MEMORY

    def source(self) -> str:
        """The kernels with these shapes in front."""
        value, slope, curvature = ACTIVATIONS[self.activation]
        lines = [
            f"#define THREADS {self.threads}",
            f"#define DEPTH {len(self.windows)}",
            f"#define N {self.widths[0]}",
            f"#define WIDEST {max(self.widths)}",
            f"#define STIFF {int(self.stiff)}",
            f"#define TOGETHER {int(self.moves.together)}",
            f"#define OPERATIONS {len(self.moves.parts)}",
            "template <int L> struct Shape;",
        ]
        place = 0
        for number, w in enumerate(self.windows):
            fields = {
                "in": w.inputs, "out": w.outputs, "kernel": w.kernel, "stride": w.stride,
                "pad": w.pad, "side": w.side, "after": w.after, "weights": place,
            }  # fmt: skip
            said = ", ".join(f"{name} = {value}" for name, value in fields.items())
            lines.append(f"template <> struct Shape<{number}> {{ static constexpr int {said}; }};")
            place += 2 * w.inputs * w.outputs * w.kernel**2 + w.outputs
        made = [new for row in self.moves.uses(2) for _, _, new in row]
        lines += [
            f"#define LAST {place}",
            f"#define STIFFNESS {place + self.widths[-1]}",
            _constants("int", "WAY", [int(way == DRIFT) for way, _ in self.moves.parts]),
            _constants("float", "SHARE", [f"(float){share!r}" for _, share in self.moves.parts]),
            _constants("int", "NEW", [int(new) for new in made]),
            "__device__ inline float gate(float u) { return 1 / (1 + expf(-u)); }",
            f"__device__ inline float value(float u) {{ return {value}; }}",
            f"__device__ inline float slope(float u) {{ return {slope}; }}",
            f"__device__ inline float curvature(float u) {{ return {curvature}; }}",
        ]
        kernels = (resources.files("hgn_train") / "rollout.cu").read_text(encoding="utf-8")
        return "\n".join([*lines, kernels])


def _constants(kind: str, name: str, values: Sequence[object]) -> str:
    return f"__constant__ {kind} {name}[] = {{{', '.join(map(str, values))}}};"


def shapes_of(moves: Moves, potential: Unfolded, kinetic: Unfolded) -> Shapes | None:
    """What kernels for these energies would be compiled for; none where they differ too much."""
    found = [
        Shapes(
            tuple(kernel.window for kernel in energy.kernels),
            energy.stiffness is not None,
            energy.activation,
            moves,
            THREADS,
        )
        for energy in (potential, kinetic)
    ]
    if found[0] != found[1] or not found[0].windows or not found[0].fit():
        return None
    return found[0]


def program_for(moves: Moves, potential: Unfolded, kinetic: Unfolded, q: Tensor) -> Program | None:
    """Kernels for these energies, or none where plain calls have to do.

    Arguments:
        moves: Of the integrator.
        potential: V.
        kinetic: T.
        q: Positions, (batch, n).
    """
    if torch.compiler.is_compiling() or q.device.type != "cuda" or q.dtype != torch.float32:
        return None
    if _plain.get() or torch.jit.is_tracing() or torch._C._are_functorch_transforms_active():
        return None
    shapes = shapes_of(moves, potential, kinetic)
    if shapes is None:
        return None
    with _compiling:
        return compiled(shapes, q.device.index or 0)


@functools.lru_cache(maxsize=64)
def compiled(shapes: Shapes, device: int) -> Program | None:
    """The kernels on a device; none, with a warning, where PyTorch does not bring the compiler."""
    try:
        with torch.cuda.device(device):
            return Program(shapes.source(), shapes.shared(), shapes.threads)
    except ImportError as error:
        warnings.warn(
            f"rollouts are done by plain calls, several times slower: {error}; "
            "expected the package cuda-bindings, as PyTorch for CUDA asks for",
            stacklevel=2,
        )
        return None


def packed(energy: Unfolded) -> Tensor:
    """Weights as the kernels read them: of each layer, there, back and bias; then the sum's."""
    parts: list[Tensor] = []
    for kernel in energy.kernels:
        weight = kernel.weight.detach()
        parts += [weight.permute(1, 2, 3, 0), weight.permute(0, 2, 3, 1), kernel.bias.detach()]
    parts.append(energy.last.detach())
    if energy.stiffness is not None:
        parts.append(energy.stiffness.detach())
    return torch.cat([part.reshape(-1) for part in parts])


class Arrays:
    """An array (slopes, batch, width) for each of some widths, one behind the other in memory."""

    def __init__(self, slopes: int, batch: int, widths: Sequence[int], like: Tensor) -> None:
        sizes = [slopes * batch * width for width in widths]
        self.memory = like.new_empty(sum(sizes))
        self.parts = [part.view(slopes, batch, -1) for part in self.memory.split(sizes)]


Left = tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]
"""Inputs, before, back and pulls, as in `adjoint.Slope`: by layer, (slopes, batch, width)."""


@dataclass
class Kept:
    """What a rollout leaves for its gradient.

    Attributes:
        program: Its kernels.
        steps: How many steps.
        lengths: dt, (1, 1) or (batch, 1).
        weights: Of V and T, packed.
        widths: As in `Shapes`.
        before: What enters each activation, of V and T.
        back: What comes back to it.
    """

    program: Any
    steps: int
    lengths: Tensor
    weights: list[Tensor]
    widths: list[int]
    before: list[Arrays]
    back: list[Arrays]


def rollout(
    program: Any,
    moves: Moves,
    potential: Unfolded,
    kinetic: Unfolded,
    q: Tensor,
    p: Tensor,
    dt: Tensor,
    steps: int,
) -> tuple[Tensor, Tensor, tuple[Left, Left], Kept]:
    """States after each step, and what their gradient needs.

    Arguments:
        program: From `program_for`.
        moves: Of the integrator.
        potential: V.
        kinetic: T.
        q: Positions, (batch, n).
        p: Momenta, (batch, n).
        dt: Length of a step, (1, 1) or (batch, 1).
        steps: How many.

    Returns:
        q and p, (batch, steps, n); what the slopes of V and of T left; and the rest.
    """
    batch, n = q.shape
    windows = [kernel.window for kernel in potential.kernels]
    widths = [n, *(window.numbers_out for window in windows)]
    made = [way for row in moves.uses(steps) for way, _, new in row if new]
    weights = [packed(energy) for energy in (potential, kinetic)]
    qs, ps = (q.new_empty(batch, steps, n) for _ in range(2))
    arguments: list[Any] = [steps, batch, int(len(dt) > 1), dt.contiguous()]
    arguments += [q.contiguous(), p.contiguous(), *weights, qs, ps]
    left: list[list[Arrays]] = []
    for slopes in (len(made) - made.count(DRIFT), made.count(DRIFT)):
        arrays = [Arrays(slopes, batch, widths[:-1], q)]
        arrays += [Arrays(slopes, batch, widths[1:], q) for _ in range(3)]
        arguments += [slopes, *(one.memory for one in arrays)]
        left.append(arrays)
    program.launch("rollout", batch, arguments)
    found: Any = tuple(tuple(one.parts for one in arrays) for arrays in left)
    kept = Kept(
        program, steps, dt, weights, widths,
        [arrays[1] for arrays in left], [arrays[2] for arrays in left],
    )  # fmt: skip
    return qs, ps, found, kept


def products(
    kept: Kept, of_q: Tensor, of_p: Tensor
) -> tuple[Tensor, Tensor, list[tuple[list[Tensor], list[Tensor]]]]:
    """Gradients with respect to the first state, and what those of weights are made of.

    Arguments:
        kept: What the rollout left.
        of_q: Gradient with respect to its positions, (batch, steps, n).
        of_p: And to its momenta.

    Returns:
        Gradients of q and p, (batch, n); for V and T, by layer, directions and what came back
        along them, (slopes, batch, width).
    """
    batch, _, n = of_q.shape
    of_first = [of_q.new_empty(batch, n) for _ in range(2)]
    arguments: list[Any] = [kept.steps, batch, int(len(kept.lengths) > 1)]
    arguments += [kept.lengths.contiguous(), of_q.contiguous(), of_p.contiguous()]
    arguments += [*kept.weights, *of_first]
    found = []
    for before, back in zip(kept.before, kept.back, strict=True):
        slopes = len(before.parts[0])
        directions = Arrays(slopes, batch, kept.widths, of_q)
        along = Arrays(slopes, batch, kept.widths[1:], of_q)
        memory = [one.memory for one in (before, back, directions, along)]
        arguments += [slopes, *memory]
        found.append((directions.parts, along.parts))
    kept.program.launch("products", batch, arguments)
    return of_first[0], of_first[1], found
