"""A split behaves like arrays: as NumPy across shards, in other processes, in threads."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import pickle
import shutil
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_shards import block, write

import physim
from physim.errors import ShardError
from physim.shards import manifest, read, unpack
from physim.shards.read import Split

N = 237
BOUND = st.none() | st.integers(-300, 300)
KEYS = st.one_of(
    st.integers(-N, N - 1),
    st.integers(-N, N - 1).map(np.array),
    st.builds(slice, BOUND, BOUND, st.none() | st.integers(-90, 90).filter(bool)),
    st.lists(st.integers(-N, N - 1), max_size=40),
    st.lists(st.integers(-N, N - 1), max_size=40).map(lambda rows: np.array(rows, dtype=np.int32)),
    st.lists(st.booleans(), min_size=N, max_size=N).map(np.array),
)


@pytest.fixture(scope="module")
def opened(data_set):
    folder, arrays = data_set
    return physim.open(folder), arrays


@given(key=KEYS, name=st.sampled_from(["image", "q", "energy", "index", "m", "G"]))
def test_indexing_is_that_of_numpy(opened, key, name):
    data, arrays = opened
    expected = arrays[name][np.array(key, dtype=np.int64) if isinstance(key, list) else key]
    found = data.train.array(name)[key]
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)
    assert np.array_equal(data.train.read(key, [name])[name], expected)


@given(
    key=st.tuples(
        st.sampled_from([slice(95, 105), 3, slice(None, None, 50)]),
        st.sampled_from([0, slice(1, 3), -1, Ellipsis]),
        st.sampled_from([0, slice(None, None, -1)]),
    )
)
def test_further_axes_are_those_of_numpy(opened, key):
    data, arrays = opened
    assert np.array_equal(data.train.image[key], arrays["image"][key])
    assert np.array_equal(data.train.image[..., 1], arrays["image"][..., 1])
    assert np.array_equal(data.train.q[()], arrays["q"])


@pytest.mark.parametrize("chunks", [0.5, 1, 3])
def test_a_read_of_many_tasks_is_one(opened, monkeypatch, chunks):
    """As a large one is cut into several for each shard, at least a chunk each."""
    data, arrays = opened
    image = data.train.arrays["image"]
    monkeypatch.setattr(read, "BYTES_A_TASK", int(chunks * image.chunk * image.row_bytes))
    rows = np.random.default_rng(0).integers(0, N, 80)
    for key in (slice(3, 231), slice(0, 100), rows):
        assert np.array_equal(data.train.image[key], arrays["image"][key])


def test_a_trajectory_is_a_dict_and_many_are_a_dict(opened):
    data, arrays = opened
    for key in (3, -1, slice(99, 102), [200, 5, 5]):
        found = data.train[key]
        assert set(found) == set(arrays)
        for name, array in arrays.items():
            assert np.array_equal(found[name], array[key]), name
    assert isinstance(data.train[3]["G"], np.floating)


def test_batches_and_iteration(opened):
    data, arrays = opened
    batches = list(data.train.batches(64, ["q", "image"]))
    assert [len(batch["q"]) for batch in batches] == [64, 64, 64, 45]
    assert np.array_equal(np.concatenate([batch["image"] for batch in batches]), arrays["image"])
    assert [int(one["index"]) for one in data.train] == list(range(N))
    with pytest.raises(ShardError, match="size: got 0"):
        next(data.train.batches(0))


def test_arrays_say_what_they_are(opened):
    data, arrays = opened
    image = data.train.image
    assert (image.shape, image.dtype, image.ndim, len(image)) == ((N, 6, 16, 16, 3), "u1", 5, N)
    assert image.nbytes == arrays["image"].nbytes
    assert image.dimensions == ("trajectory", "time", "y", "x", "channel")
    assert data.train.q.unit == "natural units"
    assert "Momenta" in data.train.p.description
    assert np.array_equal(np.asarray(data.train.energy), arrays["energy"])
    assert np.asarray(data.train.energy, dtype=np.float32).dtype == np.float32
    assert data.train.names == tuple(data.train[0])
    assert "image" in dir(data.train)
    assert "m" in data.train
    assert "k" not in data.train


def test_the_data_set_says_what_it_is(opened):
    data, arrays = opened
    assert (len(data.train), len(data.test)) == (N, 0)
    assert np.array_equal(data.times, 0.125 * np.arange(6))
    assert data.parameters == ("m", "G")
    expected = np.column_stack([arrays["m"], arrays["G"]])
    assert np.array_equal(data.params("train"), expected)
    assert np.array_equal(data.params("train", 7), expected[7])
    assert repr(data) == f"<Dataset '{data.path}': two_body, {N} train, 0 test>"
    assert "3 shards" in repr(data.train)


@pytest.mark.parametrize("key", [N, -N - 1, [0, N], [0, -N - 1]])
def test_what_is_not_there_is_an_index_error(opened, key):
    with pytest.raises(IndexError, match=f"of {N}"):
        opened[0].train.q[key]


@pytest.mark.parametrize("key", [1.5, "a", True, [[1]], np.zeros(3, dtype=bool), None])
def test_what_is_no_index_is_an_index_error(opened, key):
    with pytest.raises(IndexError):
        opened[0].train.q[key]


def test_unknown_names(opened):
    data, _ = opened
    with pytest.raises(AttributeError, match=r"no array 'frames'.*expected image, q, p"):
        _ = data.train.frames
    with pytest.raises(AttributeError, match="'valid'; splits: train, test"):
        _ = data.valid
    with pytest.raises(KeyError, match=r"no array 'frames'.*expected image, q, p"):
        data.train.read(0, ["frames"])


def _sums(data, rows):
    return [int(data.train.image[int(row)].sum()) for row in rows]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_works_in_other_processes(opened, method):
    data, arrays = opened
    data.train.image[:]  # opened, and read by threads, before the fork
    rows = np.arange(0, N, 20)
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        found = list(pool.map(_sums, [data, data], [rows, rows]))
    assert found == [_sums(data, rows)] * 2
    assert found[0] == [int(arrays["image"][row].sum()) for row in rows]
    clone = pickle.loads(pickle.dumps(data))  # noqa: S301
    assert np.array_equal(clone.train.q[:], arrays["q"])
    assert len(pickle.dumps(data)) < 10_000


def test_works_from_several_threads(opened, monkeypatch):
    monkeypatch.setattr(unpack, "BYTES_A_THREAD", 1000)
    before = threading.active_count()
    data, arrays = opened
    data = physim.open(data.path, threads=3)
    rng = np.random.default_rng(0)
    keys = [rng.integers(0, N, 50) for _ in range(40)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for key, found in zip(
            keys, pool.map(lambda key: data.train.image[key], keys), strict=True
        ):
            assert np.array_equal(found, arrays["image"][key])
    assert threading.active_count() == before


def test_nothing_stays_open(opened):
    data, _ = opened
    data.train.image[:]
    names = [
        os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if fd != "0" and os.path.exists(f"/proc/self/fd/{fd}")
    ]
    assert not [name for name in names if name.endswith(".h5")]


def test_a_shard_that_changes_is_noticed(data_set, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(data_set[0], folder)
    data = physim.open(folder)
    data.train.q[0]
    shard = folder / "train" / "00000.h5"
    shutil.copy(folder / "train" / "00001.h5", shard)
    with pytest.raises(ShardError, match=r"00000.h5: has changed since it was opened"):
        data.train.q[0]
    shard.unlink()
    with pytest.raises(ShardError, match=r"00000.h5: cannot be read \(No such file"):
        data.train.q[0]
    shutil.copy(folder / "train" / "00002.h5", shard)
    with pytest.raises(ShardError, match=r"00000.h5: 37 trajectories, expected 100"):
        physim.open(folder).train.q[0]


def test_shards_of_other_arrays_or_lengths_are_refused(tmp_path):
    first, second = tmp_path / "00000.h5", tmp_path / "00001.h5"
    write(first, block(5))
    other = block(5, first=5)
    write(second, other | {"q": other["q"][:, :, :1], "p": other["p"][:, :, :1]}, first=5, shard=1)
    with pytest.raises(ShardError, match=r"00001.h5: array p differs from that in .*00000.h5"):
        Split("train", [first, second], [5, 5])[3:8]
    derivatives = {"dq_dt": other["q"], "dp_dt": other["p"]}
    third = tmp_path / "00002.h5"
    write(third, other | derivatives, first=5, shard=1)
    for pair in ([first, third], [third, first]):
        said = f"{pair[1].name}: array dp_dt differs from that in .*{pair[0].name}"
        with pytest.raises(ShardError, match=said):
            Split("train", pair, [5, 5])[3:8]
    with pytest.raises(ShardError, match=r"00000.h5: 5 trajectories, expected 6"):
        Split("train", [first], [6])[0]


def test_no_data_set_is_one_sentence(tmp_path):
    with pytest.raises(ShardError, match=r"no manifest.json; not a data set"):
        physim.open(tmp_path)


def test_a_manifest_lists_versions(data_set):
    assert {"physim", "numpy", "numba", "h5py", "zlib-ng"} <= set(
        manifest.read(data_set[0]).versions
    )
