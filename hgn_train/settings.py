"""The settings of a run: which model, which data, and how it is trained; written down as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hgn_train import models
from physim.errors import PhysimError, unknown

Precision = Literal["auto", "bf16-mixed", "32-true"]


@dataclass(frozen=True)
class TrainSettings:
    """How a model is trained.

    Attributes:
        steps: Optimiser updates.
        batch_size: Trajectories, states or points per update, over all processes.
        trajectories: Number of training trajectories used; 0 for all.
        learning_rate: Peak learning rate of Adam.
        warmup: Updates over which the learning rate rises from 0.
        final_learning_rate: Fraction of the learning rate left at the end, on a cosine; 1 for no
            decay.
        weight_decay: Of AdamW.
        clip: Largest norm of the gradient; 0 for none.
        averaging: Decay of the averaged weights, which are the ones evaluated; 0 for none.
        precision: `bf16-mixed`, `32-true`, or `auto` for bf16 on devices with native support; the
            folder of a run records which it was.
        threads: Threads of PyTorch on a CPU; 0 for PyTorch's default.
        step: How an update runs: `eager`, as plain calls; `captured`, replayed from a CUDA graph;
            `auto` captures when training on a single GPU.
        compile: Whether the loss is compiled with torch.compile.
        deterministic: Whether only deterministic algorithms are used.
        seed: Of weights, data order and noise.
        log_every: Updates between lines of metrics.
        evaluate_every: Updates between evaluations on held-out trajectories; 0 for the end only.
        save_every: Updates between checkpoints.
        held_out: Number of trailing test trajectories for these evaluations; a finished run is
            evaluated on the first ones.
    """

    steps: int = 15_625
    batch_size: int = 16
    trajectories: int = 0
    learning_rate: float = 1.5e-4
    warmup: int = 0
    final_learning_rate: float = 1.0
    weight_decay: float = 0.0
    clip: float = 0.0
    averaging: float = 0.0
    precision: Precision = "32-true"
    threads: int = 0
    step: Literal["auto", "eager", "captured"] = "auto"
    compile: bool = False
    deterministic: bool = False
    seed: int = 0
    log_every: int = 50
    evaluate_every: int = 1000
    save_every: int = 1000
    held_out: int = 256

    def __post_init__(self) -> None:
        """Refuse what trains nothing.

        Raises:
            PhysimError: Names the setting, its value and what is allowed.
        """
        for name, lowest in LOWEST.items():
            if not lowest <= getattr(self, name) < math.inf:
                raise PhysimError(
                    f"{name}: got {getattr(self, name)}, expected a number from {lowest}"
                )
        if self.threads > MOST_THREADS:
            raise PhysimError(
                f"threads: got {self.threads}, expected at most {MOST_THREADS}, or 0"
            )
        if not 0 < self.learning_rate < math.inf:
            raise PhysimError(
                f"learning_rate: got {self.learning_rate}, expected a number above 0"
            )
        if self.precision not in (known := typing.get_args(Precision)):
            raise PhysimError(
                f"precision: got '{self.precision}', expected one of {', '.join(known)}"
            )
        if self.step not in ("auto", "eager", "captured"):
            raise PhysimError(f"step: got '{self.step}', expected one of auto, eager, captured")
        if self.averaging >= 1:
            raise PhysimError(
                f"averaging: got {self.averaging}, expected a number from 0 to below 1"
            )


MOST_THREADS = 4096

LOWEST = {
    "steps": 1,
    "batch_size": 1,
    "trajectories": 0,
    "warmup": 0,
    "final_learning_rate": 0,
    "weight_decay": 0,
    "clip": 0,
    "averaging": 0,
    "threads": 0,
    "seed": 0,
    "log_every": 1,
    "evaluate_every": 0,
    "save_every": 1,
    "held_out": 1,
}


@dataclass(frozen=True)
class Start:
    """The weights that a run starts from, where it does not draw its own.

    Attributes:
        run: Folder of the run that they are of.
        step: Updates after which it kept them.
        weights: Checksum of them.
    """

    run: str
    step: int
    weights: str


@dataclass(frozen=True)
class RunSettings:
    """A run, wholly described.

    Attributes:
        data: Folder of the data set.
        model: Name of the model.
        preset: Name of the preset that the settings started from.
        network: Settings of the model.
        train: How it is trained.
        start: The weights that it starts from, or none.
        extended: How many updates it had done, and of how many, each time it was given more.
    """

    data: str
    model: str
    preset: str
    network: Any
    train: TrainSettings
    start: Start | None = None
    extended: tuple[tuple[int, int], ...] = ()

    def decided(self, precision: Precision) -> RunSettings:
        """The same settings, with this precision where it was left to the device."""
        if self.train.precision != "auto":
            return self
        return dataclasses.replace(
            self, train=dataclasses.replace(self.train, precision=precision)
        )

    def to_json(self) -> str:
        """The settings as indented JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str, source: str) -> RunSettings:
        """Settings from what `to_json` wrote.

        Arguments:
            text: JSON.
            source: Where it comes from, for errors.

        Returns:
            The settings.

        Raises:
            PhysimError: The text is no settings of a run.
        """
        try:
            given = json.loads(text)
            kind = models.find(given["model"])
            return cls(
                data=str(given["data"]),
                model=kind.name,
                preset=str(given.get("preset", "")),
                network=filled(kind.settings, given["network"]),
                train=filled(TrainSettings, given["train"]),
                start=Start(**start) if (start := given.get("start")) else None,
                extended=tuple((int(done), int(of)) for done, of in given.get("extended", ())),
            )
        except PhysimError as error:  # such as a setting that another version had
            raise PhysimError(f"{source}: {error}") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PhysimError(f"{source}: not the settings of a run ({error})") from None


