"""A disk that is full, a folder that turns read-only, a limit on the size of files.

Each is one clear sentence; finished shards stay valid; going on later works.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from physim.verification import verify

SETTINGS = ["--system", "two_body", "--n", "3000", "--n-test", "0", "--frames", "10"]
SENTENCE = "cannot be written"


def _render(folder: Path, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    code = "import sys; from physim.cli import main; main()"
    if limit:
        code = (
            f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit},) * 2); {code}"
        )
    return subprocess.run(
        [sys.executable, "-c", code, "render", *SETTINGS, "--out", str(folder)],
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected") / "set"
    done = _render(folder)
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_bytes() for path in sorted(folder.glob("train/*.h5"))}


def _check_refusal(done: subprocess.CompletedProcess[str], reason: str) -> None:
    assert done.returncode == 2, done
    error = done.stderr[done.stderr.index("Error: ") :]
    assert SENTENCE in error
    assert reason in error
    assert error.count("\n") == 1
    assert "Traceback" not in done.stderr


def _check_the_rest(folder: Path, expected: dict[str, bytes]) -> None:
    """No half shard, no part, no manifest; what stands is right."""
    assert not list(folder.rglob("*.part"))
    assert not (folder / "manifest.json").exists()
    for path in folder.glob("train/*.h5"):
        assert path.read_bytes() == expected[path.name]
        with h5py.File(path) as file:
            assert len(file["q"]) in (1000, 2000)


def test_a_limit_on_the_size_of_files(expected, tmp_path):
    folder = tmp_path / "set"
    sizes = sorted(map(len, expected.values()))
    limit = (sizes[0] + sizes[-1]) // 2  # the last shard would fit, the first does not
    _check_refusal(_render(folder, limit), "File too large")
    _check_the_rest(folder, expected)
    assert _render(folder).returncode == 0
    assert {path.name: path.read_bytes() for path in folder.glob("train/*.h5")} == expected
    assert verify(folder).ok


@pytest.fixture
def disk(tmp_path, expected):
    """A file system with room for the first shard and a half."""
    folder = tmp_path / "disk"
    folder.mkdir()
    room = (max(map(len, expected.values())) + min(map(len, expected.values())) // 2) // 1024
    mount = ["mount", "-t", "tmpfs", "-o", f"size={room}k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(disk, expected):
    folder = disk / "set"
    _check_refusal(_render(folder), "No space left on device")
    _check_the_rest(folder, expected)
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
    assert _render(folder).returncode == 0
    assert {path.name: path.read_bytes() for path in folder.glob("train/*.h5")} == expected
    assert verify(folder).ok


def test_a_disk_that_turns_read_only(disk, expected):
    folder = disk / "set"
    _render(folder)
    subprocess.run(["mount", "-o", "remount,ro,size=64m", str(disk)], check=True)
    done = _render(folder)
    assert done.returncode == 2
    assert "Read-only file system" in done.stderr
    assert "Traceback" not in done.stderr
    _check_the_rest(folder, expected)
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    assert _render(folder).returncode == 0
    assert {path.name: path.read_bytes() for path in folder.glob("train/*.h5")} == expected


def test_the_limit_of_this_process_is_untouched():
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
