"""The pipeline that people write today, plainly: SciPy a trajectory, NumPy drawing, h5py with
gzip.

It is what rendering is compared with, so it does the same job with the usual tools and the usual
care: DOP853 at tolerances that give comparable energies, anti-aliased discs drawn on whole frames,
one h5py data set with the gzip filter.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from scipy.integrate import solve_ivp

COLOURS = np.array([(254, 234, 93), (254, 88, 93)], dtype=float)
BACKGROUND = np.array([81, 88, 93], dtype=float)


def two_body(path: Path, n: int, frames: int = 30, dt: float = 0.125, seed: int = 0) -> None:
    """Write `n` two-body trajectories and their frames to one file.

    Arguments:
        path: The file.
        n: Trajectories.
        frames: Frames of a trajectory.
        dt: Time between frames.
        seed: Of the generator.
    """
    rng = np.random.default_rng(seed)
    times = dt * np.arange(frames)
    with h5py.File(path, "w") as file:
        image = file.create_dataset(
            "image",
            (n, frames, 32, 32, 3),
            "u1",
            chunks=(1, frames, 32, 32, 3),
            compression="gzip",
        )
        state = file.create_dataset("state", (n, frames, 8), "f8", compression="gzip")
        for i in range(n):
            found = solve_ivp(
                _field, (0, times[-1]), _start(rng), "DOP853", times, rtol=1e-11, atol=1e-11
            )
            state[i] = found.y.T
            image[i] = np.stack([_frame(row[:4]) for row in found.y.T])


def _start(rng: np.random.Generator) -> np.ndarray:
    r, angle = rng.uniform(0.5, 1.5), rng.uniform(0, 2 * np.pi)
    q = r * np.array([np.cos(angle), np.sin(angle)])
    p = np.array([-q[1], q[0]]) / r * 0.5 / np.sqrt(r) * (1 + 0.1 * rng.uniform(-1, 1, 2))
    return np.concatenate([q, -q, p, -p])


def _field(t: float, y: np.ndarray) -> np.ndarray:
    difference = y[:2] - y[2:4]
    force = difference / np.sum(difference**2) ** 1.5
    return np.concatenate([y[4:], -force, force])


def _frame(xy: np.ndarray, resolution: int = 32, half_width: float = 3.0) -> np.ndarray:
    grid = ((np.arange(resolution) + 0.5) / resolution * 2 - 1) * half_width
    pixel = 2 * half_width / resolution
    picture = np.broadcast_to(BACKGROUND, (resolution, resolution, 3))
    for centre, colour in zip(xy.reshape(-1, 2), COLOURS, strict=True):
        distance = np.hypot(grid[None, :] - centre[0], grid[::-1, None] - centre[1])
        cover = np.clip((0.55 - distance) / pixel + 0.5, 0, 1)[..., None]
        picture = (1 - cover) * picture + cover * colour
    return picture.round().astype(np.uint8)
