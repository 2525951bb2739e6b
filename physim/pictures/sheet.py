"""A contact sheet: trajectories below each other, time to the right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from physim.pictures.paper import PAPER, check_size, enlarged

INK, FAINT = (32, 36, 40), (128, 134, 140)


def contact_sheet(
    frames: np.ndarray,
    *,
    title: str = "",
    labels: Sequence[str] = (),
    times: Sequence[str] = (),
    scale: int = 2,
) -> Image.Image:
    """Trajectories below each other, time to the right.

    Arguments:
        frames: (rows, columns, height, width, 3) uint8.
        title: A line above.
        labels: A label a row, set on its left; what follows a line break is smaller and fainter.
        times: A label a column, above.
        scale: Whole number of pixels that each pixel becomes.

    Returns:
        The picture.

    Raises:
        RecipeError: It would be larger than 16,000 pixels.

    Example:
        >>> contact_sheet(np.zeros((2, 5, 32, 32, 3), dtype=np.uint8), scale=1).size
        (176, 74)
    """
    rows, columns, height, width, _ = frames.shape
    large, small = _font(13), _font(11)
    gap, edge = max(2, scale), 4
    lines = [line for text in labels for line in text.split("\n")]
    left = edge + (int(max(map(large.getlength, lines))) + 10 if lines else 0)
    top = edge + (24 if title else 0) + (18 if times else 0)
    right = max(left + columns * (width * scale + gap) - gap, edge + int(large.getlength(title)))
    bottom = top + rows * (height * scale + gap) - gap
    check_size(right + edge, bottom + edge)
    sheet = Image.new("RGB", (right + edge, bottom + edge), PAPER)
    pen = ImageDraw.Draw(sheet)
    if title:
        pen.text((edge, edge), title, INK, large)
    for column, text in enumerate(times):
        pen.text((left + column * (width * scale + gap), top - 16), text, FAINT, small)
    for row, text in enumerate(labels):
        first, *rest = text.split("\n")
        y = top + row * (height * scale + gap) + (height * scale - 16 - 13 * len(rest)) // 2
        pen.text((left - 10, y), first, INK, large, anchor="ra")
        for k, line in enumerate(rest):
            pen.text((left - 10, y + 17 + 13 * k), line, FAINT, small, anchor="ra")
    for row in range(rows):
        for column in range(columns):
            place = (left + column * (width * scale + gap), top + row * (height * scale + gap))
            sheet.paste(Image.fromarray(enlarged(frames[row, column], scale)), place)
    return sheet


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
