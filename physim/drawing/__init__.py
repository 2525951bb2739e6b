"""Drawing: positions to pixels. A new style is one file and one line here."""

from __future__ import annotations

from physim import plugins
from physim.drawing.crisp_discs import CRISP_DISCS
from physim.drawing.soft_discs import SOFT_DISCS
from physim.drawing.style import Style
from physim.errors import RecipeError, unknown

STYLES: dict[str, Style] = {style.name: style for style in (CRISP_DISCS, SOFT_DISCS)}

__all__ = ["STYLES", "Style", "find"]


def find(name: str) -> Style:
    """The style of that name.

    Arguments:
        name: `hgn` or `dm`.

    Returns:
        The style.

    Raises:
        RecipeError: If there is none of that name.

    Example:
        >>> find("dm").margin
        0.0
    """
    if name not in STYLES:
        plugins.load()
    if name not in STYLES:
        raise RecipeError(unknown("style", name, STYLES))
    return STYLES[name]
