"""Style `dm`: the soft discs of the DeepMind Hamiltonian dynamics suite.

In units of the canvas's width, a pixel at distance d from the centre of a disc of radius ρ =
√(m/π) is covered by 1 / (1 + exp(80 (d − ρ))), so that the blur is as wide as a fixed share of the
canvas. Pixels stand at linspace(0, 1, N) in both directions, on the very edges of the canvas.
Bodies are composited front to back, the first one in front, over the background (0.321, 0.349,
0.368); a level is 255 times the colour, truncated. Colours are k hues in equal steps with full
saturation and value.

Unlike there, the top row of the image is the largest y, as in the other style. The coverage
ends where it is within e⁻⁸ of 0 or 1, so that a level may be 1 away from the formula evaluated in
float64.

Reference: Botev, Jaegle, Wirnsberger, Hennes and Higgins (2021), "Which priors matter?
Benchmarking models for learning latent dynamics", and the code of its data sets.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from physim.drawing.palette import hue_wheel
from physim.drawing.style import DRAW, Style
from physim.fields import kernel

SHARPNESS = 80.0
_LIMIT = 4.0  # half the sigmoid's argument where it ends
_FARTHEST = 1e3  # canvas widths; what is farther away (or not a number) is not drawn
_LANES = 16  # bytes of a row that are computed together, as one vector
SLATE = (0.321, 0.349, 0.368)
_BACKGROUND = tuple(255.0 * level for level in SLATE)


@njit
def _tanh(x):
    """Lambert's continued fraction to its fifth level, within 3e-4 up to |x| = 4."""
    s = x * x
    c0, c1, c2, c3, c4 = (
        np.float32(10395.0),
        np.float32(4725.0),
        np.float32(1260.0),
        np.float32(210.0),
        np.float32(21.0),
    )
    return x * np.divide(c0 + s * (c2 + s * c4), c0 + s * (c1 + s * (c3 + s)))


_SCALE = 0.49999 / float(_tanh.py_func(np.float32(_LIMIT)))
"""The coverage ends at 0 and 1 to within 1e-5; truncation makes 254 of 255 inside, as the formula
does."""


@njit
def _blend(under, dx, dy2, r, target):
    """One byte under one disc: 1 / (1 + exp(−2a)) is (1 + tanh a) / 2."""
    limit = np.float32(_LIMIT)
    a = np.float32(0.5 * SHARPNESS) * (r - math.sqrt(dx * dx + dy2))
    a = a if a < limit else limit
    a = a if a > -limit else -limit
    cover = np.float32(0.5) + np.float32(_SCALE) * _tanh(a)
    return np.uint8(np.int32(under + cover * (target - under)))


@kernel(DRAW)
def draw_soft_discs(xy, radii, colours, half_width, offset, out):
    """`Style.draw`: each disc's bounding box, byte by byte, in single precision.

    A box is as wide as a whole number of vectors: the pixels beyond the disc are covered by
    exactly 0. Levels are truncated once. Where a disc lies over another, the level below has lost
    its fraction and counts as half a level higher; the background has not, and counts exactly.
    """
    n, frames, resolution = out.shape[0], out.shape[1], out.shape[2]
    row_size = 3 * resolution
    pixels = out.reshape(n, frames, resolution * row_size)
    empty = np.empty(resolution * row_size, dtype=np.uint8)
    exact = np.empty(row_size, dtype=np.float32)
    columns = np.empty(row_size, dtype=np.float32)
    colour = np.empty(row_size, dtype=np.float32)
    last = resolution - 1
    spacing = 1.0 / last
    for x in range(resolution):
        exact[3 * x], exact[3 * x + 1], exact[3 * x + 2] = _BACKGROUND
    for j in range(row_size):
        columns[j] = (j // 3) * spacing
    for j in range(empty.size):
        empty[j] = int(exact[j % 3])
    half = np.float32(0.5)
    per_width = 1.0 / (2.0 * half_width)
    for i in range(n):
        for t in range(frames):
            frame = pixels[i, t]
            for j in range(empty.size):  # becomes one memcpy, which a slice assignment does not
                frame[j] = empty[j]
        for b in range(radii.shape[1] - 1, -1, -1):
            r = radii[i, b] * per_width
            if not 0.0 < r < _FARTHEST:
                continue
            reach = r + _LIMIT / (0.5 * SHARPNESS)
            r32 = np.float32(r)
            for j in range(row_size):
                colour[j] = 255.0 * colours[i, b, j % 3]
            for t in range(frames):
                cx = 0.5 + (xy[i, t, 2 * b] - offset[i, 0]) * per_width
                cy = 0.5 - (xy[i, t, 2 * b + 1] - offset[i, 1]) * per_width
                if not (abs(cx) < _FARTHEST and abs(cy) < _FARTHEST):
                    continue
                top = max(0, math.ceil((cy - reach) * last))
                bottom = min(last, math.floor((cy + reach) * last))
                left = 3 * max(0, math.ceil((cx - reach) * last))
                right = 3 * min(last, math.floor((cx + reach) * last)) + 3
                if left >= right:
                    continue
                vectors = (right - left + _LANES - 1) // _LANES
                right = min(left + vectors * _LANES, row_size)
                left = max(right - vectors * _LANES, 0)
                vectors = (right - left) // _LANES
                x32 = np.float32(cx)
                x, target, below = columns[left:right], colour[left:right], exact[left:right]
                untouched = empty[left:right]
                for y in range(top, bottom + 1):
                    dy = np.float32(y * spacing - cy)
                    dy2 = dy * dy
                    row = pixels[i, t, y * row_size + left : y * row_size + right]
                    for vector in range(vectors):
                        for lane in range(_LANES):
                            j = vector * _LANES + lane
                            under = below[j] if row[j] == untouched[j] else row[j] + half
                            row[j] = _blend(under, x[j] - x32, dy2, r32, target[j])
                    for j in range(vectors * _LANES, right - left):  # where the canvas ends
                        under = below[j] if row[j] == untouched[j] else row[j] + half
                        row[j] = _blend(under, x[j] - x32, dy2, r32, target[j])


SOFT_DISCS = Style(
    name="dm",
    summary="soft sigmoid discs in saturated hues, pixel by pixel those of the DeepMind suite",
    kernel=draw_soft_discs,
    background=SLATE,
    margin=0.0,
    half_width=lambda system, largest: system.dm_half_width(largest),
    radii=lambda system, masses: np.sqrt(masses / math.pi),
    colours=hue_wheel,
    reference="Botev et al. (2021), Which priors matter?",
)
