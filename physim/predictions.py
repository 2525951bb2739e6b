"""Frames that a model has predicted: reading them, and refusing what cannot be compared."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from physim.dataset import Dataset
from physim.errors import PhysimError

OTHERS = (".npz", ".pt", ".pth", ".pkl", ".zip", ".csv", ".gif", ".mp4", ".png")
"""Ends of files that are neither a `.npy` nor an HDF5 file."""


@contextlib.contextmanager
def read_predictions(path: str | Path) -> Iterator[Any]:
    """Open a file of predicted frames.

    Arguments:
        path: A `.npy` file, or an HDF5 file with the array `image`.

    Yields:
        An array that is read when it is sliced.

    Raises:
        PhysimError: There is no such file, or it is neither.
    """
    name = Path(path)
    if name.suffix in OTHERS:
        raise PhysimError(f"predictions: got '{name}', expected a .npy or an HDF5 file")
    if not os.path.isfile(name):
        raise PhysimError(f"predictions: there is no file '{name}'")
    kind = "a .npy file" if name.suffix == ".npy" else "an HDF5 file"
    with contextlib.ExitStack() as stack:
        try:
            if name.suffix == ".npy":
                frames = np.lib.format.open_memmap(name, mode="r")
            else:
                import h5py

                frames = stack.enter_context(h5py.File(name)).get("image")
        except (OSError, ValueError) as error:
            raise PhysimError(
                f"{name}: cannot be read as {kind} of frames ({str(error).splitlines()[0]})"
            ) from None
        if not hasattr(frames, "shape"):
            raise PhysimError(f"{name}: got no array 'image', expected the predicted frames")
        yield frames


def check(data: Dataset, predictions: Any, split: str, first: int, seen: int) -> None:
    """Refuse predictions that do not fit a data set.

    Arguments:
        data: The data set.
        predictions: What should be an array (n, T, height, width, channel).
        split: The predicted split.
        first: Number of the first predicted trajectory.
        seen: Number of stored frames that the predictions were made from.

    Raises:
        PhysimError: Names what does not fit.
    """
    recipe, held = data.recipe, len(data.split(split))
    if not hasattr(predictions, "shape"):
        raise PhysimError(
            f"predictions: got {type(predictions).__name__}, expected an array or a path"
        )
    shape = tuple(predictions.shape)
    frame = (recipe.resolution, recipe.resolution, 3)
    if len(shape) != 5 or shape[2:] != frame or 0 in shape:
        raise PhysimError(
            f"predictions: got shape {shape}, expected (n, T, {', '.join(map(str, frame))})"
        )
    if first < 0 or first + shape[0] > held:
        raise PhysimError(
            f"predictions: got {shape[0]:,} trajectories from number {first:,} on, "
            f"but the split '{split}' holds {held:,}"
        )
    if not 0 <= seen <= recipe.frames:
        raise PhysimError(f"seen: got {seen}, expected 0 … {recipe.frames}")
    if not len(data.train):
        raise PhysimError("train: the split holds no trajectory for the average image")


def from_0_to_1(part: Any, first: int) -> np.ndarray:
    """Some predicted trajectories as numbers from 0 to 1.

    Arguments:
        part: (n, T, height, width, channel), uint8 or floating point.
        first: Number of the first of them, for errors.

    Returns:
        The same, float32.

    Raises:
        PhysimError: Another type, or values that are no pixels.
    """
    values = np.asarray(part)
    if values.dtype == np.uint8:
        if values.max() == 1:
            raise PhysimError("predictions: got bytes of at most 1, expected 0 … 255")
        return values.astype(np.float32) / np.float32(255)
    if values.dtype.kind != "f":
        raise PhysimError(
            f"predictions: got {values.dtype}, expected uint8, or numbers from 0 to 1 in floating "
            "point"
        )
    bad = np.flatnonzero(~np.isfinite(values).all(axis=(1, 2, 3, 4)))
    if bad.size:
        raise PhysimError(f"predictions: trajectory {first + bad[0]} is not finite")
    if values.min() < -0.5 or values.max() > 2:
        raise PhysimError(
            f"predictions: got {values.min():g} … {values.max():g} in floating point, expected "
            "0 … 1, or bytes as uint8"
        )
    return values.astype(np.float32)
