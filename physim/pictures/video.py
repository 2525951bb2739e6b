"""Trajectories in motion as an H.264 video, by whichever encoder is installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from physim.errors import RecipeError, ShardError
from physim.pictures.paper import PAPER, enlarged


def mp4(frames: np.ndarray, fps: float, path: Path, scale: int = 1) -> None:
    """An H.264 video, by PyAV or imageio-ffmpeg.

    Arguments:
        frames: (time, height, width, 3) uint8.
        fps: Frames per second.
        path: The file to write.
        scale: Whole number of pixels that each pixel becomes.

    Raises:
        RecipeError: Neither library is installed.
    """
    big = enlarged(frames, scale)
    tall, wide = (side + side % 2 for side in big.shape[1:3])  # H.264 wants even sides
    even = np.empty((len(big), tall, wide, 3), dtype=np.uint8)
    even[:] = PAPER
    even[:, : big.shape[1], : big.shape[2]] = big
    for encode in (_by_pyav, _by_ffmpeg):
        if encode(even, fps, path):
            return
    raise RecipeError(
        "output: got .mp4, which needs `pip install physim[video]`; or choose .png or .gif"
    )


def _by_pyav(frames: np.ndarray, fps: float, path: Path) -> bool:
    try:
        import av
    except ImportError:
        return False
    from fractions import Fraction

    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "14", "movflags": "faststart"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return True


def _by_ffmpeg(frames: np.ndarray, fps: float, path: Path) -> bool:
    try:
        import imageio_ffmpeg
    except ImportError:
        return False
    height, width = frames.shape[1:3]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{fps:g}"]
    coded = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "14", "-movflags", "+faststart"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *raw, "-i", "-", *coded]
    done = subprocess.run(  # noqa: S603 - the arguments are ours
        [*command, "-f", "mp4", str(path)], input=frames.tobytes(), capture_output=True
    )
    if done.returncode:
        raise ShardError(f"output: ffmpeg failed ({done.stderr.decode(errors='replace').strip()})")
    return True
