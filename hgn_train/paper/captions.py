"""The page beside the pictures: each says in its own file what it shows and what was run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hgn_train import files
from hgn_train.paper import runs
from hgn_train.paper.figure import Drawing, Figure

PAGE = "README.md"
HEAD = """# Figures of the HGN paper, regenerated

After Toth, Rezende, Jaegle, Racanière, Botev and Higgins (2019), "Hamiltonian Generative
Networks", [arXiv 1909.13789](https://arxiv.org/abs/1909.13789), with its figure numbers. This page
and its pictures are written by

    hgn-train figures

[paper.md](../paper.md) says what they show about the paper's claims.
"""


def text(drawing: Drawing) -> str:
    """What the file of a picture says of itself.

    Arguments:
        drawing: The figure.

    Returns:
        Markdown: the caption, then the runs.
    """
    lines = [drawing.caption]
    if drawing.runs:
        lines += ["", "What was run:", ""]
        lines += [f"- {runs.sentence(run)}" for run in drawing.runs]
    return "\n".join(lines)


def write(folder: Path, figures: Sequence[Figure]) -> Path:
    """Write the page of all pictures that are in a folder, new or old.

    Arguments:
        folder: Where the pictures are.
        figures: All that there can be.

    Returns:
        The page.
    """
    from PIL import Image

    blocks = [HEAD]
    for figure in sorted(figures, key=lambda figure: figure.number):
        path = folder / figure.file
        if not path.is_file():
            continue
        with Image.open(path) as picture:
            said = str(picture.info.get("Description", ""))
        title = f"Figure {figure.number}: {figure.title}"
        blocks.append(f"## {title}\n\n![{title}]({figure.file})\n\n{said}\n")
    page = folder / PAGE
    files.write(page, "\n".join(blocks))
    return page
