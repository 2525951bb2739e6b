"""WebDataset: tar files that are read from front to back, over a network too.

One sample per trajectory, one file per array. The key of a sample is its number with nine digits:
`000000017.image.npy` and so on, and `000000017.json` with the scalars (index, seed, parameters of
one component).
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np

from physim.dataset import Dataset
from physim.shards.read import Split

SUFFIX = ".tar"


def write(dataset: Dataset, split: Split, rows: slice, path: Path) -> None:
    """Write one file.

    Arguments:
        dataset: The data set.
        split: One of its splits.
        rows: Trajectories of the file.
        path: The file.
    """
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for start in range(rows.start, rows.stop, 50):
            batch = split[start : min(start + 50, rows.stop)]
            for i in range(len(batch["index"])):
                sample = {name: array[i] for name, array in batch.items()}
                _add(tar, f"{int(sample['index']):09d}", sample)


def _add(tar: tarfile.TarFile, key: str, sample: dict[str, np.ndarray]) -> None:
    scalars = {name: value.item() for name, value in sample.items() if np.ndim(value) == 0}
    _file(tar, f"{key}.json", json.dumps(scalars).encode())
    for name, array in sample.items():
        if np.ndim(array):
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            _file(tar, f"{key}.{name}.npy", buffer.getvalue())


def _file(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))
