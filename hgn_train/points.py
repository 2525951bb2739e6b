"""Points as what a flow is trained on: of a density of the plane, of a file, or of shards.

A target is the name of a density, a file of points, or a folder of a data set, whose initial
states (q, p), one row per trajectory, are the points. A tenth of a file is held out, chosen by a
fixed permutation; a density is sampled afresh for both parts, a data set has its own test split.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hgn_train import data, densities
from hgn_train.densities import DENSITIES, Density
from hgn_train.rows import Rows
from hgn_train.seeds import Purpose, seed_of
from physim.errors import PhysimError, unknown

TRAIN, TEST = 500_000, 20_000
"""Points that are drawn from a density."""

SUFFIXES = (".npy", ".csv")
FEWEST = 20


@dataclass(frozen=True)
class Points:
    """A target.

    Attributes:
        system: Its name, or that of its file.
        first: To train on, (n, d) float32.
        rest: Held out, (m, d) float32.
        density: What the points were drawn from, where it is known.
    """

    system: str
    first: Tensor
    rest: Tensor
    density: Density | None = None

    @property
    def dimension(self) -> int:
        """Numbers in a point."""
        return self.first.shape[1]

    @property
    def fingerprint(self) -> str:
        """Of all points."""
        digest = hashlib.blake2b(digest_size=16)
        for part in (self.first, self.rest):
            digest.update(f"{tuple(part.shape)}".encode())
            digest.update(part.numpy().tobytes())
        return digest.hexdigest()

    @property
    def collapse(self) -> str:
        """There is no reference, so nothing collapses to it."""
        return ""

    def train(
        self,
        names: Sequence[str],
        device: torch.device,
        batch_size: int,
        seed: int,
        n: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> Rows:
        """Points to train on."""
        return Rows({"points": self.first}, device, batch_size, seed, n, rank, world_size)

    def held_out(self, names: Sequence[str], device: torch.device, seed: int, n: int = 0) -> Rows:
        """The last of the points to judge on."""
        n = min(n, len(self.rest)) if n else len(self.rest)
        return Rows({"points": self.rest[len(self.rest) - n :]}, device, 1, seed)

    def reference(self, train: Any, held_out: Any) -> None:
        """A log-density has no zero, so no share of it is explained."""


def read(target: str) -> Points:
    """Points of a target.

    Arguments:
        target: Name of a density, a file of points, or a folder of a data set.

    Returns:
        The points.

    Raises:
        PhysimError: There is no such target, or it holds no points that have a density.
    """
    if target in DENSITIES:
        density, number = densities.find(target), zlib.crc32(target.encode())
        parts = [
            density.sample(n, torch.Generator().manual_seed(seed_of(Purpose.TARGET, number, part)))
            for part, n in enumerate((TRAIN, TEST))
        ]
        return Points(target, parts[0].float(), parts[1].float(), density)
    path = Path(target)
    if path.is_dir():
        dataset = data.open_source(path).dataset
        first, rest = (_initial_states(split) for split in (dataset.train, dataset.test))
        name = path.resolve().name
    elif path.suffix in SUFFIXES:
        if not path.is_file():
            raise PhysimError(f"target: there is no file '{target}'")
        rows = _array(path) if path.suffix == ".npy" else _table(path)
        rows = rows[np.random.default_rng(0).permutation(len(rows))]
        held_out = len(rows) // 10
        first, rest, name = rows[held_out:], rows[:held_out], path.stem
    else:
        raise PhysimError(
            f"{unknown('target', target, DENSITIES)}, a .npy or .csv file of points, "
            "or a folder of a data set"
        )
    check(first, target)
    return Points(name, torch.from_numpy(first), torch.from_numpy(rest))


def check(points: np.ndarray, source: str) -> None:
    """Refuse points that no density can be fitted to.

    Arguments:
        points: (n, d).
        source: Where they come from, for errors.

    Raises:
        PhysimError: Too few of them, or a column that does not vary.
    """
    if len(points) < FEWEST:
        raise PhysimError(
            f"{source}: got {len(points)} points to train on, expected at least {FEWEST}"
        )
    still = np.flatnonzero(points.min(0) == points.max(0))
    if len(still):
        raise PhysimError(
            f"{source}: column {still[0] + 1} is the same for all points, which has no density; "
            "leave it out"
        )


def _initial_states(split: Any) -> np.ndarray:
    """(n, 2 × bodies × coordinates) float32: all of q, then all of p, of the first frame."""
    parts = [np.asarray(array[:, 0]).reshape(len(array), -1) for array in (split.q, split.p)]
    return np.concatenate(parts, 1).astype(np.float32)


def _array(path: Path) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise PhysimError(f"{path}: not an array of numbers ({error})") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
        raise PhysimError(f"{path}: not an array of numbers, expected floats or integers")
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or 0 in array.shape:
        raise PhysimError(
            f"{path}: got an array of shape {array.shape}, expected (points, dimensions)"
        )
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        row, column = bad[0]
        raise PhysimError(
            f"{path}: row {row + 1}, column {column + 1}: got {array[row, column]}, "
            "expected a finite number"
        )
    return _narrow(array, path)


def _table(path: Path) -> np.ndarray:
    """Numbers between commas, semicolons or tabs; a first line of words is a head.

    Only one of these separates the numbers of a line: beside semicolons a comma is no separator,
    and a decimal one is refused.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PhysimError(f"{path}: not a text file ({error})") from None
    rows: list[list[float]] = []
    head = True
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        separator = next((mark for mark in "\t;" if mark in line.strip()), ",")
        cells = [cell.strip() for cell in line.split(separator)]
        values = [_number(cell) for cell in cells]
        if head and all(value is None for value in values):
            head = False
            continue
        head = False
        for column, value in enumerate(values, 1):
            if value is None or not np.isfinite(value):
                raise PhysimError(
                    f"{path}: line {number}, column {column}: got '{cells[column - 1]}', "
                    "expected a finite number"
                )
        if rows and len(values) != len(rows[0]):
            raise PhysimError(
                f"{path}: line {number}: got {len(values)} numbers, expected {len(rows[0])} as "
                "in the lines before"
            )
        rows.append([value for value in values if value is not None])
    if not rows:
        raise PhysimError(f"{path}: holds no points")
    return _narrow(np.array(rows), path)


def _narrow(array: np.ndarray, path: Path) -> np.ndarray:
    """Float32, if that holds the numbers."""
    largest = float(np.abs(array).max())
    if largest > 1e30:
        raise PhysimError(f"{path}: got numbers up to {largest:.3g}, expected less than 1e30")
    return array.astype(np.float32)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def open_points(target: str, network: Any) -> Points:
    """Open a target for a flow.

    Arguments:
        target: As in `read`.
        network: Settings of the model, with `dimension`.

    Returns:
        The material.

    Raises:
        PhysimError: There is none, or it has another dimension.
    """
    points = read(target)
    if points.dimension != network.dimension:
        raise PhysimError(
            f"{target}: has points of {points.dimension} numbers, but the model is made for "
            f"{network.dimension}"
        )
    return points


def adapt(network: dict[str, Any], target: str) -> str:
    """Take the dimension from the points where it is not given.

    Arguments:
        network: Settings of the model, changed in place.
        target: As in `read`.

    Returns:
        Name of the target.

    Raises:
        PhysimError: There is no such target, or it holds no points that have a density.
    """
    points = read(target)
    network.setdefault("dimension", points.dimension)
    return points.system
