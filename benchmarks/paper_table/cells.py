"""What is trained: variants × systems × seeds, and at what size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from physim.errors import PhysimError, unknown

SYSTEMS = ("mass_spring", "pendulum", "two_body", "three_body")


@dataclass(frozen=True)
class Variant:
    """A row of the table.

    Attributes:
        name: In folders and tables.
        network: What it changes of the model's settings.
        train: What it changes of the training.
        model: Which model.
        sees: Frames that it is inferred from; 0 for all, none where the model has its own.
        preset: Where it starts from, at full scale.
    """

    name: str
    network: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    model: str = "hgn"
    sees: int | None = 0
    preset: str = "tuned"


PUBLISHED = {"transform": "true"}
"""What the paper's HGN has, and the preset `tuned` has not."""

VARIANTS = (  # in the order in which they are trained
    Variant("leapfrog", PUBLISHED),
    Variant("leapfrog-from-5", sees=5),
    Variant("small-from-5", sees=5, preset="long"),
    Variant("euler", PUBLISHED | {"integrator": "euler"}),
    Variant("deterministic", PUBLISHED | {"stochastic": "false"}),
    Variant("no-transform", {"transform": "false"}),
    Variant("as-published", preset="paper"),
    Variant("hnn-dense", {"autoencoder": "dense"}, model="pixel-hnn", sees=None, preset="paper"),
    Variant(
        "hnn-convolutional",
        {"autoencoder": "convolutional"},
        model="pixel-hnn",
        sees=None,
        preset="paper",
    ),
    Variant("float32", PUBLISHED, train={"precision": "32-true"}),
)

WHOLE = {"anchor": "first", "both_ways": "false", "consistency": "0"}
"""Of an HGN that sees all frames: there is one window and one way to look at it."""


@dataclass(frozen=True)
class Scale:
    """How large everything is.

    Attributes:
        preset: Of all variants; empty where each has its own.
        render: What is changed of the recipes.
        network: What is changed of every HGN.
        train: What is changed of every training.
        judged: Trajectories of each split that a run is evaluated on.
        extra: Frames before and after that predictions are followed to.
    """

    preset: str
    render: Mapping[str, int]
    network: Mapping[str, Any]
    train: Mapping[str, Any]
    judged: int
    extra: int


PAPER = Scale(
    preset="",
    render={},
    network={},
    train={"precision": "bf16-mixed", "log_every": 100, "evaluate_every": 0, "save_every": 2000},
    judged=512,
    extra=60,
)
QUICK = Scale(
    preset="test",
    render={"n": 192, "n_test": 32, "frames": 10, "resolution": 16},
    network={"frames": 10, "state_size": 2, "latent_size": 4},
    train={"steps": 20, "evaluate_every": 0, "threads": 1},
    judged=8,
    extra=4,
)


@dataclass(frozen=True)
class Cell:
    """One training: a variant of a system with a seed."""

    variant: Variant
    system: str
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.system}-{self.variant.name}-{self.seed}"


def named(name: str) -> Cell | None:
    """The cell whose folder is called so, if there is one.

    Arguments:
        name: As `Cell.name`.

    Example:
        >>> named("two_body-hnn-dense-1").variant.name
        'hnn-dense'
    """
    rest, _, seed = name.rpartition("-")
    system, _, variant = rest.partition("-")
    found = [each for each in VARIANTS if each.name == variant]
    if not (found and system in SYSTEMS and seed.isdecimal()):
        return None
    return Cell(found[0], system, int(seed))


def groups(
    systems: Sequence[str],
    variants: Sequence[Variant],
    seeds: int,
    side: int,
    processes: int = 1,
    first_seed: int = 0,
) -> list[list[Cell]]:
    """Cells in the order in which they are trained, those that run side by side together.

    The first seed of every variant comes before the second of any. Of the cells that run at the
    same time, those of a system share a process as far as possible, which reads its data once.
    """
    found = []
    for seed in range(first_seed, first_seed + seeds):
        row = [Cell(variant, system, seed) for variant in variants for system in systems]
        for start in range(0, len(row), side * processes):
            wave = row[start : start + side * processes]
            wave.sort(key=lambda cell: systems.index(cell.system))
            each = -(-len(wave) // processes)
            found += [wave[first : first + each] for first in range(0, len(wave), each)]
    return found


def settings(
    cell: Cell,
    scale: Scale,
    data: Path,
    changed: Mapping[str, str],
    batch: int = 0,
    dt: float | None = None,
) -> Any:
    """The run of a cell.

    Arguments:
        cell: Which.
        scale: How large.
        data: Folder of the data sets.
        changed: Settings that replace those of the scale, for all cells that have them.
        batch: Trajectories per update; 0 for those of the preset. With more, updates are fewer in
            proportion, so that as many trajectories are seen, and the learning rate is larger by
            the root of the proportion, as suits Adam.
        dt: Time between frames, if it is not to be taken from the data.

    Returns:
        The settings.

    Raises:
        PhysimError: A value that makes no run, or no data to ask.
    """
    from hgn_train import models
    from hgn_train.presets import settings_of, split_settings

    variant, model = cell.variant, cell.variant.model
    folder = str(data / cell.system)
    preset = scale.preset or variant.preset
    tables = (scale.network, variant.network, scale.train, variant.train)
    given = {name: str(value) for table in tables for name, value in table.items()}
    if variant.sees == 0:
        frames = changed.get("frames", scale.network.get("frames", 30))
        given |= {"inference_frames": str(frames)} | WHOLE
    elif variant.sees:
        given["inference_frames"] = str(variant.sees)
    given |= {"seed": str(cell.seed)} | dict(changed)
    known = own_settings(model)
    network, train = split_settings(
        {name: str(value) for name, value in given.items() if name in known}, model
    )
    if dt is None:
        models.find(model).adapt(network, folder)
    elif "dt" in known:
        network.setdefault("dt", dt)
    chosen = settings_of(preset, folder, model, network, train, cell.system)
    if batch and model == "hgn":
        times = batch / chosen.train.batch_size
        train |= {
            "batch_size": str(batch),
            "steps": str(round(chosen.train.steps / times)),
            "learning_rate": str(chosen.train.learning_rate * math.sqrt(times)),
        }
        chosen = settings_of(preset, folder, model, network, train, cell.system)
    return chosen


def check_names(names: Iterable[str], variants: Sequence[Variant]) -> None:
    """Refuse a setting that no variant has.

    Arguments:
        names: Of the settings that are changed.
        variants: Those that are trained.

    Raises:
        PhysimError: Names the setting and the nearest one.
    """
    known = {name: None for variant in variants for name in own_settings(variant.model)}
    for name in names:
        if name not in known:
            raise PhysimError(unknown("setting", name, known))


def own_settings(model: str) -> list[str]:
    """Names of the settings of a model and of the training."""
    import dataclasses

    from hgn_train import models
    from hgn_train.settings import TrainSettings

    kinds = (models.find(model).settings, TrainSettings)
    return [entry.name for kind in kinds for entry in dataclasses.fields(kind)]


def known_variants() -> list[Variant]:
    """Those whose model is there."""
    from hgn_train import models

    return [variant for variant in VARIANTS if variant.model in models.MODELS]
