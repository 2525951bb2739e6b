"""Every promise of a data set, checked: files, their contents, and the physics.

A shard is checked in this order: its checksum, which finds any changed byte; the format;
attributes against the recipe; numbers of trajectories, seeds and ranges of parameters; energies
and derivatives against H of the stored states; and, for a sample or for all, that the recipe
begins these trajectories as stored and draws these frames for the stored states.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from physim import promises, shapes
from physim.errors import PhysimError, ShardError
from physim.integrators import rollout
from physim.recipe import Recipe
from physim.shards import damage, manifest
from physim.shards.index import ShardIndex, read_index
from physim.shards.manifest import Manifest, Shard
from physim.shards.read import Split
from physim.trajectories import SPLITS, Generator

SAMPLE = 16
"""Trajectories per shard that are redrawn when not all are."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as promised.

    Attributes:
        shard: Name of the shard, or None where it concerns the set.
        trajectory: Number of the trajectory in its split, or None where it concerns the shard.
        what: One sentence.
    """

    shard: str | None
    trajectory: int | None
    what: str

    def __str__(self) -> str:
        """`train/00000.h5, trajectory 17: …`."""
        place = [self.shard] if self.shard else []
        place += [f"trajectory {self.trajectory}"] if self.trajectory is not None else []
        return f"{', '.join(place) or 'data set'}: {self.what}"


@dataclass
class Verification:
    """What was checked and what was found.

    Attributes:
        path: Folder of the data set.
        shards: Files that were checked.
        trajectories: Trajectories whose states, energies and parameters were checked.
        made_again: Trajectories whose start and frames were remade and compared.
        energy_error: Largest |H/H₀ − 1| found, |H| where H₀ is 0; None where there is friction.
        findings: What is not as promised.
        lost: Shards that are missing or changed, which rendering makes again.
    """

    path: str
    shards: int = 0
    trajectories: int = 0
    made_again: int = 0
    energy_error: float | None = None
    findings: list[Finding] = field(default_factory=list)
    lost: int = 0

    @property
    def ok(self) -> bool:
        """Whether every promise holds."""
        return not self.findings

    @property
    def verdict(self) -> str:
        """In words."""
        if self.ok:
            return "all is as promised"
        wrong = len(self.findings)
        return "1 promise does not hold" if wrong == 1 else f"{wrong:,} promises do not hold"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"ok": self.ok, **asdict(self)}

    def __str__(self) -> str:
        """What the command line prints: the findings, what was checked, and the verdict."""
        error = self.energy_error
        energy = "" if error is None else f"; worst relative energy error {error:.1e}"
        checked = (
            f"{self.path}: {self.shards:,} shard{'' if self.shards == 1 else 's'}, "
            f"{self.trajectories:,} trajectories, {self.made_again:,} of them remade{energy}"
        )
        lines = [*map(str, self.findings), checked, self.verdict]
        if self.lost:
            which = "it" if self.lost == 1 else "them"
            folder = shlex.quote(self.path)
            lines.append(
                f"{self.lost:,} shard{'' if self.lost == 1 else 's'} missing or changed: "
                f"`physim render --recipe {folder} --out {folder}` makes {which} again"
            )
        return "\n".join(lines)


def verify(
    path: str | Path, deep: bool = False, progress: Callable[[int], None] | None = None
) -> Verification:
    """Check a data set.

    Arguments:
        path: Its folder.
        deep: Whether to make all trajectories again, not a sample of each shard.
        progress: Called with the number of trajectories checked so far.

    Returns:
        What was found.

    Raises:
        ShardError: There is no such folder.
    """
    folder = Path(path)
    if folder.is_file():
        raise ShardError(f"path: got the file '{path}', expected the folder of a data set")
    if not folder.is_dir():
        raise ShardError(f"path: got '{path}', but there is no such folder")
    result = Verification(str(path))
    try:
        whole = manifest.read(folder)
        recipe = Recipe.of(whole.recipe, manifest.MANIFEST)
    except PhysimError as error:
        result.findings.append(Finding(None, None, str(error)))
        return result
    result.findings += _set_findings(folder, whole, recipe)
    check = _Check(folder, whole, recipe, Generator(recipe), deep, result, progress)
    for shard in whole.shards:
        check.shard(shard)
    return result


def _set_findings(folder: Path, whole: Manifest, recipe: Recipe) -> Iterator[Finding]:
    """The manifest against the recipe and the folder."""
    if whole.seed != recipe.seed:
        yield Finding(None, None, f"manifest: seed {whole.seed}, the recipe says {recipe.seed}")
    for split, n in whole.counts.items():
        if split not in SPLITS:
            yield Finding(None, None, f"manifest: split '{split}' is none that the recipe makes")
        elif n != recipe.count(split):
            yield Finding(None, None, f"manifest: {n} {split} trajectories, not as in the recipe")
    listed = {shard.name for shard in whole.shards}
    for split in whole.counts:
        for file in sorted((folder / split).glob("*.h5")):  # other files are not of the format
            if f"{split}/{file.name}" not in listed:
                yield Finding(f"{split}/{file.name}", None, "is not in the manifest")


@dataclass
class _Check:
    """The check of one data set."""

    folder: Path
    whole: Manifest
    recipe: Recipe
    generator: Generator
    deep: bool
    result: Verification
    progress: Callable[[int], None] | None

    def shard(self, shard: Shard) -> None:
        """Check one shard; what is found is added to the result."""
        self.result.shards += 1
        path = self.folder / shard.name
        try:
            changed = damage.changed(path, shard)
            index = read_index(path)
            split = Split(shard.split, [path], [shard.trajectories])
            if index.trajectories != shard.trajectories:
                raise ShardError(f"{index.trajectories} trajectories, not {shard.trajectories}")
        except ShardError as error:
            self.result.lost += 1
            self._add(shard, None, str(error))
            return
        if changed:
            self.result.lost += 1
            self._add(shard, None, changed)
            for row, what in damage.unreadable(split, index):
                self._add(shard, shard.first + row, what)
            return
        misshapen = list(shapes.findings(self.recipe, index))
        for what in (*self._attributes(shard, index), *misshapen):
            self._add(shard, None, what)
        if misshapen or shard.split not in SPLITS:
            return  # nothing compiled may see such arrays
        try:
            size = self.recipe.block_size
            for start in range(0, shard.trajectories, size):
                self._batch(shard, split, start, min(start + size, shard.trajectories))
            self._energy_error(shard, split)
        except (PhysimError, KeyError, ValueError) as error:
            self._add(shard, None, str(error))

    def _add(self, shard: Shard, trajectory: int | None, what: str) -> None:
        what = what.replace(f"{self.folder / shard.name}: ", "")
        self.result.findings.append(Finding(shard.name, trajectory, what))

    def _attributes(self, shard: Shard, index: ShardIndex) -> Iterator[str]:
        recipe, system = self.recipe, self.generator.system
        number = int(Path(shard.name).stem)
        expected = {
            "system": recipe.system,
            "parameters": " ".join(parameter.symbol for parameter in system.parameters),
            "split": shard.split,
            "shard": number,
            "first": shard.first,
        }
        for name, value in expected.items():
            if index.attributes[name] != value:
                yield f"attribute {name}: got {index.attributes[name]!r}, expected {value!r}"
        if not np.array_equal(index.attributes["times"], self.generator.times):
            yield "attribute times: not the times of the recipe"
        try:
            same = json.loads(index.attributes["recipe"]) == self.whole.recipe
        except (ValueError, RecursionError):
            same = False
        if not same:
            yield "attribute recipe: not the recipe of the manifest"
        yield from promises.dimension_findings(index)

    def _batch(self, shard: Shard, split: Split, start: int, stop: int) -> None:
        """Check some trajectories."""
        names = [name for name in split.names if name != "image"]
        rows = split.read(slice(start, stop), names)
        first = shard.first + start
        params = promises.parameter_rows(self.generator, rows)
        for bad, what in promises.row_findings(self.generator, rows, first, params):
            for row in np.flatnonzero(bad)[:3]:
                self._add(shard, first + int(row), what)
        chosen = self._sample(shard, start, stop)
        if chosen.size:
            image = split.read(chosen, ["image"])["image"]
            part = {name: array[chosen - start] for name, array in rows.items()}
            self._redraw(shard, chosen, part, params[chosen - start], image)
        self.result.trajectories += stop - start
        if self.progress:
            self.progress(self.result.trajectories)

    def _energy_error(self, shard: Shard, split: Split) -> None:
        """Whether energy is conserved as the manifest says; not asked where there is friction."""
        if self.recipe.friction:
            return
        error = rollout.energy_error(split.energy[:])
        error = np.where(np.isfinite(error), error, 0).max(axis=1)  # else it was found not to be H
        worst, said = int(error.argmax()), shard.energy_error
        if abs(error[worst] - said) > 1e-6 * said + 1e-15:
            found = f"energy error {error[worst]:.1e}, the manifest says {said:.1e}"
            self._add(shard, shard.first + worst, found)
        self.result.energy_error = max(self.result.energy_error or 0.0, float(error[worst]))

    def _sample(self, shard: Shard, start: int, stop: int) -> np.ndarray:
        """Rows of the shard whose frames are drawn again, between `start` and `stop`."""
        rows = np.arange(start, stop)
        if self.deep:
            return rows
        spread = np.linspace(0, shard.trajectories - 1, SAMPLE).astype(np.int64)
        return np.intersect1d(rows, spread)

    def _redraw(
        self,
        shard: Shard,
        chosen: np.ndarray,
        rows: dict[str, np.ndarray],
        params: np.ndarray,
        image: np.ndarray,
    ) -> None:
        """Compare trajectories with the recipe's, and frames with what their states draw."""
        drawn = promises.drawn(self.generator, rows, params)
        fresh = promises.again(self.generator, shard.split, shard.first + chosen)
        differs = np.abs(drawn.astype(np.int16) - image) > promises.PIXEL_TOLERANCE
        for i, row in enumerate(chosen):
            number = shard.first + int(row)
            if differs[i].any():
                frame, y, x, _ = np.argwhere(differs[i])[0]
                what = f"frame {frame} is not what its state draws, at pixel ({y}, {x})"
                self._add(shard, number, what)
            ours, theirs = _row(rows, i), _row(fresh, i)
            for what in promises.start_findings(ours, theirs):
                self._add(shard, number, what)
            self.result.made_again += 1


def _row(arrays: dict[str, np.ndarray], i: int) -> dict[str, np.ndarray]:
    return {name: array[i] for name, array in arrays.items()}
