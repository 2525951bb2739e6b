"""Trajectories in motion: side by side, as a GIF whose colours are exact where 256 suffice."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from physim.errors import RecipeError
from physim.pictures.paper import PAPER, enlarged

LONGEST = 655_350
"""Milliseconds that a picture of a GIF can stand."""


def tiles(frames: np.ndarray, columns: int) -> np.ndarray:
    """Trajectories side by side, playing at the same time.

    Arguments:
        frames: (n, time, height, width, 3) uint8.
        columns: Trajectories in a row.

    Returns:
        (time, height, width, 3) uint8, a narrow gap between the trajectories.

    Example:
        >>> tiles(np.zeros((5, 30, 32, 32, 3), dtype=np.uint8), columns=3).shape
        (30, 65, 98, 3)
    """
    n, length, height, width, _ = frames.shape
    columns = min(columns, n)
    rows, gap = -(-n // columns), max(1, height // 32)
    out = np.empty(
        (length, rows * (height + gap) - gap, columns * (width + gap) - gap, 3), dtype=np.uint8
    )
    out[:] = PAPER
    for k in range(n):
        y, x = k // columns * (height + gap), k % columns * (width + gap)
        out[:, y : y + height, x : x + width] = frames[k]
    return out


def gif(frames: np.ndarray, fps: float, scale: int = 1) -> bytes:
    """An endless GIF without dithering; exact where there are at most 256 colours.

    Arguments:
        frames: (time, height, width, 3) uint8.
        fps: Frames per second; GIF counts time in hundredths of a second.
        scale: Whole number of pixels that each pixel becomes.

    Returns:
        The file.

    Raises:
        RecipeError: The film stands still for longer than a GIF can say.
    """
    palette, indices = _indexed(frames)
    duration = max(20, 10 * round(100 / fps))
    if (still := _longest_still(indices) * duration) > LONGEST:
        raise RecipeError(
            f"fps: got {fps:g}, with which a picture stands for {still / 1000:.0f} s, expected at "
            f"most {LONGEST // 1000} s, which is the longest that a GIF can say"
        )
    pages = []
    for page in indices:
        image = Image.fromarray(enlarged(page[..., None], scale)[..., 0])
        image.putpalette(palette.tobytes())
        pages.append(image)
    file = io.BytesIO()
    pages[0].save(
        file,
        format="GIF",
        save_all=True,
        append_images=pages[1:],
        duration=duration,
        loop=0,
        optimize=False,
    )
    return file.getvalue()


def _longest_still(indices: np.ndarray) -> int:
    """Frames of the longest stretch in which nothing moves; such are stored as one."""
    moves = np.flatnonzero((np.diff(indices.astype(np.int16), axis=0) != 0).any(axis=(1, 2)))
    return int(np.diff(np.concatenate([[-1], moves, [len(indices) - 1]])).max())


def _indexed(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most 256 colours for all frames, (k, 3), and indices into them, (time, h, w)."""
    found = [np.unique(_codes(page), return_counts=True) for page in frames]
    codes, where = np.unique(np.concatenate([page for page, _ in found]), return_inverse=True)
    colours = np.stack([codes >> 16, (codes >> 8) & 255, codes & 255], axis=-1).astype(np.uint8)
    palette, nearest = colours, np.arange(len(colours))
    if len(colours) > 256:
        counts = np.bincount(where, weights=np.concatenate([number for _, number in found]))
        palette, nearest = _shared(colours, counts)
    table = np.zeros(1 << 24, dtype=np.uint8)
    table[codes] = nearest
    return palette, np.stack([table[_codes(page)] for page in frames])


def _codes(page: np.ndarray) -> np.ndarray:
    """One number per pixel, red · 2¹⁶ + green · 2⁸ + blue."""
    red, green, blue = np.moveaxis(page.astype(np.uint32), -1, 0)
    return (red << 16) | (green << 8) | blue


def _shared(colours: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """256 colours, (256, 3), for the (k, 3) given, and which of them stands for each, (k,).

    Common colours (background, insides of discs) stay exact; the soft edges share the others.
    """
    common = np.argsort(-counts, kind="stable")[:32]
    edges = Image.fromarray(np.delete(colours, common, axis=0)[None])
    image = edges.quantize(256 - len(common), method=Image.Quantize.MEDIANCUT, kmeans=2)
    found = np.array(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    palette = np.concatenate([colours[common], found[: 256 - len(common)]])
    nearest = np.empty(len(colours), dtype=np.uint8)
    for start in range(0, len(colours), 4096):
        part = colours[start : start + 4096, None].astype(int) - palette[None].astype(int)
        nearest[start : start + 4096] = (part**2).sum(axis=-1).argmin(axis=-1)
    return palette, nearest
