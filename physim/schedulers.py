"""Who computes the shards: threads of this process; a task of `physim.cluster` makes a whole one.

A shard is a pure function of recipe, split and number, so any machine may make it, twice if need
be, and the bytes are the same.

The way of a shard in `threads`: a pool simulates, draws and compresses blocks of trajectories; the
calling thread takes the blocks in order and writes them; one more thread syncs finished shards.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import local
from typing import Any

import numpy as np

from physim import __version__
from physim.errors import ShardError
from physim.integrators import rollout
from physim.recipe import Recipe
from physim.shards import manifest
from physim.shards.journal import Journal
from physim.shards.manifest import Shard
from physim.shards.write import EncodedBlock, Frames, ShardWriter, encode
from physim.trajectories import SPLITS, Generator

BLOCKS_AHEAD = 3
"""Blocks in flight for each thread: enough that none waits, few enough that memory stays small."""

CLOSING_AHEAD = 2
"""Shards that may wait for the disk while the next one is being written."""


@dataclass(frozen=True)
class Job:
    """One shard that is to be made.

    Attributes:
        split: `train` or `test`.
        number: Its number in the split.
        start: Index of its first trajectory.
        stop: One past the last.
    """

    split: str
    number: int
    start: int
    stop: int

    @property
    def n(self) -> int:
        """Trajectories."""
        return self.stop - self.start

    @property
    def name(self) -> str:
        """Path of the shard in the data set."""
        return f"{self.split}/{self.number:05d}.h5"

    def blocks(self, size: int) -> Iterator[tuple[int, int]]:
        """First index and one past the last of each block of at most `size` trajectories."""
        for start in range(self.start, self.stop, size):
            yield start, min(start + size, self.stop)


@dataclass(frozen=True)
class _Block:
    encoded: EncodedBlock
    energy_error: float
    redrawn: int


def jobs(recipe: Recipe) -> Iterator[Job]:
    """The shards of a data set, in the order in which they are made."""
    size = recipe.shard_size or 1
    for split in SPLITS:
        n = recipe.count(split)
        for number, start in enumerate(range(0, n, size)):
            yield Job(split, number, start, min(start + size, n))


def threads(
    recipe: Recipe,
    path: Path,
    todo: list[Job],
    workers: int,
    progress: Callable[[int], None],
    finished: Callable[[Shard], None],
) -> None:
    """Make shards with threads of this process.

    Arguments:
        recipe: What to make.
        path: Folder of the data set.
        todo: Shards to make, in order.
        workers: Threads that simulate, draw and compress.
        progress: Called with the number of trajectories that have just been written.
        finished: Called with each shard when it is on the disk, in order, one at a time.
    """
    _compile(recipe)
    generator = Generator(recipe)
    buffers = local()

    def close(job: Job, writer: ShardWriter, worst: float, redrawn: int) -> None:
        finished(_close(job, writer, worst, redrawn))

    def compute(job: Job, start: int, stop: int) -> _Block:
        if not hasattr(buffers, "images"):
            buffers.images = generator.new_images(recipe.block_size)
        return _block(generator, job, start, stop, buffers.images)

    with (
        ThreadPoolExecutor(workers, "physim-block") as pool,
        ThreadPoolExecutor(1, "physim-finish") as finisher,
    ):
        submitted = (
            pool.submit(compute, job, start, stop)
            for job in todo
            for start, stop in job.blocks(recipe.block_size)
        )
        waiting = _ahead(submitted, BLOCKS_AHEAD * workers)
        closing: deque[Future[None]] = deque()
        try:
            for job in todo:
                results = (next(waiting).result() for _ in job.blocks(recipe.block_size))
                written = _write(recipe, path, job, results, progress)
                closing.append(finisher.submit(close, job, *written))
                while closing and (closing[0].done() or len(closing) > CLOSING_AHEAD):
                    closing.popleft().result()
            while closing:
                closing.popleft().result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def make_shard(recipe_json: str, folder: str, job: Job) -> Shard:
    """Make one shard in this thread; what a worker of a cluster runs.

    A task that runs cannot be recalled: it may go on when `physim render` was stopped and another
    data set is made in the folder. So it looks whether the journal is that of its recipe when its
    unfinished file stands already. From then on whoever claims the folder takes that file away.

    Arguments:
        recipe_json: The recipe.
        folder: Folder of the data set.
        job: The shard.

    Returns:
        The shard, on the disk under its final name.

    Raises:
        ShardError: It cannot be written, this worker has other versions, or another data set is
            made in the folder by now.
    """
    recipe = Recipe.from_json(recipe_json)
    made = Journal(Path(folder)).versions()
    for name, theirs, ours in manifest.differing(made) if made else ():
        raise ShardError(f"{folder}: is made with {name} {theirs}, but this worker has {ours}")
    generator = Generator(recipe)
    images = generator.new_images(recipe.block_size)

    def blocks() -> Iterator[_Block]:
        if Journal(Path(folder)).recipe() != json.loads(recipe_json):
            raise ShardError(f"{folder}: is not being made into this data set any more")
        for start, stop in job.blocks(recipe.block_size):
            yield _block(generator, job, start, stop, images)

    return _close(job, *_write(recipe, Path(folder), job, blocks(), lambda written: None))


def attributes(recipe: Recipe, job: Job) -> dict[str, Any]:
    """What stands on the root of a shard, besides the format's own."""
    return {
        "generator": f"physim {__version__}",
        "system": recipe.system,
        "parameters": " ".join(parameter.symbol for parameter in recipe.find_system().parameters),
        "recipe": recipe.to_json(),
        "split": job.split,
        "shard": job.number,
        "first": job.start,
        "times": recipe.dt * np.arange(recipe.frames) + 0.0,  # 0, not −0, where dt is below 0
    }


