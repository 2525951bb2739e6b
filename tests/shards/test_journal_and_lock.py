"""A renderer that dies leaves a journal to go on from, and no lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

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
    again = second.model_copy(update={"bytes": 4})
    journal.add(again)
    assert journal.shards() == [again]
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


def test_shards_that_two_workers_finish_out_of_order_are_all_there(tmp_path):
    """In the order of the set; in each split up to the first one that is not there yet."""
    journal = Journal(tmp_path)
    journal.begin({"system": "pendulum", "n": 30, "n_test": 15, "seed": 3}, {"numba": "1"})
    done = [("test", 2), ("test", 0), *(("train", number) for number in (4, 1, 2, 0))]
    for split, number in done:
        place = {"name": f"{split}/{number:05d}.h5", "split": split, "first": 5 * number}
        journal.add(_entry().model_copy(update=place))
    there = journal.so_far()
    assert [shard.name for shard in there.shards] == [
        "train/00000.h5",
        "train/00001.h5",
        "train/00002.h5",
        "test/00000.h5",
    ]
    assert there.counts == {"train": 15, "test": 5}
    assert (there.seed, there.versions) == (3, {"numba": "1"})


def test_a_journal_that_cannot_be_read_is_one_sentence(tmp_path):
    (tmp_path / "unfinished.jsonl").mkdir()
    with pytest.raises(ShardError, match=r"jsonl: cannot be read \(Is a directory\)"):
        Journal(tmp_path).recipe()


@pytest.mark.parametrize(
    "text", ["hello\n", "", "{}\n", "[]\n", "3\n", '{"recipe": 3}\n', "[" * 100_000]
)
def test_a_journal_that_is_none_is_one_sentence(tmp_path, text):
    (tmp_path / "unfinished.jsonl").write_text(text)
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
    path.parent.rmdir()
    path.parent.touch()
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


def test_what_is_noted_is_on_the_disk(tmp_path, monkeypatch):
    """Of a journal that cannot be written, or not all of a line, nobody believes it was."""
    journal = Journal(tmp_path)
    journal.begin({}, {})
    before = journal.path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        for note in (lambda: journal.add(_entry()), lambda: journal.begin({"n": 1}, {})):
            with pytest.raises(ShardError, match=r"jsonl: cannot be written \(Input/output error"):
                note()
    assert journal.path.read_bytes().startswith(before)
    with monkeypatch.context() as patch:
        whole = os.write
        patch.setattr(os, "write", lambda descriptor, data: whole(descriptor, data[:9]))
        with pytest.raises(ShardError, match=r"jsonl: cannot be written \(No space left"):
            journal.add(_entry())
    journal.end()
    with pytest.raises(ShardError, match=r"jsonl: cannot be written \(No such file"):
        journal.add(_entry())


@pytest.fixture
def synced(monkeypatch):
    """What was asked to be on the disk: each time the file's bytes, or the names in the folder."""
    found: list[tuple[str, bytes | list[str]]] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.is_dir():
            found.append((path.name, sorted(each.name for each in path.iterdir())))
        else:
            found.append((path.suffix, path.read_bytes()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return found


def test_bytes_are_on_the_disk_before_the_name_and_the_name_in_the_end(tmp_path, synced):
    """Else a file that is there after a power cut might be empty, or a finished one not there."""
    opened = len(os.listdir("/proc/self/fd"))
    atomic.write_text(tmp_path / "card", "text")
    assert synced == [(".part", b"text"), (tmp_path.name, ["card"])]
    synced.clear()
    folder = tmp_path / "train"
    write(folder / "00000.h5", block(5))
    data = (folder / "00000.h5").read_bytes()
    assert synced == [(".part", data), ("train", ["00000.h5"])]
    journal = Journal(folder)
    journal.begin({}, {})
    synced.clear()
    journal.add(_entry())
    assert synced == [(".jsonl", journal.path.read_bytes())]
    journal.end()
    assert synced[1:] == [("train", ["00000.h5"])]
    assert len(os.listdir("/proc/self/fd")) == opened


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
