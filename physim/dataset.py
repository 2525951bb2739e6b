"""A data set on disk: its splits, its recipe and its system."""

from __future__ import annotations

import operator
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from physim.errors import RecipeError, ShardError, unknown
from physim.shards import manifest
from physim.shards.journal import Journal
from physim.shards.manifest import MANIFEST, Manifest
from physim.shards.read import Split

if TYPE_CHECKING:
    import xarray
    from numpy.typing import ArrayLike

    from physim.recipe import Recipe
    from physim.systems.system import System


def open(  # noqa: A001 - as in physim.open
    path: str | Path, threads: int | None = None, unfinished: bool = False
) -> Dataset:
    """Open a data set; arrays are read only when needed.

    Arguments:
        path: Folder that `physim render` has made.
        threads: Threads a large read may use; None for one per core of this process.
        unfinished: Whether to open a set that is being made, or whose making was interrupted, as
            far as it goes: `dataset.unfinished` then says what is missing.

    Returns:
        The data set.

    Raises:
        ShardError: There is no finished data set, or its manifest is damaged.

    Example:
        >>> import physim
        >>> dataset = physim.open("datasets/two_body")  # doctest: +SKIP
        >>> dataset.train.image[10:20].shape  # doctest: +SKIP
        (10, 30, 32, 32, 3)
    """
    folder = Path(path)
    journal = Journal(folder)
    begun = os.path.isfile(journal.path) and not os.path.isfile(folder / MANIFEST)
    if unfinished and begun:
        found = Dataset(folder, threads, journal.so_far())
        found.unfinished = journal
        return found
    return Dataset(folder, threads)


