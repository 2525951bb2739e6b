"""Two processes render into one folder: the second is refused, neither harms the other."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from physim.verification import verify


def _start(folder: Path, *more: str) -> subprocess.Popen[str]:
    settings = ["--system", "pendulum", "--n", "8000", "--n-test", "0", "--frames", "8", *more]
    return subprocess.Popen(
        [sys.executable, "-m", "physim", "render", *settings, "--out", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _wait_for_a_shard(folder: Path, child: subprocess.Popen[str]) -> None:
    while not list(folder.glob("train/*.h5")):
        assert child.poll() is None
        time.sleep(0.002)


def test_the_second_is_refused(tmp_path):
    folder = tmp_path / "set"
    first = _start(folder)
    _wait_for_a_shard(folder, first)
    first.send_signal(signal.SIGSTOP)  # however slow this machine is, the first one is at work
    try:
        for more in ([], ["--overwrite"], ["--seed", "1"]):
            before = {path.name: path.read_bytes() for path in folder.rglob("*.h5")}
            second = _start(folder, *more)
            _, message = second.communicate()
            assert second.returncode == 2
            assert "another process is rendering into this folder" in message
            assert message.count("\n") == 1
            assert {path.name: path.read_bytes() for path in folder.rglob("*.h5")} == before
    finally:
        first.send_signal(signal.SIGCONT)
    _, message = first.communicate()
    assert first.returncode == 0, message
    assert verify(folder).ok


def test_a_lock_of_the_dead_does_not_block(tmp_path):
    folder = tmp_path / "set"
    first = _start(folder)
    _wait_for_a_shard(folder, first)
    first.kill()
    first.communicate()
    assert (folder / ".lock").exists()
    second = _start(folder)
    _, message = second.communicate()
    assert second.returncode == 0, message
    assert verify(folder).ok
