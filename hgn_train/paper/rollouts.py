"""Figure 6: rollouts of a trajectory forward, backward, at double and at half speed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hgn_train import figures
from hgn_train.evaluation.image_report import movement
from hgn_train.evaluation.markdown import table
from hgn_train.paper import drawers, page
from hgn_train.paper.figure import Drawing, Figure, Material, Need, Run

COLUMNS = 15
HEAD = [
    "system",
    "half speed",
    "double speed",
    "before",
    "after",
    "variance of H",
    "H along / between",
    "R² of q, p",
]


def draw(material: Material) -> Drawing:
    """Rows of frames of one system: the paper shows three bodies.

    Arguments:
        material: Of which the runs of HGN and of the baselines on that system count.

    Returns:
        The figure.
    """
    run = chosen(material)
    rows = rows_of(run)
    runs = [run]
    test = movement(run.arrays["test_images"])[0]
    for name, baseline in drawers.on(material, run.need.subject).items():
        if name != "HGN":
            rows.append((name, same(run, baseline, test)))
            runs.append(baseline)
    drawn = page.sheet(0.53 * len(rows) + 0.1)
    page.frames(drawn.subplots(), [row for _, row in rows], [name for name, _ in rows], COLUMNS)
    network = run.settings["network"]
    shown = min(COLUMNS, network["frames"])
    caption = (
        f"A training and a test trajectory of {run.need.subject}, {shown} of "
        f"{network['frames']} frames: of those stored with the evaluation, the ones with the "
        f"most motion. HGN sees the first {network['inference_frames']} frames. Reconstruction: "
        "its rollout from the inferred state, over the same times. Then, for the test "
        "trajectory, each below the simulator's frames: backward in time from the inferred "
        "state, beyond the first frame; with the time step doubled and halved. "
    )
    if len(runs) > 1:
        caption += "Last: the same trajectory by HNN."
        caption += drawers.explained(runs)
    else:
        caption += "No run of a pixel HNN was given."
    others = material.of("hgn")
    caption = caption.strip() + "\n\n" + numbers(others)
    return Drawing(drawn, caption, [*runs, *(one for one in others if one is not run)])


def chosen(material: Material) -> Run:
    """The run of HGN on three bodies, or on another system, if only that has baselines."""
    runs = material.of("hgn")[::-1]  # three bodies come last in the order of the systems
    beside = [run for run in runs if len(drawers.on(material, run.need.subject)) > 1]
    return (beside or runs)[0]


def rows_of(run: Run) -> list[tuple[str, np.ndarray]]:
    """Name and frames of each row, of trajectories that move."""
    results, arrays = run.results, run.arrays
    train, test = (movement(arrays[f"{split}_images"])[0] for split in ("train", "test"))
    rows = [
        ("train: original", arrays["train_images"][train]),
        ("reconstruction", arrays["train_drawn"][train]),
        ("test: original", arrays["test_images"][test]),
        ("reconstruction", arrays["test_drawn"][test]),
    ]
    if "beyond" in results:
        true, drawn = figures.backward(results, arrays, test)
        rows += [("truth, backward", true), ("backward", drawn)]
        for speed, name in (("2.0", "double speed"), ("0.5", "half speed")):
            rows += [
                (f"truth, {name}", arrays[f"speed_{speed}_images"][test]),
                (name, arrays[f"speed_{speed}_drawn"][test]),
            ]
    return rows


def numbers(runs: Sequence[Run]) -> str:
    """Share explained of test rollouts of all systems, and whether the learned H is kept."""
    rows = []
    for run in runs:
        results = run.results
        cells = [run.need.subject]
        if "beyond" in results:
            beyond, speeds = results["beyond"], results["speeds"]
            shares = [speeds["0.5"], speeds["2.0"], beyond["backward"], beyond["forward"]]
            cells += [f"{part['share_explained']:.3f}" for part in shares]
        else:
            cells += ["–"] * 4
        energy = results["splits"]["test"]["energy"]
        cells += [f"{energy['variance']:.2g}", f"{energy['relative_spread']:.2g}"]
        cells.append(f"{results['latent']['readout']['quadratic']:.3f}")
        rows.append(cells)
    extra = {run.results["beyond"]["extra"] for run in runs if "beyond" in run.results}
    further = " and ".join(map(str, sorted(extra))) or "no"
    text = (
        "Share explained, against the simulator, of test rollouts at other speeds and of the "
        f"frames before and after those trained on ({further} each way); variance of the learned "
        "H along a rollout, and its standard deviation there divided by that between rollouts; "
        "R² of the true state from the latent one:\n\n"
    )
    return text + table(HEAD, rows)


def same(run: Run, other: Run, trajectory: int) -> np.ndarray:
    """What another model draws of the same test trajectory, or of the one that moves most."""
    wanted = run.arrays["test_images"][trajectory]
    for images, drawn in zip(other.arrays["test_images"], other.arrays["test_drawn"], strict=True):
        if images.shape == wanted.shape and (images == wanted).all():
            return drawn
    return other.arrays["test_drawn"][movement(other.arrays["test_images"])[0]]


def needs(systems: Sequence[str]) -> list[Need]:
    """HGN and the baselines on the system that is shown."""
    name = "three_body" if "three_body" in systems else systems[-1]
    return drawers.needs([name])


FIGURE = Figure(
    6, "rollouts", "Rollouts forward, backward, faster and slower", draw, needs, ("hgn",)
)
