"""Writing rollouts to the file that a command was given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from physim.errors import PhysimError

if TYPE_CHECKING:
    import numpy as np

KINDS = (".gif", ".png", ".npz")


def check_name(path: Path) -> None:
    """Refuse what cannot be written, before anything is computed.

    Raises:
        PhysimError: An ending other than .gif, .png or .npz, or a folder that does not exist.
    """
    if path.suffix not in KINDS:
        raise PhysimError(f"--out: got '{path}', expected a name ending in {', '.join(KINDS)}")
    if not path.parent.is_dir():
        raise PhysimError(f"--out: got '{path}', but there is no folder {path.parent}")


def write_pictures(path: Path, images: np.ndarray, arrays: dict[str, np.ndarray]) -> None:
    """Write rollouts as an animation, strips, or arrays.

    Arguments:
        path: Where to.
        images: (n, frames, height, width, 3) from 0 to 1.
        arrays: Further contents of an .npz.

    Raises:
        PhysimError: The rollout is not finite, the disk is full, or the file cannot be written.
    """
    import numpy as np

    from hgn_train import figures, files
    from hgn_train.evaluation.judged import to_bytes

    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise PhysimError(f"{path}: not written, since the states of the rollout are not finite")
    frames = to_bytes(images)
    with files.written(path) as file:
        if path.suffix == ".gif":
            file.write(figures.animation(frames))
        elif path.suffix == ".png":
            file.write(figures.png(figures.strips(list(frames))))
        else:
            np.savez_compressed(file, image=frames, **arrays)  # type: ignore[arg-type]
