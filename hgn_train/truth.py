"""What the simulator says that a model should have drawn: at other times, and at other speeds."""

from __future__ import annotations

from typing import Any

import numpy as np

import physim
from hgn_train.data import Source
from physim.errors import PhysimError


def can_be_drawn(source: Source) -> bool:
    """Whether new frames of a trajectory can be drawn as the data set draws them.

    Colours and canvas offsets that are drawn at random a trajectory stay with the stored frames.
    """
    recipe = source.dataset.recipe
    return not recipe.colors and not recipe.canvas_offset


def draw(source: Source, q: np.ndarray, params: np.ndarray) -> np.ndarray:
    """Frames of true states, as the recipe draws them.

    Arguments:
        source: The data set.
        q: (n, frames, d).
        params: (n, n_params).

    Returns:
        (n, frames, height, width, channel) uint8.

    Raises:
        PhysimError: The data set draws colours or offsets at random.
    """
    if not can_be_drawn(source):
        raise PhysimError(f"{source.folder}: colours or canvas are drawn at random a trajectory")
    recipe = source.dataset.recipe
    settings: dict[str, Any] = {
        "style": recipe.style,
        "resolution": recipe.resolution,
        "half_width": recipe.half_width,
    }
    if (params == params[0]).all():
        return physim.draw(source.dataset.system, q, params[0], **settings)
    rows = zip(q, params, strict=True)
    return np.stack(
        [physim.draw(source.dataset.system, one, row, **settings) for one, row in rows]
    )


def around(
    source: Source,
    q: np.ndarray,
    p: np.ndarray,
    params: np.ndarray,
    dt: float,
    forward: int,
    backward: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """True states before and after given ones.

    Arguments:
        source: The data set.
        q: (n, d).
        p: (n, d).
        params: (n, n_params).
        dt: Time between states.
        forward: States after the given ones.
        backward: States before them.

    Returns:
        q and p, (n, backward + 1 + forward, d), in chronological order.
    """
    settings = {"params": params, "friction": source.dataset.recipe.friction}
    system = source.dataset.system
    later = physim.simulate(system, q, p, times=dt * np.arange(forward + 1), **settings)
    earlier = physim.simulate(system, q, p, times=-dt * np.arange(backward + 1), **settings)
    joined = [
        np.concatenate([before[:, :0:-1], after], axis=1)
        for before, after in zip(earlier, later, strict=True)
    ]
    return joined[0], joined[1]


def observed(source: Source, q: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Coordinates that frames can determine, all q, then all p: angles as sine and cosine.

    An unbounded angle cannot be read off anything that repeats with a full turn.

    Arguments:
        source: The data set.
        q: (..., d).
        p: (..., d).

    Returns:
        (..., coordinates).
    """
    if source.dataset.system.coordinates.get("q", "").startswith("angle"):
        return np.concatenate([np.sin(q), np.cos(q), p], -1)
    return np.concatenate([q, p], -1)


def energy(source: Source, q: np.ndarray, p: np.ndarray, params: np.ndarray) -> np.ndarray:
    """True H of states.

    Arguments:
        source: The data set.
        q: (n, times, d).
        p: (n, times, d).
        params: (n, n_params).

    Returns:
        (n, times).
    """
    hamiltonian = source.dataset.system.hamiltonian
    return np.array(
        [
            [hamiltonian(*state, row) for state in zip(*trajectory, strict=True)]
            for *trajectory, row in zip(
                np.ascontiguousarray(q), np.ascontiguousarray(p), params, strict=True
            )
        ]
    )
