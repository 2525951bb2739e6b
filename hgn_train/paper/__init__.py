"""The figures of the paper, one file each. A new one is one file and one line here."""

from __future__ import annotations

from hgn_train.paper import areas, errors, flows, rollouts, samples, systems
from hgn_train.paper.figure import Figure, Material
from physim.errors import PhysimError

FIGURES: dict[int, Figure] = {
    figure.number: figure
    for figure in (
        systems.FIGURE,
        errors.FIGURE,
        rollouts.FIGURE,
        samples.FIGURE,
        flows.FIGURE,
        areas.FIGURE,
    )
}


def chosen(only: str) -> list[Figure]:
    """Figures by number.

    Arguments:
        only: Numbers with commas between them; all where empty.

    Returns:
        The figures, in the order of the paper.

    Raises:
        PhysimError: A word that is no number of a figure.

    Example:
        >>> [figure.name for figure in chosen("9, 4")]
        ['systems', 'areas']
    """
    words = [word.strip() for word in only.split(",")] if only else [str(n) for n in FIGURES]
    for word in words:
        if word not in map(str, FIGURES):
            known = ", ".join(map(str, FIGURES))
            raise PhysimError(f"--only: got '{word}', expected numbers out of {known}")
    return [figure for number, figure in FIGURES.items() if str(number) in words]


def lacks(figure: Figure, material: Material) -> str:
    """What a figure cannot be drawn without and the material does not hold, in words."""
    missing = [model for model in figure.essential if not material.of(model)]
    return " and ".join(f"an evaluated run of {model}" for model in missing)


__all__ = ["FIGURES", "Figure", "chosen", "lacks"]
