"""`physim inspect`: the contents of a data set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from physim.command_line import percent, size_text
from physim.systems.parameters import LAWS


@click.command("inspect")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_context
def command(ctx: click.Context, path: Path, as_json: bool) -> None:
    """Show the contents of a data set: recipe, counts, sizes, parameter and energy ranges.

    Of a set that is not finished: what is there, and how to resume; exit status 1.

    \b
    Example:
        physim inspect datasets/two_body
        physim inspect datasets/two_body --json
    """
    from physim.dataset import open as open_dataset
    from physim.inspection import inspection

    dataset = open_dataset(path, unfinished=True)
    found = inspection(dataset)
    click.echo(json.dumps(found, indent=1) if as_json else _text(found))
    if dataset.unfinished:
        click.echo(f"{path}: {dataset.unfinished}", err=True)
        ctx.exit(1)


def _text(found: dict[str, Any]) -> str:
    recipe = found["recipe"]
    lines = [f"{recipe.get('name', found['path'])}: {found['system']} in {found['path']}", ""]
    plain = {key: value for key, value in recipe.items() if value not in (None, [], {}, 0, False)}
    lines += _table([(f"  {key}", _plain(value)) for key, value in plain.items()])
    for name, split in found["splits"].items():
        of = f" of {found['unfinished']['of'][name]:,}" if "unfinished" in found else ""
        shards = f"{split['shards']:,} shard{'s' if split['shards'] != 1 else ''}"
        counts = f"{split['trajectories']:,}{of} trajectories, {shards}"
        lines += ["", f"{name}: {counts}, {size_text(split['bytes'])}"]
        if not split["trajectories"]:
            continue
        rows: list[tuple[str, ...]] = [("  array", "shape", "type", "raw", "stored", "ratio")]
        for array, about in split["arrays"].items():
            shape = " × ".join(f"{side:,}" for side in about["shape"])
            sizes = (
                size_text(about["raw_bytes"]),
                size_text(about["bytes"]),
                f"{about['ratio']:.1f}",
            )
            rows.append((f"  {array}", shape, about["dtype"].lstrip("|<"), *sizes))
        lines += _table(rows)
        rows = [("  range", "min", "mean", "max")]
        for symbol, about in {**split["parameters"], "energy": split["energy"]}.items():
            rows.append((f"  {symbol}", *(f"{about[key]:.6g}" for key in ("min", "mean", "max"))))
        lines += ["", *_table(rows)]
        if split["drawn_again"]:
            again = f"{split['drawn_again']:,}"
            lines.append(f"  {again} had left the canvas, or bodies had met, and were drawn again")
        hidden = split.get("out_of_sight", {})
        if hidden.get("trajectories"):
            frames = split["trajectories"] * split["arrays"]["image"]["shape"][1]
            lines.append(
                f"  noise puts a body out of sight in "
                f"{percent(hidden['trajectories'], split['trajectories'])} of trajectories, "
                f"{percent(hidden['frames'], frames)} of frames"
            )
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return "\n".join([*lines, "", f"made with {versions}"])


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{key} {' … '.join(map(_plain, item)) if key in LAWS else _plain(item)}"
            for key, item in value.items()
        )
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return str(value)
