"""The arrays that the recipe of a data set promises, and whether a shard has them.

Compiled functions take the shapes of their arguments on trust, so that no array of a file reaches
them before it was looked at here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from physim.recipe import Recipe
    from physim.shards.index import ShardIndex


def expected(recipe: Recipe) -> dict[str, tuple[int, ...]]:
    """What one trajectory of each array has, by name.

    Arguments:
        recipe: Of the data set.
    """
    system = recipe.find_system()
    side, states = recipe.resolution, (recipe.frames, system.dimension)
    rows: dict[str, tuple[int, ...]] = {
        "image": (recipe.frames, side, side, 3),
        "q": states,
        "p": states,
        "energy": (recipe.frames,),
        **dict.fromkeys(("index", "seed", "attempt"), ()),
    }
    for parameter in system.parameters:
        rows[parameter.symbol] = (parameter.components,) if parameter.components > 1 else ()
    if recipe.noise:
        rows |= {"q_drawn": states, "p_drawn": states}
    if "derivatives" in recipe.store:
        rows |= {"dq_dt": states, "dp_dt": states}
    if recipe.colors:
        rows["color"] = (system.bodies,)
    if recipe.canvas_offset:
        rows["offset"] = (2,)
    return rows


def findings(recipe: Recipe, index: ShardIndex) -> Iterator[str]:
    """Which arrays are missing, too many, or of another shape.

    Arguments:
        recipe: Of the data set.
        index: Of a shard.

    Yields:
        What is wrong.
    """
    rows = expected(recipe)
    for name in sorted(rows.keys() | index.arrays.keys()):
        found = index.arrays.get(name)
        if found is None or found.row != rows.get(name):
            shape = "no array" if found is None else f"a shape (n, *{found.row})"
            yield f"array {name}: got {shape}, expected {rows.get(name, 'none')} per trajectory"
