"""`hgn-train table`: runs beside the reported values."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Tabulate runs beside the reported values.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A Markdown file; tables and pictures replace the text between its markers.",
)
def command(runs: tuple[Path, ...], out: Path | None) -> None:
    """Tabulate evaluated runs beside the values that the papers report, as Markdown.

    \b
    Example:
        hgn-train table --out docs/results.md runs/*
    """
    from hgn_train import table

    if out is not None:
        table.check_name(out)
    text = table.markdown(runs)
    if out is None:
        click.echo(text)
        return
    table.write(out, text + table.pictures(runs, out))
    click.echo(f"{out}: {len(runs)} runs")
