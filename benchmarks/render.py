"""Rendering: trajectories a second, where the time goes, the limit, and the pipeline of today."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import plain
from benchmarks.measure import median, process, seconds, table

SYSTEMS = ("mass_spring", "pendulum", "two_body", "three_body")


def command(system: str, n: int, repeats: int = 3, workers: int | None = None) -> dict[str, Any]:
    """`physim render` as a whole process, from the shell to synced files."""
    runs, size = [], 0
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(dir=".") as folder:
            out = Path(folder) / "out"
            arguments = ["physim", "render", "--system", system, "--n", str(n), "--n-test", "0"]
            arguments += ["--out", str(out)] + (["--workers", str(workers)] if workers else [])
            runs.append(process(arguments))
            size = sum(file.stat().st_size for file in out.rglob("*.h5"))
    wall = median([run.wall for run in runs])
    raw = n * 30 * 32 * 32 * 3
    return {
        "system": system,
        "n": n,
        "seconds": wall,
        "trajectories/s": n / wall,
        "frames/s": 30 * n / wall,
        "GB/s of pixels": raw / wall / 1e9,
        "peak MB": max(run.peak_mb for run in runs),
        "kB a trajectory": size / n / 1e3,
    }


def shares(system: str, n: int = 1000) -> dict[str, Any]:
    """Microseconds a trajectory of each stage, on one thread."""
    from physim.recipe import Recipe
    from physim.shards.write import encode
    from physim.trajectories import Generator

    recipe = Recipe.of({"system": system, "n": n})
    generator = Generator(recipe)
    buffer = generator.new_images(recipe.block_size)
    size = recipe.block_size
    starts = range(0, n, size)
    blocks = [generator.block("train", start, start + size) for start in starts[:4]]

    def simulate() -> None:
        import numpy as np

        for start in starts:
            generator._states("train", np.arange(start, start + size))

    def everything() -> None:
        for start in starts:
            generator.block("train", start, start + size, buffer)

    simulated = seconds(simulate) / n * 1e6
    drawn = seconds(everything) / n * 1e6 - simulated
    deflated = seconds(lambda: [encode(block, 0, n) for block in blocks]) / (4 * size) * 1e6
    return {"system": system, "simulate": simulated, "draw": drawn, "deflate": deflated}


def limit(n: int = 2000) -> dict[str, Any]:
    """Deflating, writing and syncing the same bytes with everything else free, on two threads."""
    from concurrent.futures import ThreadPoolExecutor

    from physim.recipe import Recipe
    from physim.schedulers import Job, attributes
    from physim.shards.write import ShardWriter, encode
    from physim.trajectories import Generator

    recipe = Recipe.of({"system": "two_body", "n": n})
    size = recipe.block_size
    block = Generator(recipe).block("train", 0, size)
    folder = Path(tempfile.mkdtemp(dir="."))

    def write() -> None:
        with ThreadPoolExecutor(2) as pool:
            writer = ShardWriter(folder / "0.h5", n, attributes(recipe, Job("train", 0, 0, n)))
            for encoded in pool.map(lambda i: encode(block, i * size, n), range(n // size)):
                writer.append(encoded)
            writer.finish()

    try:
        return {"limit, trajectories/s": n / seconds(write)}
    finally:
        shutil.rmtree(folder)


def today(n: int = 200) -> float:
    """Trajectories a second of the plain pipeline on one process."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        began = time.perf_counter()
        plain.two_body(Path(folder) / "plain.h5", n)
        return n / (time.perf_counter() - began)


def main(n: int = 20_000) -> dict[str, Any]:
    """Print the tables and return them."""
    process(["physim", "render", "--system", "two_body", "--n", "10", "--out", _scratch()])
    systems = [command(system, n) for system in SYSTEMS]
    print(table("Rendering, whole process", systems))
    stages = [shares(system) for system in SYSTEMS]
    print(table("Where the time goes, µs a trajectory on one thread", stages))
    scale = [{"workers": workers, **command("two_body", n, 3, workers)} for workers in (1, 2)] + [
        {"workers": 2, **command("two_body", size, 1, 2)} for size in (1000, 100_000)
    ]
    print(table("Scaling of two_body over workers and n", scale))
    rate, plainly, bound = systems[2]["trajectories/s"], today(), limit()
    compared = {
        **bound,
        "ours, share of the limit": rate / bound["limit, trajectories/s"],
        "SciPy + NumPy + gzip, trajectories/s": plainly,
        "ours, times as fast": rate / plainly,
    }
    print(table("two_body against the limit and against the plain pipeline", [compared]))
    return {"systems": systems, "stages": stages, "scale": scale, "compared": compared}


def _scratch() -> str:
    return str(Path(tempfile.mkdtemp()) / "warm")
