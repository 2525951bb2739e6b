"""`physim render`: one command makes a data set."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from physim.command_line import check_stopped, stopping_between_rounds

if TYPE_CHECKING:
    from physim.recipe import Recipe


def _complete_system(
    ctx: click.Context, param: click.Parameter, text: str
) -> list[CompletionItem]:
    from physim import plugins
    from physim.systems import SYSTEMS

    plugins.load()

    return [CompletionItem(name) for name in SYSTEMS if name.startswith(text)]


def _complete_recipe(
    ctx: click.Context, param: click.Parameter, text: str
) -> list[CompletionItem]:
    from physim.recipe import recipes

    shipped = [CompletionItem(name) for name in recipes() if name.startswith(text)]
    return shipped or [CompletionItem(text, type="file")]


@click.command("render")
@click.option(
    "--system", shell_complete=_complete_system, help="System to simulate; see `physim systems`."
)
@click.option(
    "--recipe",
    shell_complete=_complete_recipe,
    help="A TOML file, a bundled recipe (such as hgn/two_body), or a data set to remake or to "
    "resume.",
)
@click.option("--n", type=int, help="Trajectories in the training split.  [default: 50000]")
@click.option(
    "--n-test",
    type=int,
    help="Trajectories in the test split.  [default: a fifth of --n, at least 1]",
)
@click.option(
    "--name", help="Name of the data set.  [default: the recipe's, with what was changed]"
)
@click.option(
    "--out",
    help="Folder.  [default: datasets/<name>]",
)
@click.option("--seed", type=int, help="Seed of all random numbers.  [default: 0]")
@click.option("--frames", type=int, help="Frames per trajectory.  [default: 30]")
@click.option(
    "--dt", type=float, help="Time between frames; negative for backward.  [default: 0.125]"
)
@click.option(
    "--resolution", type=int, help="Pixels in height and width, 8 … 1024.  [default: 32]"
)
@click.option(
    "--noise", type=float, help="Standard deviation added to q and p before drawing.  [default: 0]"
)
@click.option(
    "--param",
    multiple=True,
    metavar="NAME=VALUE|NAME=LO:HI",
    help="A physical constant or a setting of the sampler, fixed or uniform, or a comma-separated "
    "list with one for each body, m=1,0.5:1.5; repeatable.",
)
@click.option(
    "--integrator",
    help="See `physim systems --integrators`.  [default: the system's most accurate]",
)
@click.option(
    "--substeps",
    type=int,
    help="Equal steps per frame; adaptive integrators take at least as many.  [default: 1]",
)
@click.option("--friction", type=float, help="c in dp/dt = −∂H/∂q − c ∂H/∂p.  [default: 0]")
@click.option(
    "--bodies", type=int, help="Number of bodies in n_body or lennard_jones.  [default: 4]"
)
@click.option("--sampler", help="How initial states are drawn.  [default: the system's first]")
@click.option("--style", help="See `physim systems --styles`.  [default: hgn]")
@click.option(
    "--colors", type=int, help="Number of colours to draw from.  [default: the style's own]"
)
@click.option(
    "--canvas-offset/--no-canvas-offset", default=None, help="Move the canvas at random."
)
@click.option("--half-width", type=float, help="Half the width of the world shown in a frame.")
@click.option("--store", multiple=True, metavar="derivatives", help="Store dq/dt and dp/dt too.")
@click.option(
    "--scheduler", help="A Dask scheduler, tcp://host:8786, that makes the shards; or local."
)
@click.option(
    "--workers",
    type=int,
    help="Threads, or processes of --scheduler local.  [default: all processors]",
)
@click.option("--overwrite", is_flag=True, help="Replace another data set in the folder.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def command(
    system: str | None,
    recipe: str | None,
    out: str | None,
    param: tuple[str, ...],
    sampler: str | None,
    workers: int | None,
    scheduler: str | None,
    overwrite: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Make a data set: a training and a test split of drawn trajectories.

    With no recipe, masses, lengths, stiffness and gravity are drawn at random for each trajectory;
    the recipes hgn/<system> fix them to the values of the HGN paper. Called again with the
    same settings, it resumes an interrupted run.

    \b
    Example:
        physim render --system two_body --n 1000 --param G=0.9:1.1 --out datasets/mine
    """
    from physim.errors import RecipeError
    from physim.kernels import start_without_scipy
    from physim.recipe import Recipe, load
    from physim.rendering import render

    if system is None and recipe is None:
        raise RecipeError("--system: missing; name a system (see `physim systems`) or a --recipe")
    given = load(recipe) if recipe else {}
    if system is not None and given.get("system", system) != system:
        raise RecipeError(
            f"--system: got '{system}', but recipe '{recipe}' is for '{given['system']}'"
        )
    changes = {key: value for key, value in options.items() if value not in (None, ())}
    changes |= {"system": system} if system else {}
    if options["store"]:
        changes["store"] = list(options["store"])
    if sampler:
        changes["initial"] = {"sampler": sampler}
    made = Recipe.changed(given, recipe or "", changes)
    if param:
        parameters, initial = _tables(param, made)
        changes |= {"parameters": parameters, "initial": changes.get("initial", {}) | initial}
        made = Recipe.changed(given, recipe or "", changes)
    folder = Path("datasets") / made.name if out is None else out

    total = made.n + (made.n_test or 0)
    with _Progress(made.name, total, quiet, busy=scheduler is None) as progress:
        start_without_scipy()
        try:
            summary = render(
                made,
                folder,
                workers=workers,
                scheduler=scheduler,
                overwrite=overwrite,
                progress=progress.update,
                on_compiling=progress.compiling,
            )
        except (KeyboardInterrupt, SystemExit):
            progress.close()
            said = "Nothing is there yet."
            if Path(folder).exists():
                said = f"Rerun the same command to resume: {folder}"
            click.echo(f"Stopped. {said}", err=True)
            raise
    if not quiet:
        click.echo(str(summary))


