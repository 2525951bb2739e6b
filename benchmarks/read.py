"""Reading: our reader against h5py on the same file, and which size of chunk suits whom.

`python -m benchmarks.read` prints the tables and saves them as JSON. Files are read from the page
cache. Seconds are those of the wall; where other programs are at work, the processor column tells
more: it is what a core does when it is left alone.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import physim
from benchmarks.measure import median, save, table
from physim.shards import format as layout
from physim.shards.read import Split
from physim.shards.write import ShardWriter, encode

N = 4000
CHUNKS = (1, 2, 5, 10, 25)
REPEATS = 5


def _timed(call: Callable[[], Any], repeats: int = REPEATS) -> tuple[float, float]:
    """Median wall and processor seconds of a call, after one that does not count."""
    call()
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return median(walls), median(cpus)


def _rate(name: str, size: int, call: Callable[[], Any]) -> dict[str, Any]:
    wall, cpu = _timed(call)
    return {"read": name, "GB/s": size / wall / 1e9, "GB/s per core": size / cpu / 1e9}


def whole(folder: Path) -> list[dict[str, Any]]:
    """All frames of a split: by h5py, and by ours with 1 and 2 threads, at once and in batches."""
    data = physim.open(folder, threads=2)
    one = physim.open(folder, threads=1).train
    size = data.train.image.nbytes

    def plain() -> None:
        for path in data.train.paths:
            with h5py.File(path) as file:
                file["image"][:]

    def batches() -> None:
        for _ in data.train.batches(256, ["image"]):
            pass

    rows = [
        _rate("h5py", size, plain),
        _rate("physim, 1 thread", size, lambda: one.image[:]),
        _rate("physim, 2 threads", size, lambda: data.train.image[:]),
        _rate("physim, 2 threads, batches of 256", size, batches),
    ]
    for row in rows:
        row["times h5py"] = row["GB/s"] / rows[0]["GB/s"]
    return rows


def chunks(arrays: dict[str, np.ndarray], attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """One shard of the same trajectories with chunks of different lengths."""
    rows = []
    lengths, largest = layout.CHUNK_LENGTHS, layout.CHUNK_BYTES
    with tempfile.TemporaryDirectory(dir=".") as folder:
        try:
            for length in CHUNKS:
                layout.CHUNK_LENGTHS, layout.CHUNK_BYTES = (length,), 2**30
                rows.append(_chunk(Path(folder) / f"{length:05d}.h5", length, arrays, attributes))
        finally:
            layout.CHUNK_LENGTHS, layout.CHUNK_BYTES = lengths, largest
    return rows


def _chunk(
    path: Path, length: int, arrays: dict[str, np.ndarray], attributes: dict[str, Any]
) -> dict[str, Any]:
    n, image = len(arrays["index"]), arrays["image"]
    with ShardWriter(path, n, attributes) as writer:
        for start in range(0, n, 50):
            block = {name: array[start : start + 50] for name, array in arrays.items()}
            writer.append(encode(block, start, n))
        writer.finish()
    split = Split("train", [path], [n], threads=2)
    order = np.random.default_rng(0).permutation(n)
    _, all_cpu = _timed(lambda: split.image[:])
    wall, _ = _timed(lambda: split.image[:])
    _, one = _timed(lambda: [split.read(int(row), ["image"]) for row in order[:200]])
    _, some = _timed(lambda: [split.read(order[i : i + 64], ["image"]) for i in range(0, n, 64)])
    return {
        "trajectories per chunk": length,
        "ratio": image.nbytes / int(split.shard(0).arrays["image"].sizes.sum()),
        "all, GB/s": image.nbytes / wall / 1e9,
        "all, GB/s per core": image.nbytes / all_cpu / 1e9,
        "one at random, core µs": one / 200 * 1e6,
        "64 at random, core µs each": some / n * 1e6,
    }


def main(n: int = N) -> dict[str, Any]:
    """Print the tables and return them."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        out = Path(folder) / "set"
        physim.render(system="two_body", n=n, n_test=0, out=out)
        reading = whole(out)
        print(table("Reading all frames of two_body", reading))
        train = physim.open(out).train
        count = min(n, train.shard(0).trajectories)
        known = {k: v for k, v in train.attributes.items() if not k.startswith("format")}
        sizes = chunks(train[:count], known)
        print(table("Chunk length", sizes))
    return {"reading": reading, "chunks": sizes}


if __name__ == "__main__":
    print(save("read", main()))
