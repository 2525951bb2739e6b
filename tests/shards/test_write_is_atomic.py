"""A shard is a function of its arrays, and appears whole or not at all."""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
import threading

import h5py
import numpy as np
import pytest
from h5py._objects import phil
from made_up_shards import attributes, block, write

from physim.errors import ShardError
from physim.shards import format as layout
from physim.shards.write import ShardWriter, encode, remove_parts


@pytest.mark.parametrize("size", [1, 7, 50, 64, 123])
def test_bytes_do_not_depend_on_the_size_of_a_block(shard, tmp_path, size):
    path, arrays = shard
    entry = write(tmp_path / "train" / "00000.h5", arrays, size)
    data = path.read_bytes()
    assert entry.sha256 == hashlib.sha256(data).hexdigest()
    assert entry.bytes == len(data)
    assert (tmp_path / "train" / "00000.h5").read_bytes() == data
    assert entry.name == "train/00000.h5"
    assert entry.trajectories == 123


def test_plain_h5py_finds_what_was_written(shard):
    path, arrays = shard
    with h5py.File(path) as file:
        assert set(file) == set(arrays)
        for name, array in arrays.items():
            assert file[name].dtype == array.dtype
            assert np.array_equal(file[name][:], array), name
        assert file["image"].compression == "gzip"
        assert file["q"].shuffle
        texts = (bytes, np.bytes_)
        found = {k: v.decode() if isinstance(v, texts) else v for k, v in file.attrs.items()}
        assert found | {"times": 0} == {
            **attributes(),
            "times": 0,
            "format": "physim-shard",
            "format_version": 1,
        }


@pytest.mark.parametrize("n", [1, 2, 50, 51])
def test_odd_lengths(tmp_path, n):
    arrays = block(n)
    write(tmp_path / "train" / "00000.h5", arrays)
    with h5py.File(tmp_path / "train" / "00000.h5") as file:
        assert all(np.array_equal(file[name][:], array) for name, array in arrays.items())


@pytest.mark.parametrize("size", [7, 50])
def test_encoded_blocks_keep_nothing_of_a_buffer(tmp_path, size):
    arrays = block(120)
    encoded = []
    buffer = {name: array[:size].copy() for name, array in arrays.items()}
    for start in range(0, 120, size):
        stop = min(start + size, 120)
        for name, array in arrays.items():
            buffer[name][: stop - start] = array[start:stop]
        part = {name: array[: stop - start] for name, array in buffer.items()}
        encoded.append(encode(part, start, 120))
    with ShardWriter(tmp_path / "00000.h5", 120, attributes()) as writer:
        for one in encoded:
            writer.append(one)
        writer.finish()
    with h5py.File(tmp_path / "00000.h5") as file:
        assert all(np.array_equal(file[name][:], array) for name, array in arrays.items())


def test_a_finished_shard_takes_the_place_of_another(tmp_path):
    for n in (3, 5):
        write(tmp_path / "train" / "00000.h5", block(n))
        assert [path.name for path in (tmp_path / "train").iterdir()] == ["00000.h5"]
        with h5py.File(tmp_path / "train" / "00000.h5") as file:
            assert len(file["q"]) == n


def test_chunks_are_small_for_frames_and_one_a_shard_for_scalars():
    assert layout.chunk_length("image", np.dtype("u1"), (30, 32, 32, 3), 2000) == 10
    assert layout.chunk_length("image", np.dtype("u1"), (300, 256, 256, 3), 2000) == 1
    assert layout.chunk_length("q", np.dtype("f8"), (30, 4), 2000) == 50
    assert layout.chunk_length("index", np.dtype("i8"), (), 2000) == 2000
    assert layout.chunk_length("m", np.dtype("f8"), (3,), 10**6) * 3 * 8 <= 2**20
    assert layout.chunk_length("q", np.dtype("f8"), (30, 4), 7) == 7
    for frames in (1, 5, 12, 20, 40, 100, 200, 341):
        length = layout.chunk_length("image", np.dtype("u1"), (frames, 32, 32, 3), 2000)
        assert length * frames * 32 * 32 * 3 <= 2**20


def test_the_checksum_is_that_of_a_large_file_too(tmp_path):
    arrays = block(300)
    arrays["image"] = np.random.default_rng(0).integers(0, 256, arrays["image"].shape, np.uint8)
    entry = write(tmp_path / "train" / "00000.h5", arrays)
    data = (tmp_path / "train" / "00000.h5").read_bytes()
    assert (entry.bytes, entry.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert len(data) > 2**20


def test_who_may_read_a_shard_is_as_with_any_file(tmp_path):
    write(tmp_path / "train" / "00000.h5", block(5))
    (tmp_path / "any").touch()
    expected = (tmp_path / "any").stat().st_mode
    assert (tmp_path / "train" / "00000.h5").stat().st_mode == expected


def test_a_system_that_takes_few_bytes_at_once_gets_them_all(shard, tmp_path, monkeypatch):
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: pwrite(file, data[:999], at))
    write(tmp_path / "train" / "00000.h5", shard[1])
    assert (tmp_path / "train" / "00000.h5").read_bytes() == shard[0].read_bytes()


