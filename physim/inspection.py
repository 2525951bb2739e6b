"""The contents of a data set, in figures."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np

from physim import drawing
from physim.dataset import Dataset
from physim.drawing import canvas
from physim.errors import RecipeError
from physim.shards.read import Split
from physim.systems.positions import positions

ROWS = 2000
"""Trajectories that are read at once."""


def inspection(dataset: Dataset) -> dict[str, Any]:
    """Counts, sizes, compression, ranges of parameters and energies.

    Arguments:
        dataset: An open data set; its states and parameters are read, its frames are not.

    Returns:
        For JSON: `path`, `recipe`, `versions`, `splits` with `arrays`, `parameters`, `energy`; of
        a set that is not finished what is there, and under `unfinished` the trajectories per
        split that it will have, and the command that makes them.
    """
    journal = dataset.unfinished
    rest = {"unfinished": {"of": journal.totals(), "resume": journal.resume()}} if journal else {}
    return {
        "path": str(dataset.path),
        "system": dataset.settings.get("system"),
        "recipe": dataset.settings,
        "versions": dataset.manifest.versions,
        "made": dataset.manifest.made,
        "splits": {name: _split(dataset, split) for name, split in dataset.splits.items()},
        **rest,
    }


def _split(dataset: Dataset, split: Split) -> dict[str, Any]:
    shards = dataset.manifest.of(split.name)
    found: dict[str, Any] = {
        "trajectories": len(split),
        "shards": len(shards),
        "bytes": sum(shard.bytes for shard in shards),
        "arrays": {},
    }
    if not len(split):
        return found
    indices = [split.shard(number) for number in range(len(shards))]
    for name in split.names:
        array = split.array(name)
        stored = sum(int(index.arrays[name].sizes.sum()) for index in indices)
        found["arrays"][name] = {
            "shape": list(array.shape),
            "dtype": array.dtype.str,
            "dimensions": list(array.dimensions),
            "chunk": indices[0].arrays[name].chunk,
            "raw_bytes": array.nbytes,
            "bytes": stored,
            "ratio": array.nbytes / stored,
        }
    ranges = _ranges(split, [*dataset.parameters, "energy"])
    found["parameters"] = {name: ranges[name] for name in dataset.parameters}
    found["energy"] = ranges["energy"]
    found["drawn_again"] = sum(shard.redrawn for shard in shards)
    with contextlib.suppress(
        RecipeError
    ):  # one of another version; the files speak for themselves
        found["out_of_sight"] = out_of_sight(dataset, split.name)
    return found


def out_of_sight(dataset: Dataset, name: str, most: int | None = None) -> dict[str, int]:
    """In how many trajectories and frames a whole disc is outside the picture, which is by noise.

    Arguments:
        dataset: An open data set; noisy positions are read.
        name: Of the split.
        most: How many trajectories to look at, the first ones; all if omitted.

    Returns:
        `trajectories` and `frames`; 0 without noise, as clean states that leave are drawn again.

    Raises:
        RecipeError: The recipe of the data set is not valid.
    """
    split, found = dataset.split(name), {"trajectories": 0, "frames": 0}
    if "q_drawn" not in split:
        return found
    recipe, system, style = dataset.recipe, dataset.system, drawing.find(dataset.recipe.style)
    stop = len(split) if most is None else min(most, len(split))
    names = [key for key in ("q_drawn", "offset", *dataset.parameters) if key in split]
    for start in range(0, stop, ROWS):
        batch = split.read(slice(start, min(start + ROWS, stop)), names)
        params = np.column_stack([batch[symbol] for symbol in dataset.parameters])
        xy = positions(system, batch["q_drawn"], params)
        n, frames, _ = xy.shape
        hidden = canvas.outside(
            xy.reshape(n * frames, 1, -1),
            np.repeat(style.radii(system, system.masses(params)), frames, axis=0),
            recipe.half_width or 1.0,
            -1.0,  # a radius beyond the edge
            np.repeat(batch.get("offset", np.zeros((n, 2))), frames, axis=0),
        ).reshape(n, frames)
        found["trajectories"] += int(hidden.any(axis=1).sum())
        found["frames"] += int(hidden.sum())
    return found


def _ranges(split: Split, names: list[str]) -> dict[str, dict[str, float]]:
    """Smallest, mean and largest value."""
    low = dict.fromkeys(names, math.inf)
    high = dict.fromkeys(names, -math.inf)
    total = dict.fromkeys(names, 0.0)
    for batch in split.batches(ROWS, names):
        for name, array in batch.items():
            low[name] = min(low[name], float(array.min()))
            high[name] = max(high[name], float(array.max()))
            total[name] += float(array.sum(dtype=np.float64))
    count = {name: math.prod(split.array(name).shape) for name in names}
    return {
        name: {"min": low[name], "mean": total[name] / count[name], "max": high[name]}
        for name in names
    }
