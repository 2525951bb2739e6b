"""Systems, integrators and styles in files and packages of one's own."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import physim
from physim import drawing, integrators, plugins, systems
from physim.cli import cli
from physim.command_line import run
from physim.errors import PhysimError, RecipeError

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
SYSTEM = next(block for block in BLOCKS if 'name="quartic"' in block)
INTEGRATOR = next(block for block in BLOCKS if 'name="drift_kick_drift"' in block)
LISTS = (systems.SYSTEMS, integrators.INTEGRATORS, drawing.STYLES)
LINES = """
from dataclasses import replace
from physim.drawing import STYLES, find
from physim.integrators import INTEGRATORS
from physim.systems import SYSTEMS

SYSTEMS["quartic"] = ("{name}", None)
INTEGRATORS["drift_kick_drift"] = "{name}"
STYLES["night"] = replace(find("hgn"), name="night", background=(0.0, 0.0, 0.0))
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A file with the examples of the page, and lists that are afterwards as before."""
    before, modules = [dict(entries) for entries in LISTS], set(sys.modules)
    path = tmp_path / "physics_of_mine.py"
    path.write_text(SYSTEM + INTEGRATOR + LINES.format(name=path.stem))
    monkeypatch.chdir(tmp_path)
    caches = (plugins.load, systems.find, integrators.find)
    for cache in caches:
        cache.cache_clear()
    yield path
    for entries, old in zip(LISTS, before, strict=True):
        entries.clear()
        entries.update(old)
    for name in set(sys.modules) - modules:
        if name.startswith("physics_of"):
            del sys.modules[name]
    for cache in caches:
        cache.cache_clear()


def _used(out):
    summary = physim.render(
        system="quartic", integrator="drift_kick_drift", substeps=50, style="night", n=5, out=out
    )
    assert summary.recipe.system == "quartic"
    assert physim.open(out).train.image[:].min() == 0
    assert physim.verify(out).ok


def test_a_file(own, monkeypatch, tmp_path, capsys):
    with pytest.raises(RecipeError, match="got 'quartic'; known: mass_spring"):
        physim.render(system="quartic", n=5, out=tmp_path / "a")
    plugins.load.cache_clear()
    monkeypatch.setenv("PHYSIM_PLUGINS", own.name)
    _used(tmp_path / "a")
    for words in (["systems"], ["systems", "--integrators"], ["systems", "--styles"]):
        assert run(cli, words) == 0
    listed = capsys.readouterr().out
    for name in ("quartic", "drift_kick_drift", "night"):
        assert f"{name}" in listed
    assert run(cli, ["preview", str(tmp_path / "a"), "-o", str(tmp_path / "a.png")]) == 0


def test_a_module(own, monkeypatch, tmp_path):
    monkeypatch.setenv("PHYSIM_PLUGINS", f" {own.stem}, ")
    monkeypatch.syspath_prepend(tmp_path)
    _used(tmp_path / "a")


def test_an_installed_package(own, monkeypatch, tmp_path):
    """Which names a module as an entry point of the group `physim`."""
    entry = importlib.metadata.EntryPoint("mine", own.stem, "physim")
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: [entry] if group == "physim" else []
    )
    monkeypatch.syspath_prepend(tmp_path)
    _used(tmp_path / "a")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("nowhere.py", "got 'nowhere.py', but there is no such file"),
        ("nowhere", "got 'nowhere', but there is no such module"),
        ("nowhere.deeper", "got 'nowhere.deeper', but there is no such module"),
        ("json.py", "there is a module 'json'; expected another name"),
    ],
)
def test_what_cannot_be_loaded_is_one_sentence(own, monkeypatch, capsys, value, said):
    Path("json.py").write_text("")
    monkeypatch.setenv("PHYSIM_PLUGINS", value)
    with pytest.raises(PhysimError, match=said):
        plugins.load()
    assert run(cli, ["systems"]) == 2
    assert said in capsys.readouterr().err


def test_an_import_that_fails_within_is_not_hidden(own, monkeypatch):
    Path("physics_of_yours.py").write_text("import a_module_that_is_not_there")
    monkeypatch.setenv("PHYSIM_PLUGINS", "physics_of_yours.py")
    for _ in range(2):  # a second attempt says the same
        with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there"):
            plugins.load()


def test_a_name_in_the_list_loads_nothing(own, monkeypatch):
    monkeypatch.setattr(plugins, "load", SimpleNamespace())  # which cannot be called
    assert systems.find("pendulum").bodies == 1
    assert integrators.find("leapfrog").order == 2
    assert drawing.find("hgn").name == "hgn"
