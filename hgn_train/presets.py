"""Settings by name.

| preset | for | network | training |
| --- | --- | --- | --- |
| paper | a GPU | the authors' HGN: maps of 4×4, convolutional H, GECO | 15,625 steps of 16 |
| plus | a GPU | the authors' HGN++: vectors, MLP H, β-ELBO, from 5 frames | 50,000 steps of 128 |
| small | a CPU | a light HGN++: 8 frames decoded of each rollout, bf16 | minutes on 2 cores |
| test | tests | as small as it can be | seconds |
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from hgn_train import models
from hgn_train.settings import RunSettings, TrainSettings, filled
from physim.errors import PhysimError, unknown

Preset = tuple[dict[str, Any], dict[str, Any]]
"""Settings of the model and of the training that differ from the defaults."""

PRESETS: dict[str, Preset] = {
    "paper": ({}, {}),
    "plus": (
        {
            "inference_frames": 5,
            "anchor": "last",
            "state": "vector",
            "transform": False,
            "encoder": ((64, 64), (64, 64), (64, 64, 64)),
            "hamiltonian": (250, 250, 250, 250),
            "activation": "swish",
            "objective": "elbo",
            "beta": 0.1,
        },
        {"steps": 50_000, "batch_size": 128},
    ),
    "small": (
        {
            "inference_frames": 5,
            "anchor": "middle",
            "state": "vector",
            "encoder": ((32, 32), (64, 64), (64,)),
            "standardize": True,
            "precise_encoder": True,
            "hamiltonian": (128, 128),
            "harmonic": True,
            "decoder": ((32,), (32,)),
            "shuffle": 2,
            "both_ways": True,
            "objective": "elbo",
            "beta": 0.01,
            "decoded": 8,
        },
        {
            "steps": 3000,
            "batch_size": 32,
            "trajectories": 5000,
            "learning_rate": 2e-3,
            "warmup": 100,
            "final_learning_rate": 0.01,
            "clip": 0.02,
            "averaging": 0.998,
            "precision": "bf16-mixed",
            "threads": 1,  # a rollout is thousands of small operations: more threads only wait
            "evaluate_every": 500,
            "save_every": 500,
        },
    ),
    "test": (
        {
            "frames": 10,
            "inference_frames": 3,
            "anchor": "middle",
            "resolution": 16,
            "state": "vector",
            "state_size": 4,
            "latent_size": 8,
            "encoder": ((8,), (16,)),
            "hamiltonian": (16, 16),
            "decoder": ((16,), (8,)),
            "maps": 8,
            "objective": "elbo",
            "beta": 0.01,
        },
        {
            "steps": 200,
            "batch_size": 16,
            "learning_rate": 5e-3,
            "warmup": 20,
            "final_learning_rate": 0.05,
            "clip": 1.0,
            "averaging": 0.98,
            "log_every": 10,
            "evaluate_every": 50,
            "save_every": 50,
            "held_out": 32,
        },
    ),
}


STEPS: dict[str, dict[str, int]] = {
    "small": {"mass_spring": 1000, "pendulum": 4000, "two_body": 2500, "three_body": 4000},
}
"""Steps of a preset on systems that need more or fewer than its default."""

MINUTES: dict[str, dict[str, int]] = {
    "small": {"mass_spring": 3, "pendulum": 9, "two_body": 6, "three_body": 9},
}
"""About how long a training takes on one core of a current server, for the sentence of `auto`."""


def duration(preset: str, system: str) -> str:
    """About how long a training takes, or what will show it."""
    minutes = MINUTES.get(preset, {}).get(system)
    if minutes is None:
        return "the progress bar shows the time left"
    return f"about {minutes} minutes of training on one core, then about one of evaluation"


def settings_of(
    preset: str,
    data: str,
    model: str = "hgn",
    network: Mapping[str, Any] | None = None,
    train: Mapping[str, Any] | None = None,
    system: str = "",
) -> RunSettings:
    """The settings of a run from a preset and what is changed of it.

    Arguments:
        preset: One of `PRESETS`.
        data: Folder of the data set.
        model: One of `models.MODELS`.
        network: Changed settings of the model.
        train: Changed settings of the training.
        system: What the data shows, for the number of steps.

    Returns:
        The whole settings.

    Raises:
        PhysimError: A preset or setting that does not exist, or a value that makes no model.

    Example:
        >>> settings_of("small", "datasets/hgn/pendulum", train={"seed": 1}).train.seed
        1
    """
    if preset not in PRESETS:
        raise PhysimError(unknown("preset", preset, PRESETS))
    kind = models.find(model)
    of_network, of_train = PRESETS[preset]
    if system in STEPS.get(preset, {}):
        of_train = of_train | {"steps": STEPS[preset][system]}
    return RunSettings(
        data=data,
        model=kind.name,
        preset=preset,
        network=filled(kind.settings, of_network | dict(network or {})),
        train=filled(TrainSettings, of_train | dict(train or {})),
    )


def split_settings(given: Mapping[str, str], model: str = "hgn") -> tuple[dict, dict]:
    """Which of the given settings are the model's, and which the training's.

    Arguments:
        given: Values by name, as on the command line.
        model: One of `models.MODELS`.

    Returns:
        Settings of the model and of the training.

    Raises:
        PhysimError: A name that neither has.
    """
    of_model = [field.name for field in dataclasses.fields(models.find(model).settings)]
    of_train = [field.name for field in dataclasses.fields(TrainSettings)]
    for name in given:
        if name not in of_model + of_train:
            raise PhysimError(unknown("setting", name, of_model + of_train))
    return (
        {name: value for name, value in given.items() if name in of_model},
        {name: value for name, value in given.items() if name in of_train},
    )
