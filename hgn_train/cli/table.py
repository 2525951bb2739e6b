"""`hgn-train table`: runs beside the reported figures."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Put runs beside the reported figures.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A Markdown file; tables and pictures replace what stands between its markers.",
)
def command(runs: tuple[Path, ...], out: Path | None) -> None:
    """Put evaluated runs beside the figures that the papers report, as Markdown.

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
