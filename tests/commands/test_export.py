"""`physim export`: what comes out is what went in, read by the libraries themselves."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest

import physim
from physim.cli import cli
from physim.command_line import run
from physim.errors import RecipeError, ShardError
from physim.export import FORMATS, export


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "set"
    physim.render(
        system="two_body", n=120, n_test=3, frames=4, resolution=16, out=folder, shard_size=70
    )
    return physim.open(folder)


def _run(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["physim", *arguments])
    return run(cli)


def test_npz(opened, tmp_path):
    export(opened, "npz", tmp_path / "out")
    parts = [np.load(path) for path in sorted((tmp_path / "out/train").glob("*.npz"))]
    assert [len(part["q"]) for part in parts] == [70, 50]
    for name in opened.train.names:
        found = np.concatenate([part[name] for part in parts])
        assert found.dtype == opened.train.array(name).dtype
        assert np.array_equal(found, opened.train.array(name)[:]), name
    assert np.array_equal(parts[0]["times"], opened.times)
    with zipfile.ZipFile(tmp_path / "out/train/00000.npz") as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_DEFLATED}


def test_parquet(opened, tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("physim.export.parquet.BATCH", 23)  # of several, one has a single row
    export(opened, "parquet", tmp_path / "out")
    table = parquet.read_table(tmp_path / "out/train")
    assert table.num_rows == 120
    shapes = json.loads(table.schema.metadata[b"shapes"])
    assert json.loads(table.schema.metadata[b"recipe"]) == opened.settings
    assert np.array_equal(json.loads(table.schema.metadata[b"times"]), opened.times)
    for name in opened.train.names:
        expected = opened.train.array(name)[:]
        assert expected.shape[1:] == tuple(shapes[name])
        column = table.column(name).combine_chunks()
        if name == "image":
            found = np.frombuffer(b"".join(column.to_pylist()), dtype=np.uint8)
        else:
            found = column.flatten() if shapes[name] else column
            found = np.asarray(found)
        assert found.dtype == expected.dtype, name
        assert np.array_equal(found.reshape(expected.shape), expected), name


def test_rows_of_parquet_are_written_a_few_megabytes_at_a_time(tmp_path):
    """Arrow puts at most 2 GiB of frames into one array, and all of them have to be in memory."""
    parquet = pytest.importorskip("pyarrow.parquet")
    settings = {"system": "pendulum", "n": 30, "n_test": 0, "frames": 6, "resolution": 256}
    physim.render(**settings, shard_size=30, out=tmp_path / "set")
    export(physim.open(tmp_path / "set"), "parquet", tmp_path / "out")
    with parquet.ParquetFile(tmp_path / "out/train/00000.parquet") as file:
        groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
        assert sum(group.num_rows for group in groups) == 30
        assert max(group.num_rows for group in groups) * 6 * 256**2 * 3 <= 2**25
        assert {group.column(0).compression for group in groups} == {"ZSTD"}


def test_parquet_opens_as_a_table_of_hugging_face(opened, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    export(opened, "parquet", tmp_path / "out")
    table = datasets.load_dataset(
        "parquet",
        data_files=str(tmp_path / "out/train/*.parquet"),
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    assert table.num_rows == 120
    assert np.array_equal(np.array(table[7]["q"]).reshape(4, 4), opened.train.q[7])


def test_webdataset(opened, tmp_path):
    export(opened, "webdataset", tmp_path / "out")
    samples: dict[str, dict[str, object]] = {}
    for path in sorted((tmp_path / "out/train").glob("*.tar")):
        with tarfile.open(path) as tar:
            for entry in tar:
                key, extension = entry.name.split(".", 1)
                data = tar.extractfile(entry).read()
                value = (
                    json.loads(data)
                    if extension == "json"
                    else np.load(io.BytesIO(data), allow_pickle=False)
                )
                samples.setdefault(key, {})[extension] = value
    assert list(samples) == [f"{i:09d}" for i in range(120)]
    for i in (0, 69, 70, 119):
        sample, expected = samples[f"{i:09d}"], opened.train[i]
        for name, array in expected.items():
            found = sample[f"{name}.npy"] if np.ndim(array) else sample["json"][name]
            assert np.array_equal(found, array), name
            assert np.ndim(array) or type(found) is type(array.item()), name


def test_the_webdataset_library_reads_the_tars(opened, tmp_path):
    """In a process of its own: the library leaves files open, and warnings are errors here."""
    pytest.importorskip("webdataset", reason="webdataset is not installed")
    export(opened, "webdataset", tmp_path / "out")
    code = """
