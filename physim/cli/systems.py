"""`physim systems`: what can be simulated, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from physim.systems.parameters import Parameter


@click.command("systems")
@click.argument("name", required=False)
@click.option("--integrators", is_flag=True, help="List the integrators instead.")
@click.option("--styles", is_flag=True, help="List the drawing styles instead.")
@click.option("--recipes", "list_recipes", is_flag=True, help="List the bundled recipes instead.")
def command(name: str | None, integrators: bool, styles: bool, list_recipes: bool) -> None:
    """List the systems with their Hamiltonians, parameters, defaults and ranges.

    \b
    Example:
        physim systems pendulum
        physim systems --integrators
    """
    from physim import plugins

    plugins.load()
    if integrators:
        _integrators()
    elif styles:
        from physim.drawing import STYLES

        for style in STYLES.values():
            click.echo(f"{style.name:6} {style.summary}")
    elif list_recipes:
        from physim.recipe import recipes

        click.echo("\n".join(recipes()))
    else:
        _systems(name)


def _systems(name: str | None) -> None:
    from physim.recipe import recipes
    from physim.systems import SYSTEMS, choice_of_bodies, find

    of_the_paper = [recipe.removeprefix("hgn/") for recipe in recipes()]
    for each in [name] if name else list(SYSTEMS):
        system = find(each)
        click.secho(system.name, bold=True)
        choice = choice_of_bodies(each)
        chosen = f"; {choice[0]} … {choice[-1]} with --bodies" if choice else ""
        click.echo(f"  {system.summary}{chosen}")
        click.echo(click.wrap_text(system.formula, 98, "  H = ", "      "))
        click.echo(f"  integrator: {system.default_integrator} by default\n")
        fixed = "in hgn/*" if each in of_the_paper else "if fixed"
        _table(system.parameters, fixed)
        for number, sampler in enumerate(system.samplers):
            which = ", by default" if number == 0 and len(system.samplers) > 1 else ""
            text = f"{sampler.name}{which}: {sampler.summary}"
            click.echo(click.wrap_text(text, 98, "  sampler ", "      "))
            _table(sampler.settings, fixed)


def _table(parameters: tuple[Parameter, ...], fixed: str) -> None:
    rows = [("", "default", fixed, "")]
    for parameter in parameters:
        row = (parameter.symbol, str(parameter.default), str(parameter.paper), parameter.meaning)
        rows.append(row)
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(("    " + "  ".join(cells)).rstrip())
    click.echo()


def _integrators() -> None:
    from physim.integrators import INTEGRATORS, find

    for integrator in map(find, INTEGRATORS):
        traits = [
            f"order {integrator.order}" if integrator.order else "exact",
            *(["symplectic"] if integrator.symplectic else []),
            *(["reversible"] if integrator.reversible else []),
            *(["H = T(p) + V(q) only"] if integrator.separable_only else []),
            *([] if integrator.friction else ["no friction"]),
        ]
        click.secho(integrator.name, bold=True)
        click.echo(
            f"  {integrator.summary}\n  {', '.join(traits)}; "
            f"gradients of H per step: {integrator.evaluations}"
        )