def _tables(param: tuple[str, ...], made: Recipe) -> tuple[dict[str, Any], dict[str, Any]]:
    """Entries of `parameters` and `initial`; `made` is the recipe without them."""
    from physim.errors import RecipeError, unknown

    parameters: dict[str, Any] = {}
    initial: dict[str, Any] = {}
    ours = list(made.parameters)
    theirs = [name for name in made.initial if name != "sampler"]
    for text in param:
        name, equals, value = text.partition("=")
        if not equals:
            raise RecipeError(f"--param: got '{text}', expected NAME=VALUE or NAME=LO:HI")
        if name in parameters or name in initial:
            raise RecipeError(f"--param: got {name} twice, expected one value for each name")
        if name in ours:
            parameters[name] = _value(name, value)
        elif name in theirs:
            initial[name] = _value(name, value)
        else:
            raise RecipeError(unknown("--param", name, [*ours, *theirs]))
    return parameters, initial


def _value(name: str, text: str) -> Any:
    """A number, `{uniform = [lo, hi]}`, or a list of these (comma-separated, one per body)."""
    from physim.errors import RecipeError

    if "," in text:
        return [_value(name, part) for part in text.split(",")]
    try:
        numbers = [float(part) for part in text.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2):
        raise RecipeError(f"--param {name}: got '{text}', expected a number or LO:HI")
    return numbers[0] if len(numbers) == 1 else {"uniform": numbers}


class _Progress:
    """A bar with trajectories per second and time left, and a message while kernels compile.

    Arguments:
        label: Of the bar.
        total: Trajectories of the data set.
        quiet: Whether to show nothing.
        busy: Whether `update` will be called often enough to stop there.
    """

    def __init__(self, label: str, total: int, quiet: bool, busy: bool) -> None:
        self.quiet, self.busy = quiet, busy
        self.rounds = ExitStack()
        self.bar: Any = click.progressbar(
            length=total,
            label=label,
            show_pos=True,
            hidden=quiet or not sys.stdout.isatty(),
            item_show_func=lambda rate: f"{rate:,.0f} trajectories/s" if rate else None,
        )
        self.began = 0.0  # when the first trajectories were there
        self.first: int | None = None
        self.done = 0

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def compiling(self) -> None:
        """Say that kernels are compiled."""
        if not self.quiet:
            click.echo(
                "Compiling kernels for this machine; later runs of this kind start at once.",
                err=True,
            )

    def update(self, done: int) -> None:
        """Show that `done` trajectories are written; the first call says how many were there."""
        check_stopped()
        if self.first is None:
            self.first = self.done = done
            return
        now = time.perf_counter()
        if not self.began:
            self.began, self.first = now, done
            if self.busy:
                self.rounds.enter_context(stopping_between_rounds())
            self.bar.__enter__()
            self.bar.update(self.done)
        rate = (done - self.first) / (now - self.began) if now > self.began else 0
        self.bar.update(done - self.done, rate)
        self.done = done

    def close(self) -> None:
        """End the line of the bar."""
        self.rounds.close()
        if self.began:
            self.began = 0.0
            self.bar.render_finish()
