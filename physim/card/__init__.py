"""The card of a data set: a README with the figures of that very data set, beside its shards.

Nothing in it depends on when, where or how fast the set was made: the same recipe gives the same
text.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from physim.card.words import apart, front_matter, law
from physim.markdown import table
from physim.recipe import Recipe
from physim.shards.atomic import write_text
from physim.systems.parameters import Parameter

if TYPE_CHECKING:
    from physim.dataset import Dataset
    from physim.shards.read import Split

CARD = "README.md"
SAMPLE = 2000
"""Trajectories per split whose energies are examined."""

SAMPLE_BYTES = 200 * 30 * 32 * 32 * 3
"""Pixels per split that are examined, at least one trajectory."""


_AXES = """\
+y is up and row 0 of a frame is its top. The times of the frames, the recipe and the names of the
axes are attributes.
"""
_AGAIN = """\
The recipe is stored in `manifest.json` and in every shard; the same versions give the same bytes.

    physim render --recipe . --out copy
"""
_LOADING = """\
In this folder, with physim:

```python
import physim

dataset = physim.open(".")
frames, q = dataset.train.image[:16], dataset.train.q[:16]
```

with h5py alone:

```python
import h5py

with h5py.File("train/00000.h5") as shard:
    frames, q = shard["image"][:16], shard["q"][:16]
    times, recipe = shard.attrs["times"], shard.attrs["recipe"]
```

with Hugging Face `datasets`:

