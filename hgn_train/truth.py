"""True states as a model can be compared with them: what can be seen of them, and their H."""

from __future__ import annotations

import numpy as np

import physim
from hgn_train.data import Source


def observed(source: Source, q: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Coordinates that frames can determine, all q, then all p: angles as sine and cosine.

    An unbounded angle cannot be read off anything that repeats with a full turn; nor can a
    position off a periodic box, which is turned into the angle of a turn a box.

    Arguments:
        source: The data set.
        q: (..., d).
        p: (..., d).

    Returns:
        (..., coordinates).
    """
    system = source.dataset.system
    if system.box:
        q = np.pi / source.dataset.recipe.half_width * q  # the canvas is the box
    if system.box or system.coordinates.get("q", "").startswith("angle"):
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
        (n, times); nan where a state is not finite.
    """
    finite = np.isfinite(q).all(-1) & np.isfinite(p).all(-1)
    q, p = (np.where(finite[..., None], x, 0) for x in (q, p))
    return np.where(finite, physim.energy(source.dataset.system, q, p, params), np.nan)
