"""`physim systems`: what can be simulated, and how."""

from __future__ import annotations

import click


@click.command("systems")
@click.argument("name", required=False)
@click.option("--integrators", is_flag=True, help="List the integrators instead.")
@click.option("--styles", is_flag=True, help="List the drawing styles instead.")
@click.option(
    "--recipes", "list_recipes", is_flag=True, help="List the recipes that ship instead."
)
def command(name: str | None, integrators: bool, styles: bool, list_recipes: bool) -> None:
    """List the systems with their Hamiltonians, parameters, defaults and ranges.

    \b
    Example:
        physim systems pendulum
        physim systems --integrators
    """
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
    from physim.systems import SYSTEMS, find

    for each in [name] if name else list(SYSTEMS):
        system = find(each)
        click.secho(system.name, bold=True)
        click.echo(f"  {system.summary}")
        click.echo(f"  H = {system.formula}")
        rows = [("parameter", "meaning", "default", "in hgn/*")]
        for parameter in system.parameters:
            many = f" (each of {parameter.components})" if parameter.components > 1 else ""
            rows.append(
                (
                    parameter.symbol,
                    parameter.meaning + many,
                    str(parameter.default),
                    str(parameter.paper),
                )
            )
        for sampler in system.samplers:
            first = " (default)" if sampler is system.samplers[0] else ""
            rows.append((f"sampler {sampler.name}{first}", sampler.summary, "", ""))
            for setting in sampler.settings:
                rows.append(
                    (
                        f"  {setting.symbol}",
                        setting.meaning,
                        str(setting.default),
                        str(setting.paper),
                    )
                )
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            click.echo(("  " + "  ".join(cells)).rstrip())
        click.echo(f"  integrator: {system.default_integrator}\n")


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
        click.echo(f"  {integrator.summary}\n  {', '.join(traits)}; {integrator.evaluations}")
