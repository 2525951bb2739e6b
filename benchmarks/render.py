"""Rendering: trajectories per second, where the time goes, the limit, the plain pipeline."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

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
        "kB per trajectory": size / n / 1e3,
    }


def shares(system: str, n: int = 1000) -> dict[str, Any]:
    """Microseconds of processor time per trajectory for each stage, on one thread."""
    from physim.recipe import Recipe
    from physim.schedulers import Job, attributes
    from physim.shards.write import ShardWriter, encode
    from physim.trajectories import Generator

    recipe = Recipe.of({"system": system, "n": n})
    generator = Generator(recipe)
    size = recipe.block_size
    buffer = generator.new_images(size)
    block = generator.block("train", 0, size)
    encoded = [encode(block, start, n) for start in range(0, n, size)]

    def simulate() -> None:
        for start in range(0, n, size):
            generator._states("train", np.arange(start, start + size))

    def everything() -> None:
        for start in range(0, n, size):
            generator.block("train", start, start + size, buffer)

    def deflate() -> None:
        for start in range(0, n, size):
            encode(block, start, n)

    def write() -> None:
        with tempfile.TemporaryDirectory(dir=".") as folder:
            writer = ShardWriter(
                Path(folder) / "0.h5", n, attributes(recipe, Job("train", 0, 0, n))
            )
            for part in encoded:
                writer.append(part)
            writer.finish()

    simulated, both = _processor(simulate, n), _processor(everything, n)
    stages = {
        "simulate": simulated,
        "draw": both - simulated,
        "deflate": _processor(deflate, n),
        "write and hash": _processor(write, n),
    }
    return {"system": system, **stages, "sum": sum(stages.values())}


def _processor(call: Callable[[], None], n: int, repeats: int = 7) -> float:
    """Median microseconds of processor time for one of the `n` trajectories of a call."""
    call()
    times = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return median(times) / n * 1e6


def starting(system: str, cache: str | None = None) -> float:
    """Seconds from the start of a process to the first trajectories on disk."""
    code = (
        "import os, sys, physim\n"
        "def tick(done):\n    if done: os._exit(0)\n"
        "physim.render(system=sys.argv[1], n=1000, out=sys.argv[2], progress=tick)"
    )
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | ({"NUMBA_CACHE_DIR": cache} if cache else {})
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", code, system, f"{folder}/out"], env=environment, check=True
        )
        return time.perf_counter() - began


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
    """Trajectories per second of the plain pipeline on one process, median of three runs."""
    rates = []
    for _ in range(3):
        with tempfile.TemporaryDirectory(dir=".") as folder:
            began = time.perf_counter()
            plain.two_body(Path(folder) / "plain.h5", n)
            rates.append(n / (time.perf_counter() - began))
    return median(rates)


def main(n: int = 50_000) -> dict[str, Any]:
    """Print the tables and return them."""
    for system in SYSTEMS:
        starting(system)  # compiles
    systems = [command(system, n) for system in SYSTEMS]
    print(table("Rendering, whole process, two threads", systems))
    stages = [shares(system) for system in SYSTEMS]
    print(table("Where the time goes, core µs per trajectory", stages))
    starts = []
    for system in ("two_body", "three_body"):
        with tempfile.TemporaryDirectory() as cache:
            cold = starting(system, cache)
        warm = median([starting(system) for _ in range(5)])
        starts.append({"system": system, "first run ever, s": cold, "later runs, s": warm})
    print(table("From the start to the first progress", starts))
    scale = [
        {"threads": workers, **command("two_body", size, 3, workers)}
        for workers, size in ((1, 20_000), (2, 20_000), (2, 1000), (2, 200_000))
    ]
    print(table("Scaling of two_body over threads and n", scale))
    rate, plainly, bound = systems[2]["trajectories/s"], today(), limit()
    compared = {
        **bound,
        "physim render, trajectories/s": rate,
        "share of the limit": rate / bound["limit, trajectories/s"],
        "SciPy + NumPy + gzip, trajectories/s": plainly,
        "times as fast": rate / plainly,
    }
    print(table("two_body against the limit and against the plain pipeline", [compared]))
    return {
        "systems": systems,
        "stages": stages,
        "starts": starts,
        "scale": scale,
        "compared": compared,
    }
