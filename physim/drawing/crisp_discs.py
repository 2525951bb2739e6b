"""Style `hgn`: anti-aliased discs at sub-pixel positions, on a grey-blue background.

Pixel centres stand at ((column + ½) − N/2) · 2h/N, for a canvas of half-width h with N pixels a
side. A pixel whose centre is d pixels away from a disc of r pixels is covered by

    a · clamp(ρ + ½ − d, 0, 1),   ρ = √(r² − 1/12), a = 1     for r² ≥ 1/3
                                  ρ = ½,            a = 3 r²  for smaller discs,

a soft edge one pixel wide. ρ and a are chosen so that the covered area, the integral over the
plane, is π r² for every r: discs keep their weight at any resolution and fade instead of
vanishing. Bodies are composited back to front with the first one in front, each channel rounded to
the nearest level after each body.

The radius is that of the system for mass 1 times √m. The look is that of the figures of
Hamiltonian Generative Networks; the exact rendering of that paper was not published.

Reference: Toth, Rezende, Jaegle, Racanière, Botev and Higgins (2019), "Hamiltonian Generative
Networks", figure 4; background and the first three colours: Balsells Rodas, Canal and Taschin
(2021), "Re-Hamiltonian Generative Networks", ReScience C.
"""

from __future__ import annotations

import math

import numpy as np

from physim.drawing.palette import light
from physim.drawing.style import DRAW, Style
from physim.fields import kernel, subroutine

SLATE = (81 / 255, 88 / 255, 93 / 255)
_FARTHEST = 1e6  # pixels; what is farther away (or not a number) is not drawn
_LANES = 16  # bytes of a row that are computed together, as one vector


@subroutine
def _blend(level, dx, dy2, edge, full, target):
    """One byte under one disc, `edge` being a (ρ + ½) and `full` a."""
    cover = edge - full * math.sqrt(dx * dx + dy2)
    cover = cover if cover > np.float32(0.0) else np.float32(0.0)
    cover = cover if cover < full else full
    under = np.float32(level)
    return np.uint8(np.int32(under + cover * (target - under) + np.float32(0.5)))


@kernel(DRAW)
def draw_crisp_discs(xy, radii, colours, background, half_width, offset, out):
    """`Style.draw`: each disc's bounding box, byte by byte, in single precision.

    A box is as wide as a whole number of vectors: the pixels beyond the disc are covered by
    exactly 0.
    """
    n, frames, resolution = out.shape[0], out.shape[1], out.shape[2]
    row_size = 3 * resolution
    pixels = out.reshape(n, frames, resolution * row_size)
    empty = np.empty(resolution * row_size, dtype=np.uint8)
    for j in range(empty.size):
        empty[j] = round(255.0 * background[j % 3])
    columns = np.empty(row_size, dtype=np.float32)
    colour = np.empty(row_size, dtype=np.float32)
    for j in range(row_size):
        columns[j] = j // 3
    scale = resolution / (2.0 * half_width)
    middle = 0.5 * resolution - 0.5
    last = resolution - 1
    for i in range(n):
        for t in range(frames):
            frame = pixels[i, t]
            for j in range(empty.size):  # becomes one memcpy, which a slice assignment does not
                frame[j] = empty[j]
        for b in range(radii.shape[1] - 1, -1, -1):
            r = radii[i, b] * scale
            if not 0.0 < r < _FARTHEST:
                continue
            if r * r * 3.0 >= 1.0:
                outer, weight = math.sqrt(r * r - 1.0 / 12.0) + 0.5, 1.0
            else:
                outer, weight = 1.0, 3.0 * r * r
            edge, full = np.float32(outer * weight), np.float32(weight)
            for j in range(row_size):
                colour[j] = 255.0 * colours[i, b, j % 3]
            for t in range(frames):
                cx = middle + (xy[i, t, 2 * b] - offset[i, 0]) * scale
                cy = middle - (xy[i, t, 2 * b + 1] - offset[i, 1]) * scale
                if not (abs(cx) < _FARTHEST and abs(cy) < _FARTHEST):
                    continue
                top = max(0, math.ceil(cy - outer))
                bottom = min(last, math.floor(cy + outer))
                left = 3 * max(0, math.ceil(cx - outer))
                right = 3 * min(last, math.floor(cx + outer)) + 3
                if left >= right:
                    continue
                vectors = (right - left + _LANES - 1) // _LANES
                right = min(left + vectors * _LANES, row_size)
                left = max(right - vectors * _LANES, 0)
                vectors = (right - left) // _LANES
                x32 = np.float32(cx)
                x, target = columns[left:right], colour[left:right]
                for y in range(top, bottom + 1):
                    dy = np.float32(y - cy)
                    dy2 = dy * dy
                    row = pixels[i, t, y * row_size + left : y * row_size + right]
                    for vector in range(vectors):
                        for lane in range(_LANES):
                            j = vector * _LANES + lane
                            row[j] = _blend(row[j], x[j] - x32, dy2, edge, full, target[j])
                    for j in range(vectors * _LANES, right - left):  # where the canvas ends
                        row[j] = _blend(row[j], x[j] - x32, dy2, edge, full, target[j])


CRISP_DISCS = Style(
    name="hgn",
    summary="discs with a soft edge one pixel wide, light colours on grey-blue: the HGN figures",
    kernel=draw_crisp_discs,
    background=SLATE,
    margin=1.0,
    half_width=lambda system, largest: system.half_width,
    radii=lambda system, masses: system.disc_radius * np.sqrt(masses),
    colours=light,
    reference="Toth et al. (2019), Hamiltonian Generative Networks, figure 4",
)
