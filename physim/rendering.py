"""A whole data set: claim the folder, keep what is there, have the rest made, write the manifest.

A journal beside the shards lists those that are whole, so that an interrupted run resumes; when
all are complete, the manifest replaces it.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from physim import card, cluster, dataset, inspection, processors, schedulers
from physim import recipe as recipes
from physim.card import CARD
from physim.errors import RecipeError, ShardError
from physim.kernels import Compiling
from physim.recipe import Recipe
from physim.shards import lock, manifest
from physim.shards.journal import Journal, is_whole
from physim.shards.manifest import MANIFEST, Manifest, Shard
from physim.shards.write import remove_parts
from physim.summary import Summary
from physim.systems.rows import whole
from physim.trajectories import SPLITS, Generator

TRIED = 4
"""Trajectories that are computed before anything is written or replaced."""

LOOKED_AT = 1000
"""Trajectories of a noisy set in which bodies out of sight are counted for the summary."""


def render(
    recipe: Recipe | Mapping[str, Any] | str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
    on_compiling: Callable[[], None] = lambda: None,
    **settings: Any,
) -> Summary:
    """Make a data set, or resume one that was interrupted.

    Arguments:
        recipe: A recipe, the name or path of one, a table as in a recipe file, or None to take
            the defaults of `system`.
        out: Folder; `datasets/<name of the recipe>` if None.
        workers: Threads that simulate, draw and compress; one per processor if None.
        scheduler: Address of a Dask scheduler that is to make the shards, or `local` for processes
            of this machine, as many as `workers` says.
        overwrite: Whether to replace another data set in the folder.
        progress: Called with the number of trajectories written so far.
        on_compiling: Called when kernels are first compiled, which takes up to a minute.
        settings: Fields of the recipe, which come before those of `recipe`; the name then says
            which were changed, unless there is a `name` among them.

    Returns:
        Where it is, its size and its accuracy.

    Raises:
        RecipeError: A setting that makes no data set, or a folder that holds another one.
        ShardError: Files cannot be written.
        SimulationError: A trajectory cannot be computed.
    """
    if isinstance(recipe, Recipe):
        recipe = Recipe.changed(recipe.model_dump(), "", settings)
    else:
        source = "" if recipe is None or isinstance(recipe, Mapping) else str(recipe)
        given = recipe if isinstance(recipe, Mapping) else recipes.load(source) if source else {}
        recipe = Recipe.changed(given, source, settings)
    if workers is not None:
        workers = whole("workers", workers, 1, sys.maxsize, "a whole number from 1")
    if out is not None and not os.fspath(out):
        raise RecipeError("out: got '', expected a folder")
    path = Path(out) if out is not None else Path("datasets") / recipe.name
    summary = Summary(path, recipe)
    began = time.perf_counter()
    with ExitStack() as stack:
        compiling = stack.enter_context(Compiling(on_compiling))
        client = None
        if scheduler is not None:
            client = stack.enter_context(cluster.dask_client(scheduler, workers))
        if overwrite or not _begun(path):
            _try(recipe)
        _make_folder(path)
        stack.enter_context(lock.held(path))
        done, versions = _claim(path, recipe, overwrite)
        everything = list(schedulers.jobs(recipe))
        todo = [job for job in everything if job.name not in done]
        written = sum(job.n for job in everything) - sum(job.n for job in todo)

        def count(more: int) -> None:
            nonlocal written
            written += more
            if progress:
                progress(written)

        count(0)
        journal = Journal(path)
        if todo:
            if done:
                _check_versions(path, versions)
            journal.begin(_plain(recipe), versions, list(done.values()))
            (path / MANIFEST).unlink(missing_ok=True)

            def finished(shard: Shard) -> None:
                journal.add(shard)
                done[shard.name] = shard
                summary.made += shard.trajectories

            if client:
                cluster.make_shards(client, recipe, path, todo, count, finished)
            else:
                threads = workers or processors.available()
                schedulers.threads(recipe, path, todo, threads, count, finished)
        summary.shards = [done[job.name] for job in everything]
        if not (path / MANIFEST).exists() or journal.path.exists() or not (path / CARD).exists():
            _finish(path, recipe, summary, versions)
            journal.end()
    if recipe.noise:
        seen = min(LOOKED_AT, recipe.n)
        found = inspection.out_of_sight(dataset.open(path), SPLITS[0], seen)
        summary.hidden = seen, found["trajectories"], found["frames"]
    summary.seconds = time.perf_counter() - began
    summary.compiling = compiling.seconds
    return summary


def _begun(path: Path) -> bool:
    return os.path.isfile(path / MANIFEST) or os.path.isfile(Journal(path).path)


def _try(recipe: Recipe) -> None:
    """Raise at once what would end the run in the middle, such as ranges that leave the canvas."""
    generator = Generator(recipe)
    generator.check_start()
    _, draw = generator.undrawn(SPLITS[0], 0, min(TRIED, recipe.n, recipe.block_size))
    draw(0, 1, generator.new_images(1))


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ShardError(f"out: cannot write to '{path}' ({error.strerror})") from None


def _claim(path: Path, recipe: Recipe, overwrite: bool) -> tuple[dict[str, Shard], dict[str, str]]:
    """Make the folder ours; find the shards that are whole already, by name, and their versions.

    Another data set in the folder is refused, or removed where `overwrite` says so.
    """
    journal = Journal(path)
    kept: list[Shard] = []
    versions = None
    if not overwrite:
        there = journal.recipe()
        kept, versions = journal.shards(), journal.versions()
        if there is None and (path / MANIFEST).exists():
            whole = manifest.read(path)
            there, kept, versions = whole.recipe, whole.shards, whole.versions
        elif not kept and not any(_shards(path)):
            there = None  # of a run that stopped before its first shard
        unknown = there is None and any(_shards(path))
        ours = _plain(recipe)
        if unknown or there not in (None, ours):
            theirs = there or {}
            differing = ", ".join(
                key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)
            )
            reason = "of unknown origin" if unknown else f"with another {differing}"
            raise RecipeError(
                f"out: got '{path}', which holds a data set {reason}; choose another folder, or "
                "replace it with --overwrite"
            )
    try:
        if overwrite:
            for old in [path / MANIFEST, journal.path, *_shards(path)]:
                old.unlink(missing_ok=True)
        for split in SPLITS:
            (path / split).mkdir(exist_ok=True)
        _tidy(path)
    except OSError as error:
        where = error.filename or path
        raise ShardError(f"out: cannot write to '{where}' ({error.strerror})") from None
    done = {shard.name: shard for shard in kept if is_whole(path, shard)}
    return done, versions if done and versions else manifest.versions()


def _check_versions(path: Path, versions: dict[str, str]) -> None:
    """Refuse to add shards to those of other versions; Python's own computes nothing in them."""
    for name, before, ours in manifest.differing(versions):
        raise RecipeError(
            f"out: got '{path}', whose shards were made with {name} {before}, not {ours}; "
            "go on with that one, choose another folder, or replace it with --overwrite"
        )


