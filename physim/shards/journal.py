"""The journal of a data set that is being made: recipe, versions, and which shards are whole.

A line of JSON a finished shard, flushed to the disk, so that a renderer which is stopped at any
moment resumes from there and can tell a whole shard from a damaged one. It is removed when the
manifest stands.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from physim.errors import ShardError
from physim.shards.atomic import flushed, synced_folder, write_error, write_text
from physim.shards.manifest import Manifest, Shard
from physim.shards.write import checksum

JOURNAL = "unfinished.jsonl"


class Journal:
    """The journal in the folder of a data set; used by one renderer at a time, under its lock.

    Arguments:
        folder: Folder of the data set.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.path = self.folder / JOURNAL

    def recipe(self) -> dict[str, Any] | None:
        """The recipe of the set that was begun here, or None where there is no journal."""
        return self._first("recipe")

    def versions(self) -> dict[str, str] | None:
        """What its shards are made with, or None where there is no journal."""
        return self._first("versions")

    def _first(self, key: str) -> dict[str, Any] | None:
        """From the first line."""
        try:
            with self.path.open(encoding="utf-8") as file:
                first = json.loads(file.readline(2**24))
            return dict(first[key])
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ShardError(f"{self.path}: cannot be read ({error.strerror})") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> ShardError:
        return ShardError(f"{self.path}: damaged ({error}); remove it to start over")

    def begin(
        self, recipe: dict[str, Any], versions: dict[str, str], shards: Sequence[Shard] = ()
    ) -> None:
        """Start a journal, or clean one of torn lines and damaged shards.

        Arguments:
            recipe: Of the set that is about to be made.
            versions: Of physim and libraries, as the manifest will list them.
            shards: Those that stand already, each found whole.
        """
        first = json.dumps({"recipe": recipe, "versions": versions})
        lines = [first, *(shard.model_dump_json() for shard in shards)]
        write_text(self.path, "\n".join(lines) + "\n")

    def add(self, shard: Shard) -> None:
        """Note a finished shard; it is on the disk when this returns.

        Arguments:
            shard: What the manifest will say of it.
        """
        line = (shard.model_dump_json() + "\n").encode()
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            try:
                if os.write(descriptor, line) != len(line):
                    raise OSError(28, "No space left on device")
                flushed(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise write_error(self.path, error) from error

    def shards(self) -> list[Shard]:
        """The shards that were noted; a torn last line counts for nothing."""
        found = []
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as file:
            for line in file.readlines()[1:]:
                with contextlib.suppress(ValidationError):
                    found.append(Shard.model_validate_json(line))
        return list({shard.name: shard for shard in found}.values())

    def totals(self) -> dict[str, int]:
        """Trajectories per split that the finished set will have."""
        try:
            recipe = self._first("recipe") or {}
            return {split: int(recipe[key]) for split, key in (("train", "n"), ("test", "n_test"))}
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged(error) from None

    def so_far(self) -> Manifest:
        """What the manifest would say if the set ended with the shards before the first gap."""
        counts, kept = dict.fromkeys(self.totals(), 0), []
        for shard in sorted(self.shards(), key=lambda shard: shard.first):
            if shard.first == counts.get(shard.split):
                counts[shard.split] += shard.trajectories
                kept.append(shard)
        kept.sort(key=lambda shard: list(counts).index(shard.split))
        recipe, versions = self.recipe() or {}, self.versions() or {}
        try:
            return Manifest(
                recipe=recipe,
                seed=recipe.get("seed", 0),
                versions=versions,
                counts=counts,
                shards=kept,
            )
        except ValidationError as error:
            raise self._damaged(error) from None

    def resume(self) -> str:
        """The command that makes the rest."""
        folder = str(self.folder)
        return shlex.join(["physim", "render", "--recipe", folder, "--out", folder])

    def __str__(self) -> str:
        """How much of the set is there, and what makes the rest, as a clause."""
        there = sum(shard.trajectories for shard in self.shards())
        total = sum(self.totals().values())
        return (
            f"unfinished, {there:,} of {total:,} trajectories are there; to resume: "
            f"{self.resume()}"
        )

    def end(self) -> None:
        """Remove the journal."""
        self.path.unlink(missing_ok=True)
        synced_folder(self.folder)


def is_whole(folder: Path, shard: Shard) -> bool:
    """Whether a shard is in its folder exactly as recorded, bit for bit.

    Arguments:
        folder: Folder of the data set.
        shard: What was noted of it.
    """
    path = Path(folder) / shard.name
    try:
        return path.stat().st_size == shard.bytes and checksum(path) == shard.sha256
    except OSError:
        return False