import sys, numpy, physim, webdataset
train = physim.open(sys.argv[1]).train
samples = list(webdataset.WebDataset(sys.argv[2:], shardshuffle=False).decode())
assert [int(sample["__key__"]) for sample in samples] == list(range(120))
for i in (0, 70, 119):
    for name in ("image", "q", "energy"):
        assert numpy.array_equal(samples[i][name + ".npy"], train[i][name])
"""
    tars = sorted((tmp_path / "out/train").glob("*.tar"))
    subprocess.run([sys.executable, "-c", code, opened.path, *tars], check=True)


@pytest.mark.parametrize("name", FORMATS)
def test_files_are_as_many_as_shards_and_nothing_is_left(opened, tmp_path, name):
    ticks: list[int] = []
    export(opened, name, tmp_path / "out", ticks.append)
    assert ticks == [70, 120, 123]
    files = sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.*"))
    assert [path.stem for path in files if path.parent.name] == ["00000", "00000", "00001"]
    source = json.loads((tmp_path / "out/manifest.source.json").read_text())
    assert source["recipe"] == opened.settings


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_split_is_an_empty_folder(tmp_path, name):
    settings = {"n": 2, "n_test": 0, "frames": 2, "resolution": 8}
    made = physim.render(system="two_body", out=tmp_path / "set", **settings)
    export(physim.open(made.path), name, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()]
    assert not list((tmp_path / "out/test").iterdir())
    assert len(list((tmp_path / "out/train").iterdir())) == 1


def test_a_damaged_shard_leaves_no_half_file(opened, tmp_path, monkeypatch):
    from physim.export import npz

    def fail(*_: object) -> None:
        (tmp_path / "out/train/.00000.npz.part").write_bytes(b"half")
        raise ShardError("train/00000.h5: array q is damaged")

    monkeypatch.setattr(npz, "write", fail)
    with pytest.raises(ShardError, match="is damaged"):
        export(opened, "npz", tmp_path / "out")
    assert not list((tmp_path / "out/train").iterdir())


def test_the_command(opened, tmp_path, monkeypatch, capsys):
    out = str(tmp_path / "out")
    assert _run(monkeypatch, "export", str(opened.path), "--format", "npz", "-o", out) == 0
    assert "3 npz files" in capsys.readouterr().out
    assert _run(monkeypatch, "export", str(opened.path), "--format", "npy", "-o", out) == 2
    assert "did you mean 'npz'" in capsys.readouterr().err
    same = str(opened.path)
    assert _run(monkeypatch, "export", same, "--format", "npz", "-o", same) == 2
    assert "is a data set; choose another folder" in capsys.readouterr().err
    (tmp_path / "file").touch()
    there = str(tmp_path / "file")
    assert _run(monkeypatch, "export", same, "--format", "npz", "-o", there) == 2
    assert f"out: cannot write to '{there}'" in capsys.readouterr().err
    assert _run(monkeypatch, "export", str(tmp_path), "--format", "npz", "-o", out) == 2


def test_a_missing_library_names_the_extra(opened, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    out = str(tmp_path / "out")
    assert _run(monkeypatch, "export", str(opened.path), "--format", "parquet", "-o", out) == 2
    assert "pip install 'physim[export]'" in capsys.readouterr().err


def test_another_data_set_in_the_folder_is_left_alone(opened, tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(RecipeError, match=r"out: .* is a data set; choose another folder"):
        export(opened, "npz", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_a_folder_that_cannot_be_is_refused(opened):
    with pytest.raises(ShardError, match=r"out: cannot write to 'x+' \(File name too long\)"):
        export(opened, "npz", "x" * 5000)


def test_another_export_in_the_folder_is_left_alone(opened, tmp_path):
    """Of other data, or of these in another format; the same again goes where it was."""
    export(opened, "npz", tmp_path / "out")
    first = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    physim.render(system="pendulum", n=3, n_test=1, frames=2, resolution=8, out=tmp_path / "other")
    for dataset, form in ((physim.open(tmp_path / "other"), "npz"), (opened, "webdataset")):
        with pytest.raises(RecipeError, match="which holds another export; choose another folder"):
            export(dataset, form, tmp_path / "out")
    assert all(path.read_bytes() == content for path, content in first.items())
    export(opened, "npz", tmp_path / "out")