def test_the_first_failure_is_said_and_nothing_is_written_after_it(tmp_path, monkeypatch):
    numbers = []

    def fail(*_: object) -> int:
        numbers.append(5 if not numbers else 28)
        raise OSError(numbers[-1], os.strerror(numbers[-1]))

    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(ShardError, match=r"cannot be written \(Input/output error\)"):
        write(tmp_path / "train" / "00000.h5", block(123))
    assert numbers == [5]
    assert not list((tmp_path / "train").iterdir())


def test_an_unfinished_shard_leaves_nothing(tmp_path):
    folder = tmp_path / "train"
    folder.mkdir()
    with ShardWriter(folder / "00000.h5", 100, attributes()) as writer:
        writer.append(encode(block(50), 0, 100))
        assert [path.suffix for path in folder.iterdir()] == [".part"]
    assert not list(folder.iterdir())


def test_parts_of_killed_writers_are_removed(tmp_path):
    code = f"""
import os, signal, sys
sys.path[:0] = {sys.path!r}
from made_up_shards import *
writer = ShardWriter(Path({str(tmp_path / "00000.h5")!r}), 100, attributes())
writer.append(encode(block(50), 0, 100))
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    (tmp_path / "notes.txt").touch()
    remove_parts(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("limit", [0, 1000, 20_000])
def test_a_file_size_limit_is_one_sentence(tmp_path, limit):
    code = f"""
import resource, sys
sys.path[:0] = {sys.path!r}
from made_up_shards import *
from physim.errors import ShardError
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    write(Path({str(tmp_path / "train" / "00000.h5")!r}), block(123), size=10)
except ShardError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "00000.h5: cannot be written (File too large)" in done.stdout
    assert done.stdout.count("\n") == 1
    assert not list((tmp_path / "train").iterdir())
    assert write(tmp_path / "train" / "00000.h5", block(123)).trajectories == 123


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_sentence(small_disk):
    with pytest.raises(ShardError, match=r"00000.h5: cannot be written \(No space left on device"):
        write(small_disk / "train" / "00000.h5", block(1000), size=10)
    assert not list((small_disk / "train").iterdir())


def test_a_disk_that_turns_read_only_is_one_sentence(small_disk):
    write(small_disk / "train" / "00000.h5", block(10))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(ShardError, match=r"cannot be written \(Read-only file system\)"):
        write(small_disk / "train" / "00001.h5", block(10))
    with h5py.File(small_disk / "train" / "00000.h5") as file:
        assert len(file["q"]) == 10


class Locked:
    """An array that notes whether another thread could be inside of HDF5 while it is written."""

    def __init__(self, array):
        self.array, self.rank, self.others = array, array.rank, []

    def write_direct_chunk(self, *given):
        other = threading.Thread(target=self.enter)
        other.start()
        other.join()
        self.array.write_direct_chunk(*given)

    def enter(self):
        self.others.append(phil.acquire(False))
        if self.others[-1]:
            phil.release()


def test_chunks_are_written_under_the_lock_of_h5py(tmp_path):
    """Else two renderers in threads of one process break each other's files before h5py 3.16."""
    arrays = block(40)
    with ShardWriter(tmp_path / "00000.h5", 40, attributes()) as writer:
        for start in (0, 20):
            part = {name: array[start : start + 20] for name, array in arrays.items()}
            writer.append(encode(part, start, 40))
            writer._arrays = {
                name: array if isinstance(array, Locked) else Locked(array)
                for name, array in writer._arrays.items()
            }
        writer.finish()
        asked = [each for array in writer._arrays.values() for each in array.others]
    assert asked
    assert not any(asked)


def test_a_missing_folder_is_one_sentence(tmp_path):
    with pytest.raises(ShardError, match=r"00000.h5: cannot be written \(No such file"):
        ShardWriter(tmp_path / "nowhere" / "00000.h5", 3, attributes())


def test_the_limit_of_this_process_is_untouched():
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"q": np.zeros((5, 6, 2), dtype=np.float32)}, "array 'q': got float32"),
        (
            {"q": np.zeros((5, 6))},
            "with 2 axes, expected <f8 with axes trajectory, time, co",
        ),
        ({"no name": np.zeros(5)}, "array 'no name'"),
        ({"q": np.zeros((4, 6, 2))}, r"arrays of \[4, 5\] trajectories"),
    ],
)
def test_blocks_that_are_not_in_the_format_are_refused(change, sentence):
    with pytest.raises(ShardError, match=sentence):
        encode(block(5) | change, 0, 5)


def test_arrays_that_no_attribute_announces_are_refused(tmp_path):
    with pytest.raises(ShardError, match="arrays x are missing or not in the format"):
        write(tmp_path / "train" / "00000.h5", block(5, x=np.zeros(5)))
    with pytest.raises(ShardError, match="arrays k are missing or not in the format"):
        write(tmp_path / "train" / "00000.h5", block(5), parameters="m G k")
    assert not list((tmp_path / "train").iterdir())


def test_attributes_are_all_there(tmp_path):
    given = {name: value for name, value in attributes(more=1).items() if name != "times"}
    with pytest.raises(ShardError, match="attributes: more, times"):
        ShardWriter(tmp_path / "a.h5", 1, given)


def test_blocks_come_in_order(tmp_path):
    with ShardWriter(tmp_path / "00000.h5", 100, attributes()) as writer:
        with pytest.raises(ValueError, match="after 0"):
            writer.append(encode(block(50), 50, 100))
        writer.append(encode(block(50), 0, 100))
        with pytest.raises(ValueError, match="50 of 100"):
            writer.finish()