def _shards(path: Path) -> Iterator[Path]:
    """What is named as our shards are, and nothing else."""
    for split in SPLITS:
        for file in (path / split).glob("*.h5"):
            if re.fullmatch(manifest.SHARD, file.name):
                yield file


def _tidy(path: Path) -> None:
    """Take away what processes that were killed have left: renderers, workers of a cluster."""
    for folder in (path, *(path / split for split in SPLITS)):
        remove_parts(folder)


def _card_is_ours(file: Path) -> bool:
    """Whether there is no such file, or one that was made for a data set."""
    try:
        return "\nMade with physim " in file.read_text(errors="replace")
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _finish(path: Path, recipe: Recipe, summary: Summary, versions: dict[str, str]) -> None:
    """Write the manifest, with which the data set is whole, and its card."""
    _tidy(path)
    made = Manifest(
        recipe=_plain(recipe),
        seed=recipe.seed,
        versions=versions,
        counts={split: recipe.count(split) for split in SPLITS},
        shards=summary.shards,
        made={"energy_error": summary.energy_error, "redrawn": summary.redrawn},
    )
    manifest.write(path, made)
    if _card_is_ours(path / CARD):
        card.write(dataset.open(path))


def _plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as it reads in JSON."""
    return dict(json.loads(recipe.to_json()))
