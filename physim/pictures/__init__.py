"""Pictures of trajectories: contact sheets, GIFs and videos that keep every pixel crisp."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from physim.errors import RecipeError, ShardError
from physim.pictures.animation import gif, tiles
from physim.pictures.paper import check_size
from physim.pictures.sheet import contact_sheet
from physim.pictures.video import mp4

if TYPE_CHECKING:
    from physim.dataset import Dataset

__all__ = ["contact_sheet", "gif", "mp4", "save", "tiles"]

CELL = 80
"""Pixels that a frame is enlarged to, about, where no scale is given."""

FPS = 20.0
"""Frames per second of an animation where none are given."""

MOST_VALUES = 4
"""Values of a parameter that a label gives one by one; of more, the least and the largest."""

FORMATS = (".png", ".gif", ".mp4")


def save(
    dataset: Dataset,
    path: Path,
    *,
    split: str = "train",
    index: Sequence[int] | None = None,
    columns: int | None = None,
    scale: int | None = None,
    fps: float | None = None,
) -> None:
    """Draw trajectories of a data set: a sheet (.png), or all at once in motion (.gif, .mp4).

    Arguments:
        dataset: An open data set.
        path: The file to write; its ending decides.
        split: Name of the split.
        index: Numbers of the trajectories; the first eight if omitted.
        columns: Frames per row of a sheet, or trajectories per row of an animation.
        scale: Magnification of each pixel, a whole number; about 80 pixels per frame if omitted.
        fps: Frames per second of an animation; 20 if omitted.

    Raises:
        RecipeError: The ending, the split, a number or a setting does not fit; says what does.
        ShardError: The file cannot be written.
    """
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise RecipeError(
            f"output: got '{path.name}', expected a name that ends in .png, .gif or .mp4"
        )
    n = len(dataset.split(split))
    chosen = list(range(min(8, n))) if index is None else list(index)
    for number in chosen:
        if not 0 <= number < n:
            raise RecipeError(f"index: got {number}, expected 0 … {n - 1} in split '{split}'")
    if not chosen:
        raise RecipeError(f"index: the split '{split}' holds {n} trajectories, none was chosen")
    for name, value in (("columns", columns), ("scale", scale)):
        if value is not None and value < 1:
            raise RecipeError(f"{name}: got {value}, expected a whole number from 1")
    if fps is not None and kind == ".png":
        raise RecipeError(f"fps: got {fps:g}, but a sheet does not move; expected .gif or .mp4")
    if fps is not None and not 0 < fps <= 1000:
        raise RecipeError(f"fps: got {fps:g}, expected a number above 0, at most 1000")
    source = dataset.split(split)
    times = np.asarray(dataset.times)
    side = source.array("image").shape[2]
    enlarge = scale or max(1, round(CELL / side))
    if kind == ".png":
        last = len(times) - 1
        shown = np.unique(np.linspace(0, last, min(columns or 10, last + 1)).round().astype(int))
        sheet = contact_sheet(
            np.stack([source.read(number, ["image"])["image"][shown] for number in chosen]),
            title=f"{dataset.recipe.name}, {split}: {len(chosen):,} of {n:,} trajectories",
            labels=[f"{number}{_drawn_parameters(dataset, split, number)}" for number in chosen],
            times=[f"t = {times[shown[0]]:g}", *(f"{times[k]:.3g}" for k in shown[1:])],
            scale=enlarge,
        )
        _written(path, lambda target: sheet.save(target, format="PNG", optimize=True))
        return
    frames = np.stack([source.read(number, ["image"])["image"] for number in chosen])
    movie = tiles(frames, columns or math.ceil(math.sqrt(len(chosen))))
    check_size(*(enlarge * length for length in movie.shape[1:3]))
    if kind == ".gif":
        data = gif(movie, fps or FPS, enlarge)
        _written(path, lambda target: target.write_bytes(data))
    else:
        _written(path, lambda target: mp4(movie, fps or FPS, target, enlarge))


def _drawn_parameters(dataset: Dataset, split: str, number: int) -> str:
    """Parameters that differ between trajectories, one line each, for a label."""
    row = dataset.split(split).read(number, dataset.parameters)
    words = []
    for symbol in dataset.parameters:
        if isinstance(dataset.recipe.parameters[symbol], int | float):
            continue
        values = np.atleast_1d(row[symbol])
        if len(values) > MOST_VALUES:
            words.append(f"{symbol} {values.min():.2f} … {values.max():.2f}")
        else:
            words.append(f"{symbol} " + ", ".join(f"{value:.2f}" for value in values))
    return "".join(f"\n{word}" for word in words)


def _written(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the file and rename, so that a file of that name is always whole."""
    try:
        handle, name = tempfile.mkstemp(path.suffix, f".{path.stem}.", path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            write(temporary)
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise ShardError(f"output: cannot write '{path}' ({reason})") from None