```python
from datasets import load_dataset

rows = load_dataset("hdf5", data_files={"train": "train/*.h5"}, split="train")
```
"""


def text(dataset: Dataset) -> str:
    """The card of a data set.

    Arguments:
        dataset: An open data set.

    Returns:
        Markdown with the front matter that the Hugging Face Hub reads.
    """
    recipe = dataset.recipe
    system = dataset.system
    counts = dataset.manifest.counts
    total = sum(counts.values())
    files = {split: f"{split}/*.h5" for split, n in counts.items() if n}
    noise = recipe.noise and f" Gaussian noise of σ = {recipe.noise:g} was added before drawing."
    friction = f", with friction c = {recipe.friction:g}" if recipe.friction else ""
    summary = (
        f"{total:,} trajectories of {system.summary}{friction}: {recipe.frames} frames of "
        f"{recipe.resolution} × {recipe.resolution} RGB, {apart(recipe.dt)}, with "
        f"the positions, momenta, energies and parameters behind them.{noise or ''}\n"
    )
    parts = [
        front_matter(recipe.name, [system.name], total, {"default": files}),
        f"# {recipe.name}\n",
        summary,
        "## Physics\n",
        f"    H = {system.formula}\n",
        _friction(recipe.friction, recipe.dt),
        _parameters(dataset),
        _initial(recipe),
        "## Figures\n",
        _figures(dataset),
        "## In each file\n",
        "HDF5, no plug-in needed. Arrays at the root; the first axis is the trajectory.\n",
        _arrays(_filled(dataset)[0]),
        _AXES,
        "## Load it\n",
        _LOADING,
        "## Reproduce it\n",
        _AGAIN,
        _versions(dataset.manifest.versions),
        "## Sources\n",
        _sources(system.reference, recipe.style),
        "Licence: Apache-2.0.\n",
    ]
    return "\n".join(part for part in parts if part)


def write(dataset: Dataset) -> Path:
    """Write the card beside the shards.

    Arguments:
        dataset: An open data set.

    Returns:
        Path of the file.

    Raises:
        ShardError: It cannot be written.
    """
    path = dataset.path / CARD
    write_text(path, text(dataset))
    return path


def _friction(friction: float, dt: float) -> str:
    if not friction:
        return ""
    grows = "; from frame to frame, backward in time, it grows" if dt < 0 else ""
    return (
        f"Friction: dp/dt = −∂H/∂q − c ∂H/∂p with c = {friction:g}, so the energy falls at "
        f"the rate c ‖∂H/∂p‖²{grows}.\n"
    )


def _parameters(dataset: Dataset) -> str:
    """Parameters with their distributions and the values drawn."""
    drawn = dataset.recipe.parameters
    rows = []
    for parameter in dataset.system.parameters:
        symbol = parameter.symbol
        values = np.concatenate(
            [
                np.ravel(split.read(slice(0, SAMPLE), [symbol])[symbol])
                for split in _filled(dataset)
            ]
        )
        rows.append(
            (
                f"`{symbol}`",
                _meaning(parameter),
                law(drawn[symbol]),
                f"{values.min():.4g} … {values.max():.4g}, mean {values.mean():.4g}",
            )
        )
    return table(
        ("parameter", "meaning", "drawn from", f"in the first {SAMPLE:,} of each split"), rows
    )


def _meaning(parameter: Parameter) -> str:
    if parameter.components == 1:
        return parameter.meaning
    return f"{parameter.meaning}, {parameter.components} independent values"


def _initial(recipe: Recipe) -> str:
    settings = dict(recipe.initial)
    sampler = recipe.find_system().sampler(settings.pop("sampler"))
    meanings = {setting.symbol: setting.meaning for setting in sampler.settings}
    lines = [f"Initial states, sampler `{sampler.name}`: {sampler.summary}.\n"]
    rows = [(f"`{key}`", meanings[key], law(value)) for key, value in settings.items()]
    if rows:
        lines.append(table(("setting", "meaning", "drawn from"), rows))
    return "\n".join(lines)


def _figures(dataset: Dataset) -> str:
    recipe, manifest = dataset.recipe, dataset.manifest
    size = sum(shard.bytes for shard in manifest.shards)
    raw = sum(manifest.counts.values()) * recipe.trajectory_bytes
    energies = np.concatenate(
        [split.read(slice(0, SAMPLE), ["energy"])["energy"] for split in _filled(dataset)]
    )
    rows = [
        ("trajectories", ", ".join(f"{n:,} {split}" for split, n in manifest.counts.items())),
        ("files", f"{len(manifest.shards)}, together {size / 1e6:,.1f} MB"),
        ("pixels", f"{raw / 1e6:,.1f} MB before compression"),
        ("seed", str(manifest.seed)),
        ("integrator", recipe.integrator),
        ("initial energy", f"{energies[:, 0].min():.4g} … {energies[:, 0].max():.4g}"),
    ]
    if not recipe.friction:
        worst = max(shard.energy_error for shard in manifest.shards)
        rows.append(("worst energy error, |H/H₀ − 1|", f"{worst:.1e}"))
    redrawn = sum(shard.redrawn for shard in manifest.shards)
    rows.append(("drawn again (left the canvas, or bodies met)", f"{redrawn:,}"))
    average = 1e4 * average_image_error(dataset)
    rows.append(("pixel MSE × 10⁴ of the average image", f"{average:.3g}"))
    note = (
        "\nThe last row is the error of a model that always predicts the mean training frame: a "
        "reconstruction error says little without it.\n"
    )
    return table(("figure", "value"), rows) + note


def average_image_error(dataset: Dataset) -> float:
    """Mean squared error of the mean training frame on test frames, pixels in 0…1.

    Arguments:
        dataset: An open data set with a training split; its first frames are used.

    Returns:
        The error of a model that always draws that image.
    """
    n = max(1, SAMPLE_BYTES // dataset.recipe.trajectory_bytes)
    train = dataset.splits["train"].image[:n]
    split = _filled(dataset)[-1]
    test = split.image[:n]
    mean = train.mean(axis=(0, 1), dtype=np.float64) / 255
    first = test.mean(axis=(0, 1), dtype=np.float64) / 255
    squares = sum(float((part.astype(np.float32) ** 2).sum(dtype=np.float64)) for part in test)
    return squares / test.size / 255**2 - float((2 * first * mean - mean**2).mean())


def _filled(dataset: Dataset) -> list[Split]:
    """Splits that hold a trajectory."""
    return [split for split in dataset.splits.values() if len(split)]


def _arrays(split: Split) -> str:
    rows = []
    for name in split.names:
        array = split.array(name)
        shape = ", ".join(("n", *map(str, array.shape[1:])))
        rows.append((f"`{name}`", f"({shape})", str(array.dtype), array.unit, array.description))
    return table(("array", "shape", "type", "unit", "meaning"), rows)


def _versions(versions: Mapping[str, str]) -> str:
    return "Made with " + ", ".join(f"{name} {value}" for name, value in versions.items()) + ".\n"


def _sources(reference: str, style: str) -> str:
    from physim import drawing

    sources = {"system": reference, "drawing": drawing.find(style).reference}
    return "".join(f"- {what}: {source}\n" for what, source in sources.items() if source)
