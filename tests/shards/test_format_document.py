"""`docs/format.md` is enough to read a shard, with plain h5py alone, and its tables are current.

Nothing here comes from `physim.shards` but the file and the printed tables.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

import physim
from physim.shards.tables import renewed

DOCUMENT = Path(__file__).parents[2] / "docs" / "format.md"
TEXT = DOCUMENT.read_text()


def _table(name: str) -> list[dict[str, str]]:
    lines = TEXT.split(f"<!-- {name} -->\n")[1].split(f"<!-- /{name} -->")[0].strip().splitlines()
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("document") / "set"
    physim.render(
        system="two_body",
        n=130,
        n_test=5,
        frames=3,
        noise=0.01,
        colors=4,
        style="dm",
        canvas_offset=True,
        store=["derivatives"],
        shard_size=100,
        out=out,
    )
    return out


def test_tables_are_current():
    assert renewed(TEXT) == TEXT, "run: python -m physim.shards.tables docs/format.md"


def test_a_shard_read_by_the_document(folder):
    kinds = {"string": np.bytes_, "integer": np.int64, "floats": np.ndarray}
    for path in sorted(folder.glob("*/*.h5")):
        with h5py.File(path) as shard:
            for row in _table("root attributes"):
                value = shard.attrs[row["attribute"].strip("`")]
                assert isinstance(value, kinds[row["type"]]), row
            assert shard.attrs["format"] == b"physim-shard"
            assert f"Version {shard.attrs['format_version']}." in TEXT
            parameters = shard.attrs["parameters"].decode().split()
            rows = {row["array"].strip("`"): row for row in _table("arrays")}
            template = rows.pop("<symbol>")
            rows |= dict.fromkeys(parameters, template)
            assert set(shard) == set(rows)  # this recipe asks for all optional arrays
            sizes = {"time": len(shard.attrs["times"])}
            for name, row in rows.items():
                _check_array(shard[name], row, sizes)
            first = shard.attrs["first"]
            assert np.array_equal(shard["index"], first + np.arange(sizes["trajectory"]))
            assert json.loads(shard.attrs["recipe"])["system"] == shard.attrs["system"].decode()
            assert shard.attrs["split"].decode() == path.parent.name
            assert int(path.stem) == shard.attrs["shard"]


def _check_array(array: h5py.Dataset, row: dict[str, str], sizes: dict[str, int]) -> None:
    assert array.dtype.str.lstrip("|") == row["type"].strip("`")
    axes = array.attrs["dimensions"].decode().split()
    expected = [axis.strip() for axis in row["axes"].strip("()").split(",")]
    assert axes in (expected, [*expected, "component"])
    for axis, size in zip(axes, array.shape, strict=True):
        if axis != "component":
            assert sizes.setdefault(axis, size) == size
    for attribute in _table("array attributes"):
        assert isinstance(array.attrs[attribute["attribute"].strip("`")], np.bytes_)
    assert array.chunks[1:] == array.shape[1:]
    assert array.compression == "gzip"
    assert array.shuffle == (array.dtype.itemsize > 1)
    assert array.id.get_num_chunks() == -(-len(array) // array.chunks[0])
    if array.name == "/image":
        assert np.prod(array.chunks) <= 512 * 1024
    assert np.isfinite(array[:]).all()


def test_a_manifest_read_by_the_document(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest) == {row["key"].strip("`") for row in _table("manifest")}
    ends = dict.fromkeys(manifest["counts"], 0)
    for shard in manifest["shards"]:
        assert set(shard) == {row["key"].strip("`") for row in _table("manifest shards")}
        data = (folder / shard["name"]).read_bytes()
        assert len(data) == shard["bytes"]
        assert hashlib.sha256(data).hexdigest() == shard["sha256"]
        assert re.fullmatch(rf"{shard['split']}/[0-9]{{5,12}}\.h5", shard["name"])
        assert shard["first"] == ends[shard["split"]]
        ends[shard["split"]] += shard["trajectories"]
    assert ends == manifest["counts"] == {"train": 130, "test": 5}


def test_the_frames_show_the_top_first_and_the_drawn_states(tmp_path):
    """A pendulum that rests hangs down: below the middle, which is in the later rows."""
    physim.render(
        system="pendulum", n=3, n_test=0, frames=2, out=tmp_path, parameters={"g": 9.0, "l": 1.0}
    )
    with h5py.File(tmp_path / "train" / "00000.h5") as shard:
        frames, q = shard["image"][:].astype(int), shard["q"][:, :, 0]
    bright = np.abs(frames - frames[:, :, :1, :1]).sum(-1)
    rows = (bright.sum(3) * np.arange(32)).sum(2) / bright.sum((2, 3))
    columns = (bright.sum(2) * np.arange(32)).sum(2) / bright.sum((2, 3))
    clear = np.abs(np.cos(q)) > 0.2
    assert ((rows > 15.5) == (np.cos(q) > 0))[clear].all()
    clear = np.abs(np.sin(q)) > 0.2
    assert ((columns > 15.5) == (np.sin(q) > 0))[clear].all()


def test_the_example_runs(folder, tmp_path, monkeypatch):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "two_body").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)[1]
    found: dict[str, object] = {}
    exec(code, found)  # noqa: S102 - the document's own code
    assert found["frames"].shape == (10, 3, 32, 32, 3)
    assert set(found["parameters"]) == {"m", "G"}
    assert found["recipe"]["n"] == 130
