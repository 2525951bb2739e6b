"""Killed at any moment and called again, `physim render` makes the same bytes.

The processes are real and so are the signals; the moments are random, from a fixed seed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pytest

from physim.verification import verify

RECIPE = """
system = "two_body"
n = 6000
n_test = 600
frames = 10
shard_size = 300
"""


def _start(folder: Path, *more: str, **options: object) -> subprocess.Popen[str]:
    recipe = folder.parent / "recipe.toml"
    recipe.write_text(RECIPE)
    command = [sys.executable, "-m", "physim", "render", "--recipe", str(recipe)]
    return subprocess.Popen(
        [*command, "--out", str(folder), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def _finish(folder: Path, *more: str) -> None:
    child = _start(folder, *more)
    _, message = child.communicate()
    assert child.returncode == 0, message


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("t*/*")}


def _manifest(folder: Path) -> dict[str, object]:
    return json.loads((folder / "manifest.json").read_text())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The folder of a run that nobody disturbed, and how long it worked."""
    folder = tmp_path_factory.mktemp("undisturbed") / "set"
    for _ in range(2):  # the first compiles
        began = time.monotonic()
        _finish(folder, "--overwrite")
    return folder, time.monotonic() - began


def _wait_until_it_works(folder: Path, child: subprocess.Popen[str]) -> None:
    while not (folder / "unfinished.jsonl").exists() and child.poll() is None:
        time.sleep(0.005)


@pytest.mark.parametrize("moments", [3, pytest.param(30, marks=pytest.mark.slow)], ids=["3", "30"])
def test_killed_at_random_moments(undisturbed, tmp_path, moments):
    folder, seconds = undisturbed
    expected = _bytes(folder)
    clock = random.Random(moments)
    hit = 0
    out = tmp_path / "set"
    for number in range(moments):
        if number % 3 == 0:
            out = tmp_path / f"{number}" / "set"
            out.parent.mkdir()
        child = _start(out)
        _wait_until_it_works(out, child)
        time.sleep(clock.uniform(0, seconds / 4))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        hit += child.returncode == -signal.SIGKILL
        for name, data in _bytes(out).items():
            if not name.endswith(".part"):
                assert data == expected[name], name
        if number % 3 == 2 or number == moments - 1:
            _finish(out)
            assert _bytes(out) == expected
            assert _manifest(out) == _manifest(folder)
            assert sorted(path.name for path in out.iterdir()) == sorted(
                path.name for path in folder.iterdir()
            )
    assert hit >= moments / 2, "the kills came too late to test anything"
    assert verify(out).ok


def test_whole_shards_are_kept_and_broken_ones_made_again(undisturbed, tmp_path):
    out = tmp_path / "set"
    child = _start(out)
    _wait_until_it_works(out, child)
    while len(list(out.glob("train/*.h5"))) < 4:
        assert child.poll() is None
        time.sleep(0.002)
    child.kill()
    child.communicate()
    kept, flipped, cut, gone = sorted(out.glob("train/*.h5"))[:4]
    before = kept.stat().st_ino
    data = bytearray(flipped.read_bytes())
    data[len(data) // 2] ^= 16
    flipped.write_bytes(data)
    os.truncate(cut, 1000)
    gone.unlink()
    _finish(out)
    assert kept.stat().st_ino == before
    assert _bytes(out) == _bytes(undisturbed[0])


def test_a_finished_set_is_mended(undisturbed, tmp_path):
    out = tmp_path / "set"
    _finish(out)
    path = out / "test" / "00001.h5"
    before = (out / "train" / "00000.h5").stat().st_mtime_ns
    path.write_bytes(b"broken")
    assert not verify(out).ok
    _finish(out)
    assert verify(out).ok
    assert _bytes(out) == _bytes(undisturbed[0])
    assert (out / "train" / "00000.h5").stat().st_mtime_ns == before


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_cleanly(undisturbed, tmp_path, number, status):
    out = tmp_path / "set"
    child = _start(out)
    _wait_until_it_works(out, child)
    while not list(out.glob("train/*.h5")):
        assert child.poll() is None
        time.sleep(0.002)
    child.send_signal(number)
    _, message = child.communicate(timeout=30)
    assert child.returncode == status, message
    assert "Traceback" not in message
    assert not list(out.rglob("*.part"))
    assert not (out / "manifest.json").exists()
    for path in out.rglob("*.h5"):
        with h5py.File(path) as file:
            assert len(file["q"]) == 300
    _finish(out)
    assert _bytes(out) == _bytes(undisturbed[0])
