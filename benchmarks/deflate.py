"""Deflating drawn frames: ours against the libraries that are there (`pip install isal deflate`).

`python -m benchmarks deflate` prints ratio and speed on one core for the chunks of a block of
two_body, and in how many chunks the streams of several threads differ: a data set can be made
again bit for bit only where that is 0.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from zlib_ng import zlib_ng

from benchmarks.measure import median, table

THREADS = 4
REPEATS = 5


def chunks() -> list[np.ndarray]:
    """The frames of 400 trajectories of two_body, five per chunk."""
    from physim.recipe import Recipe
    from physim.trajectories import Generator

    generator = Generator(Recipe.of({"system": "two_body", "n": 400}))
    frames = generator.block("train", 0, 400)["image"]
    return [frames[i : i + 5].reshape(-1) for i in range(0, 400, 5)]


def compressors() -> dict[str, Callable[[np.ndarray], bytes]]:
    """By name; those that are not installed are left out."""
    from physim.shards import deflate

    found: dict[str, Callable[[np.ndarray], bytes]] = {
        "ours": lambda x: deflate.compress(x, (3, 96, 3072), 3, 1 << 15),
        "ours, pixel and row": lambda x: deflate.compress(x, (3, 96), 3, 1 << 15),
        "ours, and two frames back": lambda x: deflate.compress(
            x, (3, 96, 3072, 6144), 3, 1 << 15
        ),
    }
    for level in (1, 6):
        found[f"zlib {level}"] = lambda x, level=level: zlib.compress(x, level)  # type: ignore[misc]
    for level in (1, 2, 3):
        found[f"zlib-ng {level}"] = lambda x, level=level: zlib_ng.compress(x, level)  # type: ignore[misc]
    if find_spec("isal"):
        from isal import isal_zlib

        for level in (0, 1, 2):
            found[f"ISA-L {level}"] = lambda x, level=level: isal_zlib.compress(x, level)  # type: ignore[misc]
    if find_spec("deflate"):
        import deflate as libdeflate

        found["libdeflate 1"] = lambda x: bytes(libdeflate.zlib_compress(x.tobytes(), 1))
    return found


def differing(compress: Callable[[np.ndarray], bytes], data: list[np.ndarray]) -> int:
    """In how many chunks the streams of threads that work side by side are not the same."""
    streams: list[set[bytes]] = [set() for _ in data]

    def work(seed: int) -> None:
        for k in np.random.default_rng(seed).permutation(len(data)):
            streams[k].add(compress(data[k]))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(len(found) > 1 for found in streams)


def main() -> dict[str, Any]:
    """Print the table and return it."""
    data = chunks()
    raw = sum(chunk.nbytes for chunk in data)
    rows = []
    for name, compress in compressors().items():
        size = sum(len(compress(chunk)) for chunk in data)
        times = []
        for _ in range(REPEATS):
            began = time.thread_time()
            for chunk in data:
                compress(chunk)
            times.append(time.thread_time() - began)
        rows.append(
            {
                "deflate": name,
                "times smaller": raw / size,
                "GB/s per core": raw / median(times) / 1e9,
                f"chunks of {len(data)} that differ": differing(compress, data),
            }
        )
    print(table("Deflating the frames of two_body", rows))
    return {"deflate": rows}
