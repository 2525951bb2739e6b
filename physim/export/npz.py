"""NumPy archives: `numpy.load(file)["image"]`, no other library needed.

The arrays of a shard under their names, compressed by `zip`'s deflate, and `times`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from physim.dataset import Dataset
from physim.shards.read import Split

SUFFIX = ".npz"


def write(dataset: Dataset, split: Split, rows: slice, path: Path) -> None:
    """Write one file.

    Arguments:
        dataset: The data set.
        split: One of its splits.
        rows: Trajectories of the file.
        path: The file.
    """
    with path.open("wb") as file:
        arrays: dict[str, Any] = {"times": dataset.times, **split[rows]}
        np.savez_compressed(file, **arrays)
