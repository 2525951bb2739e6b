"""Pictures of trajectories: contact sheets, GIFs and videos that keep every pixel crisp."""

from __future__ import annotations

import io
import math
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from physim.errors import RecipeError, ShardError

if TYPE_CHECKING:
    from physim.dataset import Dataset

PAPER, INK, FAINT = (252, 252, 251), (32, 36, 40), (128, 134, 140)
CELL = 80
"""Pixels that a frame is enlarged to, about, where no scale is given."""

LARGEST_SIDE = 16_000
FORMATS = (".png", ".gif", ".mp4")


def contact_sheet(
    frames: np.ndarray,
    *,
    title: str = "",
    labels: Sequence[str] = (),
    times: Sequence[str] = (),
    scale: int = 2,
) -> Image.Image:
    """Trajectories below each other, time to the right.

    Arguments:
        frames: (rows, columns, height, width, 3) uint8.
        title: A line above.
        labels: A label a row, set on its left; what follows a line break is smaller and fainter.
        times: A label a column, above.
        scale: Whole number of pixels that each pixel becomes.

    Returns:
        The picture.

    Raises:
        RecipeError: It would be larger than 16,000 pixels.

    Example:
        >>> contact_sheet(np.zeros((2, 5, 32, 32, 3), dtype=np.uint8), scale=1).size
        (176, 74)
    """
    rows, columns, height, width, _ = frames.shape
    large, small = _font(13), _font(11)
    gap, edge = max(2, scale), 4
    lines = [line for text in labels for line in text.split("\n")]
    left = edge + (int(max(map(large.getlength, lines))) + 10 if lines else 0)
    top = edge + (24 if title else 0) + (18 if times else 0)
    right = left + columns * (width * scale + gap) - gap
    bottom = top + rows * (height * scale + gap) - gap
    _check_size(right + edge, bottom + edge)
    sheet = Image.new("RGB", (right + edge, bottom + edge), PAPER)
    pen = ImageDraw.Draw(sheet)
    if title:
        pen.text((edge, edge), title, INK, large)
    for column, text in enumerate(times):
        pen.text((left + column * (width * scale + gap), top - 16), text, FAINT, small)
    for row, text in enumerate(labels):
        first, *rest = text.split("\n")
        y = top + row * (height * scale + gap) + (height * scale - 16 - 13 * len(rest)) // 2
        pen.text((left - 10, y), first, INK, large, anchor="ra")
        for k, line in enumerate(rest):
            pen.text((left - 10, y + 17 + 13 * k), line, FAINT, small, anchor="ra")
    for row in range(rows):
        for column in range(columns):
            place = (left + column * (width * scale + gap), top + row * (height * scale + gap))
            sheet.paste(Image.fromarray(enlarged(frames[row, column], scale)), place)
    return sheet


def enlarged(frames: np.ndarray, scale: int) -> np.ndarray:
    """Each pixel of (..., height, width, channel) becomes a square."""
    return np.ascontiguousarray(frames.repeat(scale, axis=-3).repeat(scale, axis=-2))


