"""From a recipe and a range of indices to arrays: physics, noise and drawing meet here alone.

Every trajectory is a pure function of (recipe without n, n_test and shard_size; split; index). A
trajectory whose bodies leave the canvas, collide, or pass too close for double precision, or that
does not stay finite, is drawn again from the sampler with the next attempt number, so that it does
not depend on its neighbours either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from physim import drawing, integrators, seeds
from physim.drawing import canvas, palette
from physim.errors import RecipeError, SimulationError
from physim.integrators import rollout
from physim.recipe import Recipe
from physim.shards import format as layout
from physim.simulation import failure, reasons
from physim.systems.parameters import LAWS
from physim.systems.positions import positions

SPLITS = ("train", "test")
MAX_ATTEMPTS = 1000

MAX_FAILURES = 20
"""Attempts at a trajectory that may end in a collision, or too close to one, or far away where a
state is no longer finite."""

HELD = 1e-9
"""Relative energy error above which bodies have passed too close for double precision."""


class Generator:
    """Makes the trajectories of a recipe, in blocks; may be used by several threads at once.

    Arguments:
        recipe: A validated recipe.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.system = recipe.find_system()
        self._check_system()
        self.integrator = integrators.find(recipe.integrator)
        self.style = drawing.find(recipe.style)
        self.times = recipe.dt * np.arange(recipe.frames) + 0.0  # 0, not −0, where dt < 0
        self._sampler = self.system.sampler(recipe.initial["sampler"])
        self._half_width = recipe.half_width or 1.0
        # where bodies must stay: the canvas, or, when it moves, what it shows wherever it stands
        self._stage = self._half_width / (1 + canvas.OFFSET_RANGE * recipe.canvas_offset)
        kept = self.integrator.exact and not (recipe.friction or self.system.box)
        self._holds_energy = kept and self.system.may_collide
        distributions = recipe.distributions()
        self._laws = np.array([LAWS.index(row.law) for row in distributions], dtype=np.int64)
        self._lows = np.array([row.low for row in distributions])
        self._highs = np.array([row.high for row in distributions])

    def _check_system(self) -> None:
        """Refuse a system whose functions or symbols are not as they must be."""
        if self.system.fault:
            raise RecipeError(self.system.fault)
        for parameter in self.system.parameters:
            symbol = parameter.symbol
            if symbol in layout.TAKEN or not layout.is_parameter(symbol):
                raise RecipeError(
                    f"{self.system.name}: got the parameter '{symbol}', expected a symbol of at "
                    "most 32 ASCII letters, digits and _ that names no other array and no axis"
                )

    def new_images(self, n: int) -> np.ndarray:
        """A buffer for the frames of `n` trajectories, (n, frames, height, width, 3) uint8."""
        side = self.recipe.resolution
        return np.empty((n, self.recipe.frames, side, side, 3), dtype=np.uint8)

    def block(
        self, split: str, start: int, stop: int, images: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """The trajectories from `start` up to but not including `stop`.

        Arguments:
            split: `train` or `test`.
            start: First index.
            stop: One past the last.
            images: A buffer for at least as many frames, to be drawn into; a new one where None.

        Returns:
            The arrays of the format by name, first axis the trajectory.

        Raises:
            SimulationError: A state, an energy or a derivative that is not finite, or a trajectory
                that leaves the canvas, or whose bodies meet, at every attempt; names the index and
                the parameters.
        """
        arrays, draw = self.undrawn(split, start, stop)
        arrays["image"] = self.new_images(stop - start) if images is None else images
        arrays["image"] = arrays["image"][: stop - start]
        draw(0, stop - start, arrays["image"])
        return arrays

    def undrawn(
        self, split: str, start: int, stop: int
    ) -> tuple[dict[str, np.ndarray], Callable[[int, int, np.ndarray], None]]:
        """`block` without the frames, and what draws them, a few trajectories at a time.

        Arguments:
            split: `train` or `test`.
            start: First index.
            stop: One past the last.

        Returns:
            The arrays; a function of two rows of the block, the first and one past the last, and
            an array of so many trajectories' frames, that is filled.

        Raises:
            SimulationError: As `block` does.
        """
        index = np.arange(start, stop, dtype=np.int64)
        arrays = self._states(split, index)
        recipe, system = self.recipe, self.system
        q, p, params = arrays["q"], arrays["p"], arrays.pop("params")
        if recipe.noise > 0:
            with np.errstate(over="ignore"):  # looked at below
                arrays["q_drawn"] = q + recipe.noise * self._normals(split, arrays, seeds.NOISE_Q)
                arrays["p_drawn"] = p + recipe.noise * self._normals(split, arrays, seeds.NOISE_P)
            q = arrays["q_drawn"]
        if "derivatives" in recipe.store:
            arrays["dq_dt"], arrays["dp_dt"] = rollout.derivatives(
                system, arrays["q"], p, params, recipe.friction
            )
        self._check_finite(split, arrays, params)
        draw = self._drawing(split, arrays, q, params)
        for parameter in system.parameters:
            column = params[:, system.columns[parameter.symbol]]
            arrays[parameter.symbol] = column[:, 0] if parameter.components == 1 else column
        return arrays, draw

    def _states(self, split: str, index: np.ndarray) -> dict[str, np.ndarray]:
        """States, energies and parameters; a trajectory is drawn again until it can be shown."""
        n = len(index)
        attempt, failures = np.zeros(n, dtype=np.int32), np.zeros(n, dtype=np.int32)
        arrays, failed = self._attempt(split, index, attempt)
        rows, todo = arrays, np.arange(n)
        while True:
            failures[todo] += failed
            self._check_failures(split, index[todo], rows, failures[todo])
            todo = todo[failed | self._leave(rows["params"], rows["q"])]
            if not todo.size:
                break
            attempt[todo] += 1
            if attempt[todo].max() >= MAX_ATTEMPTS:
                raise self._left(split, index[todo[0]])
            rows, failed = self._attempt(split, index[todo], attempt[todo])
            for name, values in rows.items():
                arrays[name][todo] = values
        seed = np.full(n, self.recipe.seed, dtype=np.uint64)
        return arrays | {"index": index, "seed": seed, "attempt": attempt}

    def _check_failures(
        self, split: str, index: np.ndarray, rows: dict[str, np.ndarray], failures: np.ndarray
    ) -> None:
        """Refuse a trajectory of which too many attempts failed."""
        if failures.max() < MAX_FAILURES:
            return
        row = int(failures.argmax())
        start = rows["params"][row], rows["q"][row, 0], rows["p"][row, 0]
        reason = reasons(self.system, self.integrator)
        if not np.isfinite(start[1:]).all():
            reason = f"the sampler '{self._sampler.name}' begins with a state that is not finite"
        elif self._holds_energy:
            reason += f", or bodies pass so close that the energy does not hold to {HELD:g}"
        raise self._failure(split, index[row], *start, reason)

    def check_start(self) -> None:
        """Refuse at once ranges with which no attempt at the first trajectory begins in sight.

        Raises:
            SimulationError: As `block` does.
        """
        if self.system.box:  # out of which nothing goes
            return
        at_once = Generator(self.recipe.model_copy(update={"frames": 1}))
        attempt = np.arange(MAX_ATTEMPTS, dtype=np.int32)
        tried, _ = at_once._attempt(SPLITS[0], np.zeros(MAX_ATTEMPTS, np.int64), attempt)
        if at_once._leave(tried["params"], tried["q"]).all():
            raise self._left(SPLITS[0], 0)

    def _left(self, split: str, index: int) -> SimulationError:
        """What is raised about a trajectory that leaves the canvas at every attempt."""
        method, steps = self.integrator, ""
        if not method.exact:
            steps = f", or more substeps where {method.name} is unstable"
        return SimulationError(
            f"{self.recipe.name}, {split} trajectory {index}: left the canvas in "
            f"{MAX_ATTEMPTS} attempts; expected a larger half_width or smaller ranges{steps}"
        )

    def _leave(self, params: np.ndarray, q: np.ndarray) -> np.ndarray:
        """Which trajectories leave the canvas, (n,) bool; none, where it is a periodic box."""
        if self.system.box:
            return np.zeros(len(q), dtype=np.bool_)
        xy = positions(self.system, q, params)
        return canvas.outside(xy, self._radii(params), self._stage, self.style.margin)

    def _attempt(
        self, split: str, index: np.ndarray, attempt: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """One attempt at each index: `params`, `q`, `p` and `energy`, and which of them failed.

        Those that could not be computed stay where they begin.
        """
        n, frames, d = len(index), self.recipe.frames, self.system.dimension
        params, q0, p0 = np.empty((n, self.system.n_params)), np.empty((n, d)), np.empty((n, d))
        seeds.initial_states(
            self._sampler.kernel.compiled,
            self._laws,
            self._lows,
            self._highs,
            self._sampler.draws,
            *self._key(split),
            index,
            attempt,
            params,
            q0,
            p0,
        )
        q, p = np.empty((n, frames, d)), np.empty((n, frames, d))
        ok = rollout.integrate(
            self.system,
            self.integrator,
            params,
            q0,
            p0,
            self.times,
            friction=self.recipe.friction,
            substeps=self.recipe.substeps,
            q=q,
            p=p,
        )
        q[~ok], p[~ok] = q0[~ok, None], p0[~ok, None]
        energy = rollout.energy(self.system, q, p, params)
        failed = ~ok
        if self._holds_energy:
            failed |= rollout.energy_error(energy).max(1) > HELD
        return {"q": q, "p": p, "energy": energy, "params": params}, failed

    def _check_finite(self, split: str, arrays: dict[str, np.ndarray], params: np.ndarray) -> None:
        """Refuse what could be computed but not stored as a number, such as p² above 1e308."""
        for name in ("q", "p", "energy", "q_drawn", "p_drawn", "dq_dt", "dp_dt"):
            if name in arrays and not np.isfinite(arrays[name]).all():
                fine = np.isfinite(arrays[name]).reshape(len(params), -1).all(axis=1)
                row = int(np.argmin(fine))
                start = params[row], arrays["q"][row, 0], arrays["p"][row, 0]
                reason = f"{name} is not finite"
                raise self._failure(split, arrays["index"][row], *start, reason)

    def _failure(
        self,
        split: str,
        index: int,
        params: np.ndarray,
        q0: np.ndarray,
        p0: np.ndarray,
        reason: str,
    ) -> SimulationError:
        """What is raised about a trajectory."""
        row = failure(self.system, int(index), params, q0, p0, reason)
        return SimulationError(f"{split} split, {row}")

    def _drawing(
        self, split: str, arrays: dict[str, np.ndarray], q: np.ndarray, params: np.ndarray
    ) -> Callable[[int, int, np.ndarray], None]:
        """What draws the states; adds the colours and the offsets that were drawn at random."""
        n, recipe = len(q), self.recipe
        if recipe.colors:
            u = self._uniforms(split, arrays, seeds.COLORS, (n, recipe.colors))
            arrays["color"] = u.argsort(axis=1)[:, : self.system.bodies].astype(np.int32)
            colours = palette.hue_wheel(recipe.colors)[arrays["color"]]
        else:
            own = self.style.colours(self.system.bodies)
            colours = np.tile(own, (n, 1, 1))
        offset = np.zeros((n, 2))
        if recipe.canvas_offset:
            u = self._uniforms(split, arrays, seeds.OFFSET, (n, 2))
            offset = arrays["offset"] = (2 * u - 1) * canvas.OFFSET_RANGE * self._stage
        xy, radii = positions(self.system, q, params), self._radii(params)

        def draw(first: int, stop: int, out: np.ndarray) -> None:
            rows = slice(first, stop)
            if first < stop:
                discs = xy[rows], radii[rows], colours[rows]
                seen = canvas.images(self.system, params[rows], *discs)
                self.style.draw(*seen, self._half_width, offset[rows], out)

        return draw

    def _radii(self, params: np.ndarray) -> np.ndarray:
        return self.style.radii(self.system, self.system.masses(params))

    def _key(self, split: str) -> tuple[Any, Any]:
        return np.uint64(self.recipe.seed), np.uint64(SPLITS.index(split))

    def _uniforms(
        self, split: str, arrays: dict[str, np.ndarray], stream: int, shape: tuple[int, int]
    ) -> np.ndarray:
        out = np.empty(shape)
        seeds.uniforms(*self._key(split), stream, arrays["index"], arrays["attempt"], out)
        return out

    def _normals(self, split: str, arrays: dict[str, np.ndarray], stream: int) -> np.ndarray:
        q = arrays["q"]
        out = np.empty((len(q), q[0].size))
        seeds.normals(*self._key(split), stream, arrays["index"], arrays["attempt"], out)
        return out.reshape(q.shape)
