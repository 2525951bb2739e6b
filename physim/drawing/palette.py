"""Colours of bodies, red, green and blue in 0…1."""

from __future__ import annotations

import colorsys

import numpy as np

BODIES = (
    np.array(
        [
            (255, 226, 64),  # yellow
            (255, 84, 76),  # red
            (70, 222, 112),  # green
            (92, 172, 255),  # blue
            (255, 150, 214),  # pink
            (255, 152, 56),  # orange
            (88, 230, 226),  # turquoise
            (188, 146, 255),  # lilac
        ]
    )
    / 255
)
"""The first three follow the reproduction's (173, 146, 0), (173, 0, 0) and (0, 146, 0), which are
added to the background, but leave no channel as the background has it; the others keep their
lightness and stay away from them."""


def hue_wheel(k: int) -> np.ndarray:
    """`k` hues in equal steps from red, with full saturation and value.

    Arguments:
        k: How many, from 1.

    Returns:
        (k, 3) in 0…1.

    Example:
        >>> hue_wheel(3)
        array([[1., 0., 0.],
               [0., 1., 0.],
               [0., 0., 1.]])
    """
    return np.array([colorsys.hsv_to_rgb(step / k, 1.0, 1.0) for step in range(k)])


def light(k: int) -> np.ndarray:
    """`k` light colours: the fixed ones as far as they go, beyond that the hue wheel, softened.

    Arguments:
        k: How many, from 1.

    Returns:
        (k, 3) in 0…1.

    Example:
        >>> (light(2) * 255).round()
        array([[255., 226.,  64.],
               [255.,  84.,  76.]])
    """
    if k <= len(BODIES):
        return BODIES[:k].copy()
    return np.array([colorsys.hsv_to_rgb(step / k, 0.65, 1.0) for step in range(k)])
