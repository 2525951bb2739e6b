"""Films: one picture per trajectory with all its frames, played by the page's script."""

from __future__ import annotations

import base64
import html
import io
import math

import numpy as np
from PIL import Image, features

from physim.dataset import Dataset
from physim.report.svg import number

FILMS = 12
FRAMES = 240
PIXELS = 40_000_000
"""Maximum number of films, frames of each, and pixels in all."""

_SPACE = "\N{NO-BREAK SPACE}"


def films(dataset: Dataset, split: str) -> str:
    """The first trajectories of a split in motion.

    Arguments:
        dataset: An open data set.
        split: A split that is not empty.

    Returns:
        HTML: the films, and what plays and stops them.
    """
    source = dataset.split(split)
    image = source.array("image")
    frames, area = image.shape[1], math.prod(image.shape[2:4])
    shown = max(1, min(frames, FRAMES, PIXELS // area))
    n = max(1, min(len(source), FILMS, PIXELS // (shown * area)))
    chosen = np.unique(np.linspace(0, frames - 1, shown).round().astype(int))
    times = np.asarray(dataset.times)[chosen]
    figures = []
    for k in range(n):
        row = source.read(k, ["image", "energy", *dataset.parameters])
        words = [f"H₀{_SPACE}{number(round(float(row['energy'][0]), 3))}"]
        for symbol in dataset.parameters:
            if isinstance(dataset.recipe.parameters[symbol], int | float):
                continue
            values = ", ".join(number(float(f"{v:.3g}")) for v in np.atleast_1d(row[symbol]))
            words.append(f"{html.escape(symbol)}{_SPACE}{values}")
        figures.append(_film(row["image"][chosen], k, words))
    last = number(float(f"{times[-1]:.4g}"))
    listed = ",".join(f"{time:.5g}" for time in times)
    return f"""\
<div class="player" data-times="{listed}">
<div class="films">{"".join(figures)}</div>
<div class="controls">
<button type="button" class="play" aria-pressed="false">Play</button>
<input class="seek" type="range" min="0" max="{len(chosen) - 1}" value="0" aria-label="frame">
<output class="clock">t = 0 of {last}</output>
</div>
</div>"""


def _film(frames: np.ndarray, index: int, words: list[str]) -> str:
    """One film: a canvas, and the picture that it shows parts of."""
    n, height, width, _ = frames.shape
    columns = max(1, min(n, 8192 // width, math.ceil(math.sqrt(n))))
    rows = -(-n // columns)
    sheet = np.zeros((rows * height, columns * width, 3), dtype=np.uint8)
    for k in range(n):
        y, x = k // columns * height, k % columns * width
        sheet[y : y + height, x : x + width] = frames[k]
    return (
        f'<figure class="film"><canvas width="{width}" height="{height}" data-columns="{columns}" '
        f'data-sheet="{_data_url(sheet)}" role="img" aria-label="trajectory {index}"></canvas>'
        f"<figcaption><b>{index}</b> <span>{' · '.join(words)}</span></figcaption></figure>"
    )


def _data_url(pixels: np.ndarray) -> str:
    """A picture without loss, as an address that needs no network."""
    kind = "webp" if features.check("webp") else "png"
    options = {"lossless": True, "quality": 60} if kind == "webp" else {"optimize": True}
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
