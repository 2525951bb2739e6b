"""What the kernels of rollouts are compiled for, and how weights lie for them and for PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import torch
from torch import Tensor

from hgn_train.chain import Chain, Window
from hgn_train.integrators import DRIFT, Moves

THREADS = 512
"""Of a block."""

PLACES = 16
"""Pixels of a map, at most: each thread has so many sums in registers."""

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
"""Each with its two derivatives, as in `activations`."""


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
        return self.activation in ACTIVATIONS and channels <= self.threads and side**2 <= PLACES

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
        kernels = (resources.files("hgn_train.gpu") / "rollouts.cu").read_text(encoding="utf-8")
        return "\n".join([*lines, kernels])


def _constants(kind: str, name: str, values: Sequence[object]) -> str:
    return f"__constant__ {kind} {name}[] = {{{', '.join(map(str, values))}}};"


def shapes_of(moves: Moves, potential: Chain, kinetic: Chain) -> Shapes | None:
    """What kernels for these energies would be compiled for; none where that cannot be."""
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


def order(shapes: Shapes) -> Tensor:
    """Where in the joined weights, biases and rest each number is that the kernels read."""
    found, first = [], 0
    for w in shapes.windows:
        size = w.inputs * w.outputs * w.kernel**2
        weight = torch.arange(first, first + size).view(w.outputs, w.inputs, w.kernel**2)
        bias = torch.arange(first + size, first + size + w.outputs)
        found += [weight.permute(1, 2, 0), weight.permute(0, 2, 1), bias]
        first += size + w.outputs
    rest = shapes.widths[-1] + (shapes.widths[0] if shapes.stiff else 0)
    return torch.cat([*(part.reshape(-1) for part in found), torch.arange(first, first + rest)])


def places(w: Window) -> tuple[Tensor, Tensor] | None:
    """Where in the gradient of its matrix each weight of a convolution is, (places, weights).

    Returns:
        Numbers in the flattened matrix, (numbers behind, numbers before), of each weight at each
        place of the kernel, and 1 where the weight meets a pixel there, else 0; none for a linear
        layer, which is its matrix.
    """
    if (w.kernel, w.side, w.after) == (1, 1, 1):
        return None
    steps = torch.arange(w.after)
    taps = torch.arange(w.kernel)
    y = (w.stride * steps[:, None] - w.pad + taps)[:, None, None, None, :, None]
    x = (w.stride * steps[:, None] - w.pad + taps)[None, :, None, None, None, :]
    o = torch.arange(w.outputs)[:, None, None, None]
    c = torch.arange(w.inputs)[:, None, None]
    there = (y >= 0) & (y < w.side) & (x >= 0) & (x < w.side)
    behind = o * w.after**2 + (w.after * steps[:, None] + steps)[:, :, None, None, None, None]
    before = (c * w.side + y) * w.side + x
    index = behind * w.numbers_in + before.clamp(0, w.numbers_in - 1)
    there = there.expand_as(index)
    flat = (w.after**2, -1)
    return index.reshape(flat), there.reshape(flat).float()
