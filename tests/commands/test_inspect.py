"""`physim inspect` says what is in the files."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

import physim
from physim.cli import cli
from physim.command_line import run


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inspect") / "set"
    physim.render(system="two_body", n=30, n_test=0, frames=4, out=folder, shard_size=20)
    arrays: dict[str, list[np.ndarray]] = {}
    for path in sorted(folder.glob("train/*.h5")):
        with h5py.File(path) as file:
            for name in file:
                arrays.setdefault(name, []).append(file[name][:])
    return folder, {name: np.concatenate(parts) for name, parts in arrays.items()}


def _run(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["physim", *arguments])
    return run(cli)


def test_figures_are_those_of_the_files(rendered, monkeypatch, capsys):
    folder, arrays = rendered
    assert _run(monkeypatch, "inspect", str(folder), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["system"] == "two_body"
    assert found["recipe"]["frames"] == 4
    train = found["splits"]["train"]
    assert (train["trajectories"], train["shards"]) == (30, 2)
    assert train["bytes"] == sum(path.stat().st_size for path in folder.glob("train/*.h5"))
    assert found["splits"]["test"]["trajectories"] == 0
    for name in ("m", "G"):
        for key, value in (("min", "min"), ("max", "max"), ("mean", "mean")):
            expected = getattr(arrays[name], value)()
            assert train["parameters"][name][key] == pytest.approx(expected, rel=1e-14)
    assert train["energy"]["max"] == arrays["energy"].max()
    assert train["drawn_again"] == (arrays["attempt"] > 0).sum()
    stored = {}
    for path in folder.glob("train/*.h5"):
        with h5py.File(path) as file:
            for name in file:
                stored[name] = stored.get(name, 0) + file[name].id.get_storage_size()
    for name, array in arrays.items():
        about = train["arrays"][name]
        assert about["shape"] == list(array.shape)
        assert about["dtype"] == array.dtype.str
        assert about["raw_bytes"] == array.nbytes
        assert about["bytes"] == stored[name]
        assert about["ratio"] == array.nbytes / stored[name]


def test_the_table_can_be_read(rendered, monkeypatch, capsys):
    folder, _ = rendered
    assert _run(monkeypatch, "inspect", str(folder)) == 0
    printed = capsys.readouterr().out
    for words in (
        f"two_body: two_body in {folder}",
        "30 trajectories, 2 shards",
        "image    30 × 4 × 32 × 32 × 3",
        "0 trajectories, 0 shards",
        "min",
        "numpy",
    ):
        assert words in printed
    assert max(map(len, printed.splitlines())) < 130


def test_what_is_no_data_set_is_exit_status_2(tmp_path, monkeypatch, capsys):
    assert _run(monkeypatch, "inspect", str(tmp_path)) == 2
    assert "not a data set, or one" in capsys.readouterr().err
