"""The card of a family: a folder with one data set per recipe, such as `hgn`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from physim.card.words import front_matter, law
from physim.markdown import table
from physim.recipe import Recipe, load


def family_front_matter(family: str, names: Iterable[str]) -> str:
    """What the Hugging Face Hub reads at the top of the card of a family.

    Arguments:
        family: Name of the folder, `hgn`.
        names: Its recipes, `hgn/two_body` and the like.

    Returns:
        YAML between lines of dashes.
    """
    recipes = [Recipe.of(load(name)) for name in names]
    configs = {
        Path(recipe.name).name: {
            split: f"{Path(recipe.name).name}/{split}/*.h5" for split in ("train", "test")
        }
        for recipe in recipes
    }
    total = sum(recipe.n + (recipe.n_test or 0) for recipe in recipes)
    return front_matter(family, dict.fromkeys(r.system for r in recipes), total, configs)


def equations(names: Iterable[str]) -> str:
    """The Hamiltonians behind some recipes, each once for every number of bodies.

    Arguments:
        names: Recipes, such as `hgn/two_body`.

    Returns:
        A list in Markdown.

    Example:
        >>> print(equations(["hgn/mass_spring"]), end="")
        - `mass_spring`, a mass on a spring: H = p²/(2m) + k q²/2
    """
    recipes = [Recipe.of(load(name)) for name in names]
    systems = {(recipe.system, recipe.bodies): recipe.find_system() for recipe in recipes}
    return "".join(
        f"- `{system.name}`, {system.summary}: H = {system.formula}\n"
        for system in systems.values()
    )


def recipes_table(names: Iterable[str]) -> str:
    """The recipes of a family side by side, for its card.

    Arguments:
        names: Recipes, such as `hgn/two_body`.

    Returns:
        A table in Markdown.

    Example:
        >>> print(recipes_table(["hgn/mass_spring"]).splitlines()[0])
        | recipe | parameters | initial state | frames | train + test | raw pixels | canvas |
    """
    rows = []
    for name in names:
        recipe = Recipe.of(load(name))
        constants = [f"{symbol} {law(value)}" for symbol, value in recipe.parameters.items()]
        if recipe.friction:
            constants.append(f"c {recipe.friction:g}")
        start = dict(recipe.initial)
        words = [
            str(start.pop("sampler")),
            *(f"{key} {law(value)}" for key, value in start.items()),
        ]
        look = [f"{recipe.style}, {recipe.resolution} px, ±{recipe.half_width:.3g}"]
        if recipe.colors > 1:
            look.append(f"{recipe.colors} colours")
        if recipe.canvas_offset:
            look.append("moved at random")
        if recipe.noise:
            look.append(f"noise σ {recipe.noise:g}")
        rows.append(
            (
                f"`{name}`",
                "; ".join(constants),
                "; ".join(words),
                f"{recipe.frames} at Δt {recipe.dt:g}",
                f"{recipe.n:,} + {recipe.n_test:,}",
                f"{(recipe.n + (recipe.n_test or 0)) * recipe.trajectory_bytes / 1e9:.3g} GB",
                ", ".join(look),
            )
        )
    first = ("recipe", "parameters", "initial state", "frames")
    return table((*first, "train + test", "raw pixels", "canvas"), rows)
