"""Runs beside the figures that papers report, as Markdown."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hgn_train import evaluation
from hgn_train.evaluation.markdown import place
from hgn_train.evaluation.results import numbers
from physim.errors import PhysimError

START, END = "<!-- results: start -->", "<!-- results: end -->"


def markdown(runs: Sequence[Path]) -> str:
    """Tables of evaluated runs, one for each kind of model, with what papers report of it.

    Arguments:
        runs: Folders of runs.

    Returns:
        Markdown.

    Raises:
        PhysimError: A run has not been evaluated.
    """
    found = [(run, numbers(run)) for run in runs]
    found.sort(key=lambda pair: (place(pair[1]["system"]), pair[0].as_posix()))
    groups: dict[Any, list[dict[str, Any]]] = {}
    for _, results in found:
        kind = evaluation.find(results["settings"]["model"])
        groups.setdefault(kind, []).append(results)
    return "\n".join(kind.tables(group) for kind, group in groups.items())


PICTURES = {
    "rollout-0.png": "the original, what the model makes of its first frames, and the same "
    "backward, at double and at half speed, each below the simulator's own",
    "error.png": "error of each frame",
    "samples.png": "new trajectories from the fitted prior",
}


def pictures(runs: Sequence[Path], path: Path) -> str:
    """Copy the pictures of the first run of each system beside a page, and refer to them.

    Arguments:
        runs: Folders of evaluated runs.
        path: The page; pictures go to a folder of its name without the ending.

    Returns:
        Markdown.
    """
    folder = path.with_suffix("")
    lines, done = [], set()
    for run in runs:
        results = numbers(run)
        system = results["system"]
        if system in done:
            continue
        done.add(system)
        for name, caption in PICTURES.items():
            source = run / "pictures" / name
            if source.is_file():
                folder.mkdir(exist_ok=True)
                shutil.copyfile(source, folder / f"{system}-{name}")
                lines += ["", f"![{system}: {caption}]({folder.name}/{system}-{name})", ""]
                lines += [f"*{system}: {caption}.*"]
    return "\n".join(lines) + "\n"


def write(path: Path, text: str) -> None:
    """Put a table between the markers of a file, or make the file.

    Arguments:
        path: A Markdown file.
        text: The table.

    Raises:
        PhysimError: The file exists and has no markers.
    """
    block = f"{START}\n{text}{END}"
    if not path.exists():
        path.write_text(f"# Results\n\n{block}\n")
        return
    content = path.read_text()
    before, start, rest = content.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise PhysimError(f"{path}: has no lines '{START}' and '{END}' to put the table between")
    path.write_text(before + block + after)
