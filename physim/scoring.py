"""Scores of predicted frames from any model: the numbers that the HGN tables report.

Predictions are compared with the frames of a split, and before and after those with the
simulator's. Errors are mean squared errors of pixels from 0 to 1, always given beside the error of
the average training image, which a collapsed model reaches, and that of the oracle, which draws
the true noise-free states.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from physim.dataset import Dataset
from physim.dataset import open as open_dataset
from physim.predictions import check, from_0_to_1, read_predictions

VALID_BELOW = 0.025
"""Largest squared error of a frame, relative to its mean square, for a valid prediction."""

AVERAGED = 2000
"""Training trajectories of the average image."""

BYTES_OF_A_BLOCK = 2**24
"""Bytes of pixels of the predictions compared at a time."""


@dataclass(frozen=True)
class Part:
    """Some frames of all predictions.

    Attributes:
        first: The first of them; frame 0 is the first stored one.
        frames: Number of frames.
        error: Mean squared error of pixels from 0 to 1.
        standard_error: Of that mean, over trajectories; None for a single one.
        average_image: Error of the average training image.
        oracle: Error of the true clean states, 0 for data without noise.
        share_explained: 1 − (error − oracle) / (average_image − oracle); above 1 where the
            predictions repeat noise that they were given; nan where nothing is to be explained.
    """

    first: int
    frames: int
    error: float
    standard_error: float | None
    average_image: float
    oracle: float
    share_explained: float


@dataclass(frozen=True)
class Score:
    """Score of predictions.

    Attributes:
        name: Name of the data set.
        split: Split of the trajectories.
        trajectories: Number of predicted trajectories.
        seen: Frames given to the model.
        parts: By name, among the predicted frames: `stored`, all frames in the data set;
            `unseen`, those of them not given; `after` and `before`, beyond the two ends.
        valid: Median share of frames that are predicted before the first one with an error above
            `VALID_BELOW` times its mean square, both without noise: `forward` from the first
            unseen frame on, `backward` from frame −1. Omitted if the average image is valid to
            the end of most rollouts, as for bodies so small that they hardly change a frame.
        per_frame: Error of each predicted frame.
        per_trajectory: Error of each predicted trajectory, by the name of the part, as for a
            comparison of two models in pairs.
    """

    name: str
    split: str
    trajectories: int
    seen: int
    parts: dict[str, Part]
    valid: dict[str, float]
    per_frame: list[float]
    per_trajectory: dict[str, list[float]]

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON, which has null for what is not a number."""
        found = asdict(self)
        for part in found["parts"].values():
            if math.isnan(part["share_explained"]):
                part["share_explained"] = None
        return found

    def __str__(self) -> str:
        """The table that the command line prints, errors times 1e4."""
        head = (
            f"  {'':9}{'frames':>11}{'error':>17}{'average image':>16}{'oracle':>9}"
            f"{'share explained':>18}"
        )
        what = f"{self.name}, {self.split} split: {self.trajectories:,} trajectories"
        lines = [f"{what} from {self.seen} frames; pixel MSE × 1e4", head]
        for name, part in self.parts.items():
            frames = f"{part.first}…{part.first + part.frames - 1}".replace("-", "−")
            spread = "" if part.standard_error is None else f" ± {1e4 * part.standard_error:.2f}"
            lines.append(
                f"  {name:9}{frames:>11}{f'{1e4 * part.error:.2f}{spread}':>17}"
                f"{1e4 * part.average_image:16.2f}{1e4 * part.oracle:9.2f}"
                f"{part.share_explained:18.3f}"
            )
        for way, share in self.valid.items():
            lines.append(f"  valid {way}: {share:.2f} of the predicted frames, median")
        return "\n".join(lines)


