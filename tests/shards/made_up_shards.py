"""Blocks and shards without physics: random numbers and smooth frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from physim.shards.write import ShardEntry, ShardWriter, encode

FRAMES, SIDE = 6, 16


def block(n: int, seed: int = 0, first: int = 0, **more: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([seed, first])
    at = rng.uniform(3, SIDE - 3, (n, FRAMES, 1, 1))
    columns = np.arange(SIDE)
    disc = (columns - at) ** 2 + (columns[:, None] - at) ** 2 < 9
    image = np.full((n, FRAMES, SIDE, SIDE, 3), (81, 88, 93), dtype=np.uint8)
    image[disc] = (255, 226, 64)
    return {
        "image": image,
        "q": rng.normal(size=(n, FRAMES, 2)),
        "p": rng.normal(size=(n, FRAMES, 2)),
        "energy": rng.normal(size=(n, FRAMES)),
        "index": np.arange(first, first + n),
        "seed": np.full(n, 7, dtype=np.uint64),
        "attempt": rng.integers(0, 3, n, dtype=np.int32),
        "m": rng.uniform(0.5, 1, (n, 2)),
        "G": rng.uniform(0.5, 1, n),
        **more,
    }


def attributes(**more: object) -> dict[str, object]:
    return {
        "generator": "physim test",
        "system": "two_body",
        "parameters": "m G",
        "recipe": '{"system": "two_body"}',
        "split": "train",
        "shard": 0,
        "first": 0,
        "times": 0.125 * np.arange(FRAMES),
        **more,
    }


def write(path: Path, arrays: dict[str, np.ndarray], size: int = 50, **more: object) -> ShardEntry:
    path.parent.mkdir(parents=True, exist_ok=True)
    n = len(arrays["index"])
    with ShardWriter(path, n, attributes(**more)) as writer:
        for start in range(0, n, size):
            part = {name: array[start : start + size] for name, array in arrays.items()}
            writer.append(encode(part, start, n))
        return writer.finish()
