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
@click.pass_context
def command(ctx: click.Context, path: Path, output: Path | None, verify: bool) -> None:
    """Write one self-contained HTML page about the data set PATH.

    Exit status 1 if the data set fails a check; the page then says which.

    \b
    Example:
        physim report datasets/two_body -o two_body.html
    """
    from physim import report
    from physim.dataset import open as open_dataset

    target = output or path / "report.html"
    found = report.write(open_dataset(path), target, verify=verify)
    click.echo(str(target))
    if found is not None and not found.ok:
        click.echo(f"{found.verdict}: see the page, or physim verify {path}", err=True)
        ctx.exit(1)
