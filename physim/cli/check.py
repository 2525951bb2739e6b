"""`physim check`: how accurate is the ground truth?"""

from __future__ import annotations

from pathlib import Path

import click


@click.command("check")
@click.option("--full", is_flag=True, help="More trajectories, longer runs: takes minutes.")
@click.option(
    "--plots",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also draw accuracy-*.png into this folder (needs the extra 'plots').",
)
@click.option(
    "--update",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Also put the tables between the markers of this Markdown file.",
)
@click.pass_context
def command(ctx: click.Context, full: bool, plots: Path | None, update: Path | None) -> None:
    """Measure the integrators; exit status 0 if every promise holds, 1 if not.

    Orders of convergence, energy errors, symplecticity, reversibility, conserved quantities, the
    default integrators against SciPy and mpmath, and what each costs. Prints Markdown tables.

    \b
    Example:
        physim check
        physim check --full --plots docs/img --update docs/accuracy.md
    """
    from physim.accuracy import report

    broken: list[str] = []
    for table in report.tables(full, lambda title: click.echo(f"{title} …", err=True)):
        click.echo(f"\n{table.title}\n\n{table.markdown()}", nl=False)
        broken += table.broken
        if update is not None:
            table.update(update)
    if plots is not None:
        from physim.accuracy import plots as pictures

        for path in pictures.draw(plots, full):
            click.echo(f"{path}")
    click.echo("")
    for sentence in broken:
        click.echo(sentence)
    wrong = len(broken)
    many = "1 promise does not hold" if wrong == 1 else f"{wrong} promises do not hold"
    click.echo(many if wrong else "all promises hold")
    ctx.exit(1 if wrong else 0)
