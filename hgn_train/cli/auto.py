"""`hgn-train auto`: from a system's name to the report; what `make train` calls."""

from __future__ import annotations

import time
from pathlib import Path

import click

from hgn_train.cli import options


@click.command(short_help="Render what is missing, train, evaluate and report.")
@click.option(
    "--system",
    default="mass_spring",
    show_default=True,
    help="mass_spring, pendulum, two_body or three_body.",
)
@click.option(
    "--preset",
    default="auto",
    show_default=True,
    help="auto, tuned, paper, plus, long, small or test.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of the data set.  [default: datasets/hgn/SYSTEM]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the run.  [default: runs/SYSTEM-PRESET, or seed-N in it]",
)
@click.option(
    "--seed", default=0, show_default=True, help="Seed of weights, data order and noise."
)
@options.set_option
@options.device_option
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def command(
    system: str,
    preset: str,
    data: Path | None,
    out: Path | None,
    seed: int,
    changed: tuple[str, ...],
    device: str,
    quiet: bool,
) -> int:
    """Render the data if it is missing, train, evaluate, and write the report.

    On a GPU the preset is long, on a CPU small. Called again, it resumes an interrupted run.

    \b
    Example:
        hgn-train auto --system pendulum
    """
    import physim
    from hgn_train import checkpoint, evaluation, models, report, settings, train
    from hgn_train.cli.fit import summary
    from hgn_train.data import is_there, training_rows
    from hgn_train.presets import check_used, duration, settings_of, split_settings
    from physim.errors import PhysimError, unknown
    from physim.recipe import recipes

    known = [name.removeprefix("hgn/") for name in recipes() if name.startswith("hgn/")]
    if system not in known:
        raise PhysimError(unknown("system", system, known))
    chosen = options.device_of(device)
    why = "as requested"
    if preset == "auto":
        preset = "long" if chosen.type == "cuda" else "small"
        why = f"since this runs on a {'GPU' if chosen.type == 'cuda' else 'CPU'}"
    network, of_train = split_settings({"seed": str(seed)} | options.pairs(changed))
    planned = settings_of(preset, "", network=network, train=of_train, system=system)
    check_used(planned, network)  # refused before rendering
    folder = data or Path("datasets") / "hgn" / system
    out = out or Path("runs") / f"{system}-{preset}" / (f"seed-{seed}" if seed else "")
    options.check_folder(out)
    there = is_there(folder)
    if data is not None and not there:
        raise PhysimError(f"{data}: no data set in this folder")
    held = models.find("hgn").adapt(network, str(folder)) if there else system
    if held != system:
        raise PhysimError(
            f"--data: {folder} holds '{held}', expected '{system}'; or --system {held}"
        )
    click.echo(f"{system}, preset {preset}, {why}: {duration(preset, system)}")
    if not there:
        click.echo(f"rendering {folder}, which is missing")
        click.echo(str(physim.render(f"hgn/{system}", folder)))
        models.find("hgn").adapt(network, str(folder))
    resume = (out / "checkpoints" / checkpoint.LAST).is_file()
    rows = training_rows(str(folder))
    wanted = settings_of(preset, str(folder), "hgn", network, of_train, system, rows)
    if resume and (own := settings.load(out)) != wanted.decided(own.train.precision):
        raise PhysimError(f"{out}: holds a run with other settings; expected another --out")
    outcome = train.fit(wanted, out, resume, accelerator=device, progress=not quiet)
    if options.is_first():
        click.echo(summary(outcome, out))
    if outcome.stopped:
        return 143 if outcome.stopped == "SIGTERM" else 130
    if not options.is_first():
        return 0

    started = time.perf_counter()
    click.echo("evaluating")
    click.echo(report.text(evaluation.find("hgn").evaluate(out, chosen)))
    path = report.write(out)
    click.echo(f"evaluated in {time.perf_counter() - started:.0f} s")
    click.echo(f"report: {path.resolve()}")
    return 0
