"""Pictures of a judged run: rows of frames, curves of error and energy, phase portraits, samples.

Each function takes what `evaluate` kept and returns a picture as PNG bytes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hgn_train import log

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Results = Mapping[str, Any]
Arrays = Mapping[str, np.ndarray]
BLUE, ORANGE, GREY = "#2a6f97", "#d1741f", "#8a8f94"
ZOOM = 2
GAP = 2


def png(image: np.ndarray) -> bytes:
    """PNG bytes of a picture, (height, width, 3) uint8."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def strips(rows: Sequence[np.ndarray], columns: int = 15) -> np.ndarray:
    """Rows of frames, one trajectory per row, evenly spread over time.

    Arguments:
        rows: Each (frames, height, width, 3) uint8.
        columns: Frames shown of each, at most.

    Returns:
        One picture, (height, width, 3) uint8, on white.
    """
    shown = min(columns, *(len(row) for row in rows))
    lines = []
    for row in rows:
        picked = row[np.linspace(0, len(row) - 1, shown).round().astype(int)]
        frames = [
            np.pad(frame, ((0, GAP), (0, GAP), (0, 0)), constant_values=255) for frame in picked
        ]
        lines.append(np.concatenate(frames, 1))
    return np.concatenate(lines).repeat(ZOOM, 0).repeat(ZOOM, 1)


def labelled(rows: Sequence[tuple[str, np.ndarray]], columns: int = 15) -> bytes:
    """Rows of frames with a name in front of each.

    Arguments:
        rows: Name, perhaps empty, and (frames, height, width, 3) uint8.
        columns: Frames shown of each, at most.

    Returns:
        PNG bytes.
    """
    from PIL import Image, ImageDraw, ImageFont

    picture = strips([row for _, row in rows], columns)
    margin = 150 if any(name for name, _ in rows) else 0
    canvas = Image.new("RGB", (picture.shape[1] + margin, picture.shape[0]), "white")
    canvas.paste(Image.fromarray(picture), (margin, 0))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    height = picture.shape[0] / len(rows)
    for index, (name, _) in enumerate(rows):
        draw.text((4, int((index + 0.5) * height - 9)), name, fill=(40, 40, 40), font=font)
    return png(np.asarray(canvas))


def rollout_rows(results: Results, arrays: Arrays, trajectory: int) -> bytes:
    """Original, reconstruction, backward, double and half speed of a trajectory (Figure 6)."""
    rows = [
        ("original", arrays["test_images"][trajectory]),
        ("reconstruction", arrays["test_drawn"][trajectory]),
    ]
    if "beyond" in results:
        true, drawn = backward(results, arrays, trajectory)
        rows += [("true, backward", true), ("model, backward", drawn)]
        for speed, name in (("2.0", "double speed"), ("0.5", "half speed")):
            rows += [
                (f"true, {name}", arrays[f"speed_{speed}_images"][trajectory]),
                (f"model, {name}", arrays[f"speed_{speed}_drawn"][trajectory]),
            ]
    return labelled(rows)


