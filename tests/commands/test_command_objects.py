"""Every command is an object `command` with an example, and importing it loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import click
import pytest

from physim.cli import COMMANDS

HEAVY = {"numpy", "numba", "h5py", "pydantic", "torch", "isal", "zlib_ng"}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_are_named_command_and_explain_themselves(name):
    found = import_module(f"physim.cli.{name}").command
    assert isinstance(found, click.Command)
    assert found.name == name
    assert found.help
    assert f"physim {name}" in found.help
    for parameter in found.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


def test_importing_commands_is_light():
    modules = ", ".join(f"physim.cli.{name}" for name in COMMANDS)
    code = f"import sys, {modules}; print(*sys.modules)"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not HEAVY & set(printed.stdout.split())
