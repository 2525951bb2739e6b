"""Shards and a data set without physics, on the disk."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_shards import block, write

from physim.shards import manifest
from physim.shards.manifest import Manifest, Shard


@pytest.fixture(scope="session")
def shard(tmp_path_factory):
    """A shard of 123 trajectories and the arrays in it."""
    path = tmp_path_factory.mktemp("shard") / "train" / "00000.h5"
    arrays = block(123)
    write(path, arrays)
    return path, arrays


@pytest.fixture(scope="session")
def data_set(tmp_path_factory):
    """A folder with shards of 100, 100 and 37 trajectories, a manifest, and all arrays."""
    folder = tmp_path_factory.mktemp("set")
    listed, parts, first = [], [], 0
    for number, n in enumerate((100, 100, 37)):
        arrays = block(n, first=first)
        entry = write(folder / "train" / f"{number:05d}.h5", arrays, shard=number, first=first)
        listed.append(
            Shard(
                name=entry.name,
                split="train",
                first=first,
                trajectories=n,
                bytes=entry.bytes,
                sha256=entry.sha256,
            )
        )
        parts.append(arrays)
        first += n
    manifest.write(
        folder,
        Manifest(
            recipe={"system": "two_body"},
            seed=7,
            versions=manifest.versions(),
            counts={"train": first, "test": 0},
            shards=listed,
        ),
    )
    return folder, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