def tiles(frames: np.ndarray, columns: int) -> np.ndarray:
    """Trajectories side by side, playing at the same time.

    Arguments:
        frames: (n, time, height, width, 3) uint8.
        columns: Trajectories in a row.

    Returns:
        (time, height, width, 3) uint8, a narrow gap between the trajectories.

    Example:
        >>> tiles(np.zeros((5, 30, 32, 32, 3), dtype=np.uint8), columns=3).shape
        (30, 65, 98, 3)
    """
    n, length, height, width, _ = frames.shape
    columns = min(columns, n)
    rows, gap = -(-n // columns), max(1, height // 32)
    out = np.empty(
        (length, rows * (height + gap) - gap, columns * (width + gap) - gap, 3), dtype=np.uint8
    )
    out[:] = PAPER
    for k in range(n):
        y, x = k // columns * (height + gap), k % columns * (width + gap)
        out[:, y : y + height, x : x + width] = frames[k]
    return out


def gif(frames: np.ndarray, fps: float, scale: int = 1) -> bytes:
    """An endless GIF without dithering; exact where there are at most 256 colours.

    Arguments:
        frames: (time, height, width, 3) uint8.
        fps: Frames a second; GIF counts time in hundredths of a second.
        scale: Whole number of pixels that each pixel becomes.

    Returns:
        The file.
    """
    palette, indices = _indexed(frames)
    pages = []
    for page in indices:
        image = Image.fromarray(enlarged(page[..., None], scale)[..., 0])
        image.putpalette(palette.tobytes())
        pages.append(image)
    file = io.BytesIO()
    pages[0].save(
        file,
        format="GIF",
        save_all=True,
        append_images=pages[1:],
        duration=max(20, 10 * round(100 / fps)),
        loop=0,
        optimize=False,
    )
    return file.getvalue()


def mp4(frames: np.ndarray, fps: float, path: Path, scale: int = 1) -> None:
    """An H.264 video, by PyAV or imageio-ffmpeg.

    Arguments:
        frames: (time, height, width, 3) uint8.
        fps: Frames a second.
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
    for encode in (_mp4_by_pyav, _mp4_by_ffmpeg):
        if encode(even, fps, path):
            return
    raise RecipeError(
        "output: got .mp4, which needs `pip install physim[video]`; or choose .png or .gif"
    )


def save(
    dataset: Dataset,
    path: Path,
    *,
    split: str = "train",
    index: Sequence[int] | None = None,
    columns: int | None = None,
    scale: int | None = None,
    fps: float = 20.0,
) -> None:
    """Draw trajectories of a data set: a sheet (.png), or all at once in motion (.gif, .mp4).

    Arguments:
        dataset: An open data set.
        path: The file to write; its ending decides.
        split: Name of the split.
        index: Numbers of the trajectories; the first eight where left out.
        columns: Frames in a row of a sheet, trajectories in a row of an animation.
        scale: Whole number of pixels that each pixel becomes; about 80 pixels a frame if left out.
        fps: Frames a second of an animation.

    Raises:
        RecipeError: The ending, the split, a number or a setting does not fit; says what does.
        ShardError: The file cannot be written.
    """
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise RecipeError(
            f"output: got '{path.name}', expected a name that ends in .png, .gif or .mp4"
        )
    if split not in dataset.splits:
        raise RecipeError(f"split: got '{split}', expected {' or '.join(dataset.splits)}")
    n = len(dataset.splits[split])
    chosen = list(range(min(8, n))) if index is None else list(index)
    for number in chosen:
        if not 0 <= number < n:
            raise RecipeError(f"index: got {number}, expected 0 … {n - 1} in split '{split}'")
    if not chosen:
        raise RecipeError(f"index: the split '{split}' holds {n} trajectories, none was chosen")
    for name, value in (("columns", columns), ("scale", scale)):
        if value is not None and value < 1:
            raise RecipeError(f"{name}: got {value}, expected a whole number from 1")
    if not 0 < fps <= 1000:
        raise RecipeError(f"fps: got {fps:g}, expected a number above 0, at most 1000")
    source = dataset.splits[split]
    times = np.asarray(dataset.times)
    side = source.array("image").shape[2]
    enlarge = scale or max(1, round(CELL / side))
    if kind == ".png":
        last = len(times) - 1
        shown = np.unique(np.linspace(0, last, min(columns or 10, last + 1)).round().astype(int))
        sheet = contact_sheet(
            np.stack([source.read(number, ["image"])["image"][shown] for number in chosen]),
            title=f"{dataset.settings['name']}, {split}: {len(chosen):,} of {n:,} trajectories",
            labels=[f"{number}{_drawn_parameters(dataset, split, number)}" for number in chosen],
            times=[f"t = {times[shown[0]]:g}", *(f"{times[k]:.3g}" for k in shown[1:])],
            scale=enlarge,
        )
        _written(path, lambda target: sheet.save(target, format="PNG", optimize=True))
        return
    frames = np.stack([source.read(number, ["image"])["image"] for number in chosen])
    movie = tiles(frames, columns or math.ceil(math.sqrt(len(chosen))))
    _check_size(*(enlarge * length for length in movie.shape[1:3]))
    if kind == ".gif":
        data = gif(movie, fps, enlarge)
        _written(path, lambda target: target.write_bytes(data))
    else:
        _written(path, lambda target: mp4(movie, fps, target, enlarge))


def _drawn_parameters(dataset: Dataset, split: str, number: int) -> str:
    """Parameters that differ between trajectories, a line each, for a label."""
    row = dataset.splits[split].read(number, dataset.parameters)
    words = []
    for symbol in dataset.parameters:
        given = dataset.settings["parameters"].get(symbol)
        if isinstance(given, int | float):
            continue
        values = np.atleast_1d(row[symbol])
        words.append(f"{symbol} " + ", ".join(f"{value:.2f}" for value in values))
    return "".join(f"\n{word}" for word in words)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _check_size(*sides: int) -> None:
    if max(sides) > LARGEST_SIDE:
        raise RecipeError(
            f"output: would be {max(sides):,} pixels large, at most {LARGEST_SIDE:,}; choose a "
            "smaller --scale, fewer --columns or fewer trajectories"
        )


def _indexed(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most 256 colours for all frames, (k, 3), and indices into them, (time, h, w)."""
    found = [np.unique(_codes(page), return_counts=True) for page in frames]
    codes, where = np.unique(np.concatenate([page for page, _ in found]), return_inverse=True)
    colours = np.stack([codes >> 16, (codes >> 8) & 255, codes & 255], axis=-1).astype(np.uint8)
    palette, nearest = colours, np.arange(len(colours))
    if len(colours) > 256:
        counts = np.bincount(where, weights=np.concatenate([number for _, number in found]))
        palette, nearest = _shared(colours, counts)
    table = np.zeros(1 << 24, dtype=np.uint8)
    table[codes] = nearest
    return palette, np.stack([table[_codes(page)] for page in frames])


def _codes(page: np.ndarray) -> np.ndarray:
    """One number a pixel, red · 2¹⁶ + green · 2⁸ + blue."""
    red, green, blue = np.moveaxis(page.astype(np.uint32), -1, 0)
    return (red << 16) | (green << 8) | blue


def _shared(colours: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """256 colours, (256, 3), for the (k, 3) given, and which of them stands for each, (k,).

    Common colours (background, insides of discs) stay exact; the soft edges share the others.
    """
    common = np.argsort(-counts, kind="stable")[:32]
    edges = Image.fromarray(np.delete(colours, common, axis=0)[None])
    image = edges.quantize(256 - len(common), method=Image.Quantize.MEDIANCUT, kmeans=2)
    found = np.array(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    palette = np.concatenate([colours[common], found[: 256 - len(common)]])
    nearest = np.empty(len(colours), dtype=np.uint8)
    for start in range(0, len(colours), 4096):
        part = colours[start : start + 4096, None].astype(int) - palette[None].astype(int)
        nearest[start : start + 4096] = (part**2).sum(axis=-1).argmin(axis=-1)
    return palette, nearest


def _mp4_by_pyav(frames: np.ndarray, fps: float, path: Path) -> bool:
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


def _mp4_by_ffmpeg(frames: np.ndarray, fps: float, path: Path) -> bool:
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


def _written(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the file and rename, so that a file of that name is always whole."""
    try:
        handle, name = tempfile.mkstemp(path.suffix, f".{path.stem}.", path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            write(temporary)
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise ShardError(f"output: cannot write '{path}' ({reason})") from None
