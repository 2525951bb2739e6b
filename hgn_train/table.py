"""Runs beside the figures that papers report, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hgn_train import evaluation, files
from hgn_train.evaluation.elsewhere import is_of_other_data
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
        PhysimError: A run has not been evaluated, or a folder holds results on other data.
    """
    groups = _groups(runs).items()
    return "\n".join(kind.tables([results for _, results in group]) for kind, group in groups)


def check_name(path: Path) -> None:
    """Refuse a page that cannot be written, before anything is.

    Arguments:
        path: The page.

    Raises:
        PhysimError: A folder, one that does not exist, or a name without an ending, which is the
            folder of the pictures.
    """
    if path.is_dir():
        raise PhysimError(f"--out: got '{path}', which is a folder; expected a Markdown file")
    if not path.suffix:
        raise PhysimError(f"--out: got '{path}', expected a name with an ending such as .md")
    if not path.parent.is_dir():
        raise PhysimError(f"--out: got '{path}', but there is no folder {path.parent}")


def pictures(runs: Sequence[Path], path: Path) -> str:
    """Put pictures of some of the runs beside a page, and refer to them.

    Arguments:
        runs: Folders of evaluated runs.
        path: The page; pictures go to a folder of its name without the ending.

    Returns:
        Markdown.
    """
    folder = path.with_suffix("")
    lines = []
    for kind, group in _groups(runs).items():
        for name, caption, content in kind.comparisons(group):
            with files.writing(folder):
                folder.mkdir(exist_ok=True)
            files.write(folder / name, content)
            lines += ["", f"![{caption}]({folder.name}/{name})", "", f"*{caption}.*"]
    return "\n".join(lines) + "\n"


def write(path: Path, text: str) -> None:
    """Put a table between the markers of a file, or make the file.

    Arguments:
        path: A Markdown file.
        text: The table.

    Raises:
        PhysimError: The file exists and has no markers, or cannot be written.
    """
    block = f"{START}\n{text}{END}"
    if not path.exists():
        files.write(path, f"# Results\n\n{block}\n")
        return
    content = path.read_text()
    before, start, rest = content.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise PhysimError(f"{path}: has no lines '{START}' and '{END}' to put the table between")
    files.write(path, before + block + after)


def _groups(runs: Sequence[Path]) -> dict[Any, list[tuple[Path, dict[str, Any]]]]:
    """Runs with their results, by the module that judged them.

    In the order of systems, then by model, then by folder.
    """
    for run in runs:
        if is_of_other_data(run):
            raise PhysimError(
                f"{run}: holds results on other data than the run's own, expected {run.parent}"
            )
    found = [(run, numbers(run)) for run in runs]
    found.sort(key=lambda pair: (place(pair[1]["system"]), _model(pair[1]), pair[0].as_posix()))
    groups: dict[Any, list[tuple[Path, dict[str, Any]]]] = {}
    for run, results in found:
        kind = evaluation.find(_model(results))
        groups.setdefault(kind, []).append((run, results))
    return groups


def _model(results: dict[str, Any]) -> str:
    """Which model a run is of."""
    name: str = results["settings"]["model"]
    return name
