"""`physim verify`: is a data set what it claims to be?"""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("verify")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--deep", is_flag=True, help="Redraw and compare all frames, not only a sample.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(ctx: click.Context, path: Path, deep: bool, as_json: bool) -> None:
    """Check every promise of a data set; exit status 0 if all hold, 1 if not.

    Checksums, format, attributes, energies against states and parameters, and that the frames are
    what the recipe draws for those states. Names the shard and the trajectory of whatever is
    wrong.

    \b
    Example:
        physim verify datasets/two_body
        physim verify datasets/two_body --deep --json
    """
    from physim.verification import verify

    result = verify(path, deep)
    click.echo(json.dumps(result.as_dict(), indent=1) if as_json else str(result))
    ctx.exit(0 if result.ok else 1)
