"""A renderer that dies leaves a journal to go on from, and no lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from made_up_shards import block, write

from physim.errors import ShardError
from physim.shards import atomic, lock
from physim.shards.journal import Journal, is_whole
from physim.shards.manifest import Shard


def _entry(name: str = "train/00000.h5") -> Shard:
    return Shard(name=name, split="train", first=0, trajectories=5, bytes=3, sha256="0" * 64)


def test_a_journal_remembers(tmp_path):
    journal = Journal(tmp_path)
    assert journal.recipe() is None
    assert journal.shards() == []
    journal.begin({"system": "pendulum"}, {"numba": "1"})
    assert journal.recipe() == {"system": "pendulum"}
    assert journal.versions() == {"numba": "1"}
    first, second = _entry(), _entry("train/00001.h5")
    journal.add(first)
    journal.add(second)
    assert Journal(tmp_path).shards() == [first, second]
    journal.begin({"system": "pendulum"}, {}, [second])
    assert journal.shards() == [second]
    journal.end()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("torn", [b'{"name": "tr', b"\x00\x00", b"\n\n", b"null\n", b"[" * 10_000])
def test_a_torn_line_counts_for_nothing(tmp_path, torn):
    journal = Journal(tmp_path)
    journal.begin({}, {})
    journal.add(_entry())
    with journal.path.open("ab") as file:
        file.write(torn)
    assert journal.shards() == [_entry()]
    journal.begin({}, {}, journal.shards())
    journal.add(_entry("train/00001.h5"))
    assert len(journal.shards()) == 2


def test_a_journal_that_is_none_is_one_sentence(tmp_path):
    (tmp_path / "unfinished.jsonl").write_text("hello\n")
    with pytest.raises(ShardError, match=r"unfinished.jsonl: damaged .*; remove it"):
        Journal(tmp_path).recipe()


def test_only_the_very_same_file_is_whole(tmp_path):
    entry = write(tmp_path / "train" / "00000.h5", block(5))
    shard = Shard(
        name=entry.name,
        split="train",
        first=0,
        trajectories=5,
        bytes=entry.bytes,
        sha256=entry.sha256,
    )
    assert is_whole(tmp_path, shard)
    path = tmp_path / entry.name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert not is_whole(tmp_path, shard)
    path.unlink()
    assert not is_whole(tmp_path, shard)


HOLD = """
import sys, time
from pathlib import Path
from physim.shards import lock
with lock.held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_refused_and_a_dead_process_blocks_nobody(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child:
        assert child.stdout.readline() == "held\n"
        with (
            pytest.raises(ShardError, match="another process is rendering into this folder"),
            lock.held(tmp_path),
        ):
            pass
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    with lock.held(tmp_path):
        pass


def test_a_folder_that_cannot_be_locked_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(ShardError, match="cannot be written"),
        lock.held(tmp_path / "file" / "folder"),
    ):
        pass


def test_text_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "README.md"
    atomic.write_text(path, "before")

    def refuse(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(atomic, "flushed", refuse)
    with pytest.raises(ShardError, match=r"README.md: cannot be written \(Input/output error\)"):
        atomic.write_text(path, "after")
    assert path.read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["README.md"]
