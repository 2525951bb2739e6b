"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sized
from pathlib import Path
from typing import Any

import click

from physim.errors import PhysimError

run_argument = click.argument("run", type=click.Path(path_type=Path))
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to compute; auto uses a GPU if there is one.",
)
data_option = click.option(
    "--data",
    help="Another data set than the one it was trained on, or where that one has moved.",
)
first_option = click.option(
    "--first", default=0, show_default=True, help="Number of the first test trajectory."
)
set_option = click.option(
    "--set",
    "changed",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change a model or training setting; repeatable. "
    "docs/models.md and docs/training.md list them.",
)


def named(*options: Callable[..., Any]) -> Callable[..., Any]:
    """Several options as one decorator, in the order given."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def pairs(changed: tuple[str, ...]) -> dict[str, str]:
    """NAME=VALUE words as a table.

    Raises:
        PhysimError: A word without an equals sign.
    """
    table = {}
    for word in changed:
        name, equals, value = word.partition("=")
        if not equals:
            raise PhysimError(f"--set: got '{word}', expected NAME=VALUE")
        table[name.strip().replace("-", "_")] = value.strip()
    return table


def rows_of(split: Sized, first: int, n: int) -> slice:
    """The rows of a split that a command was asked for, fewer where it ends before.

    Arguments:
        split: The split.
        first: Number of the first.
        n: How many.

    Raises:
        PhysimError: The split holds none of them.
    """
    if not 0 <= first < len(split):
        raise PhysimError(f"--first: got {first}, expected 0 … {len(split) - 1}")
    return slice(first, min(first + n, len(split)))


def check_folder(out: Path) -> None:
    """Refuse a folder for a run that cannot be made or written, and leave no trace.

    Arguments:
        out: The folder, which need not be there.

    Raises:
        PhysimError: It cannot be created or written.
    """
    import tempfile

    try:
        place = next(path for path in (out, *out.absolute().parents) if path.exists())
        if place == out and not out.is_dir():
            raise PhysimError(f"out: got '{out}', which is a file; expected a folder")
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise PhysimError(
            f"out: got '{out}', which cannot be written ({error.strerror}); "
            "expected another folder"
        ) from None


def is_first() -> bool:
    """Whether this process is the first of those that share a training, or the only one.

    Those that torchrun starts are told by RANK, those of Fabric by the other two.
    """
    numbers = (os.environ.get(name, "0") for name in ("RANK", "LOCAL_RANK", "NODE_RANK"))
    return all(number == "0" for number in numbers)


def device_of(name: str) -> Any:
    """The torch device of that name.

    Raises:
        PhysimError: CUDA is requested but absent.
    """
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise PhysimError(
            "device: got 'cuda', but this machine has none; expected 'cpu' or 'auto'"
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
