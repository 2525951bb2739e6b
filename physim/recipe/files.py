"""Where recipes come from: TOML files, those that ship, and data sets."""

from __future__ import annotations

import os
import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from physim.errors import RecipeError, unknown
from physim.shards import manifest
from physim.shards.journal import JOURNAL, Journal


def load(name: str | os.PathLike[str]) -> dict[str, Any]:
    """The settings of a recipe file, of a recipe that ships, or of a data set.

    Arguments:
        name: Path of a TOML file; `hgn/two_body` and the like; or a folder with a data set in it,
            finished or not, or the manifest there.

    Returns:
        Settings for `Recipe.of`.

    Raises:
        RecipeError: There is no such recipe, or the file is not TOML or cannot be read.
    """
    name = os.fspath(name)
    path = Path(name)
    if path.name == manifest.MANIFEST:
        path = path.parent
    if os.path.isfile(path / manifest.MANIFEST):  # False for what cannot be a path, too
        return dict(manifest.read(path).recipe)
    if os.path.isfile(path / JOURNAL):
        return Journal(path).recipe() or {}
    shipped = recipes()
    if name in shipped:
        settings = {"name": name} | _parsed(shipped[name].read_bytes(), name)
    elif path.suffix == ".toml" and os.path.isfile(path):
        fitting = re.sub(r"[^\w.+ -]", "_", path.stem).lstrip(".+ -")[:200]
        try:
            text = path.read_bytes()
        except OSError as error:
            raise RecipeError(f"recipe: {path} cannot be read ({error.strerror})") from error
        settings = {"name": fitting} | _parsed(text, str(path))
    elif path.suffix == ".toml":
        raise RecipeError(f"recipe: got '{name}', but there is no such file")
    else:
        raise RecipeError(unknown("recipe", name, shipped))
    return settings


def recipes() -> dict[str, Any]:
    """The recipes that ship, by name: in the installed package, or a checkout's `datasets/`."""
    root = resources.files("physim") / "recipes"
    if not root.is_dir():
        root = Path(__file__).parents[2] / "datasets"
    found = {}
    for family in sorted(entry.name for entry in root.iterdir() if entry.is_dir()):
        for entry in sorted((root / family).iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith(".toml"):
                found[f"{family}/{entry.name.removesuffix('.toml')}"] = entry
    return found


def _parsed(text: bytes, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text.decode())
    except ValueError as error:  # its own, of a character, or of a number with too many digits
        raise RecipeError(f"{source}: not TOML ({error})") from None
