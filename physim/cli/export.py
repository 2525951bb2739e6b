"""`physim export`: a data set in another format."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("export")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_name",
    required=True,
    metavar="[npz|parquet|webdataset]",
    help="Format to write.",
)
@click.option(
    "--out", "-o", required=True, type=click.Path(path_type=Path), help="Folder to write to."
)
@click.option("--quiet", is_flag=True, help="Print nothing.")
def command(path: Path, format_name: str, out: Path, quiet: bool) -> None:
    """Write a data set in another format: one folder per split, one file per shard.

    \b
    npz         NumPy archives
    parquet     tables, one row per trajectory (extra `export`)
    webdataset  tar files for streaming

    \b
    Example:
        physim export datasets/two_body --format webdataset -o two_body_tar
    """
    from physim.dataset import open as open_dataset
    from physim.export import export

    dataset = open_dataset(path)
    export(dataset, format_name, out)
    if not quiet:
        files = [file for split in dataset.splits for file in (out / split).glob("[!.]*")]
        size = sum(file.stat().st_size for file in files) / 1e6
        click.echo(f"{out}: {len(files):,} {format_name} files, {size:,.1f} MB")
