"""A new run from the weights of another: its settings, and the weights.

What is not said of the new run is as in the other: model, network, training, seed and data. Its
optimiser, schedule and order of data begin anew; buffers of the model, such as the mean colour of
the data or the updates that a delay counts, come with the weights.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from hgn_train import checkpoint, models, settings
from hgn_train.data import training_rows
from hgn_train.presets import settings_of, split_settings
from hgn_train.settings import RunSettings, Start, TrainSettings, filled
from physim.errors import PhysimError


def settings_from(
    run: Path,
    data: str | None = None,
    preset: str | None = None,
    asked: Mapping[str, Any] | None = None,
) -> RunSettings:
    """The settings of a new run that starts from the weights of another.

    Arguments:
        run: Folder of the other run.
        data: Another data set than that of the other run.
        preset: A preset to take the settings from, instead of the other run.
        asked: Changed settings of model and training.

    Returns:
        The whole settings.

    Raises:
        PhysimError: There is no such run, or the data or a setting do not fit it.
    """
    own = settings.load(run)
    _, saved, _ = checkpoint.kept(run)
    start = Start(str(run), saved.step, checkpoint.checksum(saved.tensors))
    data, kind = data or own.data, models.find(own.model)
    network, train = split_settings(asked or {}, own.model)
    of_data = dict(network)
    system = kind.adapt(of_data, data)
    for name in of_data.keys() - network.keys():
        has, made_for = of_data[name], getattr(own.network, name)
        if has != made_for:
            also = f", or --set dt={has} to follow the learned H in steps of the data"
            raise PhysimError(
                f"{name}: {data} has {has}, but {run} was trained on {made_for}; expected data "
                f"with the same {name}" + (also if name == "dt" else "")
            )
    rows = training_rows(data)
    if preset is not None:
        chosen = settings_of(preset, data, own.model, network, train, system, rows)
        return dataclasses.replace(chosen, start=start)
    of_train = dataclasses.asdict(own.train)
    if rows and own.train.trajectories > rows:
        of_train["trajectories"] = 0
    return RunSettings(
        data=data,
        model=own.model,
        preset=own.preset,
        network=filled(kind.settings, dataclasses.asdict(own.network) | network),
        train=filled(TrainSettings, of_train | train),
        start=start,
    )


def load(model: nn.Module, start: Start) -> None:
    """Put the weights that a run starts from into its model.

    Arguments:
        model: Where to.
        start: Which weights.

    Raises:
        PhysimError: They are not there, are others by now, or are those of another model.
    """
    path, saved, weights = checkpoint.kept(Path(start.run))
    if checkpoint.checksum(saved.tensors) != start.weights:
        raise PhysimError(
            f"{path}: holds other weights than those this run is to start from, expected those "
            f"after {start.step} steps with checksum {start.weights}"
        )
    try:
        checkpoint.load_weights(model, weights, path)
    except PhysimError as error:
        raise PhysimError(f"{error}; --from needs a run of the same model and sizes") from None
