"""The layers hold, and nothing heavy loads before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import physim

ROOT = Path(__file__).parents[2]


def _loaded_by(code: str) -> set[str]:
    printed = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout
    return set(printed.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import physim",
        "from physim.cli import cli; cli.main(['--help'], standalone_mode=False)",
        "from physim.cli import cli; cli.main(['render', '--help'], standalone_mode=False)",
    ],
)
def test_help_is_light(code):
    assert not {"numpy", "numba", "h5py", "torch", "pydantic"} & _loaded_by(code)


def test_import_linter_contracts():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout


def test_simulator_never_loads_torch():
    code = "import physim; [getattr(physim, name) for name in physim.__all__]"
    assert not {"torch", "hgn_train", "matplotlib", "pandas"} & _loaded_by(code)


def test_type_checkers_know_every_public_name():
    block = next(
        node
        for node in ast.walk(ast.parse((ROOT / "physim" / "__init__.py").read_text()))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    )
    known = {name.name: line.module for line in block.body for name in line.names}
    assert known == physim._PUBLIC
    assert set(physim.__all__) == {*known, "__version__"}


def test_public_names_stay_what_they_are_whatever_is_imported():
    """A module of the same name would take a function's place once it is imported."""
    code = (
        "import importlib, pkgutil, physim\n"
        "for module in pkgutil.walk_packages(physim.__path__, 'physim.'):\n"
        "    if '__main__' not in module.name: importlib.import_module(module.name)\n"
        "assert all(callable(getattr(physim, name)) for name in physim.__all__ if name[0] != '_')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
