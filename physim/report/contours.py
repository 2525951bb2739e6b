"""Level sets of a function on a grid, by marching squares.

A cell of the grid is crossed where the function passes the level between two of its corners; the
crossing point is found by linear interpolation along the side. Neighbouring cells share their
sides, so the pieces join to lines. Where all four sides are crossed (a saddle), the mean of the
corners decides which corners belong together.
"""

from __future__ import annotations

import numpy as np

Side = tuple[int, int, int]


def level_set(x: np.ndarray, y: np.ndarray, values: np.ndarray, level: float) -> list[np.ndarray]:
    """Lines on which a function takes a value.

    Arguments:
        x: Ascending, (nx,).
        y: Ascending, (ny,).
        values: The function at the grid points, (ny, nx).
        level: The value.

    Returns:
        Lines, (k, 2) points each; a closed one ends where it begins.

    Example:
        A circle of radius 1:

        >>> axis = np.linspace(-2, 2, 41)
        >>> (line,) = level_set(axis, axis, axis**2 + axis[:, None] ** 2, 1.0)
        >>> bool(np.abs(np.hypot(*line.T) - 1).max() < 0.01), bool((line[0] == line[-1]).all())
        (True, True)
    """
    above = values > level
    cells = above[:-1, :-1] + 0 + above[:-1, 1:] + above[1:, 1:] + above[1:, :-1]
    pieces = [
        piece
        for row, column in zip(*np.nonzero((cells > 0) & (cells < 4)), strict=True)
        for piece in _crossings(values, level, int(row), int(column))
    ]
    return [
        np.array([_point(x, y, values, level, side) for side in line]) for line in _joined(pieces)
    ]


def _crossings(values: np.ndarray, level: float, row: int, column: int) -> list[tuple[Side, Side]]:
    """Pairs of sides of a cell that a line joins.

    A side is (0, row, column) where it leads to the right and (1, row, column) where it leads up
    from the grid point in that row and column.
    """
    corners = (
        values[[row, row, row + 1, row + 1], [column, column + 1, column + 1, column]] > level
    )
    around = [(0, row, column), (1, row, column + 1), (0, row + 1, column), (1, row, column)]
    crossed = [side for k, side in enumerate(around) if corners[k] != corners[(k + 1) % 4]]
    if len(crossed) == 2:
        return [(crossed[0], crossed[1])]
    middle = values[row : row + 2, column : column + 2].mean() > level
    if middle == corners[0]:  # the first corner is joined to the opposite one: cut off the others
        return [(around[0], around[1]), (around[2], around[3])]
    return [(around[3], around[0]), (around[1], around[2])]


def _joined(pieces: list[tuple[Side, Side]]) -> list[list[Side]]:
    """Pieces that share a side, as lines."""
    neighbours: dict[Side, list[Side]] = {}
    for first, second in pieces:
        neighbours.setdefault(first, []).append(second)
        neighbours.setdefault(second, []).append(first)
    lines = []
    ends = [side for side, others in neighbours.items() if len(others) == 1]
    for start in [*ends, *list(neighbours)]:
        if not neighbours[start]:
            continue
        line = [start]
        while neighbours[line[-1]]:
            following = neighbours[line[-1]].pop()
            neighbours[following].remove(line[-1])
            line.append(following)
        lines.append(line)
    return lines


def _point(
    x: np.ndarray, y: np.ndarray, values: np.ndarray, level: float, side: Side
) -> tuple[float, float]:
    """Where the level is crossed on a side."""
    up, row, column = side
    here, there = values[row, column], values[row + up, column + 1 - up]
    share = (level - here) / (there - here)
    if up:
        return float(x[column]), float(y[row] + share * (y[row + 1] - y[row]))
    return float(x[column] + share * (x[column + 1] - x[column])), float(y[row])
