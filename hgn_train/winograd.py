"""Convolutions with kernel 3 on a processor, with a quarter of the multiplications.

Winograd's algorithm F(4×4, 3×3), after Lavin and Gray (arXiv 1509.09308): a tile of 4×4 outputs is
a polynomial product, and a product of polynomials needs one multiplication at each of as many
points as it has coefficients; here six a side, 0, ±1, ±2 and ∞, 36 instead of 144. With d the 6×6
inputs that a tile sees and w the kernel,

    output = Aᵀ [Σ over channels (G w Gᵀ) ∘ (B d Bᵀ)] A

so at each point what is left of a convolution is a matrix product over the channels of many tiles.
All of it is one small routine, `multiply`: B, G and A are matrices as well. The gradients are the
same steps backwards, with each matrix transposed.

Where maps are upsampled by 2 first (nearest), the 6 inputs of a side are 4 pixels, two of them
twice. Then B d is zero at the point -1, so 25 products do, and the upsampled maps are never made.

Tiles are worked on in groups that stay in the cache, and threads share the batch; what PyTorch
needs to differentiate it is in `hgn_train/convolution.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from physim.kernels import kernel, subroutine

TILE = 4
"""Outputs of a tile a side."""

LANES = 8
"""Widths of arrays at the points are multiples of it."""

DATA = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    np.float32,
)
"""B: six inputs to six points."""

KERNEL = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    np.float32,
)
"""G: three weights to six points."""

OUTPUT = np.array(
    [[1, 0, 0, 0], [1, 1, 1, 1], [1, -1, 1, -1], [1, 2, 4, 8], [1, -2, 4, -8], [0, 0, 0, 1]],
    np.float32,
)
"""A: four outputs to six points; Aᵀ the other way."""

SUM = 1
"""The point of `OUTPUT` that adds up the four."""

UPSAMPLED = np.array([0, 1, 3, 4, 5])
"""Points that are left where the inputs were upsampled."""

NEAREST = np.repeat(np.eye(4, dtype=np.float32), 2, axis=0)[1:7]
"""Four pixels to the six inputs that are made of them."""


def matrices(factor: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """B, G and A, each (points, …).

    Arguments:
        factor: By which maps are upsampled first, 1 or 2.
    """
    if factor == 1:
        return DATA, KERNEL, OUTPUT
    kept = UPSAMPLED
    return np.ascontiguousarray((DATA @ NEAREST)[kept]), KERNEL[kept], OUTPUT[kept]


def _block(rows: int, width: int) -> Any:
    """C ← A B, or C + A B, for `rows` × `width` numbers of C, all of which stay in registers.

    Numba finds no vectors in such loops, so the loop over the inner dimension is written in LLVM's
    own terms: a row of B at a time is multiplied by one number of each row of A. Addresses and
    strides are in bytes.
    """
    vector = ir.VectorType(ir.FloatType(), width)
    integer = ir.IntType(64)

    @intrinsic
    def block(context, a, a_row, a_column, b, b_row, depth, c, c_row, add):
        signature = types.void(*[types.intp] * 9)

        def generate(context, builder, signature, arguments):
            a, a_row, a_column, b, b_row, depth, c, c_row, add = arguments
            number = ir.IntType(32)
            everywhere = ir.Constant(ir.VectorType(number, width), None)
            add_product = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{width}f32"
            )

            def at(address, kind):
                return builder.inttoptr(address, kind.as_pointer())

            def down(address, step, count):
                return builder.add(address, builder.mul(step, integer(count)))

            places = [at(down(c, c_row, i), vector) for i in range(rows)]
            adds = builder.icmp_signed("!=", add, integer(0))
            none, zero = ir.Constant(vector, ir.Undefined), ir.Constant(vector, None)
            first = [builder.select(adds, builder.load(to, align=4), zero) for to in places]
            before = builder.block
            loop, end = builder.append_basic_block("loop"), builder.append_basic_block("end")
            builder.branch(loop)

            builder.position_at_end(loop)
            index, left, right = (builder.phi(integer) for _ in range(3))
            sums = [builder.phi(vector) for _ in range(rows)]
            line = builder.load(at(right, vector), align=4)
            later = []
            for i, value in enumerate(sums):
                one = builder.load(at(down(left, a_row, i), ir.FloatType()), align=4)
                one = builder.insert_element(none, one, number(0))
                all_alike = builder.shuffle_vector(one, none, everywhere)
                later.append(builder.call(add_product, [all_alike, line, value]))
            following = [
                builder.add(index, integer(1)),
                builder.add(left, a_column),
                builder.add(right, b_row),
            ]
            more = builder.icmp_signed("<", following[0], depth)
            builder.cbranch(more, loop, end)
            starting = [integer(0), a, b, *first]
            loops = [index, left, right, *sums]
            for phi, one, other in zip(loops, starting, [*following, *later], strict=True):
                phi.add_incoming(one, before)
                phi.add_incoming(other, loop)

            builder.position_at_end(end)
            for place, value in zip(places, later, strict=True):
                builder.store(value, place, align=4)
            return context.get_dummy_value()

        return signature, generate

    return block


def _strip(width: int, height: int) -> Any:
    """A product of which C is so many columns wide; so many of its rows are worked on at once."""
    several, one = _block(height, width), _block(1, width)

    @subroutine
    def strip(a, a_row, a_column, b, b_row, depth, c, c_row, rows, add):
        while rows >= height:
            several(a, a_row, a_column, b, b_row, depth, c, c_row, add)
            a, c, rows = a + height * a_row, c + height * c_row, rows - height
        while rows > 0:
            one(a, a_row, a_column, b, b_row, depth, c, c_row, add)
            a, c, rows = a + a_row, c + c_row, rows - 1

    return strip


_wide, _narrow = _strip(4 * LANES, 2), _strip(LANES, 6)


@subroutine
def multiply(a, b, c, add):
    """C ← A B, or C + A B; A with any strides, B and C with rows of a multiple of `LANES`."""
    rows, depth = a.shape
    columns = b.shape[1]
    a_row, a_column = a.strides
    b_row, c_row = b.strides[0], c.strides[0]
    a_at, b_at, c_at = a.ctypes.data, b.ctypes.data, c.ctypes.data
    while columns >= 4 * LANES:
        _wide(a_at, a_row, a_column, b_at, b_row, depth, c_at, c_row, rows, add)
        b_at, c_at, columns = b_at + 16 * LANES, c_at + 16 * LANES, columns - 4 * LANES
    while columns > 0:
        _narrow(a_at, a_row, a_column, b_at, b_row, depth, c_at, c_row, rows, add)
        b_at, c_at, columns = b_at + 4 * LANES, c_at + 4 * LANES, columns - LANES


@subroutine
def analyse(maps, matrix, step, lines, points, first):
    """From a frame's maps to the points of its tiles, of which the first has number `first`.

    A tile sees as many pixels per side as the matrix has columns, `step` after the tile before.
    """
    count, seen = matrix.shape
    height, width, channels = maps.shape
    flat = maps.reshape(height, width * channels)
    lines_flat = lines.reshape(count, width * channels)
    tile = first
    for row in range(0, height - seen + 1, step):
        multiply(matrix, flat[row : row + seen], lines_flat, 0)
        for column in range(0, width - seen + 1, step):
            for i in range(count):
                at = points[i * count : (i + 1) * count, tile]
                multiply(matrix, lines[i, column : column + seen], at, 0)
            tile += 1


@subroutine
def synthesise(points, first, matrix, step, lines, maps):
    """`analyse` transposed: what tiles have at their points is added up in the maps."""
    count, seen = matrix.shape
    height, width, channels = maps.shape
    flat = maps.reshape(height, width * channels)
    lines_flat = lines.reshape(count, width * channels)
    overlap = 1 if step < seen else 0
    if overlap:
        flat[:] = 0
    tile = first
    for row in range(0, height - seen + 1, step):
        if overlap:
            lines_flat[:] = 0
        for column in range(0, width - seen + 1, step):
            for i in range(count):
                at = points[i * count : (i + 1) * count, tile]
                multiply(matrix.T, at, lines[i, column : column + seen], overlap)
            tile += 1
        multiply(matrix.T, lines_flat, flat[row : row + seen], overlap)


@subroutine
def padded(channels):
    """The next multiple of `LANES`."""
    return (channels + LANES - 1) // LANES * LANES


@subroutine
def framed(maps, inside):
    """Copy maps into the middle of larger ones, whose border stays as it is."""
    height, width, channels = maps.shape
    edge = (inside.shape[0] - height) // 2
    for i in range(height):
        for j in range(width):
            for k in range(channels):
                inside[edge + i, edge + j, k] = maps[i, j, k]


@subroutine
def _forward(x, weight, bias, slope, data, output, step, y, group, start, stop):
    """`forward` from one edge to the next."""
    points = data.shape[0]
    _, height, width, channels = x.shape
    _, rows, columns, outputs = y.shape
    tiles = (rows // TILE) * (columns // TILE)
    wide, wide_out = padded(channels), padded(outputs)
    inside = np.zeros((height + 2, width + 2, wide), np.float32)
    lines = np.empty((points, width + 2, wide), np.float32)
    outside = np.empty((rows, columns, wide_out), np.float32)
    lines_out = np.empty((points, columns, wide_out), np.float32)
    before = np.empty((points * points, group * tiles + 1, wide), np.float32)
    after = np.empty((points * points, group * tiles + 1, wide_out), np.float32)
    for group_start in range(start, stop, group):
        count = min(group, stop - group_start)
        for n in range(count):
            framed(x[group_start + n], inside)
            analyse(inside, data, step, lines, before, n * tiles)
        for point in range(points * points):
            used = before[point, : count * tiles, :channels]
            multiply(used, weight[point], after[point, : count * tiles], 0)
        for n in range(count):
            synthesise(after, n * tiles, output, TILE, lines_out, outside)
            for i in range(rows):
                for j in range(columns):
                    for k in range(outputs):
                        value = outside[i, j, k] + bias[k]
                        y[group_start + n, i, j, k] = value if value > 0 else slope * value


@subroutine
def _backward(
    x, y, gradient, weight, slope, data, output, step, x_gradient, group,
    weight_gradient, bias_gradient, start, stop,
):  # fmt: skip
    """`backward` from one edge to the next."""
    points = data.shape[0]
    _, height, width, channels = x.shape
    _, rows, columns, outputs = y.shape
    tiles = (rows // TILE) * (columns // TILE)
    wide, wide_out = padded(channels), padded(outputs)
    inside = np.zeros((height + 2, width + 2, wide), np.float32)
    added = np.empty((height + 2, width + 2, wide), np.float32)
    lines = np.empty((points, width + 2, wide), np.float32)
    outside = np.zeros((rows, columns, wide_out), np.float32)
    lines_out = np.empty((points, columns, wide_out), np.float32)
    before = np.empty((points * points, group * tiles + 1, wide), np.float32)
    after = np.empty((points * points, group * tiles + 1, wide_out), np.float32)
    sums = after[SUM * points + SUM]
    for group_start in range(start, stop, group):
        count = min(group, stop - group_start)
        used = count * tiles
        for n in range(count):
            framed(x[group_start + n], inside)
            analyse(inside, data, step, lines, before, n * tiles)
            for i in range(rows):
                for j in range(columns):
                    for k in range(outputs):
                        pull = gradient[group_start + n, i, j, k]
                        above = y[group_start + n, i, j, k] > 0
                        outside[i, j, k] = pull if above else slope * pull
            analyse(outside, output, TILE, lines_out, after, n * tiles)
        for tile in range(used):
            for k in range(outputs):
                bias_gradient[k] += sums[tile, k]
        for point in range(points * points):
            pulls = after[point, :used]
            multiply(before[point, :used, :channels].T, pulls, weight_gradient[point], 1)
            if len(x_gradient):
                multiply(pulls[:, :outputs], weight[point], before[point, :used], 0)
        if len(x_gradient):
            for n in range(count):
                synthesise(before, n * tiles, data, step, lines, added)
                for i in range(height):
                    for j in range(width):
                        for k in range(channels):
                            x_gradient[group_start + n, i, j, k] = added[i + 1, j + 1, k]


F1, F2, F3, F4 = (types.Array(types.float32, n, "C") for n in (1, 2, 3, 4))
EDGES = types.Array(types.intp, 1, "C")


@kernel(
    types.void(F4, F3, F1, types.float32, F2, F2, types.intp, F4, types.intp, EDGES),
    parallel=True,
)
def forward(x, weight, bias, slope, data, output, step, y, group, edges):
    """Leaky ReLU of a convolution.

    Arguments:
        x: Input maps, (batch, height, width, channel).
        weight: At the points, (point, channel of x, channel of y rounded up to `LANES`).
        bias: (channel of y,).
        slope: Of the leaky ReLU below zero; 1 for none.
        data: B.
        output: A.
        step: Pixels of x from tile to tile.
        y: What is written, (batch, height, width, channel).
        group: How many of the batch are worked on at once.
        edges: Where the parts of the batch begin, which threads share, and its end.
    """
    for part in prange(len(edges) - 1):
        start, stop = edges[part], edges[part + 1]
        if start < stop:
            _forward(x, weight, bias, slope, data, output, step, y, group, start, stop)


@kernel(
    types.void(
        F4, F4, F4, F3, types.float32, F2, F2, types.intp, F4, types.intp,
        F4, F2, EDGES,
    ),
    parallel=True,
)  # fmt: skip
def backward(
    x, y, gradient, weight, slope, data, output, step, x_gradient, group,
    weight_gradients, bias_gradients, edges,
):  # fmt: skip
    """The gradients of `forward`.

    Arguments:
        x: Input maps.
        y: Output maps.
        gradient: With respect to y.
        weight: At the points, (point, channel of y, channel of x rounded up to `LANES`).
        slope: Of the leaky ReLU.
        data: B.
        output: A.
        step: Pixels of x from tile to tile.
        x_gradient: With respect to x, written; of no numbers where it is not asked for.
        group: How many of the batch are worked on at once.
        weight_gradients: Of each part with respect to the weights at the points, added up.
        bias_gradients: Of each part with respect to the bias, added up.
        edges: Of the parts.
    """
    for part in prange(len(edges) - 1):
        start, stop = edges[part], edges[part + 1]
        if start < stop:
            _backward(
                x, y, gradient, weight, slope, data, output, step, x_gradient, group,
                weight_gradients[part], bias_gradients[part], start, stop,
            )  # fmt: skip
