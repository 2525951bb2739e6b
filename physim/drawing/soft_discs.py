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

from physim.drawing.palette import hue_wheel
from physim.drawing.style import DRAW, Style
from physim.fields import kernel, subroutine

SHARPNESS = 80.0
_LIMIT = 4.0  # half the sigmoid's argument where it ends
_FARTHEST = 1e3  # canvas widths; what is farther away (or not a number) is not drawn
_LANES = 16  # channels of a row that are computed together, as one vector
SLATE = (0.321, 0.349, 0.368)
_FINE = 256.0  # steps in a level


@subroutine
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


_SCALE = 0.499987 / float(_tanh.py_func(np.float32(_LIMIT)))
"""The coverage ends 1.3e-5 before 0 and 1, more than half of 1/256 of a level over the suite's
background: truncation then makes 254 of 255, as in the formula."""


@subroutine
def _blend(level, dx, dy2, r, target):
    """One channel of a pixel under one disc: 1 / (1 + exp(−2a)) is (1 + tanh a) / 2."""
    limit = np.float32(_LIMIT)
    a = np.float32(0.5 * SHARPNESS) * (r - math.sqrt(dx * dx + dy2))
    a = a if a < limit else limit
    a = a if a > -limit else -limit
    cover = np.float32(0.5) + np.float32(_SCALE) * _tanh(a)
    under = np.float32(level)
    return np.uint16(np.int32(under + cover * (target - under) + np.float32(0.5)))


@kernel(DRAW)
def draw_soft_discs(xy, radii, colours, background, half_width, offset, out):
    """`Style.draw`: each disc's bounding box, byte by byte, in single precision.

    A frame is composited in 1/256 of a level and truncated at the end. A box is as wide as a whole
    number of vectors: the pixels beyond the disc are covered by almost exactly 0.
    """
    n, frames, resolution = out.shape[0], out.shape[1], out.shape[2]
    bodies = radii.shape[1]
    row_size = 3 * resolution
    pixels = out.reshape(n, frames, resolution * row_size)
    empty = np.empty(resolution * row_size, dtype=np.uint16)
    canvas = np.empty(resolution * row_size, dtype=np.uint16)
    columns = np.empty(row_size, dtype=np.float32)
    colour = np.empty((bodies, row_size), dtype=np.float32)
    last = resolution - 1
    spacing = 1.0 / last
    for j in range(empty.size):
        empty[j] = round(_FINE * 255.0 * background[j % 3])
    for j in range(row_size):
        columns[j] = (j // 3) * spacing
    per_width = 1.0 / (2.0 * half_width)
    for i in range(n):
        for b in range(bodies):
            for j in range(row_size):
                colour[b, j] = _FINE * 255.0 * colours[i, b, j % 3]
        for t in range(frames):
            for j in range(empty.size):  # becomes one memcpy, which a slice assignment does not
                canvas[j] = empty[j]
            for b in range(bodies - 1, -1, -1):
                cx = 0.5 + (xy[i, t, 2 * b] - offset[i, 0]) * per_width
                cy = 0.5 - (xy[i, t, 2 * b + 1] - offset[i, 1]) * per_width
                r = radii[i, b] * per_width
                if not (abs(cx) < _FARTHEST and abs(cy) < _FARTHEST and r < _FARTHEST):
                    continue
                reach = r + _LIMIT / (0.5 * SHARPNESS)
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
                x32, r32 = np.float32(cx), np.float32(r)
                x, target = columns[left:right], colour[b, left:right]
                for y in range(top, bottom + 1):
                    dy = np.float32(y * spacing - cy)
                    dy2 = dy * dy
                    row = canvas[y * row_size + left : y * row_size + right]
                    for vector in range(vectors):
                        for lane in range(_LANES):
                            j = vector * _LANES + lane
                            row[j] = _blend(row[j], x[j] - x32, dy2, r32, target[j])
                    for j in range(vectors * _LANES, right - left):  # where the canvas ends
                        row[j] = _blend(row[j], x[j] - x32, dy2, r32, target[j])
            frame = pixels[i, t]
            for j in range(canvas.size):
                frame[j] = np.uint8(canvas[j] >> 8)


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