class Dataset:
    """A data set on disk; made by `open`. May be pickled, forked and shared by threads.

    `dataset.train` and `dataset.test` are its splits.

    Attributes:
        path: Its folder.
        manifest: What it consists of.
        splits: By name.
        unfinished: Where the set is not finished, its journal.
    """

    unfinished: Journal | None = None

    def __init__(
        self, path: Path, threads: int | None = None, whole: Manifest | None = None
    ) -> None:
        self.path = path
        self.manifest = manifest.read(path) if whole is None else whole
        self.splits = {name: self._opened(name, threads) for name in self.manifest.counts}
        filled = [split for split in self.splits.values() if len(split)]
        for split in self.splits.values():
            if filled and not len(split):
                split.sibling = filled[0]

    def _opened(self, name: str, threads: int | None) -> Split:
        shards = self.manifest.of(name)
        paths = [self.path / shard.name for shard in shards]
        return Split(name, paths, [shard.trajectories for shard in shards], threads)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "system"}

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(split)} {name}" for name, split in self.splits.items())
        return f"<Dataset '{self.path}': {self.settings.get('system')}, {counts}>"

    def __getattr__(self, name: str) -> Split:
        splits = self.__dict__.get("splits", {})
        if name in splits:
            return splits[name]
        raise AttributeError(f"no attribute or split '{name}'; splits: {', '.join(splits)}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.splits})

    def split(self, name: str) -> Split:
        """The split of this name.

        Raises:
            RecipeError: There is none.
        """
        if name not in self.splits:
            raise RecipeError(unknown("split", name, self.splits))
        return self.splits[name]

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe as stored in the manifest, unchecked."""
        return self.manifest.recipe

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe, validated."""
        from physim.recipe import Recipe

        return Recipe.of(self.settings, str(self.path))

    @cached_property
    def system(self) -> System:
        """The Hamiltonian system; raises `ShardError` where the arrays are not those of it."""
        from physim import shapes

        for split in filter(len, self.splits.values()):
            try:
                index = split.shard(0)  # the others have the same arrays, or are refused
            except ShardError:  # said when the split is read
                continue
            for what in shapes.findings(self.recipe, index):
                raise ShardError(f"{index.path}: {what}")
        return self.recipe.find_system()

    @cached_property
    def _attributes(self) -> dict[str, Any]:
        missing = ShardError(f"{self.path}: the data set holds no trajectory")
        for split in self.splits.values():
            if len(split):
                try:
                    return split.attributes
                except ShardError as error:  # another split, such as of a partial copy, may do
                    missing = error
        raise missing

    @property
    def times(self) -> np.ndarray:
        """Times of frames and states, (frames,)."""
        return self._attributes["times"] + 0.0  # 0, not −0, where frames run backward

    @property
    def parameters(self) -> tuple[str, ...]:
        """Symbols of the parameters; each is an array of every split, `dataset.train.m`."""
        return tuple(self._attributes["parameters"].split())

    def params(self, split: str, key: Any = slice(None)) -> np.ndarray:
        """Parameters as the system's functions take them.

        Arguments:
            split: Name of a split.
            key: Which trajectories, as in `dataset.train[key]`.

        Returns:
            Rows of parameters in the order of `parameters`, (n, n_params); (n_params,) for one.
        """
        rows, single = _as_rows(key)
        read = self.split(split).read(rows, self.parameters)
        params = np.column_stack([read[symbol] for symbol in self.parameters])
        return params[0] if single else params

    def derivatives(self, split: str, key: Any = slice(None)) -> dict[str, np.ndarray]:
        """Time derivatives of the clean states: as stored, or else from the Hamiltonian.

        Arguments:
            split: Name of a split.
            key: Which trajectories, as in `dataset.train[key]`.

        Returns:
            `dq_dt` and `dp_dt`, each of the shape of q.
        """
        source = self.split(split)
        names = ("dq_dt", "dp_dt")
        if all(name in source for name in names):
            return source.read(key, names)
        from physim.integrators import rollout

        rows, single = _as_rows(key)
        states = source.read(rows, ("q", "p"))
        params = self.params(split, rows)
        found = rollout.derivatives(
            self.system, states["q"], states["p"], params, self.recipe.friction
        )
        return {
            name: array[0] if single else array for name, array in zip(names, found, strict=True)
        }

    def states(self, split: str, key: Any, times: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Clean states of stored trajectories at any times, before, between and after the frames.

        Arguments:
            split: Name of a split.
            key: Which trajectories, as in `dataset.train[key]`.
            times: (T,), in units of time, of which frames are `recipe.dt` apart, the first at 0.

        Returns:
            (q, p), each (n, T, d), or (T, d) for one trajectory, from the recipe's integrator.

        Raises:
            RecipeError: The times are not numbers.
            SimulationError: A trajectory cannot be followed that far; its number in the sentence
                counts from the first of `key`.

        Example:
            >>> q, p = dataset.states("test", slice(0, 8), [-1.0, 10.0])  # doctest: +SKIP
        """
        from physim.truth import states_at

        rows, single = _as_rows(key)
        first = self.split(split).read(rows, ("q", "p"))
        params = self.params(split, rows)
        q, p = states_at(self.recipe, first["q"][:, 0], first["p"][:, 0], params, times)
        return (q[0], p[0]) if single else (q, p)

    def draw(self, split: str, key: Any, q: np.ndarray) -> np.ndarray:
        """Frames of any states of stored trajectories, with their colours and offsets.

        Arguments:
            split: Name of a split.
            key: Which trajectories, as in `dataset.train[key]`.
            q: Positions, (n, T, d), or (T, d) for one trajectory.

        Returns:
            (n, T, height, width, 3) uint8, or (T, height, width, 3).

        Example:
            >>> frames = dataset.draw("test", slice(0, 8), q)  # doctest: +SKIP
        """
        from physim.truth import frames_of

        rows, single = _as_rows(key)
        names = [name for name in ("color", "offset") if name in self.split(split)]
        arrays = self.split(split).read(rows, names)
        states = np.asarray(q, dtype=np.float64)
        params = self.params(split, rows)
        frames = frames_of(
            self.recipe, self.system, states[None] if single else states, params, arrays
        )
        return frames[0] if single else frames

    def to_xarray(self, split: str = "train") -> xarray.Dataset:
        """The split as an `xarray.Dataset`, lazy where dask is installed.

        Arguments:
            split: Name of a split.

        Returns:
            The data set; needs the extra `xarray`.
        """
        from physim.export.to_xarray import to_xarray

        return to_xarray(self, split)


def _as_rows(key: Any) -> tuple[Any, bool]:
    """A key for the same trajectories that keeps the first axis, and whether it was single."""
    if isinstance(key, bool):  # refused when it is read
        return key, False
    try:
        return [operator.index(key)], True
    except TypeError:
        return key, False
