"""Renew what is generated in the cards of the families, `datasets/*/README.md`.

    python scripts/family_cards.py [FAMILY …]

A card keeps what is written by hand; front matter and what stands between markers is generated:
from the recipes, and, under `measured`, from small data sets that are rendered for it, as is the
picture.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import physim
from physim import card, pictures
from physim.card.family import equations, family_front_matter, recipes_table
from physim.markdown import between, table
from physim.recipe import recipes

ROOT = Path(__file__).parent.parent / "datasets"
MEASURED = {"n": 400, "n_test": 100}
"""Trajectories that are rendered to measure a recipe."""

SHOWN_TIME = 3.75
COLUMNS = 11


def main(families: list[str]) -> None:
    """Renew the cards of some families, or of all."""
    for family in families or sorted({name.split("/")[0] for name in recipes()}):
        names = [name for name in recipes() if name.split("/")[0] == family]
        path = ROOT / family / "README.md"
        with tempfile.TemporaryDirectory() as folder:
            sets = {name: _rendered(name, Path(folder)) for name in names}
            measured = _measured(sets)
            _picture(sets).save(ROOT / family / "frames.png", optimize=True)
        blocks = generated(names) | {"measured": measured}
        path.write_text(renewed(path.read_text(encoding="utf-8"), family, names, blocks))
        print(path)


def generated(names: list[str]) -> dict[str, str]:
    """What follows from the recipes alone, by marker."""
    return {"equations": equations(names), "recipes": recipes_table(names)}


def renewed(text: str, family: str, names: list[str], blocks: dict[str, str]) -> str:
    """A card with new front matter and new text between its markers."""
    body = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    for name, block in blocks.items():
        body = between(body, name, block)
    return family_front_matter(family, names) + "\n" + body.lstrip("\n")


def _rendered(name: str, folder: Path) -> physim.dataset.Dataset:
    out = folder / name.replace("/", "-")
    physim.render(name, out=out, **MEASURED)
    return physim.open(out)


def _measured(sets: dict[str, physim.dataset.Dataset]) -> str:
    rows = []
    for name, dataset in sets.items():
        shards = dataset.manifest.shards
        total = sum(shard.trajectories for shard in shards)
        size = sum(shard.bytes for shard in shards)
        friction = dataset.recipe.friction
        worst = max(shard.energy_error for shard in shards)
        rows.append(
            (
                f"`{name}`",
                f"{size / total / 1000:.1f} kB",
                f"{total * dataset.recipe.trajectory_bytes / size:.0f}",
                "falls" if friction else f"{worst:.1e}",
                f"{100 * sum(shard.redrawn for shard in shards) / total:.3g} %",
                f"{1e4 * card.average_image_error(dataset):.3g}",
            )
        )
    header = ("recipe", "size per trajectory", "raw pixels / size", "energy error", "drawn again")
    return table((*header, "average image, MSE × 10⁴"), rows)


def _picture(sets: dict[str, physim.dataset.Dataset]) -> Image.Image:
    rows, labels = [], []
    for name, dataset in sets.items():
        last = min(len(dataset.times) - 1, round(SHOWN_TIME / dataset.recipe.dt))
        shown = np.linspace(0, last, COLUMNS).round().astype(int)
        rows.append(dataset.train.image[len(rows)][shown])  # another trajectory in each
        labels.append(
            name.split("/")[1].replace("_friction", "\nfriction").replace("_colors", "\ncolors")
        )
    return pictures.contact_sheet(np.stack(rows), labels=labels, scale=2)


if __name__ == "__main__":
    main(sys.argv[1:])