def filled(kind: type, given: Mapping[str, Any]) -> Any:
    """A settings dataclass from a table, each value brought to the type of its field.

    Arguments:
        kind: The dataclass.
        given: Values by name; what is left out takes its default.

    Returns:
        An instance.

    Raises:
        PhysimError: A name that it does not have, or a value of another type.

    Example:
        >>> filled(TrainSettings, {"steps": "100"}).steps
        100
    """
    return kind(**values(kind, given))


def values(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """A table with each value brought to the type of its field in a settings dataclass.

    Arguments:
        kind: The dataclass.
        given: Values by name.

    Returns:
        The same names.

    Raises:
        PhysimError: A name that it does not have, or a value of another type.

    Example:
        >>> values(TrainSettings, {"steps": "2e3", "compile": "yes"})
        {'steps': 2000, 'compile': True}
    """
    hints = typing.get_type_hints(kind)
    for name in given:
        if name not in hints:
            raise PhysimError(unknown("setting", name, hints))
    return {name: _cast(name, hints[name], value) for name, value in given.items()}


def _cast(name: str, hint: Any, value: Any) -> Any:
    origin = typing.get_origin(hint)
    wanted = EXPECTED.get(hint)
    try:
        if hint is bool:
            if isinstance(value, str):
                return {"true": True, "false": False, "yes": True, "no": False}[value.lower()]
            return bool(value)
        if hint is int:
            return _whole(value)
        if hint is float:
            number = float(value)
            if not abs(number) <= LARGEST_FLOAT:  # nan is not either
                raise ValueError
            return number
        if origin is Literal or hint is str or origin is types.UnionType:
            return str(value)
        return _widths(hint, json.loads(value) if isinstance(value, str) else value)
    except (ValueError, KeyError, TypeError, OverflowError):
        wanted = wanted or f"a value of type {getattr(hint, '__name__', hint)}"
        raise PhysimError(f"{name}: got '{value}', expected {wanted}") from None


def _whole(value: Any) -> int:
    """A whole number, also as 2e3 or 2000.0: of these, beyond 2^53, not each one is exact."""
    if not isinstance(value, float):
        try:
            whole = int(value)
        except ValueError:
            pass
        else:
            if abs(whole) > LARGEST:
                raise ValueError
            return whole
    number = float(value)
    if number != int(number) or abs(number) > 2**53:
        raise ValueError
    return int(number)


LARGEST = 2**63 - 1
"""Of whole numbers: beyond are none that PyTorch counts with."""

LARGEST_FLOAT = 1e38
"""Of other numbers: networks compute in float32, which ends soon beyond."""

EXPECTED = {
    int: "a whole number below 2^63",
    float: "a finite number up to 1e38",
    tuple[int, ...]: "widths from 1, such as [32, 64]",
    tuple[tuple[int, ...], ...]: "lists of widths from 1, such as [[32, 64], [64]]",
}
"""By type of a setting, in words; tuples are the widths of layers, or of blocks of layers."""


def _widths(hint: Any, value: Any) -> Any:
    """Lists, and lists inside, as tuples, so that settings can be compared."""
    if hint is int:
        if type(value) is not int or not 1 <= value <= LARGEST:  # true is an int as well
            raise ValueError
        return value
    if not isinstance(value, list | tuple):
        raise TypeError
    return tuple(_widths(typing.get_args(hint)[0], entry) for entry in value)


def load(run: Path) -> RunSettings:
    """The settings of a run's folder.

    Arguments:
        run: The folder.

    Returns:
        The settings.

    Raises:
        PhysimError: There is no run in it, or its settings are damaged.
    """
    path = run / "config.json"
    if not path.is_file():
        raise PhysimError(f"{run}: no run in this folder, expected a config.json in it")
    return RunSettings.from_json(path.read_text(errors="replace"), str(path))
