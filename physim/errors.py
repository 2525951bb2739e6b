"""Errors that the user can fix.

Every message names the setting, the value and what would have worked. The command line prints it
as one line and exits with status 2; a traceback is always a bug of ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping


class PhysimError(Exception):
    """Base of everything that this package raises deliberately."""


class RecipeError(PhysimError, ValueError):
    """A setting has a value from which no data set can be made."""


class ShardError(PhysimError, OSError):
    """A file is missing, damaged, not ours, or cannot be written."""

    def __str__(self) -> str:
        """The sentence alone, without the errno decoration of OSError."""
        return str(self.args[0]) if self.args else ""


class SimulationError(PhysimError, ArithmeticError):
    """A trajectory cannot be computed: a collision, or a state that is not finite."""


def unknown(
    setting: str, value: str, known: Iterable[str], synonyms: Mapping[str, str] | None = None
) -> str:
    """The sentence for a name that is not in a list, with the nearest one first.

    Arguments:
        setting: The setting that was given the name, such as `system`.
        value: The name as given.
        known: The names that exist.
        synonyms: Names of the same things elsewhere, and what they are called here.

    Returns:
        One sentence.

    Example:
        >>> unknown("system", "pendulun", ["mass_spring", "pendulum"])
        "system: got 'pendulun' (did you mean 'pendulum'?); known: mass_spring, pendulum"
    """
    names = list(known)
    word, elsewhere = value.lower(), synonyms or {}
    here = {name.lower(): name for name in names}
    near = [elsewhere[word]] if word in elsewhere else []
    near += [here[name] for name in difflib.get_close_matches(word, here, n=1)]
    near += [elsewhere[name] for name in difflib.get_close_matches(word, elsewhere, n=1)]
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    return f"{setting}: got '{value}'{hint}; known: {', '.join(names)}"
