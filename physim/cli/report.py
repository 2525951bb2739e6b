"""`physim report`: one HTML page about a data set."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file to write.  [default: report.html in PATH]",
)
@click.option(
    "--verify/--no-verify", default=True, show_default=True, help="Check the data set first."
)
def command(path: Path, output: Path | None, verify: bool) -> None:
    """Write one self-contained HTML page about the data set PATH.

    \b
    Example:
        physim report datasets/two_body -o two_body.html
    """
    from physim import report
    from physim.dataset import open as open_dataset

    target = output or path / "report.html"
    report.write(open_dataset(path), target, verify=verify)
    click.echo(str(target))