def score(
    dataset: Dataset | str | Path,
    predictions: Any,
    split: str = "test",
    *,
    first: int = 0,
    start: int = 0,
    seen: int = 5,
) -> Score:
    """Compare predicted frames with the true ones.

    Arguments:
        dataset: A data set or its folder.
        predictions: (n, T, height, width, channel), uint8, or numbers from 0 to 1; any array
            that can be sliced, in memory or in a file, or the path of a file. Frames before the
            first and after the last stored one are compared with the simulator's.
        split: The predicted split.
        first: Number of the first predicted trajectory.
        start: Number of the first predicted frame; negative before the stored ones.
        seen: Number of stored frames, from the first, that the predictions were made from.

    Returns:
        The numbers.

    Raises:
        PhysimError: Predictions that do not fit the data set, or hold other values.

    Example:
        >>> print(physim.score("datasets/hgn/pendulum", frames))  # doctest: +SKIP
    """
    data = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    if isinstance(predictions, str | Path):
        with read_predictions(predictions) as frames:
            return score(data, frames, split, first=first, start=start, seen=seen)
    check(data, predictions, split, first, seen)
    n, total = predictions.shape[:2]
    average = average_image(data)
    errors, averages, oracles = (np.zeros((n, total)) for _ in range(3))
    relative, blank = np.zeros((n, total)), np.zeros((n, total))
    for rows in _blocks(predictions):
        given = from_0_to_1(predictions[rows], first + rows.start)
        where = slice(first + rows.start, first + rows.stop)
        true, clean = _truth(data, split, where, start, total)
        errors[rows] = _mean((given - true) ** 2)
        averages[rows] = _mean((average - true) ** 2)
        oracles[rows] = 0 if clean is None else _mean((clean - true) ** 2)
        calm = true if clean is None else clean  # noise alone may exceed what is valid
        square = np.maximum(_mean(calm**2), np.finfo(float).tiny)
        relative[rows] = _mean((given - calm) ** 2) / square
        blank[rows] = _mean((average - calm) ** 2) / square
    number = start + np.arange(total)
    stored = (number >= 0) & (number < data.recipe.frames)
    chosen = {
        "stored": stored,
        "unseen": stored & (number >= seen),
        "after": number >= data.recipe.frames,
        "before": number < 0,
    }
    ways = {
        "forward": np.flatnonzero(number >= seen),
        "backward": np.flatnonzero(number < 0)[::-1],
    }
    return Score(
        data.recipe.name,
        split,
        n,
        seen,
        {
            name: _part(number[at], errors[:, at], averages[:, at], oracles[:, at])
            for name, at in chosen.items()
            if at.any()
        },
        {
            way: float(np.median(_valid(relative[:, at])) / at.size)
            for way, at in ways.items()
            if at.size and np.median(_valid(blank[:, at])) < at.size
        },
        errors.mean(0).tolist(),
        {name: errors[:, at].mean(1).tolist() for name, at in chosen.items() if at.any()},
    )


def average_image(dataset: Dataset) -> np.ndarray:
    """Mean frame of the first 2,000 training trajectories, or of all if there are fewer.

    Arguments:
        dataset: The data set.

    Returns:
        (height, width, channel) float64, from 0 to 1.
    """
    split = dataset.train
    n = min(len(split), AVERAGED)
    totals = [batch["image"].sum((0, 1), dtype=np.float64) for batch in _some(split, n)]
    return np.sum(totals, axis=0) / (255 * n * dataset.recipe.frames)


def _some(split: Any, n: int) -> Iterator[dict[str, np.ndarray]]:
    for begin in range(0, n, 200):
        yield split.read(slice(begin, min(n, begin + 200)), ("image",))


def _blocks(predictions: Any) -> Iterator[slice]:
    n = predictions.shape[0]
    size = max(1, BYTES_OF_A_BLOCK // math.prod(predictions.shape[1:]))
    for begin in range(0, n, size):
        yield slice(begin, min(n, begin + size))


def _truth(
    data: Dataset, split: str, rows: slice, start: int, total: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """True frames from 0 to 1, and where the data has noise those without it."""
    recipe = data.recipe
    number = start + np.arange(total)
    stored = np.flatnonzero((number >= 0) & (number < recipe.frames))
    beyond = np.flatnonzero((number < 0) | (number >= recipe.frames))
    shape = (rows.stop - rows.start, total, recipe.resolution, recipe.resolution, 3)
    frames = np.empty(shape, dtype=np.uint8)
    if beyond.size:
        q, _ = data.states(split, rows, number[beyond] * recipe.dt)
        frames[:, beyond] = data.draw(split, rows, q)
    frames[:, stored] = data.split(split).image[rows][:, number[stored]]
    true = frames.astype(np.float32) / np.float32(255)
    if not recipe.noise:
        return true, None
    frames[:, stored] = data.draw(split, rows, data.split(split).q[rows][:, number[stored]])
    return true, frames.astype(np.float32) / np.float32(255)


def _mean(squares: np.ndarray) -> np.ndarray:
    """Over the pixels of each frame, (n, T)."""
    n, total = squares.shape[:2]
    return squares.reshape(n, total, -1).mean(-1, dtype=np.float64)


def _part(
    number: np.ndarray, errors: np.ndarray, averages: np.ndarray, oracles: np.ndarray
) -> Part:
    each = errors.mean(1)
    error, average, oracle = float(each.mean()), float(averages.mean()), float(oracles.mean())
    spread = float(each.std(ddof=1) / math.sqrt(len(each))) if len(each) > 1 else None
    share = 1 - (error - oracle) / (average - oracle) if average > oracle else math.nan
    return Part(int(number[0]), number.size, error, spread, average, oracle, share)


def _valid(relative: np.ndarray) -> np.ndarray:
    """Frames before the first invalid one, (n,)."""
    end = np.full((len(relative), 1), True)
    return np.concatenate([relative > VALID_BELOW, end], axis=1).argmax(1)
