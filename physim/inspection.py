"""The contents of a data set, in figures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from physim.dataset import Dataset
from physim.shards.read import Split

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
