"""docs/extending.md, executed: its files in place, its lines in the lists, then a data set."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import physim
from physim import integrators, systems
from physim.accuracy import conservation

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture
def extended(tmp_path, monkeypatch):
    """The page's modules under the names that it gives them, and its lines executed."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names = re.findall(r"`physim/((?:systems|integrators)/[a-z]\w+)\.py`[,:]", PAGE.read_text())
    files = [block for block in blocks if "import" in block]
    lines = [block for block in blocks if "import" not in block]
    assert len(files) == len(lines) == len(names) == 2
    for name, source in zip(names, files, strict=True):
        path = tmp_path / f"{name.replace('/', '_')}.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(f"physim.{name.replace('/', '.')}", path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
    for registry in (systems.SYSTEMS, integrators.INTEGRATORS):
        for name in set(registry):
            monkeypatch.setitem(registry, name, registry[name])
    before = dict(systems.SYSTEMS), dict(integrators.INTEGRATORS)
    scope = {"SYSTEMS": systems.SYSTEMS, "INTEGRATORS": integrators.INTEGRATORS}
    for line in lines:
        exec(line, scope)  # noqa: S102 - it is the page's own line
    yield
    for registry, old in zip((systems.SYSTEMS, integrators.INTEGRATORS), before, strict=True):
        registry.clear()
        registry.update(old)
    systems.find.cache_clear()
    integrators.find.cache_clear()


def test_the_page_makes_a_data_set(extended, tmp_path):
    summary = physim.render(system="quartic", n=20, n_test=0, out=tmp_path / "a")
    assert summary.energy_error < 1e-9
    assert conservation.worst(systems.find("quartic"), 5, paper=True).energy < 1e-9
    physim.render(
        system="quartic",
        n=20,
        n_test=0,
        integrator="drift_kick_drift",
        substeps=400,
        out=tmp_path / "b",
    )
    states = []
    for name in "ab":
        with h5py.File(tmp_path / name / "train/00000.h5") as file:
            assert file["image"][:].std() > 0
            states.append(file["q"][:])
    assert np.abs(states[0]).max() > 0.5
    # order 2 with 400 steps a frame: (0.125 / 400)² times a few hundred steps of order one
    assert np.abs(states[0] - states[1]).max() < 1e-5
