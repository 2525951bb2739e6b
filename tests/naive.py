"""Every drawing kernel once more in plain NumPy: slow, obvious, float64."""

from __future__ import annotations

import numpy as np


def _levels(xy, radii, colours, offset, background, coverage, pixel_x, pixel_y):
    """Bodies over the background, front to back, as levels 0…255, not yet whole numbers."""
    n, frames, _ = xy.shape
    out = np.empty((n, frames, len(pixel_y), len(pixel_x), 3))
    for i in range(n):
        for t in range(frames):
            light = np.ones((len(pixel_y), len(pixel_x)))
            image = np.zeros((len(pixel_y), len(pixel_x), 3))
            for b in range(radii.shape[1]):
                x, y = xy[i, t, 2 * b : 2 * b + 2] - offset[i]
                distance = np.sqrt((pixel_x[None, :] - x) ** 2 + (pixel_y[:, None] - y) ** 2)
                cover = coverage(distance, radii[i, b])
                image += (light * cover)[..., None] * colours[i, b]
                light = light * (1 - cover)
            out[i, t] = 255 * (image + light[..., None] * np.array(background))
    return out


def crisp_discs(xy, radii, colours, half_width, offset, resolution, background=None):
    """Style `hgn`: levels to be rounded, (n, frames, resolution, resolution, 3)."""
    pixel = 2 * half_width / resolution

    def coverage(distance, radius):
        r, d = radius / pixel, distance / pixel
        if r**2 < 1 / 3:
            return 3 * r**2 * np.clip(1 - d, 0, 1)
        return np.clip(np.sqrt(r**2 - 1 / 12) + 0.5 - d, 0, 1)

    centres = (np.arange(resolution) + 0.5) * pixel - half_width
    background = np.array([81, 88, 93]) / 255 if background is None else background
    return _levels(xy, radii, colours, offset, background, coverage, centres, centres[::-1])


def soft_discs(xy, radii, colours, half_width, offset, resolution, background=None):
    """Style `dm`: levels to be truncated, (n, frames, resolution, resolution, 3)."""

    def coverage(distance, radius):
        return 1 / (1 + np.exp(80 * (distance - radius) / (2 * half_width)))

    grid = (2 * np.linspace(0, 1, resolution) - 1) * half_width
    background = (0.321, 0.349, 0.368) if background is None else background
    return _levels(xy, radii, colours, offset, background, coverage, grid, grid[::-1])
