"""`hgn-train figures`: the figures of the paper, from data and runs."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Make the paper's figures.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("docs/figures"),
    show_default=True,
    help="Folder of the pictures and their page.",
)
@click.option(
    "--runs",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Folder of runs to draw from, repeatable; then nothing is trained.  "
    "[default: runs, and missing runs are trained]",
)
@click.option("--only", default="", metavar="4,5,…", help="Figure numbers; all by default.")
@click.option("--system", "systems", multiple=True, help="Show these; repeatable.  [default: all]")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of the data sets, one folder per system.  [default: datasets/hgn]",
)
@click.option("--preset", default="small", show_default=True, help="Preset for what is trained.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Runs trained at a time.  [default: one per core, at most 4]",
)
def command(
    out: Path,
    folders: tuple[Path, ...],
    only: str,
    systems: tuple[str, ...],
    data: Path | None,
    preset: str,
    workers: int | None,
) -> None:
    """Draw figures 4 to 9 of the paper, with captions that say what was run.

    Without --runs, runs in runs/ are used; what is missing is rendered, trained and evaluated
    first. Called again, it resumes interrupted runs.

    \b
    Example:
        hgn-train figures --only 4,9
        hgn-train figures --runs runs --out docs/figures
    """
    from dataclasses import replace

    from hgn_train import files, paper
    from hgn_train.evaluation.markdown import SYSTEMS
    from hgn_train.paper import captions, page, runs, trainings
    from hgn_train.paper.figure import Material
    from hgn_train.presets import settings_of
    from physim import processors
    from physim.errors import PhysimError, unknown

    figures = paper.chosen(only)
    for name in systems:
        if name not in SYSTEMS:
            raise PhysimError(unknown("system", name, SYSTEMS))
    shown = tuple(name for name in SYSTEMS if name in (systems or SYSTEMS))
    settings_of(preset, "")  # refused before anything is made
    if data is not None and not data.is_dir():
        raise PhysimError(f"--data: got '{data}', expected a folder of data sets, one per system")
    sets = data or Path("datasets") / "hgn"
    home = Path("runs")
    there = runs.found(folders or ([home] if home.is_dir() else []))
    missing: list[trainings.Training] = []
    if not folders:
        wanted = [need for figure in figures for need in figure.needs(shown)]
        if preset != "small":  # what figures say of presets is for the small scale
            wanted = [replace(need, preset="") for need in wanted]
        wanted = list(dict.fromkeys(wanted))
        lacking = [need for need in wanted if not any(need.is_met_by(run.need) for run in there)]
        missing = trainings.planned(lacking, sets, home, preset)
    if any(figure.shows_data for figure in figures):
        rendered = [training.need.subject for training in missing if training.data]
        trainings.check_data(sets, shown, shown if data is None else rendered)
    if missing:
        at_once = min(workers or min(4, processors.available()), len(missing))
        click.echo(trainings.duration(missing, at_once))
        trainings.make(missing, at_once, click.echo)
        there = runs.found([home])
    material = Material(sets, shown, tuple(there))
    lacks = {figure: paper.lacks(figure, material) for figure in figures}
    refused = [f"figure {figure.number} needs {what}" for figure, what in lacks.items() if what]
    if refused and (only or len(refused) == len(figures)):
        raise PhysimError(f"--runs: {'; '.join(refused)}; the given folders have none")
    with files.writing(out):
        out.mkdir(parents=True, exist_ok=True)
    for figure, what in lacks.items():
        if what:
            click.echo(f"figure {figure.number} omitted: it needs {what}")
            continue
        with page.style():
            drawing = figure.draw(material)
            content = page.png(drawing.sheet, captions.text(drawing))
        path = out / figure.file
        files.write(path, content)
        click.echo(f"{path}: {len(content) // 1000} kB, {figure.title}")
    click.echo(f"captions: {captions.write(out, list(paper.FIGURES.values()))}")
