"""Files from strangers: each ends in one clear sentence, quickly, in little memory.

All are made here with plain h5py, from a good shard and one thing that is wrong with it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from made_up_shards import block, write

from physim.errors import ShardError
from physim.shards import manifest
from physim.shards.index import read_index
from physim.shards.read import Split

Attack = Callable[[h5py.File, Path], None]
ATTACKS: dict[str, tuple[Attack, str]] = {}


def attack(sentence: str) -> Callable[[Attack], Attack]:
    def add(function: Attack) -> Attack:
        ATTACKS[function.__name__] = (function, sentence)
        return function

    return add


def _replace(file: h5py.File, name: str, **create: object) -> h5py.Dataset:
    old = file[name]
    described = dict(old.attrs)
    shape, dtype = old.shape, old.dtype
    del file[name]
    chunks = (min(5, shape[0]), *shape[1:])
    fresh = file.create_dataset(
        name, **({"shape": shape, "dtype": dtype, "chunks": chunks, "compression": 1} | create)
    )
    fresh.attrs.update(described)
    return fresh


@attack("q is a link to elsewhere")
def external_link(file, folder):
    with h5py.File(folder / "secret.h5", "w") as other:
        other["q"] = np.zeros((23, 6, 2))
    del file["q"]
    file["q"] = h5py.ExternalLink(str(folder / "secret.h5"), "/q")


@attack("q is a link to elsewhere")
def soft_link(file, folder):
    del file["q"]
    file["q"] = h5py.SoftLink("/p")


@attack("q is a link to elsewhere")
def soft_link_to_itself(file, folder):
    del file["q"]
    file["q"] = h5py.SoftLink("/q")


@attack("array q: not stored in chunks of this file")
def virtual_data_set(file, folder):
    with h5py.File(folder / "secret.h5", "w") as other:
        other["q"] = np.zeros((23, 6, 2))
    described = dict(file["q"].attrs)
    del file["q"]
    virtual = h5py.VirtualLayout(shape=(23, 6, 2), dtype="f8")
    virtual[:] = h5py.VirtualSource(folder / "secret.h5", "q", shape=(23, 6, 2))
    file.create_virtual_dataset("q", virtual).attrs.update(described)


@attack("array q: not stored in chunks of this file")
def external_storage(file, folder):
    (folder / "secret.bin").write_bytes(bytes(23 * 6 * 2 * 8))
    described = dict(file["q"].attrs)
    del file["q"]
    storage = [(str(folder / "secret.bin"), 0, h5py.h5f.UNLIMITED)]
    file.create_dataset("q", (23, 6, 2), "f8", external=storage).attrs.update(described)


@attack("array q: not stored in chunks of this file")
def contiguous(file, folder):
    _replace(file, "q", chunks=None, compression=None)


@attack("q is not an array")
def a_group(file, folder):
    del file["q"]
    file.create_group("q")


@attack("q is not an array")
def a_type(file, folder):
    del file["q"]
    file["q"] = np.dtype("f8")


@attack("array 'extra' is not in the format")
def an_array_too_many(file, folder):
    file["extra"] = np.zeros(23)


@attack("array energy is missing")
def an_array_too_few(file, folder):
    del file["energy"]


@attack("array q: the element type is not <f8")
def strings(file, folder):
    _replace(file, "q", dtype=h5py.string_dtype())


@attack("array q: the element type is not <f8")
def lists_of_any_length(file, folder):
    _replace(file, "q", dtype=h5py.vlen_dtype(np.float64))


@attack("array q: the element type is not <f8")
def references(file, folder):
    _replace(file, "q", dtype=h5py.ref_dtype)


@attack("array q: the element type is not <f8")
def pickled_objects(file, folder):
    _replace(file, "q", dtype=np.dtype("V16"))


@attack("array image: the element type is not |u1")
def compound(file, folder):
    _replace(file, "image", dtype=np.dtype([("r", "u1")]))


@attack("array q: the element type is not <f8")
def other_byte_order(file, folder):
    _replace(file, "q", dtype=">f8")


@attack("array image: got shape (1000000000000,")
def too_many_trajectories(file, folder):
    _replace(file, "image", shape=(10**12, 6, 16, 16, 3))


@attack("array image: 0 chunks, expected")
def frames_that_are_not_there(file, folder):
    for name in list(file):
        _replace(file, name, shape=(10**9, *file[name].shape[1:]))


@attack("array image: got chunks of (500000, 6, 16, 16, 3), expected whole")
def a_chunk_of_gigabytes(file, folder):
    _replace(file, "image", shape=(10**6, 6, 16, 16, 3), chunks=(500_000, 6, 16, 16, 3))


@attack("array q: filters [1, 3]")
def another_filter(file, folder):
    _replace(file, "q", fletcher32=True)


@attack("array q: filters [32000")
def a_plug_in(file, folder):
    _replace(file, "q", compression="lzf")


@attack("array q: filters [1]")
def no_shuffle(file, folder):
    _replace(file, "q")


@attack("array q: got chunks of (23, 3, 2)")
def chunks_across_time(file, folder):
    _replace(file, "q", chunks=(23, 3, 2), shuffle=True)


@attack("array q: got shape (23, 12)")
def a_flat_array(file, folder):
    _replace(file, "q", shape=(23, 12), chunks=(23, 12), shuffle=True)


@attack("array q: 7 frames, but times has 6")
def a_frame_too_many(file, folder):
    _replace(file, "q", shape=(23, 7, 2), chunks=(23, 7, 2), shuffle=True)[:] = 0


@attack("arrays of [22, 23] trajectories")
def a_trajectory_too_few(file, folder):
    _replace(file, "q", shape=(22, 6, 2), chunks=(22, 6, 2), shuffle=True)[:] = 0


@attack("array q: a chunk without its filters")
def a_raw_chunk(file, folder):
    fresh = _replace(file, "q", chunks=(23, 6, 2), shuffle=True)
    fresh.id.write_direct_chunk((0, 0, 0), bytes(23 * 6 * 2 * 8), filter_mask=2)


@attack("is too small to hold")
def a_bomb(file, folder):
    fresh = _replace(file, "image", chunks=(23, 6, 16, 16, 3))
    fresh.id.write_direct_chunk((0, 0, 0, 0, 0), b"x" * 50)


@attack("array image is damaged at rows 0 to 22 (not 105984 bytes)")
def a_chunk_that_unpacks_to_more(file, folder):
    fresh = _replace(file, "image", chunks=(23, 6, 16, 16, 3))
    fresh.id.write_direct_chunk((0, 0, 0, 0, 0), zlib.compress(bytes(10**7)))


@attack("array image is damaged at rows 0 to 22 (")
def a_chunk_of_noise(file, folder):
    fresh = _replace(file, "image", chunks=(23, 6, 16, 16, 3))
    fresh.id.write_direct_chunk((0, 0, 0, 0, 0), np.random.default_rng(0).bytes(1000))


@attack("not a shard of physim (no attribute format")
def no_format(file, folder):
    del file.attrs["format"]


@attack("not a shard of physim")
def another_format(file, folder):
    file.attrs["format"] = np.bytes_("netCDF")


@attack("attribute format is not a string")
def a_format_of_numbers(file, folder):
    file.attrs["format"] = np.arange(3)


@attack("format_version 2, this program reads 1")
def a_later_version(file, folder):
    file.attrs["format_version"] = 2


@attack("attribute format_version is not an integer")
def a_version_of_text(file, folder):
    file.attrs["format_version"] = "1"


@attack("attribute system is not a string of fixed length")
def a_string_in_the_heap(file, folder):
    file.attrs["system"] = "two_body"


@attack("attribute unit is not a string of fixed length")
def a_unit_in_the_heap(file, folder):
    file["q"].attrs["unit"] = "metres"


@attack("attribute times is missing")
def no_times(file, folder):
    del file.attrs["times"]


@attack("attribute times is not a list of numbers")
def times_as_objects(file, folder):
    del file.attrs["times"]
    file.attrs.create("times", np.array(["a", "b"], dtype=object), dtype=h5py.string_dtype())


@attack("attribute times is larger than 16 MiB")
def times_without_end(file, folder):
    del file.attrs["times"]
    file.attrs["times"] = np.zeros(2**21 + 1)


@attack("attribute parameters: got '../../etc/passwd', expected a symbol")
def a_path_as_parameter(file, folder):
    file.attrs["parameters"] = np.bytes_("m ../../etc/passwd")


@attack("attribute parameters: got 'image', expected a symbol")
def an_array_as_parameter(file, folder):
    file.attrs["parameters"] = np.bytes_("m G image")


@attack("entries, expected at most 128")
def a_thousand_entries(file, folder):
    for i in range(1000):
        file.create_group(f"g{i}")


@attack("damaged or not a shard")
def an_empty_recipe(file, folder):
    file.attrs["recipe"] = h5py.Empty("S1")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "train" / "00000.h5"
    write(path, block(23))
    return path


@pytest.mark.parametrize("name", ATTACKS)
def test_hostile_shards(good, tmp_path, name):
    path = tmp_path / "00000.h5"
    shutil.copy(good, path)
    function, sentence = ATTACKS[name]
    with h5py.File(path, "r+", libver=("v108", "latest")) as file:
        function(file, tmp_path)
    tracemalloc.start()
    with pytest.raises(ShardError) as caught:
        Split("train", [path], [23])[:]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sentence in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert peak < 30e6


@pytest.fixture(scope="module")
def longer(tmp_path_factory):
    """One with two chunks of frames."""
    path = tmp_path_factory.mktemp("longer") / "train" / "00000.h5"
    write(path, block(60))
    return path


def test_the_good_shard_is_good(good):
    assert len(Split("train", [good], [23])[:]["q"]) == 23


def test_chunks_on_top_of_each_other(longer, tmp_path):
    """h5py does not write such files; the index of a good one is bent instead."""
    data = longer.read_bytes()
    index = read_index(longer)
    a, b = (int(offset).to_bytes(8, "little") for offset in index.arrays["image"].offsets[:2])
    assert data.count(b) == 1
    path = tmp_path / "00000.h5"
    path.write_bytes(data.replace(b, a))
    with pytest.raises(ShardError, match="chunks lie on top of each other"):
        read_index(path)


@pytest.mark.parametrize("offset", [2**40, 2**63 + 5, 2**64 - 2])
def test_chunks_outside_the_file(longer, tmp_path, offset):
    data = longer.read_bytes()
    b = int(read_index(longer).arrays["image"].offsets[1]).to_bytes(8, "little")
    path = tmp_path / "00000.h5"
    path.write_bytes(data.replace(b, offset.to_bytes(8, "little")))
    with pytest.raises(ShardError, match=r"outside the file|damaged|chunks, expected"):
        read_index(path)


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"hello", b"\x80\x04\x95" * 100])
def test_what_is_not_hdf5(tmp_path, content):
    path = tmp_path / "00000.h5"
    path.write_bytes(content)
    with pytest.raises(ShardError, match=r"not an HDF5 file|damaged or not a shard"):
        read_index(path)
    with pytest.raises(ShardError, match="there is no such file"):
        read_index(tmp_path)


ENTRY = {
    "name": "train/00000.h5",
    "split": "train",
    "first": 0,
    "trajectories": 5,
    "bytes": 10,
    "sha256": "0" * 64,
}
MANIFEST = {
    "recipe": {},
    "seed": 0,
    "versions": {},
    "counts": {"train": 5},
    "shards": [ENTRY],
}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"shards": [ENTRY | {"name": "../../etc/passwd"}]}, "shards.0.name"),
        ({"shards": [ENTRY | {"name": "/etc/00000.h5"}]}, "shards.0.name"),
        ({"shards": [ENTRY | {"name": "test/00000.h5"}]}, "is in no split"),
        ({"shards": [ENTRY | {"trajectories": -5}]}, "shards.0.trajectories"),
        ({"shards": [ENTRY | {"trajectories": 10**18}]}, "shards.0.trajectories"),
        ({"shards": [ENTRY | {"trajectories": "5"}]}, "shards.0.trajectories"),
        ({"shards": [ENTRY | {"trajectories": 4}]}, "counts says"),
        ({"shards": [ENTRY | {"first": 3}]}, "begins at 3, not 0"),
        ({"shards": [ENTRY | {"sha256": "x"}]}, "shards.0.sha256"),
        ({"shards": [ENTRY | {"run": "rm"}]}, "shards.0.run"),
        ({"shards": [ENTRY | {"energy_error": -1e-9}]}, "shards.0.energy_error"),
        ({"shards": [ENTRY | {"energy_error": float("inf")}]}, "shards.0.energy_error"),
        ({"shards": [ENTRY | {"redrawn": -1}]}, "shards.0.redrawn"),
        (
            {"counts": {"train": 10}, "shards": [ENTRY, ENTRY | {"first": 5}]},
            "a shard is listed twice",
        ),
        ({"shards": []}, "counts says"),
        ({"counts": {"../x": 5}}, "counts"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**64}, "seed"),
        ({"format": "other"}, "format"),
        ({"format_version": 2}, "format_version 2, this program reads 1"),
        ({"more": 1}, "more"),
    ],
)
def test_hostile_manifests(tmp_path, change, sentence):
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(MANIFEST | change))
    with pytest.raises(ShardError) as caught:
        manifest.read(tmp_path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 10**6, "\xff", "null", '{"seed": 1e999}', "NaN"])
def test_manifests_that_are_not_json(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(ShardError, match=r"manifest.json: damaged"):
        manifest.read(tmp_path)


def test_a_manifest_without_end(tmp_path):
    with (tmp_path / "manifest.json").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ShardError, match="not a manifest"):
        manifest.read(tmp_path)


def test_the_good_manifest_is_good(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST))
    assert manifest.read(tmp_path).counts == {"train": 5}


FUZZ = """
import resource, sys
sys.path[:0] = {path!r}
import numpy as np
from physim.errors import ShardError
from physim.shards.read import Split
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30,) * 2)
good, out = Path({good!r}), Path({out!r})
data = good.read_bytes()
rng = np.random.default_rng({seed})
places = np.flatnonzero(np.frombuffer(data, dtype=np.uint8))
split = Split("train", [good], [60])
stored = np.zeros(len(data), dtype=bool)
for array in split.shard(0).arrays.values():
    for offset, size in zip(array.offsets, array.sizes):
        stored[offset : offset + size] = True
places = places[~stored[places]]
refused = 0
for _ in range({count}):
    bad = bytearray(data)
    for place in rng.choice(places, rng.integers(1, 4)):
        bad[place] = rng.integers(256)
    out.write_bytes(bad)
    try:
        Split("train", [out], [60])[:]
    except ShardError:
        refused += 1
print(refused)
"""


@pytest.mark.parametrize("count", [300, pytest.param(5000, marks=pytest.mark.slow)])
def test_damaged_metadata_never_traps_the_library(longer, tmp_path, count):
    """Bytes outside of the chunks are changed: each file is read or refused, none hangs."""
    where = {"good": str(longer), "out": str(tmp_path / "00000.h5"), "path": sys.path}
    code = FUZZ.format(seed=count, count=count, **where)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60 + count / 10
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > count / 3
