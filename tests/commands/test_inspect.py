"""`physim inspect` says what is in the files."""

from __future__ import annotations

import json
import re
import shlex

import h5py
import numpy as np
import pytest

import physim
from physim import report
from physim.cli import cli
from physim.command_line import run
from physim.inspection import inspection
from physim.shards import manifest
from physim.shards.journal import Journal


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


def test_distributions_of_each_body_are_words():
    from physim.cli.inspect import _plain

    mass = [1.0, {"uniform": [0.5, 1.5]}, {"log_uniform": [0.1, 1.0]}]
    found = _plain({"m": mass, "g": {"uniform": [3, 4]}, "pair": [{"uniform": [0, 1]}, 2.0]})
    assert found == (
        "m 1.0, uniform 0.5 … 1.5, log_uniform 0.1 … 1.0, g uniform 3 … 4, pair uniform 0 … 1, 2.0"
    )
    assert _plain({"m": [1.0, 0.5]}) == "m 1.0, 0.5"  # two fixed masses are no range


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
    assert "no manifest.json; not a data set" in capsys.readouterr().err
    assert _run(monkeypatch, "inspect", str(tmp_path / "nowhere")) == 2
    assert "nowhere: there is no such folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("level", "more"),
    [(82, {"style": "hgn"}), (168, {"style": "dm", "canvas_offset": True})],
    ids=["hgn", "dm"],
)
def test_frames_without_the_body_are_counted(tmp_path, monkeypatch, capsys, level, more):
    """Of a single body, frames that show nothing of it; of a soft one, less than half anywhere."""
    out = tmp_path / "noisy"
    settings = {"n": 40, "n_test": 0, "frames": 5, "noise": 1.5, "resolution": 16, **more}
    made = physim.render(system="mass_spring", out=out, shard_size=30, **settings)
    blank = physim.open(out).train.image[:][..., 0].max((2, 3)) < level
    assert 10 < blank.sum() < 190
    counts = {"trajectories": int(blank.any(1).sum()), "frames": int(blank.sum())}
    found = inspection(physim.open(out))["splits"]["train"]["out_of_sight"]
    assert found == counts
    assert made.hidden == (40, counts["trajectories"], counts["frames"])
    words = f"{100 * counts['frames'] / 200:.2g} % of frames"
    assert words in str(made)
    assert _run(monkeypatch, "inspect", str(out)) == 0
    assert words in capsys.readouterr().out
    assert "that noise puts out of sight" in report.page(physim.open(out))


def test_without_noise_nothing_is_said_of_it(rendered, monkeypatch, capsys):
    folder, _ = rendered
    assert _run(monkeypatch, "inspect", str(folder)) == 0
    assert "out of sight" not in capsys.readouterr().out


@pytest.fixture
def interrupted(tmp_path):
    """A set of 4 + 1 shards, of which the second is missing, and its files when it was whole."""
    folder = tmp_path / "of two shards"
    physim.render(
        system="pendulum", n=8, n_test=2, shard_size=2, frames=3, resolution=8, out=folder
    )
    before = {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    whole = manifest.read(folder)
    lost, kept = whole.shards[1], [whole.shards[at] for at in (4, 0, 2)]
    Journal(folder).begin(whole.recipe, whole.versions, kept)
    for name in ("manifest.json", lost.name, "train/00003.h5"):
        (folder / name).unlink()
    return folder, before


def test_an_unfinished_set_is_shown_as_far_as_it_goes(interrupted, monkeypatch, capsys):
    folder, _ = interrupted
    assert _run(monkeypatch, "inspect", str(folder)) == 1
    printed = capsys.readouterr()
    assert "train: 2 of 8 trajectories, 1 shard," in printed.out
    assert "test: 2 of 2 trajectories, 1 shard," in printed.out
    assert "unfinished, 6 of 10 trajectories are there; to resume: physim render" in printed.err
    assert _run(monkeypatch, "inspect", str(folder), "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["unfinished"]["of"] == {"train": 8, "test": 2}
    picture = folder.parent / "sheet.png"
    assert _run(monkeypatch, "preview", str(folder), "-o", str(picture)) == 0
    assert "unfinished, 6 of 10" in capsys.readouterr().err
    assert picture.stat().st_size > 0


@pytest.mark.parametrize("command", ["report", "verify", "score", "export"])
def test_what_needs_a_whole_set_says_how_to_resume(interrupted, monkeypatch, capsys, command):
    folder, _ = interrupted
    frames = folder.parent / "frames.npy"
    np.save(frames, np.zeros((1, 3, 8, 8, 3), np.uint8))
    more = {"score": [str(frames)], "export": ["--format", "npz", "-o", str(folder.parent / "x")]}
    status = _run(monkeypatch, command, str(folder), *more.get(command, []))
    assert status == (1 if command == "verify" else 2)
    printed = capsys.readouterr()
    assert "unfinished, 6 of 10 trajectories are there" in printed.out + printed.err


def test_the_command_that_is_named_resumes(interrupted, monkeypatch, capsys):
    folder, before = interrupted
    _run(monkeypatch, "inspect", str(folder), "--json")
    words = shlex.split(json.loads(capsys.readouterr().out)["unfinished"]["resume"])
    assert _run(monkeypatch, *words[1:]) == 0
    assert "6 were there" in capsys.readouterr().out
    after = {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    assert after == before
    assert _run(monkeypatch, *words[1:]) == 0
    assert re.search(r"time +[\d.]+ s \(10 were there\)", capsys.readouterr().out)


@pytest.mark.parametrize(
    "recipe", [{}, {"n": "many", "n_test": 0}, {"n": 1, "n_test": 0, "seed": -1}]
)
def test_a_journal_of_a_stranger_is_one_sentence(tmp_path, monkeypatch, capsys, recipe):
    Journal(tmp_path).begin(recipe, {})
    assert _run(monkeypatch, "inspect", str(tmp_path)) == 2
    assert "unfinished.jsonl: damaged" in capsys.readouterr().err
