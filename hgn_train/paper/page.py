"""What all figures share: size, letters, colours, rows of frames, and the PNG with its caption."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from hgn_train.figures import BLUE, GREY, ORANGE, strips

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Sheet

INK, FAINT, LEVEL = "#20242a", GREY, "#c9cdd1"
GREEN, PURPLE = "#4f8a4c", "#7d5a9c"
WIDTH = 10.0
"""Inches across every figure."""

BYTES = 300_000
"""What a PNG may take."""

RESOLUTIONS = (200, 180, 160, 140, 120, 100)
"""Pixels an inch: the first whose PNG is small enough is taken."""


@contextmanager
def style() -> Iterator[None]:
    """Within, matplotlib draws as all figures look."""
    import matplotlib as mpl

    settings: Any = {
        "font.size": 9,
        "axes.titlesize": 9.5,
        "axes.labelsize": 9,
        "legend.fontsize": 8,
        "legend.frameon": False,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": FAINT,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "lines.linewidth": 1.4,
    }
    with mpl.rc_context(settings):
        yield


def sheet(height: float) -> Sheet:
    """An empty figure.

    Arguments:
        height: Inches.

    Returns:
        The figure, `WIDTH` inches wide.
    """
    from matplotlib.figure import Figure as Sheet

    return Sheet(figsize=(WIDTH, height), layout="constrained")


def frames(axis: Any, rows: Sequence[np.ndarray], labels: Sequence[str], columns: int) -> None:
    """Rows of frames with a name in front of each.

    Arguments:
        axis: Where to draw.
        rows: Each (frames, height, width, 3) uint8.
        labels: A name each.
        columns: Frames shown of each, evenly spread over time, at most.
    """
    picture = strips(rows, columns)
    sharp = max(1, 1600 // picture.shape[1])  # whole pixels, so that none is drawn wider
    axis.imshow(picture.repeat(sharp, 0).repeat(sharp, 1), interpolation="antialiased")
    height = sharp * picture.shape[0] / len(rows)
    axis.set_yticks((np.arange(len(rows)) + 0.5) * height, labels)
    axis.set_xticks([])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def logarithmic(axis: Any) -> None:
    """A logarithmic axis upwards, with plain numbers."""
    from matplotlib.ticker import LogLocator, NullLocator

    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def png(drawn: Sheet, text: str = "") -> bytes:
    """PNG bytes of a figure, of at most `BYTES`, with 256 colours.

    Arguments:
        drawn: The figure.
        text: What the file says of itself.

    Returns:
        The file; of the least resolution if none is small enough.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt("Description", text)
    content = b""
    for resolution in RESOLUTIONS:
        buffer = io.BytesIO()
        drawn.savefig(buffer, format="png", dpi=resolution)
        picture = Image.open(buffer).convert("RGB")
        fewer = picture.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        buffer = io.BytesIO()
        fewer.save(buffer, "PNG", optimize=True, pnginfo=info)
        content = buffer.getvalue()
        if len(content) <= BYTES:
            break
    return content


__all__ = [
    "BLUE",
    "FAINT",
    "GREEN",
    "GREY",
    "INK",
    "LEVEL",
    "ORANGE",
    "PURPLE",
    "frames",
    "logarithmic",
    "png",
    "sheet",
    "style",
]
