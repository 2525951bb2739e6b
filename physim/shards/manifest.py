"""The manifest: what a data set consists of, written last."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from physim.errors import ShardError
from physim.shards.atomic import write_text

MANIFEST = "manifest.json"
MANIFEST_VERSION = 1
MAX_BYTES = 2**28

Count = Annotated[int, Field(ge=0, le=10**12)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
SHARD = r"[0-9]{5,12}\.h5"
"""What the file of a shard is called."""

ShardName = Annotated[str, Field(pattern=rf"^[A-Za-z0-9][A-Za-z0-9_-]{{0,63}}/{SHARD}$")]
SplitName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class Shard(BaseModel):
    """One file.

    Attributes:
        name: Path below the folder of the data set, `train/00000.h5`.
        split: Name of its split.
        first: Number of its first trajectory in the split.
        trajectories: Number of its trajectories.
        bytes: Size of the file.
        sha256: Of the file.
        energy_error: Largest |H/H₀ − 1| of a stored state, |H| where H₀ is 0; meaningless with
            friction.
        redrawn: Trajectories that had left the canvas, or whose bodies had met, and were redrawn.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: ShardName
    split: SplitName
    first: Count
    trajectories: Annotated[int, Field(ge=1, le=10**9)]
    bytes: Count
    sha256: Sha256
    energy_error: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    redrawn: Count = 0


class Manifest(BaseModel):
    """A whole data set.

    Attributes:
        format: Always `physim-dataset`.
        format_version: Version of the manifest and of the shards.
        recipe: The recipe, from which the data set can be reproduced.
        seed: The recipe's seed.
        versions: Of physim and of the libraries whose arithmetic or compression made the files.
        counts: Trajectories per split.
        shards: The files, split by split, in order.
        made: For human readers: the largest `energy_error` of a shard, and the total number of
            `redrawn` trajectories.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["physim-dataset"] = "physim-dataset"
    format_version: int = MANIFEST_VERSION
    recipe: dict[str, Any]
    seed: Annotated[int, Field(ge=0, lt=2**64)]
    versions: dict[str, str]
    counts: dict[SplitName, Count]
    shards: list[Shard]
    made: dict[str, str | int | float | None] = {}

    @model_validator(mode="after")
    def _complete(self) -> Manifest:
        ends = dict.fromkeys(self.counts, 0)
        for shard in self.shards:
            if shard.split not in ends or PurePosixPath(shard.name).parts[0] != shard.split:
                raise ValueError(f"shard {shard.name} is in no split of counts")
            if shard.first != ends[shard.split]:
                raise ValueError(
                    f"shard {shard.name} begins at {shard.first}, not {ends[shard.split]}"
                )
            ends[shard.split] += shard.trajectories
        if ends != self.counts:
            raise ValueError(f"the shards hold {ends} trajectories, counts says {self.counts}")
        if len({shard.name for shard in self.shards}) != len(self.shards):
            raise ValueError("a shard is listed twice")
        return self

    def of(self, split: str) -> list[Shard]:
        """The shards of a split, in order."""
        return [shard for shard in self.shards if shard.split == split]


def versions() -> dict[str, str]:
    """Versions of this package and of the libraries whose results are in the files."""
    import platform
    from importlib import metadata

    from physim import __version__

    found = {"physim": __version__, "python": platform.python_version()}
    for name in ("numpy", "numba", "h5py", "zlib-ng"):
        found[name] = metadata.version(name)
    return found


def differing(made: Mapping[str, str]) -> Iterator[tuple[str, str | None, str]]:
    """Name, version and ours of what shards were made with; Python's computes nothing in them."""
    for name, ours in versions().items():
        before = made.get(name)
        if name != "python" and before != ours:
            yield name, before, ours


def write(folder: Path, manifest: Manifest) -> Path:
    """Write the manifest; the data set is complete from then on.

    Arguments:
        folder: Folder of the data set.
        manifest: What it consists of.

    Returns:
        Path of the file.

    Raises:
        ShardError: It cannot be written; what was there before is untouched.
    """
    path = Path(folder) / MANIFEST
    write_text(path, json.dumps(manifest.model_dump(), indent=1, ensure_ascii=False) + "\n")
    return path


def read(folder: Path) -> Manifest:
    """Read the manifest of a data set.

    Arguments:
        folder: Folder of the data set.

    Returns:
        Its manifest, complete and free of contradictions.

    Raises:
        ShardError: There is none, or it is damaged; of a set that is not finished, how to resume.
    """
    path = Path(folder) / MANIFEST
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ShardError(f"{path}: larger than {MAX_BYTES} bytes, not a manifest")
        text = path.read_bytes()
    except FileNotFoundError:
        from physim.shards.journal import Journal

        journal = Journal(folder)
        if journal.path.exists():
            raise ShardError(f"{folder}: {journal}") from None
        if not Path(folder).exists():
            raise ShardError(f"{folder}: there is no such folder") from None
        below = sorted(each.parent.name for each in Path(folder).glob(f"*/{MANIFEST}"))
        sets = f", but the folder of {', '.join(below)}" if below else ""
        raise ShardError(f"{folder}: no {MANIFEST}; not a data set{sets}") from None
    except NotADirectoryError:
        raise ShardError(
            f"{folder}: is a file, expected the folder of a data set; h5py reads a single shard"
        ) from None
    except OSError as error:
        if isinstance(error, ShardError):
            raise
        raise ShardError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        found = Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        place = f" at {where}" if where else ""
        raise ShardError(
            f"{path}: damaged{place} ({first['msg']}); fetch it again, or `physim render "
            "--overwrite` the data set"
        ) from None
    if found.format_version != MANIFEST_VERSION:
        raise ShardError(
            f"{path}: format_version {found.format_version}, this program reads "
            f"{MANIFEST_VERSION}; use a version of physim that knows it"
        )
    return found
