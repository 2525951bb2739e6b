"""Writing rollouts to the file that a command was given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from physim.errors import PhysimError

if TYPE_CHECKING:
    import numpy as np

KINDS = (".gif", ".mp4", ".png", ".npz")
COLUMNS = 30
"""Frames of a strip, at most."""

FPS = 12.5
"""Frames per second, as in a GIF."""


def check_name(path: Path) -> None:
    """Refuse what cannot be written, before anything is computed.

    Raises:
        PhysimError: An ending other than `KINDS`, or a folder that does not exist.
    """
    if path.suffix not in KINDS:
        raise PhysimError(f"--out: got '{path}', expected a name ending in {', '.join(KINDS)}")
    if not path.parent.is_dir():
        raise PhysimError(f"--out: got '{path}', but there is no folder {path.parent}")


def check_finite(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Refuse states that no picture shows.

    Raises:
        PhysimError: They are not finite.
    """
    import numpy as np

    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise PhysimError(f"{path}: not written, since the states of the rollout are not finite")


def write_pictures(
    path: Path,
    images: np.ndarray,
    arrays: dict[str, np.ndarray],
    truth: np.ndarray | None = None,
    first: int = 0,
) -> str:
    """Write rollouts as an animation, strips, or arrays.

    Arguments:
        path: Where to.
        images: (n, frames, height, width, 3) from 0 to 1.
        arrays: Further contents of an .npz.
        truth: True frames to show above them, as many.
        first: Number of the first trajectory.

    Returns:
        What the file leaves out, as the end of a sentence; empty where it shows all frames.

    Raises:
        PhysimError: The rollout is not finite, the disk is full, or the file cannot be written.
    """
    import numpy as np

    from hgn_train import figures, files
    from hgn_train.evaluation.judged import to_bytes
    from physim.pictures import mp4

    check_finite(path, arrays)
    frames = rows = to_bytes(images)
    names: tuple[str, ...] = ()
    strips = [("", row) for row in frames]
    if truth is not None:
        true, names = to_bytes(truth), ("true", "model")
        arrays = arrays | {"truth": true}
        rows = figures.pairs(true, frames)
        both = zip(true, frames, strict=True)
        strips = [
            (f"{name} {index}", row)
            for index, pair in enumerate(both, first)
            for name, row in zip(names, pair, strict=True)
        ]
    with files.written(path) as file:
        if path.suffix == ".gif":
            file.write(figures.animation(rows, names=names))
        elif path.suffix == ".mp4":
            mp4(figures.film(rows, names=names), FPS, Path(file.name))
        elif path.suffix == ".png":
            file.write(figures.labelled(strips, COLUMNS))
        else:
            np.savez_compressed(file, image=frames, **arrays)  # type: ignore[arg-type]
    some = path.suffix == ".png" and images.shape[1] > COLUMNS
    return f"; it shows {COLUMNS} of them" if some else ""
