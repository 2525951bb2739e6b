"""What users give as numbers and as parameters, checked: plain arrays, or one sentence."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from physim.errors import RecipeError, unknown
from physim.systems.system import System


def numbers(name: str, value: ArrayLike) -> np.ndarray:
    """An array of finite numbers.

    Arguments:
        name: Of the setting.
        value: What was given for it.

    Returns:
        A new float64 array, C-contiguous.

    Raises:
        RecipeError: It is no such thing.
    """
    try:
        if np.iscomplexobj(value):
            raise TypeError
        array = np.array(value, dtype=np.float64, order="C")
    except (TypeError, ValueError, OverflowError):
        raise RecipeError(f"{name}: got {value!r}, expected numbers") from None
    if not np.isfinite(array).all():
        raise RecipeError(f"{name}: got a value that is not finite, expected finite numbers")
    return array


def number(name: str, value: object, low: float, high: float, expected: str) -> float:
    """One number in a range.

    Arguments:
        name: Of the setting.
        value: What was given for it.
        low: The smallest that is allowed.
        high: The largest.
        expected: The range in words.

    Returns:
        The number.

    Raises:
        RecipeError: It is no number, or outside the range.

    Example:
        >>> number("friction", "a", 0, 1, "a number from 0 to 1")
        Traceback (most recent call last):
        physim.errors.RecipeError: friction: got 'a', expected a number from 0 to 1
    """
    given = value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value
    if not isinstance(given, int | float | np.number) or isinstance(
        given, bool | np.complexfloating
    ):
        raise RecipeError(f"{name}: got {value!r}, expected {expected}")
    if not low <= given <= high:
        raise RecipeError(f"{name}: got {given}, expected {expected}")
    return float(given)


def whole(name: str, value: object, low: int, high: int, expected: str) -> int:
    """One whole number in a range; as `number`."""
    found = number(name, value, low, high, expected)
    if found != int(found):
        raise RecipeError(f"{name}: got {value}, expected {expected}")
    return int(found)


def rows(system: System, params: Mapping[str, ArrayLike] | ArrayLike | None) -> np.ndarray:
    """Parameters in the system's order.

    Arguments:
        system: Whose.
        params: By symbol, each a number, one value a component, or such for each of n
            trajectories; or rows. What is left out has its value in the HGN paper.

    Returns:
        (1 or n, n_params), C-contiguous.

    Raises:
        RecipeError: A name, shape or value that does not fit the system.
    """
    if params is None or isinstance(params, Mapping):
        found = _by_symbol(system, params or {})
    else:
        found = np.atleast_2d(numbers("params", params))
        if found.ndim != 2 or found.shape[1] != system.n_params or found.size == 0:
            raise RecipeError(
                f"params: got shape {np.shape(params)}, expected ({system.n_params},) or "
                f"(n, {system.n_params}) in the order {', '.join(system.columns)}"
            )
    for parameter in system.parameters:
        values = found[:, system.columns[parameter.symbol]]
        lowest = float(values.min())
        if parameter.signed:
            continue
        if lowest < 0 or (parameter.positive and lowest == 0):
            allowed = "above 0" if parameter.positive else "from 0"
            raise RecipeError(
                f"params.{parameter.symbol}: got {lowest:g}, expected a number {allowed} "
                f"({parameter.meaning})"
            )
    return np.ascontiguousarray(found)


def groups(system: System, name: str, states: np.ndarray, n: int) -> np.ndarray:
    """States in groups that have the same parameters.

    Arguments:
        system: Whose.
        name: What the states are called, for errors.
        states: (..., d).
        n: Rows of parameters: one for all states, or one for each of the first axis.

    Returns:
        (n, T, d).

    Raises:
        RecipeError: Another number of coordinates, or another first axis.
    """
    d = system.dimension
    if states.ndim == 0 or states.shape[-1] != d:
        raise RecipeError(
            f"{name}: got shape {states.shape}, expected (..., {d}) for {system.name}"
        )
    if n > 1 and (states.ndim < 2 or len(states) != n):
        raise RecipeError(
            f"params: got {n} rows for {name} of shape {states.shape}, expected one row, or one "
            "for each of the first axis"
        )
    return np.ascontiguousarray(states.reshape(n, -1, d))


def _by_symbol(system: System, params: Mapping[str, ArrayLike]) -> np.ndarray:
    for symbol in params:
        if symbol not in system.columns:
            raise RecipeError(unknown("params", str(symbol), system.columns))
    columns: list[np.ndarray] = []
    for parameter in system.parameters:
        given: ArrayLike = params.get(parameter.symbol, parameter.paper.low)
        array = numbers(f"params.{parameter.symbol}", given)
        if parameter.components > 1:
            if array.ndim == 0:
                array = np.full((1, parameter.components), array)
            elif array.ndim == 1:
                array = array[None]
        elif array.ndim < 2:
            array = array.reshape(-1, 1)
        if array.ndim != 2 or array.shape[1] != parameter.components or array.size == 0:
            raise RecipeError(
                f"params.{parameter.symbol}: got shape {np.shape(given)}, expected a number"
                + (f" or {parameter.components} values" * (parameter.components > 1))
                + ", or such for each of n trajectories"
            )
        columns.append(array)
    lengths = {len(column) for column in columns} - {1}
    if len(lengths) > 1:
        raise RecipeError(f"params: got columns of lengths {sorted(lengths)}, expected one length")
    n = max((len(column) for column in columns), default=1)
    return np.hstack([np.broadcast_to(column, (n, column.shape[1])) for column in columns])
