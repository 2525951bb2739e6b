"""Where the results of a run go: into its folder, or below it where the data are not its own.

A run that is evaluated on other data keeps what was measured on its own. Results on other data are
in `RUN/on-NAME`, NAME being that of the data, and no table or figure takes them for the run's own.
"""

from __future__ import annotations

import os
from pathlib import Path

from hgn_train.densities import DENSITIES
from physim.errors import PhysimError

START = "on-"


def folder_of(run: Path, own: str, given: str) -> Path:
    """The folder of results.

    Arguments:
        run: Folder of the run.
        own: The data set, file or density that it was trained on.
        given: The data it is evaluated on.

    Returns:
        The run's own folder, or one below it, which may not be there yet.

    Example:
        >>> folder_of(Path("runs/a"), "sets/pendulum", "sets/pendulum/").as_posix()
        'runs/a'
        >>> folder_of(Path("runs/a"), "sets/pendulum", "sets/stiff").as_posix()
        'runs/a/on-stiff'
    """
    if is_same(own, given):
        return run
    path = Path(os.path.abspath(given))  # a link keeps its name
    return run / f"{START}{path.stem if path.is_file() else path.name}"


def is_same(own: str, given: str) -> bool:
    """Whether two names are of the same data set, file or density."""
    if own == given or {own, given} & DENSITIES.keys():
        return own == given
    return Path(own).resolve() == Path(given).resolve()


def check_there(run: Path, own: str) -> None:
    """Refuse a run whose own data set is no longer where it was.

    Arguments:
        run: Folder of the run.
        own: The data set that it was trained on.

    Raises:
        PhysimError: Says where the run looks for it.
    """
    if not (Path(own) / "manifest.json").is_file():
        raise PhysimError(
            f"{own}: holds no data set, but {run} was trained on one there; if it has moved, "
            f"change `data` in {run / 'config.json'}"
        )


def is_of_other_data(folder: Path) -> bool:
    """Whether a folder holds results of the run above it on data that are not its own."""
    folder = folder.absolute()
    return folder.name.startswith(START) and (folder.parent / "config.json").is_file()
