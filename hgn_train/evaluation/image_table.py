"""Models that draw frames beside the figures that papers report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hgn_train.evaluation.markdown import SYSTEMS, how, plus_minus, row, training_time

REPORTED = {
    "Toth et al. (2019), HGN, leapfrog, autoencoding": (
        ("3.84", "6.23"),
        ("4.90", "11.72"),
        ("6.36", "16.47"),
        ("7.88", "9.80"),
    ),
    "Toth et al. (2019), HGN, Euler": (
        ("3.67", "6.20"),
        ("5.43", "10.93"),
        ("6.62", "15.06"),
        ("7.51", "9.40"),
    ),
    "Toth et al. (2019), HGN, deterministic": (
        ("0.23", "3.07"),
        ("0.79", "10.68"),
        ("2.34", "14.47"),
        ("4.10", "5.17"),
    ),
    "Balsells Rodas et al. (2021), leapfrog, autoencoding": (
        ("7.11", "7.12"),
        ("14.89", "14.97"),
        ("3.36", "3.36"),
        ("8.81", "8.81"),
    ),
    "Balsells Rodas et al. (2021), leapfrog, from 5 frames": (
        ("12.15", "12.21"),
        ("44.29", "44.12"),
        ("6.28", "6.33"),
        ("3.35", "3.35"),
    ),
}
"""Pixel MSE × 1e4 of 30 frames, training and test split, in the order of `SYSTEMS`."""


def tables(found: Sequence[dict[str, Any]]) -> str:
    """Tables of evaluated runs, then of the reported figures.

    Arguments:
        found: Results of the runs, in the order of the rows.

    Returns:
        Markdown.
    """
    lines = [
        "Pixel MSE × 1e4 of whole rollouts, pixels from 0 to 1; ± is the standard error.",
        "",
        row(HEAD),
        row(["---"] * len(HEAD)),
        *(row(_cells(results)) for results in found),
        "",
        row(HEAD_BEYOND),
        row(["---"] * len(HEAD_BEYOND)),
        *(row(_beyond(results)) for results in found),
        "",
        "Reported by others, pixel MSE × 1e4, training / test. Their drawings differ from each",
        "other's and from ours, so these numbers compare only roughly; none of them reports an",
        "average-image error.",
        "",
        row(["model", *SYSTEMS]),
        row(["---"] * (1 + len(SYSTEMS))),
    ]
    for model, cells in REPORTED.items():
        lines.append(row([model, *(f"{train} / {test}" for train, test in cells)]))
    return "\n".join(lines) + "\n"


HEAD = [
    "system",
    "model",
    "preset",
    "seed",
    "frames seen",
    "parameters",
    "steps × batch",
    "training",
    "average image",
    "oracle",
    "train",
    "test",
    "share explained, test",
]
HEAD_BEYOND = [
    "system",
    "model",
    "preset",
    "seed",
    "further forward",
    "further backward",
    "valid forward",
    "valid backward",
    "half speed",
    "double speed",
    "H along / between rollouts",
    "R² of q, p",
    "SyMetric passes",
    "samples",
]


def _name(results: dict[str, Any]) -> list[str]:
    """System, model, preset with the run's deviations from it, and seed."""
    settings = results["settings"]
    seed = str(settings["train"]["seed"])
    return [results["system"], settings["model"], how(results), seed]


def _cells(results: dict[str, Any]) -> list[str]:
    settings, splits = results["settings"], results["splits"]
    test, training = splits["test"], results["training"]
    return [
        *_name(results),
        f"{settings['network']['inference_frames']} of {settings['network']['frames']}",
        f"{results['parameters']:,}",
        f"{training.get('steps', 0):,} × {settings['train']['batch_size']}",
        training_time(training),
        f"{1e4 * test['average_image']:.2f}",
        f"{1e4 * test['oracle']:.2f}",
        *(plus_minus(splits[name], form=".2f", scale=1e4) for name in ("train", "test")),
        f"{test['share_explained']:.3f}",
    ]


def _beyond(results: dict[str, Any]) -> list[str]:
    beyond, speeds, samples = results.get("beyond"), results.get("speeds"), results["samples"]
    cells = _name(results)
    if beyond and speeds:
        cells += [f"{beyond[way]['share_explained']:.3f}" for way in ("forward", "backward")]
        cells += [
            f"{beyond[f'valid_{way}']:.2f}" if f"valid_{way}" in beyond else "–"
            for way in ("forward", "backward")
        ]
        cells += [f"{speeds[speed]['share_explained']:.3f}" for speed in ("0.5", "2.0")]
    else:
        cells += ["–"] * 6
    latent = results["latent"]
    return [
        *cells,
        f"{results['splits']['test']['energy']['relative_spread']:.2g}",
        f"{latent['readout']['quadratic']:.3f}",
        f"{latent['symetric']['good']:.2f}" if latent["symetric"]["batches"] else "–",
        f"{1e4 * samples['mixture']:.2f}"
        + (f", N(0, 1) {1e4 * samples['normal']:.2f}" if "normal" in samples else ""),
    ]


PICTURES = {
    "rollout-0.png": "the original, what the model makes of its first frames, and the same "
    "backward, at double and at half speed, each below the simulator's own",
    "error.png": "error of each frame",
    "samples.png": "new trajectories from the fitted prior",
}


def comparisons(found: Sequence[tuple[Path, dict[str, Any]]]) -> list[tuple[str, str, bytes]]:
    """Name, caption and bytes of pictures of the first run of each model, by system."""
    drawn: list[tuple[str, str, bytes]] = []
    done: set[tuple[str, ...]] = set()
    for run, results in found:
        settings = results["settings"]
        key: tuple[str, ...] = (results["system"],)
        if settings["model"] != "hgn":
            key += (settings["model"], settings["preset"])
        if key in done:
            continue
        done.add(key)
        start = "-".join(key)
        for name, caption in PICTURES.items():
            source = run / "pictures" / name
            if source.is_file():
                drawn.append(
                    (f"{start}-{name}", f"{', '.join(key)}: {caption}", source.read_bytes())
                )
    return drawn