def _compile(recipe: Recipe) -> None:
    """Compile what `threads` will call, by a block of next to nothing.

    In the calling thread, which Ctrl-C can interrupt, and before the others would wait for it.
    """
    frames = min(2, recipe.frames)  # of a single frame the next may lie beyond the canvas
    small = Generator(recipe.model_copy(update={"frames": frames, "resolution": 8}))
    encode(small.block(SPLITS[0], 0, 1), 0, 1)


def _block(generator: Generator, job: Job, start: int, stop: int, images: np.ndarray) -> _Block:
    block, draw = generator.undrawn(job.split, start, stop)

    def drawn(first: int, stop: int) -> np.ndarray:
        draw(first, stop, images[: stop - first])
        return images[: stop - first]

    error = float(rollout.energy_error(block["energy"]).max())
    redrawn = int((block["attempt"] > 0).sum())
    frames = Frames(images.shape[1:], drawn)
    return _Block(encode(block, start - job.start, job.n, frames), error, redrawn)


def _write(
    recipe: Recipe,
    path: Path,
    job: Job,
    blocks: Iterator[_Block],
    progress: Callable[[int], None],
) -> tuple[ShardWriter, float, int]:
    """Write blocks as they come; the shard is whole, but not yet under its name."""
    parameters = recipe.find_system().parameters
    about = {row.symbol: row.meaning[:1].upper() + row.meaning[1:] for row in parameters}
    writer = ShardWriter(path / job.name, job.n, attributes(recipe, job), descriptions=about)
    worst, redrawn = 0.0, 0
    try:
        for block in blocks:
            writer.append(block.encoded)
            worst, redrawn = max(worst, block.energy_error), redrawn + block.redrawn
            progress(block.encoded.rows)
    except BaseException:
        writer.abort()
        raise
    return writer, worst, redrawn


def _close(job: Job, writer: ShardWriter, worst: float, redrawn: int) -> Shard:
    """Sync the shard and give it its name."""
    entry = writer.finish()
    return Shard(
        name=entry.name,
        split=job.split,
        first=job.start,
        trajectories=entry.trajectories,
        bytes=entry.bytes,
        sha256=entry.sha256,
        energy_error=worst,
        redrawn=redrawn,
    )


def _ahead(futures: Iterator[Future[_Block]], n: int) -> Iterator[Future[_Block]]:
    """Keep `n` futures in flight, in order."""
    waiting: deque[Future[_Block]] = deque()
    for future in futures:
        waiting.append(future)
        if len(waiting) > n:
            yield waiting.popleft()
    yield from waiting
