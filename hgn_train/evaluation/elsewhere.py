"""Where the data of a run are, and where its results go: below its folder if on other data.

A run that is evaluated on other data keeps what was measured on its own. Results on other data are
in `RUN/on-NAME`, NAME being that of the data, and no table or figure takes them for the run's own.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from hgn_train import checkpoint, models
from hgn_train.data import is_there
from hgn_train.densities import DENSITIES
from hgn_train.settings import RunSettings
from physim.errors import PhysimError

START = "on-"


def folder_of(run: Path, trained: RunSettings, given: str) -> Path:
    """The folder of results.

    Arguments:
        run: Folder of the run.
        trained: Its settings.
        given: The data set, file or density that it is evaluated on.

    Returns:
        The run's own folder, or one below it, which may not be there yet.

    Raises:
        PhysimError: The data are not there, or do not fit the model; or the folders that it might
            be hold results on other data.
    """
    if is_same(trained.data, given) or have_moved(run, trained, given):
        return run
    path = Path(os.path.abspath(given))  # a link keeps its name
    name = path.stem if path.is_file() else path.name
    place = run / f"{START}{name}"
    if _is_of(place, given):
        return place
    longer = run / f"{START}{path.parent.name}-{name}"  # as of `hgn-noisy/pendulum`
    if _is_of(longer, given):
        return longer
    raise PhysimError(
        f"--data: got '{given}', but {place} and {longer} hold results on other data; expected "
        "them renamed or removed"
    )


def _is_of(place: Path, given: str) -> bool:
    """Whether a folder is free for results on some data, or holds those."""
    try:
        there = json.loads((place / "evaluation.json").read_text())["data"]
    except (OSError, ValueError, KeyError, TypeError):  # none, or none that say on what
        return True
    return is_same(there, given)


def is_same(own: str, given: str) -> bool:
    """Whether two names are of the same data set, file or density."""
    if own == given or {own, given} & DENSITIES.keys():
        return own == given
    return Path(own).resolve() == Path(given).resolve()


def have_moved(run: Path, trained: RunSettings, given: str) -> bool:
    """Whether these data, elsewhere, are those that a run was trained on."""
    own = checkpoint.kept(run)[1].facts.get("data")
    return bool(own == models.find(trained.model).open(given, trained.network).fingerprint)


def check_there(run: Path, trained: RunSettings) -> None:
    """Refuse a run whose data are no longer where they were.

    Arguments:
        run: Folder of the run.
        trained: Its settings.

    Raises:
        PhysimError: Says where the run looks for them.
    """
    own = trained.data
    if not (own in DENSITIES or Path(own).is_file() or is_there(own)):
        raise PhysimError(
            f"{own}: not there, though {run} was trained on it; if it has moved, say where it is "
            "with --data"
        )


def is_of_other_data(folder: Path) -> bool:
    """Whether a folder holds results of the run above it on data that are not its own."""
    folder = folder.absolute()
    return folder.name.startswith(START) and (folder.parent / "config.json").is_file()
