"""Train the small network with one thing changed at a time: the table of docs/training.md.

    python scripts/ablations.py OUT [--data datasets] [--seeds N] [--processes N] [--update]

trains and evaluates each row in a folder of OUT, as the command in its first column does, and
prints the table; `--update` also puts it into the page. Called again, it resumes.
"""

from __future__ import annotations

import json
import os
import shlex
import statistics
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click

from physim.markdown import between, table

PAGE = Path(__file__).parents[1] / "docs" / "training.md"

CHANGES = (
    "",
    "--set harmonic=false",
    "--set moments=0 --set transform=true",
    "--set both_ways=false",
    "--set consistency=0",
    "--integrator euler",
)
"""Options that are added to `hgn-train fit --preset small` on the spring."""

COLUMNS: dict[str, Callable[[dict[str, Any]], float]] = {
    "share explained, test": lambda found: found["splits"]["test"]["share_explained"],
    "further forward": lambda found: found["beyond"]["forward"]["share_explained"],
    "further backward": lambda found: found["beyond"]["backward"]["share_explained"],
    "double speed": lambda found: found["speeds"]["2.0"]["share_explained"],
    "H along / between rollouts": lambda found: found["splits"]["test"]["energy"][
        "relative_spread"
    ],
}


def evaluation(change: str, seed: int, out: Path, data: Path) -> dict[str, Any]:
    """Of one run, after as much of training and evaluating as is missing."""
    words = [word.strip("-").replace("=", "-") for word in change.split() if word != "--set"]
    run = out / "_".join([*(words or ["unchanged"]), str(seed)])
    if not (run / "evaluation.json").exists():
        new = ["--data", str(data / "hgn" / "mass_spring"), "--preset", "small"]
        new += ["--seed", str(seed), *change.split()]
        _hgn_train("fit", *(["--resume"] if run.exists() else new), "--out", str(run), "--quiet")
        _hgn_train("evaluate", str(run))
    return json.loads((run / "evaluation.json").read_text())


def _hgn_train(*arguments: str) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "hgn_train", *arguments]
    done = subprocess.run(  # noqa: S603 - the words are ours
        command, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise click.ClickException(f"{shlex.join(command)}: {done.stderr.strip()}")


def cell(values: list[float]) -> str:
    """Their mean, and the least and largest of several."""
    digits = ".2g" if max(map(abs, values)) < 0.1 else ".3f"
    text = format(statistics.mean(values), digits)
    if len(values) == 1:
        return text
    return f"{text} ({min(values):{digits}} to {max(values):{digits}})"


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), default="datasets", show_default=True)
@click.option("--seeds", default=1, show_default=True)
@click.option("--processes", default=2, show_default=True)
@click.option("--update", is_flag=True, help="Put the table into docs/training.md.")
def main(out: Path, data: Path, seeds: int, processes: int, update: bool) -> None:
    """Train, evaluate and print."""
    with ThreadPoolExecutor(processes) as pool:
        found = {
            (change, seed): pool.submit(evaluation, change, seed, out, data)
            for seed in range(seeds)
            for change in CHANGES
        }
        lines = []
        for change in CHANGES:
            of = [found[change, seed].result() for seed in range(seeds)]
            cells = [cell([column(each) for each in of]) for column in COLUMNS.values()]
            lines.append([f"`{change}`" if change else "unchanged", *cells])
    text = table(["changed", *COLUMNS], lines)
    click.echo(text, nl=False)
    if update:
        PAGE.write_text(between(PAGE.read_text(), "ablations", text))


if __name__ == "__main__":
    main()