def backward(results: Results, arrays: Arrays, trajectory: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames backward in time from that of the inferred state, true and drawn, one rollout long.

    Arguments:
        results: Of a judged run that was followed beyond the data.
        arrays: What was kept of it.
        trajectory: Number of the test trajectory.
    """
    inferred = results["anchor"] - results["beyond"]["first_frame"]
    length = len(results["splits"]["test"]["per_frame"])
    shown = slice(max(0, inferred + 1 - length), inferred + 1)
    true, drawn = (arrays[f"beyond_{kind}"][trajectory][shown] for kind in ("images", "drawn"))
    return true[::-1], drawn[::-1]


def sample_rows(arrays: Arrays, kind: str) -> bytes:
    """Eight trajectories sampled from a prior (Figure 7)."""
    return png(strips(list(arrays[f"samples_{kind}"][:8])))


def error_per_frame(results: Results) -> bytes:
    """Error of each frame on both splits, and beyond what was trained on (Figure 5)."""
    figure, (left, right) = sheet(2)
    for (name, split), colour in zip(results["splits"].items(), (ORANGE, BLUE), strict=False):
        left.plot(1e4 * np.array(split["per_frame"]), color=colour, label=name)
    split = results["splits"]["test"]
    left.plot(
        1e4 * np.array(split["per_frame_average_image"]), color=GREY, ls=":", label="average image"
    )
    seen = results["settings"]["network"]["inference_frames"]
    left.axvspan(0, seen - 1, color=GREY, alpha=0.15, lw=0, label="frames the model sees")
    left.set(
        xlabel="frame", ylabel="pixel MSE × 1e4", yscale="log", title="within a training rollout"
    )
    left.legend(frameon=False, fontsize=8)
    beyond = results.get("beyond")
    if beyond:
        frames = beyond["first_frame"] + np.arange(len(beyond["per_frame"]))
        right.plot(frames, 1e4 * np.array(beyond["per_frame"]), color=BLUE, label="test")
        average = 1e4 * np.array(beyond["per_frame_average_image"])
        right.plot(frames, average, color=GREY, ls=":", label="average image")
        right.axvspan(
            0, len(split["per_frame"]) - 1, color=GREY, alpha=0.15, lw=0, label="trained on"
        )
        right.set(xlabel="frame", yscale="log", title="further, forward and backward")
        right.legend(frameon=False, fontsize=8)
    return as_png(figure)


def energy_along_time(arrays: Arrays) -> bytes:
    """Learned H along rollouts."""
    figure, (axis,) = sheet(1)
    name = "beyond_energy" if "beyond_energy" in arrays else "test_energy"
    for energy in arrays[name]:
        axis.plot(energy, lw=1)
    axis.set(xlabel="frame of the rollout", ylabel="learned H")
    return as_png(figure)


def phase_portrait(arrays: Arrays) -> bytes:
    """Principal components of the latent q and p, coloured by the true ones."""
    figure, axes = sheet(2)
    for axis, name in zip(axes, ("q", "p"), strict=True):
        latent = arrays[f"test_latent_{name}"]
        flat = latent.reshape(-1, latent.shape[-1])
        finite = np.isfinite(flat).all(1)
        if not finite.any():
            continue
        flat = flat[finite]
        flat = flat - flat.mean(0)
        _, _, directions = np.linalg.svd(flat, full_matrices=False)
        points = (flat @ directions[:2].T).T
        if len(points) == 1:
            points = np.concatenate([points, np.zeros_like(points)])
        true = arrays[f"test_true_{name}"].reshape(-1)[finite]
        dots = axis.scatter(*points, c=true, s=3, cmap="viridis", rasterized=True)
        figure.colorbar(dots, ax=axis, label=f"true {name}₁")
        axis.set(xlabel=f"latent {name}, first component", ylabel="second component")
    return as_png(figure)


def training_curve(run: Path) -> bytes:
    """Error while training, and on held-out trajectories."""
    lines = log.lines(run)
    figure, (axis,) = sheet(1)
    train = [(line["step"], 1e4 * line["error"]) for line in lines if "error" in line]
    held_out = [(e["step"], 1e4 * e["held_out_error"]) for e in lines if "held_out_error" in e]
    if train:
        axis.plot(*np.array(train).T, color=ORANGE, lw=1, label="training")
    if held_out:
        axis.plot(*np.array(held_out).T, color=BLUE, marker="o", ms=3, label="held out")
        average = next(e["reference_error"] for e in lines if "reference_error" in e)
        axis.axhline(1e4 * average, color=GREY, ls=":", label="average image")
    axis.set(xlabel="step", ylabel="pixel MSE × 1e4", yscale="log")
    axis.legend(frameon=False, fontsize=8)
    return as_png(figure)


def pairs(true: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """True frames above a model's, a thin line between them.

    Arguments:
        true: (n, frames, height, width, 3) uint8.
        drawn: As many.

    Returns:
        (n, frames, 2 height + 1, width, 3) uint8.
    """
    line = np.full_like(true[:, :, :1], 255)
    return np.concatenate([true, line, drawn], 2)


def film(
    rows: np.ndarray, zoom: int = 4, columns: int = 0, names: Sequence[str] = ()
) -> np.ndarray:
    """Trajectories side by side, playing at the same time.

    Arguments:
        rows: (n, frames, height, width, 3) uint8.
        zoom: Pixels of the picture per pixel of a frame.
        columns: Trajectories per row; 0 for as square as it gets.
        names: Of the parts of a frame, one below the other, set to the left of each row.

    Returns:
        (frames, height, width, 3) uint8, on white.
    """
    from PIL import Image, ImageDraw, ImageFont

    n = len(rows)
    columns = columns or int(np.ceil(np.sqrt(n)))
    missing = -n % columns
    rows = np.pad(rows, ((0, missing), (0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=255)
    _, time, height, width, _ = rows.shape
    grid = rows.reshape(-1, columns, time, height, width, 3).transpose(2, 0, 3, 1, 4, 5)
    whole = grid.reshape(time, -1, columns * width, 3).repeat(zoom, 1).repeat(zoom, 2)
    if not names:
        return whole
    margin = Image.new("RGB", (52, whole.shape[1]), "white")
    draw, font = ImageDraw.Draw(margin), ImageFont.load_default(13)
    part = (height - GAP) * zoom / len(names)
    for row in range(whole.shape[1] // (height * zoom)):
        for index, name in enumerate(names):
            y = int(row * height * zoom + (index + 0.5) * part - 9)
            draw.text((4, y), name, fill=(40, 40, 40), font=font)
    return np.concatenate([np.asarray(margin)[None].repeat(time, 0), whole], 2)


def animation(
    rows: np.ndarray, zoom: int = 4, columns: int = 0, names: Sequence[str] = ()
) -> bytes:
    """A GIF of what `film` returns."""
    from PIL import Image

    frames = [Image.fromarray(frame) for frame in film(rows, zoom, columns, names)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=80, loop=0)
    return buffer.getvalue()


def sheet(n: int, width: float = 5, height: float = 3.2) -> tuple[Figure, list[Any]]:
    """A figure with so many axes side by side, each of that size in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * n, height), layout="constrained")
    axes = [figure.add_subplot(1, n, index + 1) for index in range(n)]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def as_png(figure: Figure) -> bytes:
    """PNG bytes of a figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
