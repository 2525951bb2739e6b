"""The recipe itself, validated and filled in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from physim import drawing, integrators, systems
from physim.drawing import canvas
from physim.errors import RecipeError, unknown
from physim.recipe import tables
from physim.recipe.sentences import sentence
from physim.systems.parameters import Distribution
from physim.systems.system import System

AMOUNTS = ("n", "n_test", "seed", "store", "shard_size")
"""Keys that do not change a recipe's identity."""

DERIVED = ("n_test", "integrator", "half_width", "shard_size")
"""What follows from the other settings where nothing is said of it."""

TABLES = ("parameters", "initial")

MAX_SEED = 2**63 - 1
MAX_TRAJECTORY_BYTES = 2**30
RAW_BYTES_OF_A_SHARD = 2**30
TRAJECTORIES_OF_A_SHARD = 2000
RAW_BYTES_OF_A_BLOCK = 24 * 2**20
TRAJECTORIES_OF_A_BLOCK = 200

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Recipe(BaseModel):
    """A validated description of a data set.

    `Recipe.of` fills in what is left out, as `render` does with one that was made by hand.

    Attributes:
        name: Name of the data set.
        system: Name of the system.
        bodies: Number of bodies, if the system has a choice (`n_body`, `lennard_jones`).
        n: Trajectories of the training split.
        n_test: Trajectories of the test split.
        seed: Seed of all random numbers.
        frames: Times at which a trajectory is stored and drawn.
        dt: Time between frames; if negative, frames run backward in time from the state at
            time 0.
        integrator: Name of the integrator.
        substeps: Equal steps between frames; an adaptive integrator takes at least as many.
        friction: c in dp/dt = −∂H/∂q − c ∂H/∂p.
        noise: Standard deviation of the Gaussian noise on every phase-space coordinate of every
            frame, added before drawing; the clean states are stored too.
        style: Name of the drawing style.
        resolution: Height and width of a frame in pixels.
        half_width: Half the width of the world shown in a frame.
        colors: 0 for the style's own colours; else the number of colours from which each
            trajectory draws its own.
        canvas_offset: Whether the canvas is moved at random, a new offset for each trajectory.
        store: What to store in addition: `derivatives`.
        shard_size: Trajectories per file.
        parameters: What each physical constant is drawn from, one entry per component.
        initial: Name of the sampler, and what each of its settings is drawn from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(max_length=200, pattern=r"^(\w[\w.+ -]*(/\w[\w.+ -]*)*)?$")] = ""
    system: str
    bodies: int | None = None
    n: Annotated[int, Field(ge=1, le=10**9)] = 50_000
    n_test: Annotated[int, Field(ge=0, le=10**9)] | None = None
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    frames: Annotated[int, Field(ge=1, le=100_000)] = 30
    dt: Finite = 0.125
    integrator: str = ""
    substeps: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    friction: NonNegative = 0.0
    noise: NonNegative = 0.0
    style: str = "hgn"
    resolution: Annotated[int, Field(ge=8, le=1024)] = 32
    half_width: Positive | None = None
    colors: Annotated[int, Field(ge=0, le=256)] = 0
    canvas_offset: bool = False
    store: list[Literal["derivatives"]] = []
    shard_size: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    parameters: dict[str, Any] = {}
    initial: dict[str, Any] = {}

    def __init__(self, /, **settings: Any) -> None:
        """Validate settings; raises `RecipeError`."""
        try:
            super().__init__(**settings)
        except ValidationError as error:
            raise RecipeError(sentence(error, type(self).model_fields)) from None

    @classmethod
    def of(cls, settings: Mapping[str, Any], source: str = "") -> Recipe:
        """Validate settings and fill in what they leave out.

        Arguments:
            settings: Keys and values as in a recipe file.
            source: Where they come from, named in errors.

        Returns:
            A recipe in which nothing is left to a default.

        Raises:
            RecipeError: A key or value that makes no data set.
        """
        where = f"{source}: " if source else ""
        try:
            return cls(**tables.plain(settings))._filled()
        except RecipeError as error:
            raise RecipeError(f"{where}{error}") from None

    @classmethod
    def changed(
        cls, settings: Mapping[str, Any], source: str, changes: Mapping[str, Any]
    ) -> Recipe:
        """A recipe with some settings of another, whose name says which: `hgn/two_body+noise`.

        What would have been filled in just so counts as left out, and is chosen anew: another
        style has its own `half_width`, friction an integrator that knows it. So a change is the
        same whether the settings are those of a file or of a recipe that says everything.

        Arguments:
            settings: Of the other; it need not be valid without the changes.
            source: Where they come from, named in errors.
            changes: Settings that override them, in the two tables entry by entry, unless there is
                another sampler. The number of trajectories and their distribution over files do
                not count as changes; a `name` among them is kept.

        Returns:
            A recipe in which nothing is left to a default.

        Raises:
            RecipeError: A key or value that makes no data set, or a change without effect.
        """
        if not settings:
            return cls.of(changes, source)._heeding(changes)
        kind = {"system": changes["system"]} if "system" in changes else {}
        stated, before = {**kind, **settings}, None
        try:
            before = cls.of(stated)
            stated = before._stated()
        except RecipeError:  # such as six masses without a number of bodies: the result counts
            pass
        if "n" in changes:
            stated.pop("n_test", None)
        merged = {**stated, **changes}
        for table in TABLES:
            old, new = stated.get(table), changes.get(table)
            if isinstance(old, Mapping) and isinstance(new, Mapping):
                same = new.get("sampler", old.get("sampler")) == old.get("sampler")
                merged[table] = {**old, **new} if same else new
        made = cls.of(merged, source)._heeding(changes)
        if "name" in changes:
            return made
        known, words = before.model_dump() if before else stated, []
        for key in cls.model_fields:
            was, now = known.get(key), getattr(made, key)
            if key in changes and key not in AMOUNTS and now != was:
                if isinstance(now, dict) and isinstance(was, dict):
                    words += [entry for entry in now if was.get(entry) != now[entry]]
                else:
                    words.append(key)
        return cls.of({**made.model_dump(), "name": "+".join([made.name, *words])}, source)

    def _heeding(self, changes: Mapping[str, Any]) -> Recipe:
        """Itself, unless a change has no effect; where a recipe has such a setting it may stay."""
        if "substeps" in changes:
            integrators.check_substeps(integrators.find(self.integrator), self.substeps)
        return self

    def _stated(self) -> dict[str, Any]:
        """What has to be said for this recipe to come out; the rest follows from it."""
        settings = self.model_dump()
        derived = {key: settings.pop(key) for key in DERIVED}
        kind = {"system": self.system, "bodies": self.bodies}
        usual = self.of({**kind, "initial": {"sampler": self.initial["sampler"]}}).model_dump()
        filled = self.of(settings)
        for table in TABLES:
            settings[table] = {
                key: value
                for key, value in settings[table].items()
                if key == "sampler" or value != usual[table][key]
            }
        chosen = {key: value for key, value in derived.items() if value != getattr(filled, key)}
        return settings | chosen

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """A recipe from the JSON that is stored with a data set.

        Raises:
            RecipeError: The text is no valid recipe.
        """
        try:
            settings = json.loads(text)
        except ValueError as error:
            raise RecipeError(f"recipe: not JSON ({error})") from None
        if not isinstance(settings, dict):
            raise RecipeError(f"recipe: got {type(settings).__name__}, expected a table")
        return cls.of(settings)

    def to_json(self) -> str:
        """The recipe as one line of JSON, keys in a fixed order."""
        return self.model_dump_json()

    def count(self, split: str) -> int:
        """Trajectories of a split."""
        return {"train": self.n, "test": self.n_test or 0}[split]

    def find_system(self) -> System:
        """The system of this recipe."""
        return systems.find(self.system, self.bodies)

    def distributions(self) -> tuple[Distribution, ...]:
        """What each column of parameters, then each setting of the sampler, is drawn from."""
        system = self.find_system()
        rows = []
        for parameter in system.parameters:
            rows += tables.components(parameter, self.parameters[parameter.symbol], "parameters")
        for setting in system.sampler(self.initial["sampler"]).settings:
            rows += tables.components(setting, self.initial[setting.symbol], "initial")
        return tuple(rows)

    @property
    def trajectory_bytes(self) -> int:
        """Raw pixels of a trajectory, in bytes."""
        return self.frames * self.resolution**2 * 3

    @property
    def block_size(self) -> int:
        """Trajectories that are simulated, drawn and compressed together."""
        return max(1, min(TRAJECTORIES_OF_A_BLOCK, RAW_BYTES_OF_A_BLOCK // self.trajectory_bytes))

    def _check_size(self) -> None:
        if self.dt == 0:
            raise RecipeError(
                "dt: got 0, expected a number above 0, or below 0 for backward in time"
            )
        if not math.isfinite(self.dt * self.frames):
            raise RecipeError(f"dt: got {self.dt:g}, expected dt × frames to be finite")
        if self.trajectory_bytes > MAX_TRAJECTORY_BYTES:
            raise RecipeError(
                f"frames: got {self.frames} of {self.resolution} × {self.resolution} pixels, "
                f"expected at most {MAX_TRAJECTORY_BYTES // 2**20} MiB of pixels per trajectory"
            )

    def _half_box(self, system: System, parameters: Mapping[str, Any]) -> float:
        """Half the side of the periodic box, which is the canvas."""
        parameter = next(each for each in system.parameters if each.symbol == system.box)
        (side,) = tables.components(parameter, parameters[system.box], "parameters")
        if side.low != side.high:
            raise RecipeError(
                f"parameters.{system.box}: got {side}, expected a number, as the canvas is the box"
            )
        if self.half_width not in (None, side.low / 2):
            raise RecipeError(
                f"half_width: got {self.half_width:g}, but the canvas of {system.name} is the "
                f"box, half of which is {side.low / 2:g}; expected another {system.box}"
            )
        if self.canvas_offset:
            raise RecipeError(
                f"canvas_offset: got true, but the canvas of {system.name} is the box"
            )
        return side.low / 2

    def _filled(self) -> Recipe:
        self._check_size()
        system = systems.find(self.system, self.bodies)
        integrator = integrators.choose(system, self.integrator, self.friction)
        style = drawing.find(self.style)
        parameters = tables.filled(self.parameters, system.parameters, "parameters")
        initial = dict(self.initial)
        name = initial.pop("sampler", system.samplers[0].name)
        names = [sampler.name for sampler in system.samplers]
        if name not in names:
            raise RecipeError(unknown("initial.sampler", str(name), names))
        sampler = system.sampler(name)
        initial = tables.filled(initial, sampler.settings, "initial")
        half_width = self.half_width
        if system.box:
            half_width = self._half_box(system, parameters)
        if half_width is None:
            upper = {key: tables.highest(value) for key, value in (parameters | initial).items()}
            half_width = style.half_width(system, upper)
            half_width *= 1 + canvas.OFFSET_RANGE * self.canvas_offset
        if 0 < self.colors < system.bodies:
            raise RecipeError(
                f"colors: got {self.colors}, expected 0 or from {system.bodies}, one for each body"
            )
        shard_size = self.shard_size
        if shard_size is None:
            shard_size = max(
                1, min(TRAJECTORIES_OF_A_SHARD, RAW_BYTES_OF_A_SHARD // self.trajectory_bytes)
            )
            if shard_size > self.block_size:
                shard_size -= shard_size % self.block_size
        return self.model_copy(
            update={
                "name": self.name or self.system,
                "n_test": max(1, self.n // 5) if self.n_test is None else self.n_test,
                "integrator": integrator.name,
                "half_width": float(half_width),
                "shard_size": shard_size,
                "parameters": parameters,
                "initial": {"sampler": name, **initial},
            }
        )
