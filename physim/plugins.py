"""Systems, integrators and styles from elsewhere: modules that add lines to the lists.

They are imported when a name is not in a list, and before a list is shown: those that installed
packages name as entry points of the group `physim`, then those in the environment variable
`PHYSIM_PLUGINS`, names of modules or paths of Python files with commas between them.
"""

from __future__ import annotations

import importlib
import os
import sys
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

from physim.errors import PhysimError

GROUP = "physim"
VARIABLE = "PHYSIM_PLUGINS"


@cache
def load() -> None:
    """Import all of them, once per process.

    Raises:
        PhysimError: One that `PHYSIM_PLUGINS` names is not there.
    """
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP):
        entry.load()
    for name in filter(None, map(str.strip, os.environ.get(VARIABLE, "").split(","))):
        if name.endswith(".py"):
            _load_file(Path(name))
        else:
            _load_module(name)


def _load_file(path: Path) -> None:
    if not path.is_file():
        raise PhysimError(f"{VARIABLE}: got '{path}', but there is no such file")
    if path.stem in sys.modules:
        raise PhysimError(
            f"{VARIABLE}: got '{path}', but there is a module '{path.stem}'; expected another name"
        )
    loader = SourceFileLoader(path.stem, str(path.absolute()))
    module = module_from_spec(spec_from_loader(path.stem, loader))  # type: ignore[arg-type]
    sys.modules[path.stem] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise


def _load_module(name: str) -> None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise
        raise PhysimError(
            f"{VARIABLE}: got '{name}', but there is no such module; expected one on PYTHONPATH, "
            "or the path of a .py file"
        ) from None
