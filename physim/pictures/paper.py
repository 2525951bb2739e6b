"""What all pictures share: the paper they are on, and frames made larger."""

from __future__ import annotations

import numpy as np

from physim.errors import RecipeError

PAPER = (252, 252, 251)
"""Colour of the paper; nearly white, so that frames stand out."""

LARGEST_SIDE = 16_000


def enlarged(frames: np.ndarray, scale: int) -> np.ndarray:
    """Each pixel of (..., height, width, channel) becomes a square."""
    return np.ascontiguousarray(frames.repeat(scale, axis=-3).repeat(scale, axis=-2))


def check_size(*sides: int) -> None:
    """Refuse what no program would open.

    Arguments:
        sides: Pixels of each side.

    Raises:
        RecipeError: One is larger than 16,000.
    """
    if max(sides) > LARGEST_SIDE:
        raise RecipeError(
            f"output: would be {max(sides):,} pixels large, at most {LARGEST_SIDE:,}; choose a "
            "smaller --scale, fewer --columns or fewer trajectories"
        )
