"""A tiny data set and a tiny run, made once."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["*.py"]
else:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _one_thread():
    """Tiny networks are faster on one thread, and other processes do not stall it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory) -> Path:
    """512 training and 64 test rollouts of 12 frames of 16×16."""
    import physim

    folder = tmp_path_factory.mktemp("data") / "tiny"
    physim.render("hgn/mass_spring", folder, n=512, n_test=64, frames=12, resolution=16)
    return folder


@pytest.fixture(scope="session")
def tiny_run(tiny_data, tmp_path_factory) -> Path:
    """A run of the preset `test` on it."""
    import torch

    from hgn_train import train
    from hgn_train.presets import settings_of

    torch.set_num_threads(1)
    run = tmp_path_factory.mktemp("runs") / "tiny"
    train.fit(settings_of("test", str(tiny_data)), run, accelerator="cpu")
    return run


@pytest.fixture(scope="session")
def other_data(tmp_path_factory) -> Path:
    """Data sets that a run on `tiny_data` can be judged on; one with another dt, one larger."""
    import physim

    size = {"n": 128, "n_test": 16, "frames": 12, "resolution": 16}
    folder = tmp_path_factory.mktemp("other")
    physim.render("hgn/mass_spring", folder / "stiff", parameters={"k": 3.0, "m": 0.5}, **size)
    physim.render("hgn/mass_spring", folder / "slow", dt=0.25, **size)
    physim.render("hgn/pendulum", folder / "pendulum", **size)
    physim.render("hgn/pendulum", folder / "large", **size | {"resolution": 32})
    return folder
