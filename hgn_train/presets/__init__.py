"""Settings by name, for each model: a module a model."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from hgn_train import models
from hgn_train.conditions import precision_of
from hgn_train.presets import hgn, hnn, nhf, pixel_hnn
from hgn_train.settings import RunSettings, TrainSettings, filled
from physim.errors import PhysimError, unknown

Preset = tuple[dict[str, Any], dict[str, Any]]
"""Settings of the model and of the training that differ from the defaults."""

PRESETS: dict[str, dict[str, Preset]] = {
    "hgn": hgn.PRESETS,
    "hnn": hnn.PRESETS,
    "mlp": hnn.PRESETS,
    "nhf": nhf.PRESETS,
    "pixel-hnn": pixel_hnn.PRESETS,
}
"""By model, then by name."""

OF_SYSTEM: dict[str, dict[str, dict[str, dict[str, Any]]]] = {
    "hgn": hgn.OF_SYSTEM,
    "hnn": hnn.OF_SYSTEM,
    "mlp": hnn.OF_SYSTEM,
    "nhf": nhf.OF_SYSTEM,
}
"""What of a preset differs between systems: by model, preset and system."""


def duration(preset: str, system: str) -> str:
    """About how long an HGN run takes on a CPU, or what will show it."""
    about = minutes(preset, system)
    if not about:
        return "the progress bar shows the time left"
    return f"about {about:.0f} minutes of training on one core, then about one of evaluation"


def minutes(preset: str, system: str) -> float:
    """About how many an HGN run takes on one core, in its precision; 0 if unknown."""
    in_bf16 = precision_of(torch.device("cpu")) == "bf16-mixed"
    return hgn.MINUTES.get(preset, {}).get(system, 0) * (1 if in_bf16 else hgn.IN_FLOAT32)


def default(model: str) -> str:
    """The default preset of a model: the light one, if it has one."""
    return "small" if "small" in of(model) else "paper"


def of(model: str) -> dict[str, Preset]:
    """The presets of a model; one that lists none has its defaults, as `paper`.

    Arguments:
        model: One of `models.MODELS`.

    Returns:
        By name.
    """
    return PRESETS.get(models.find(model).name, {"paper": ({}, {})})


def settings_of(
    preset: str,
    data: str,
    model: str = "hgn",
    network: Mapping[str, Any] | None = None,
    train: Mapping[str, Any] | None = None,
    system: str = "",
    rows: int = 0,
) -> RunSettings:
    """The settings of a run from a preset and what is changed of it.

    Arguments:
        preset: One of `of(model)`.
        data: Folder of the data set.
        model: One of `models.MODELS`.
        network: Changed settings of the model.
        train: Changed settings of the training.
        system: What the data shows, as a preset may differ between systems.
        rows: How many training trajectories the data has, where that is known: a preset that takes
            more of them takes all.

    Returns:
        The whole settings.

    Raises:
        PhysimError: A preset or setting that does not exist, or a value that makes no model.

    Example:
        >>> settings_of("small", "datasets/hgn/pendulum", train={"seed": 1}).train.seed
        1
    """
    kind = models.find(model)
    known = of(model)
    if preset not in known:
        raise PhysimError(unknown("preset", preset, known))
    of_network, of_train = known[preset]
    of_system = OF_SYSTEM.get(model, {}).get(preset, {}).get(system, {})
    network_of_system, train_of_system = split_settings(of_system, model)
    of_network, of_train = of_network | network_of_system, of_train | train_of_system
    if rows and of_train.get("trajectories", 0) > rows:
        of_train = of_train | {"trajectories": 0}
    return RunSettings(
        data=data,
        model=kind.name,
        preset=preset,
        network=filled(kind.settings, of_network | dict(network or {})),
        train=filled(TrainSettings, of_train | dict(train or {})),
    )


def changes(settings: Mapping[str, Any], system: str) -> dict[str, Any]:
    """Settings in which a run differs from its preset now; left to the device, bf16 is usual.

    Arguments:
        settings: Settings of the run, as its folder keeps them.
        system: What its data shows.

    Returns:
        Values by name, without the seed and what the data decides.
    """
    try:
        usual = settings_of(settings["preset"], "", settings["model"], system=system)
    except PhysimError:  # the preset has gone: nothing to compare with
        return {}
    plain = json.loads(usual.decided("bf16-mixed").to_json())
    return {
        name: value
        for part in ("network", "train")
        for name, value in settings[part].items()
        if name not in ("seed", "dt", "dimension") and plain[part].get(name) != value
    }


def split_settings(given: Mapping[str, Any], model: str = "hgn") -> tuple[dict, dict]:
    """Which of the given settings are the model's, and which the training's.

    Arguments:
        given: Values by name, perhaps as words of the command line.
        model: One of `models.MODELS`.

    Returns:
        Settings of the model and of the training.

    Raises:
        PhysimError: A name that neither has.
    """
    of_model = names_of(models.find(model).settings)
    of_train = names_of(TrainSettings)
    for name in given:
        if name not in of_model + of_train:
            others = [
                kind.name for kind in models.MODELS.values() if name in names_of(kind.settings)
            ]
            if others:
                raise PhysimError(f"{name}: is a setting of {', '.join(others)}, not of {model}")
            raise PhysimError(unknown("setting", name, of_model + of_train))
    return (
        {name: value for name, value in given.items() if name in of_model},
        {name: value for name, value in given.items() if name in of_train},
    )


def names_of(settings: type) -> list[str]:
    """Names of the settings in a dataclass."""
    return [field.name for field in dataclasses.fields(settings)]


def check_used(settings: RunSettings, given: Iterable[str]) -> None:
    """Refuse settings of a model that were given, but have no effect beside the others.

    Arguments:
        settings: The run.
        given: Names of the settings that were given.

    Raises:
        PhysimError: Names such a setting, and the one that it needs.

    Example:
        >>> check_used(settings_of("small", ""), ["beta"])
    """
    network, given = settings.network, set(given)
    for names, needs in models.find(settings.model).needs.items():
        for name in (name for name in names if name in given):
            for other, wanted in needs.items():
                own = getattr(network, other)
                if not own if wanted is None else own != wanted:
                    expected = "above 0" if wanted is None else as_json(wanted)
                    raise PhysimError(
                        f"{name}: got {as_json(getattr(network, name))}, which has no effect with "
                        f"{other} {as_json(own)}; expected {other} {expected}, or no {name}"
                    )


def as_json(value: Any) -> str:
    """A value as `--set` takes it."""
    return value if isinstance(value, str) else json.dumps(value)
