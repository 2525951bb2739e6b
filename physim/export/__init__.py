"""Other forms of a data set: a new one is one file and one line here.

Each format is a function `(dataset, folder, progress) -> None` in the module named below, which is
imported, with its library, when needed.
"""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from physim.dataset import Dataset
from physim.errors import RecipeError, ShardError, unknown
from physim.shards.manifest import MANIFEST

SOURCE = "manifest.source.json"
"""The manifest of the data set, in the folder of an export."""

FORMATS = {
    "npz": ("physim.export.npz", "One NumPy archive per shard, all arrays by name."),
    "parquet": ("physim.export.parquet", "One Parquet file per shard, one row per trajectory."),
    "webdataset": (
        "physim.export.webdataset",
        "Tar files, one sample per trajectory, for streaming.",
    ),
}
"""Name to (module, summary)."""


def export(
    dataset: Dataset,
    format: str,  # noqa: A002 - the option's name
    out: str | Path,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Write a data set in another format.

    One folder per split, one file per shard, named like the shard. Files are written under a
    temporary name and appear whole; existing files are replaced.

    Arguments:
        dataset: An open data set.
        format: One of `FORMATS`.
        out: Folder, created if it does not exist.
        progress: Called with the number of trajectories written so far.

    Returns:
        The folder.

    Raises:
        RecipeError: There is no such format, its library is not installed, or the folder holds
            another export or a data set.
        ShardError: A shard is damaged, or a file cannot be written.
    """
    if format not in FORMATS:
        raise RecipeError(unknown("format", format, FORMATS))
    folder = Path(out)
    if os.path.exists(folder / MANIFEST):  # False for what cannot be a path, too
        raise RecipeError(f"out: got '{out}', which is a data set; choose another folder")
    module = importlib.import_module(FORMATS[format][0])
    done = 0
    names = {
        folder / name / (path.stem + module.SUFFIX)
        for name, split in dataset.splits.items()
        for path in split.paths
    }
    try:
        _check_folder(folder, dataset.path / MANIFEST, names)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(dataset.path / MANIFEST, folder / SOURCE)  # first: whose files these are
        for name, split in dataset.splits.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            for number, start in enumerate(split.starts):
                rows = slice(int(start), int(start) + split.shard(number).trajectories)
                final = folder / name / (split.paths[number].stem + module.SUFFIX)
                part = final.with_name(f".{final.name}.part")
                try:
                    module.write(dataset, split, rows, part)
                    part.replace(final)
                finally:
                    part.unlink(missing_ok=True)
                done += rows.stop - rows.start
                if progress:
                    progress(done)
    except OSError as error:
        if isinstance(error, ShardError):
            raise
        raise ShardError(f"out: cannot write to '{out}' ({error.strerror or error})") from error
    return folder


def _check_folder(folder: Path, source: Path, names: set[Path]) -> None:
    """Refuse a folder with an export of another data set, or of this one in another format.

    Arguments:
        folder: Where to.
        source: Manifest of the data set.
        names: Files that will be written.
    """
    before = folder / SOURCE
    suffixes = {importlib.import_module(module).SUFFIX for module, _ in FORMATS.values()}
    others = {path for path in folder.glob("*/[!.]*") if path.suffix in suffixes} - names
    if others or (before.is_file() and before.read_bytes() != source.read_bytes()):
        raise RecipeError(
            f"out: got '{folder}', which holds another export; choose another folder"
        )
