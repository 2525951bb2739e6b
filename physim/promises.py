"""What the recipe promises about the arrays of a data set, as checks.

Truth comes from the stored states and parameters: their H, their derivatives, the frames that they
draw; and from the recipe, which must begin each trajectory as it is stored. Later states are not
recomputed and compared, since chaos amplifies rounding errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from physim import truth
from physim.integrators import rollout
from physim.recipe import Recipe
from physim.shards import format as layout
from physim.shards.index import ShardIndex
from physim.trajectories import Generator

ENERGY_TOLERANCE = 1e-12
"""Relative: H is a few dozen roundings, and another machine may round otherwise."""

START_TOLERANCE = 1e-10
"""Relative: what the sampler computes, with sines and square roots of another machine."""

PIXEL_TOLERANCE = 1
"""Of 255: a value that falls on the edge between two may be rounded otherwise elsewhere."""


def dimension_findings(index: ShardIndex) -> Iterator[str]:
    """Whether each array says of its axes what the format says.

    Arguments:
        index: Of a shard.

    Yields:
        What is wrong.
    """
    for name, array in index.arrays.items():
        axes = layout.find(name, components=bool(array.row)).dimensions
        if array.attributes["dimensions"].split() != list(axes):
            yield f"array {name}: attribute dimensions is {array.attributes['dimensions']!r}"


def parameter_rows(generator: Generator, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Parameters as the system's functions take them.

    Arguments:
        generator: Of the data set's recipe.
        arrays: Some trajectories.

    Returns:
        (n, n_params).
    """
    n = len(arrays["index"])
    symbols = [parameter.symbol for parameter in generator.system.parameters]
    columns = [arrays[symbol].reshape(n, -1) for symbol in symbols]
    return np.ascontiguousarray(np.concatenate(columns, axis=1))


def row_findings(
    generator: Generator, arrays: Mapping[str, np.ndarray], first: int, params: np.ndarray
) -> Iterator[tuple[np.ndarray, str]]:
    """The contents of the arrays, except the frames.

    Arguments:
        generator: Of the data set's recipe.
        arrays: Some trajectories.
        first: Number of the first of them in its split.
        params: Their parameters, (n, n_params).

    Yields:
        For each promise, which trajectories break it, (n,) bool, and what to say.
    """
    n, recipe, system = len(params), generator.recipe, generator.system
    q, p, energy = arrays["q"], arrays["p"], arrays["energy"]
    yield (
        np.not_equal(arrays["index"], first + np.arange(n)),
        "index is not its number in the split",
    )
    yield arrays["seed"] != recipe.seed, "seed is not that of the recipe"
    yield arrays["attempt"] < 0, "attempt is negative"
    lows, highs = _ranges(recipe, params.shape[1])
    outside: np.ndarray = (params < lows - 1e-12 * np.abs(lows)) | (
        params > highs + 1e-12 * np.abs(highs)
    )
    yield np.asarray(outside.any(axis=1)), "a parameter is outside its range in the recipe"
    finite = np.isfinite(q).all((1, 2)) & np.isfinite(p).all((1, 2))
    yield np.logical_not(finite), "a state is not finite"
    exact = rollout.energy(system, q, p, params)
    scale = np.abs(exact).max(axis=1, keepdims=True) + 1e-300
    wrong = ~(np.abs(energy - exact) <= ENERGY_TOLERANCE * scale)
    yield wrong.any(axis=1), "energy is not H of its states and parameters"
    if "dq_dt" in arrays and "dp_dt" in arrays:
        pair = rollout.derivatives(system, q, p, params, recipe.friction)
        for name, value in zip(("dq_dt", "dp_dt"), pair, strict=True):
            size = np.abs(value).max(axis=(1, 2), keepdims=True) + 1e-300
            off = ~(np.abs(arrays[name] - value) <= ENERGY_TOLERANCE * size)
            yield off.any(axis=(1, 2)), f"{name} is not the derivative of its states"


def _ranges(recipe: Recipe, n_params: int) -> tuple[np.ndarray, np.ndarray]:
    distributions = recipe.distributions()[:n_params]
    return (
        np.array([law.low for law in distributions]),
        np.array([law.high for law in distributions]),
    )


def again(generator: Generator, split: str, numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Trajectories as the recipe makes them, without their frames.

    Arguments:
        generator: Of the data set's recipe.
        split: Name of the split.
        numbers: Which ones, rising, (n,).

    Returns:
        Their arrays.
    """
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1)
    blocks = [generator.undrawn(split, int(run[0]), int(run[-1]) + 1)[0] for run in runs]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def drawn(
    generator: Generator, arrays: Mapping[str, np.ndarray], params: np.ndarray
) -> np.ndarray:
    """Frames of stored states, in the stored colours, at the stored offset.

    Arguments:
        generator: Of the data set's recipe.
        arrays: Some trajectories.
        params: Their parameters, (n, n_params).

    Returns:
        (n, frames, height, width, 3) uint8.
    """
    q = arrays.get("q_drawn", arrays["q"])
    return truth.frames_of(generator.recipe, generator.system, q, params, arrays)


def start_findings(
    stored: Mapping[str, np.ndarray], fresh: Mapping[str, np.ndarray]
) -> Iterator[str]:
    """Whether the recipe begins a trajectory as it is stored, with the same noise and colours.

    Arguments:
        stored: One trajectory.
        fresh: The same as the recipe makes it.

    Yields:
        What differs.
    """
    if stored["attempt"] != fresh["attempt"]:
        yield f"attempt is {stored['attempt']}, the recipe makes {fresh['attempt']}"
    for name in sorted(fresh.keys() - {"energy", "attempt", "index", "seed"}):
        ours, theirs = stored[name], fresh[name]
        if name in ("q", "p", "dq_dt", "dp_dt"):
            ours, theirs = ours[0], theirs[0]
        elif name in ("q_drawn", "p_drawn"):
            clean = name[0]
            ours, theirs = ours - stored[clean], theirs - fresh[clean]
        size = float(np.max(np.abs(theirs), initial=1e-3))
        if not np.all(np.abs(np.subtract(ours, theirs)) <= START_TOLERANCE * size):
            yield f"{name} is not what the recipe makes"
