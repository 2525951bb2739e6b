"""The two tables of a recipe: what each constant, and each setting of a sampler, is drawn from.

A value is a number, a range with a law, or a list of these, one per component.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from physim.errors import RecipeError, unknown
from physim.systems.parameters import Distribution, Parameter, fixed


def plain(value: Any) -> Any:
    """Settings as JSON would have them: NumPy's numbers and arrays, and tuples, as Python's own.

    Arguments:
        value: A setting, or a table of them.
    """
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def filled(
    given: Mapping[str, Any], declared: tuple[Parameter, ...], table: str
) -> dict[str, Any]:
    """A table with every declared key, and each value as it is stored.

    Arguments:
        given: Entries of the recipe.
        declared: The possible entries.
        table: Its name, for errors.

    Raises:
        RecipeError: A key that is not declared, or a value that is no distribution.
    """
    symbols = [parameter.symbol for parameter in declared]
    for key in given:
        if key not in symbols:
            raise RecipeError(unknown(table, key, symbols))
    filled = {}
    for parameter in declared:
        value = given.get(parameter.symbol)
        rows = (
            [parameter.default] * parameter.components
            if value is None
            else components(parameter, value, table)
        )
        plain = [_plain(row) for row in rows]
        filled[parameter.symbol] = plain[0] if all(row == plain[0] for row in plain) else plain
    return filled


def components(parameter: Parameter, value: Any, table: str) -> list[Distribution]:
    """One distribution a component, from a value that is given once or once a component.

    Arguments:
        parameter: What it is the value of.
        value: As in a recipe.
        table: Where it stands, for errors.

    Raises:
        RecipeError: It is no distribution, or not one that the parameter can have.
    """
    path = f"{table}.{parameter.symbol}"
    if not isinstance(value, list):
        return [_distribution(parameter, value, path)] * parameter.components
    if len(value) != parameter.components:
        raise RecipeError(f"{path}: got {len(value)} values, expected {parameter.components}")
    return [_distribution(parameter, row, f"{path}[{i}]") for i, row in enumerate(value)]


def _distribution(parameter: Parameter, value: Any, path: str) -> Distribution:
    if isinstance(value, Mapping):
        if len(value) != 1 or next(iter(value)) not in ("uniform", "log_uniform", "area"):
            raise RecipeError(
                f"{path}: got {dict(value)}, expected a number or one of "
                "{ uniform = [low, high] }, { log_uniform = [low, high] }, { area = [low, high] }"
            )
        law, bounds = next(iter(value.items()))
        if not isinstance(bounds, list) or len(bounds) != 2:
            raise RecipeError(f"{path}.{law}: got {bounds!r}, expected [low, high]")
        low, high = (_number(bound, f"{path}.{law}") for bound in bounds)
        found = Distribution(law, low, high)
    else:
        found = fixed(_number(value, path))
    if found.low > found.high:
        raise RecipeError(
            f"{path}: got low {found.low:g} above high {found.high:g}, expected low ≤ high"
        )
    if expected := parameter.refused(found.low):
        raise RecipeError(f"{path}: got {found.low:g}, expected {expected} ({parameter.meaning})")
    if expected := found.refused():
        raise RecipeError(f"{path}.{found.law}: got {found.low:g}, expected {expected}")
    return found


def highest(value: Any) -> float:
    """The largest number that a stored value can give."""
    if isinstance(value, list):
        return max(highest(row) for row in value)
    return float(next(iter(value.values()))[1]) if isinstance(value, Mapping) else float(value)


def _number(value: Any, path: str) -> float:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except OverflowError:
        value = "a whole number of more than 308 digits"
        raise RecipeError(f"{path}: got {value}, expected a finite number") from None
    raise RecipeError(f"{path}: got {value!r}, expected a finite number")


def _plain(row: Distribution) -> Any:
    return row.low if row.law == "fixed" else {row.law: [row.low, row.high]}
