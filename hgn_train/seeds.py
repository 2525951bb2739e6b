"""Seeds of random numbers: what is drawn for one purpose shares nothing with another."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What random numbers are drawn for."""

    WEIGHTS = 1
    """First weights, by the seed of a run."""

    ORDER = 2
    """Order of an epoch, by seed and epoch."""

    NOISE = 3
    """What a model draws in an update, by seed and update."""

    TARGET = 4
    """Points of a known density, by its name and their part."""


def seed_of(purpose: Purpose, *numbers: int) -> int:
    """The seed for one purpose.

    Arguments:
        purpose: What is drawn.
        numbers: What it follows from, from 0; of one purpose always as many.

    Returns:
        From 0 up to 2⁶³, without patterns between those of near numbers.

    Example:
        >>> seed_of(Purpose.ORDER, 7, 0) == seed_of(Purpose.NOISE, 7, 0)
        False
    """
    # NumPy splits numbers into words of 32 bits and joins them: 2³² + 1, 0 would be 1, 1
    low = tuple(number & 0xFFFFFFFF for number in numbers)
    high = tuple(number >> 32 for number in numbers)
    sequence = np.random.SeedSequence(low, spawn_key=(purpose, *(high if any(high) else ())))
    return int(sequence.generate_state(1, np.uint64)[0]) >> 1
