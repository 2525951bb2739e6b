"""The programs that people have read the files as they are."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

import physim

FRAMES_OF_A_ROW = 6


def test_hugging_face_datasets_takes_the_files_as_a_table(data_set, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    folder, arrays = data_set
    table = datasets.load_dataset(
        "hdf5", data_files=f"{folder}/train/*.h5", split="train", cache_dir=str(tmp_path)
    )
    assert table.num_rows == 237
    assert set(table.column_names) == set(arrays)
    assert np.array_equal(table["index"][:], arrays["index"])
    for row in (0, 150, -1):
        for name in ("image", "q", "energy", "m", "G", "seed"):
            assert np.array_equal(np.array(table[row][name]), arrays[name][row]), name


def test_xarray_opens_a_shard(shard):
    xarray = pytest.importorskip("xarray")
    path, arrays = shard
    with xarray.open_dataset(path, engine="h5netcdf", phony_dims="access") as opened:
        assert set(opened.data_vars) == set(arrays)
        for name, array in arrays.items():
            assert np.array_equal(opened[name], array), name
        assert opened.attrs["system"] == "two_body"
        assert opened.q.attrs["dimensions"] == "trajectory time coordinate"
        assert opened.q.dims[0] == opened.image.dims[0]


def test_h5dump_reads_a_shard(shard):
    if not shutil.which("h5dump"):
        pytest.skip("h5dump is not installed (Debian: hdf5-tools)")
    path, arrays = shard
    where = ["-d", "/energy[120,0;;3,6]", "-m", "%.17g", "-y", "-w", "0"]
    dump = subprocess.run(
        ["h5dump", *where, str(path)], capture_output=True, text=True, check=True
    ).stdout
    numbers = dump.split(" DATA {")[1].split("}")[0]
    found = np.array([float(value) for value in numbers.split(",")])
    assert np.array_equal(found.reshape(3, 6), arrays["energy"][120:])
    attributes = subprocess.run(
        ["h5dump", "-p", "-H", path], capture_output=True, text=True, check=True
    ).stdout
    assert "COMPRESSION DEFLATE" in attributes
    assert "PREPROCESSING SHUFFLE" in attributes
    assert "GROUP" not in attributes.replace('GROUP "/"', "")


@pytest.mark.parametrize("dask", [True, False])
def test_to_xarray_has_names_and_reads_late(data_set, monkeypatch, dask):
    pytest.importorskip("xarray")
    folder, arrays = data_set
    if not dask:
        monkeypatch.setitem(__import__("sys").modules, "dask.array", None)
    data = physim.open(folder)
    calls = []
    read = type(data.train).read

    def noting(self, key, names=None):
        calls.append(names)
        return read(self, key, names)

    monkeypatch.setattr(type(data.train), "read", noting)
    opened = data.to_xarray()
    assert ["image"] not in calls
    assert (opened.image.chunks is not None) == dask
    assert opened.image.dims == ("trajectory", "time", "y", "x", "channel")
    assert opened.q.dims == ("trajectory", "time", "coordinate")
    assert opened.m.dims == ("trajectory", "m_component")
    assert list(opened.coordinate.values) == ["x1", "y1"]
    assert all(opened[name].dtype == arrays[name].dtype for name in arrays.keys() - {"index"})
    assert list(opened.channel.values) == ["red", "green", "blue"]
    assert np.array_equal(opened.time, data.times)
    assert opened.q.attrs["units"] == "natural units"
    assert opened.attrs["recipe"] == '{"system": "two_body"}'
    assert np.array_equal(opened.q, arrays["q"])
    some = opened.image.isel(trajectory=slice(95, 105), time=2, channel=0)
    assert np.array_equal(some, arrays["image"][95:105, 2, ..., 0])
    assert np.array_equal(
        opened.image.isel(trajectory=[3, 200, 5], x=slice(None, None, 2)),
        arrays["image"][[3, 200, 5]][:, :, :, ::2],
    )
    mixed = opened.image.isel(trajectory=slice(3, 8), y=[1, 3], channel=0)
    assert np.array_equal(mixed, arrays["image"][3:8, :, [1, 3]][..., 0])
    two = opened.energy.isel(trajectory=7, time=[0, 3])
    assert np.array_equal(two, arrays["energy"][7, [0, 3]])
    assert float(opened.energy.sel(time=0.25, trajectory=11)) == arrays["energy"][11, 2]
    empty = data.to_xarray("test")
    assert empty.attrs["split"] == "test"
    for name in arrays.keys() - {"index"}:
        assert empty[name].load().shape == (0, *arrays[name].shape[1:]), name
    with pytest.raises(physim.RecipeError, match=r"split: got 'valid'"):
        data.to_xarray("valid")
    data.settings["system"] = "double_pendulum"  # two angles, not one body's x and y
    assert list(data.to_xarray().coordinate.values) == ["q1", "q2"]


@pytest.mark.parametrize(
    ("style", "first"), [("hgn", -2 + 2 / 16), ("dm", -2.0)], ids=["centres", "edges"]
)
def test_pixels_have_their_place_in_the_world(data_set, style, first):
    pytest.importorskip("xarray")
    data = physim.open(data_set[0])
    assert "x" not in data.to_xarray().coords
    data.settings.update(style=style, half_width=2.0)
    opened = data.to_xarray()
    assert float(opened.x[0]) == float(opened.y[-1]) == first
    assert float(opened.x[-1]) == float(opened.y[0]) == -first
    data.settings["canvas_offset"] = True
    assert "x" not in data.to_xarray().coords
