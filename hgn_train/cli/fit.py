"""`hgn-train fit`: train a model."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hgn_train.cli import options

if TYPE_CHECKING:
    from hgn_train.settings import RunSettings, TrainSettings

NETWORK = {
    "inference_frames": "Frames seen by the encoder: all of a rollout, or the first few.",
    "integrator": "euler, symplectic_euler, leapfrog, yoshida4, rk4 or implicit_midpoint.",
    "objective": "geco or elbo.",
    "beta": "Weight of the KL divergence in the elbo.",
    "kappa": "Error that GECO targets.",
}
TRAIN = {
    "steps": "Optimiser updates; with --resume, more than the run was to have.",
    "batch_size": "Trajectories, states or points per update.",
    "trajectories": "Number of training trajectories used, or of points for nhf; 0 for all.",
    "learning_rate": "Peak learning rate of Adam.",
    "precision": "bf16-mixed, 32-true, or auto: bf16 on devices with native support.",
    "seed": "Seed of weights, data order and noise.",
}


def _setting(name: str, text: str) -> Any:
    return click.option(f"--{name.replace('_', '-')}", name, default=None, help=text)


@click.command(short_help="Train a model.")
@click.option("--model", help="hgn, hnn, pixel-hnn, mlp (baseline of hnn) or nhf.  [default: hgn]")
@click.option("--input", "seen", help="What hnn sees: state or pixels.  [default: state]")
@click.option(
    "--data",
    "--target",
    "data",
    help="Folder of a data set, or for nhf also a .npy or .csv file of points, or circle, grid, "
    "random, moons, spirals, rings or checkerboard; not needed with --resume or --from.",
)
@click.option(
    "--preset",
    help="paper, small, test, and others for some models.  "
    "[default: small, or paper if there is no small]",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@options.named(*(_setting(name, text) for name, text in (NETWORK | TRAIN).items()))
@click.option("--deterministic-model", is_flag=True, help="No sampling of z and no KL.")
@click.option("--no-transform", is_flag=True, help="Without f_ψ: z is the state.")
@click.option("--joint", is_flag=True, help="One network H(q, p) instead of T(p) + V(q).")
@click.option("--both-ways", is_flag=True, help="Train half of each batch backward in time.")
@click.option("--compile", "compiled", is_flag=True, help="Compile the loss with torch.compile.")
@click.option("--deterministic", is_flag=True, help="Only deterministic algorithms.")
@options.set_option
@options.device_option
@click.option("--devices", default="auto", show_default=True, help="Number of devices.")
@click.option(
    "--from",
    "origin",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Start a new run from the weights of another, with its settings where no others are "
    "given; the model must be the same.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Resume from the last checkpoint in --out, with its settings. More --steps prolong the "
    "run, along the learning rates of one of that length; --data says where its data have moved.",
)
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def command(
    model: str | None,
    seen: str | None,
    data: str | None,
    preset: str | None,
    out: Path,
    changed: tuple[str, ...],
    device: str,
    devices: str,
    origin: Path | None,
    resume: bool,
    quiet: bool,
    **given: Any,
) -> int:
    """Train a model on a data set and keep everything in a folder.

    A run can be stopped with Ctrl-C or SIGTERM and resumed with --resume. The folder holds
    config.json, checkpoints, metrics.jsonl and TensorBoard events.

    \b
    Example:
        hgn-train fit --data datasets/hgn/pendulum --preset small --out runs/pendulum
        hgn-train fit --model hnn --data datasets/hnn/pendulum --out runs/pendulum-hnn
        hgn-train fit --model nhf --target circle --out runs/circle
        hgn-train fit --resume --out runs/pendulum --steps 12000
        hgn-train fit --from runs/pendulum --data datasets/hgn-noisy/pendulum --out runs/noisy
        torchrun --nproc-per-node 2 -m hgn_train fit --data datasets/hgn/pendulum --out runs/two
    """
    import os

    from hgn_train import models, train
    from hgn_train.data import training_rows
    from hgn_train.presets import check_used, default, settings_of, split_settings
    from hgn_train.start import settings_from
    from physim.errors import PhysimError

    asked = said(given, changed)
    wanted = asked.pop("input", seen)
    if resume:
        chosen = resumed(out, model, wanted, data, preset, origin, asked)
    elif origin is not None:
        check_model(origin, model, wanted)
        chosen = settings_from(origin, data, preset, implied(given) | asked)
        check_used(chosen, asked)
    elif data is None:
        raise click.UsageError("Missing option '--data'.")
    else:
        asked = implied(given) | asked
        model = model or "hgn"
        if wanted:
            model = models.that_sees(model, wanted)
        network, of_train = split_settings(asked, model)
        system = models.find(model).adapt(network, data)
        preset = preset or default(model)
        rows = training_rows(data)
        chosen = settings_of(preset, data, model, network, of_train, system, rows)
        check_used(chosen, asked)
    if devices != "auto" and not devices.isdigit():
        raise PhysimError(f"--devices: got '{devices}', expected a whole number or 'auto'")
    options.check_folder(out)
    if "LOCAL_RANK" in os.environ and devices == "auto":
        devices = os.environ.get("LOCAL_WORLD_SIZE", "1")
    outcome = train.fit(
        chosen,
        out,
        resume=resume,
        accelerator=device,
        devices=int(devices) if devices.isdigit() else devices,
        progress=not quiet,
    )
    if options.is_first():
        click.echo(summary(outcome, out))
    return 143 if outcome.stopped == "SIGTERM" else 130 if outcome.stopped else 0


def resumed(
    out: Path,
    model: str | None,
    seen: str | None,
    data: str | None,
    preset: str | None,
    origin: Path | None,
    asked: Mapping[str, str],
) -> RunSettings:
    """The settings of a run to be resumed, perhaps with more steps, or with its data elsewhere.

    Arguments:
        out: Its folder.
        model: As on the command line, as are the next four; None if not given.
        seen: What the model sees.
        data: Folder of a data set, or target.
        preset: Name of a preset.
        origin: Run whose weights it starts from.
        asked: Other settings, by name.

    Returns:
        The settings.

    Raises:
        PhysimError: A setting has another value, or belongs neither to the model nor to training.
    """
    from hgn_train import settings
    from hgn_train.evaluation import elsewhere
    from hgn_train.presets import split_settings

    chosen = settings.load(out)
    check_model(out, model, seen)
    start = chosen.start.run if chosen.start else "no --from"
    same = origin is None or elsewhere.is_same(start, str(origin))
    check(out, "from", same, str(origin), start)
    check(out, "preset", preset in (None, chosen.preset), preset, chosen.preset)
    steps = chosen.train.steps
    parts = zip((chosen.network, chosen.train), split_settings(asked, chosen.model), strict=True)
    for part, words in parts:
        for name, value in settings.values(type(part), words).items():
            own = getattr(part, name)
            if name == "steps" and value > own:
                steps = value
                continue
            left_open = name == "precision" and value == "auto"
            check(out, name, left_open or value == own, words[name], own)
    if data is None or elsewhere.is_same(chosen.data, data):
        data = chosen.data
        elsewhere.check_there(out, chosen)
    if steps > chosen.train.steps and options.is_first():
        click.echo(prolonged(chosen.train, steps))
    return replace(chosen, data=data, train=replace(chosen.train, steps=steps))


def check_model(run: Path, model: str | None, seen: str | None) -> None:
    """Refuse another model than that of a run.

    Arguments:
        run: Its folder.
        model: As on the command line, as is the next; None if not given.
        seen: What the model sees.

    Raises:
        PhysimError: The run is of another model.
    """
    from hgn_train import models, settings

    own = settings.load(run).model
    if seen:
        sees = models.INPUTS.get(models.find(own).evaluation, "points")
        check(run, "input", seen == sees, seen, sees)
    if model:
        found = models.that_sees(model, seen) if seen else models.find(model).name
        check(run, "model", found == own, model, own)


def check(run: Path, name: str, same: bool, given: str | None, own: Any) -> None:
    """Refuse a setting that is not that of a run.

    Raises:
        PhysimError: It is not the same.
    """
    from physim.errors import PhysimError

    if not same:
        own = f"'{own}'" if isinstance(own, str) else json.dumps(own)
        raise PhysimError(
            f"{name}: got '{given}', but {run} holds a run with {own}; "
            f"expected {'more' if name == 'steps' else 'none given'}, or another run"
        )


def prolonged(t: TrainSettings, steps: int) -> str:
    """What happens to the learning rate of a run that is given more steps."""
    from hgn_train.loop import schedule

    before, after = (
        t.learning_rate * schedule(replace(t, steps=n), t.steps) for n in (t.steps, steps)
    )
    text = f"{steps:,} steps, no longer {t.steps:,}"
    if before == after:
        return text
    return f"{text}: at step {t.steps:,} the learning rate is {after:.3g}, not {before:.3g}"


def implied(given: dict[str, Any]) -> dict[str, str]:
    """Settings that follow, in a new run, from the options that were used."""
    table = {"anchor": "middle"} if given.get("both_ways") else {}
    return table | ({"integrator": "implicit_midpoint"} if given.get("joint") else {})


def said(given: dict[str, Any], changed: tuple[str, ...]) -> dict[str, str]:
    """Settings by name from the options that were used."""
    table = {name: given[name] for name in NETWORK | TRAIN if given.get(name) is not None}
    flags = {
        "deterministic_model": ("stochastic", "false"),
        "no_transform": ("transform", "false"),
        "joint": ("separable", "false"),
        "both_ways": ("both_ways", "true"),
        "compiled": ("compile", "true"),
        "deterministic": ("deterministic", "true"),
    }
    table |= {name: value for flag, (name, value) in flags.items() if given.get(flag)}
    return table | options.pairs(changed)


def summary(outcome: Any, out: Path) -> str:
    """How a run ended, in a sentence or two."""
    text = f"{out}: {outcome.step} steps in {outcome.seconds:.0f} s"
    if outcome.stopped:
        return f"{text}, stopped by {outcome.stopped}; resume with --resume"
    if outcome.first == outcome.step:
        return f"{out}: already finished, with {outcome.step} steps"
    if math.isnan(outcome.share_explained):
        return f"{text}, held-out error {outcome.error:.4g}"
    text += f", share explained {outcome.share_explained:.3f} on held-out rows"
    if outcome.collapse:
        text += (
            f"\nnot learned: {outcome.collapse}; "
            "more updates, another seed, more warm-up, or a smaller beta if there is one may help"
        )
    return text
