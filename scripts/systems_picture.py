"""Make docs/img/systems.png: a strip of frames of each system, as the README shows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from physim.recipe import Recipe
from physim.trajectories import Generator

SYSTEMS = (
    "mass_spring",
    "pendulum",
    "double_pendulum",
    "two_body",
    "three_body",
    "lennard_jones",
)
FRAMES, SIDE, GAP, LABEL = 10, 96, 4, 130


def main() -> None:
    """Draw, label and save."""
    width = LABEL + FRAMES * (SIDE + GAP) + GAP
    picture = Image.new("RGB", (width, len(SYSTEMS) * (SIDE + GAP) + GAP), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(15)
    for row, name in enumerate(SYSTEMS):
        recipe = Recipe.of({"system": name, "resolution": SIDE, "frames": 30, "n": 8, "seed": 3})
        strip = Generator(recipe).block("train", 0, 8)["image"][5, :: 30 // FRAMES]
        top = GAP + row * (SIDE + GAP)
        pen.text((10, top + SIDE // 2 - 9), name, fill="black", font=font)
        for column, frame in enumerate(np.asarray(strip)):
            picture.paste(Image.fromarray(frame), (LABEL + GAP + column * (SIDE + GAP), top))
    path = Path(__file__).parents[1] / "docs" / "img" / "systems.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, optimize=True)
    print(f"{path.relative_to(Path.cwd())}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
