"""`physim verify` finds whatever is not as promised, and names the shard and the trajectory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import physim
from physim import card, report
from physim.cli import cli
from physim.command_line import run
from physim.drawing.style import Style
from physim.errors import RecipeError, ShardError
from physim.integrators import rollout
from physim.shards import manifest
from physim.shards.index import read_index
from physim.shards.read import Split
from physim.shards.write import ShardWriter, checksum, encode
from physim.systems.positions import positions
from physim.verification import SAMPLE, verify

SETTINGS = {"n": 45, "n_test": 5, "frames": 4, "resolution": 16, "shard_size": 25}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify") / "plain"
    physim.render(system="pendulum", noise=0.01, store=["derivatives"], out=folder, **SETTINGS)
    return folder


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify") / "coloured"
    physim.render("dm/two_body_colors", canvas_offset=True, out=folder, **SETTINGS)
    return folder


@pytest.fixture
def copy(plain, tmp_path):
    return Path(shutil.copytree(plain, tmp_path / "set"))


def test_what_is_rendered_is_as_promised(plain, coloured, tmp_path):
    for folder in (plain, coloured):
        for deep in (False, True):
            ticks: list[int] = []
            found = verify(folder, deep, ticks.append)
            assert found.ok, found.findings
            assert (found.shards, found.trajectories) == (3, 50)
            assert found.made_again == (50 if deep else SAMPLE + SAMPLE + 5)
            assert ticks[-1] == 50
            assert found.energy_error is not None
            said = max(shard.energy_error for shard in manifest.read(folder).shards)
            assert found.energy_error == said < 1e-9
    lossy = {"system": "mass_spring", "friction": 0.1, "store": ["derivatives"]}
    physim.render(**lossy, out=tmp_path / "s", **SETTINGS)
    found = verify(tmp_path / "s", deep=True)
    assert found.ok
    assert found.energy_error is None


def _rewrite(
    folder: Path,
    change: Callable[[dict[str, np.ndarray]], None],
    attributes: dict[str, object] | None = None,
    number: int = 1,
) -> None:
    """Change a shard, the second one, so that file and manifest are in order."""
    path = folder / "train" / f"{number:05d}.h5"
    with h5py.File(path) as file:
        arrays = {name: file[name][:] for name in file}
        known = {
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in file.attrs.items()
            if "format" not in name
        }
    change(arrays)
    with ShardWriter(path, len(arrays["q"]), known | (attributes or {})) as writer:
        writer.append(encode(arrays, 0, len(arrays["q"])))
        entry = writer.finish()
    whole = manifest.read(folder)
    shards = [
        shard.model_copy(update={"bytes": entry.bytes, "sha256": entry.sha256})
        if shard.name == entry.name
        else shard
        for shard in whole.shards
    ]
    manifest.write(folder, whole.model_copy(update={"shards": shards}))


def _set(name: str, value: object, *place: int) -> Callable[[dict[str, np.ndarray]], None]:
    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays[name][(7, *place)] = value

    return change


def _scale(name: str, factor: float, *place: int) -> Callable[[dict[str, np.ndarray]], None]:
    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays[name][(7, *place)] *= factor

    return change


def _flip(mask: int) -> Callable[[dict[str, np.ndarray]], None]:
    """Change a value of a frame by the bits of a mask."""

    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays["image"][7, 3, 8, 8, 1] ^= mask

    return change


def _another(arrays: dict[str, np.ndarray]) -> None:
    """A whole trajectory, in order in itself, in the place of another."""
    for name in arrays.keys() - {"index"}:
        arrays[name][7] = arrays[name][8]


LIES = {
    "another": (_another, "q is not what the recipe makes"),
    "energy": (_scale("energy", 1 + 1e-10, 2), "energy is not H of its states and parameters"),
    "state": (_scale("q", 1 + 1e-9, 2, 0), "energy is not H"),
    "infinite": (_set("energy", np.inf, 2), "energy is not H of its states and parameters"),
    "nan": (_set("q", np.nan, 2, 0), "a state is not finite"),
    "nan of p": (_set("p", np.nan, 2, 0), "a state is not finite"),
    "mass": (_scale("m", 100), "a parameter is outside its range"),
    "light mass": (_scale("m", 0.01), "a parameter is outside its range"),
    "mass within": (_scale("m", 1 + 1e-9), "m is not what the recipe makes"),
    "index": (_set("index", 3), "index is not its number in the split"),
    "seed": (_set("seed", 3), "seed is not that of the recipe"),
    "attempt": (_set("attempt", -1), "attempt is negative"),
    "attempts": (_set("attempt", 2), "attempt is 2, the recipe makes 0"),
    "velocity": (_scale("dq_dt", 1 + 1e-9, 3, 0), "dq_dt is not the derivative of its states"),
    "derivative": (_scale("dp_dt", 1 + 1e-9, 3, 0), "dp_dt is not the derivative of its states"),
    "pixel": (
        _set("image", 7, 3, 8, 8, 1),
        "frame 3 is not what its state draws, at pixel (8",
    ),
    "fainter pixel": (_flip(2), "frame 3 is not what its state draws, at pixel (8, 8)"),
    "noise of q": (_scale("q_drawn", 1 + 1e-9, 3, 0), "q_drawn is not what the recipe makes"),
    "noise": (_scale("p_drawn", 1 + 1e-9, 3, 0), "p_drawn is not what the recipe makes"),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_with_a_true_checksum_are_found(copy, lie):
    change, sentence = LIES[lie]
    _rewrite(copy, change)
    found = verify(copy, deep=True)
    said = [str(finding) for finding in found.findings]
    assert any(f"train/00001.h5, trajectory 32: {sentence}" in line for line in said), said
    assert {finding.shard for finding in found.findings} == {"train/00001.h5"}
    assert {finding.trajectory for finding in found.findings} == {32}
    assert found.energy_error < 1e-6  # of what is finite


def test_another_rounding_is_no_lie(copy):
    """As that of another machine."""

    def change(arrays: dict[str, np.ndarray]) -> None:
        _flip(1)(arrays)
        for name, place in (("dp_dt", (3, 0)), ("p_drawn", (3, 0)), ("m", ())):
            _scale(name, 1 + 4e-16, *place)(arrays)

    _rewrite(copy, change)
    assert verify(copy, deep=True).findings == []


def test_later_states_of_another_machine_are_no_lie(copy):
    """Chaos may carry them elsewhere: here, a bit along the orbit, with the same noise."""

    def change(arrays: dict[str, np.ndarray]) -> None:
        later = np.s_[7, 1:]
        steps = {name: 1e-8 * arrays[f"d{name}_dt"][later] for name in "qp"}
        for name, step in steps.items():
            arrays[name][later] += step
            arrays[f"{name}_drawn"][later] += step
        m, length, g = (arrays[name][7] for name in ("m", "l", "g"))
        arrays["dq_dt"][later] = arrays["p"][later] / (m * length**2)
        arrays["dp_dt"][later] = -m * g * length * np.sin(arrays["q"][later])

    _rewrite(copy, change)
    assert verify(copy, deep=True).findings == []


@pytest.mark.parametrize(
    ("name", "sentence"), [("color", "color is not what"), ("offset", "offset is not what")]
)
def test_colours_and_offsets_are_those_of_the_recipe(coloured, tmp_path, name, sentence):
    folder = Path(shutil.copytree(coloured, tmp_path / "set"))

    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays[name][7] = np.roll(arrays[name][7], 1)

    _rewrite(folder, change)
    said = [str(finding) for finding in verify(folder, deep=True).findings]
    assert any(f"train/00001.h5, trajectory 32: {sentence}" in line for line in said), said
    assert any("is not what its state draws" in line for line in said)


def test_energy_is_conserved_as_the_manifest_says(copy):
    def change(arrays: dict[str, np.ndarray]) -> None:
        for name in ("p", "p_drawn"):
            arrays[name][7, -1] *= 1.1
        m, length, g = (arrays[name][7] for name in ("m", "l", "g"))
        q, p = arrays["q"][7, :, 0], arrays["p"][7, :, 0]
        arrays["energy"][7] = p**2 / (2 * m * length**2) + m * g * length * (1 - np.cos(q))

    _rewrite(copy, change)
    said = [str(finding) for finding in verify(copy).findings]
    assert any("trajectory 32: energy error" in line for line in said)


def test_each_frame_is_drawn_once(plain, monkeypatch):
    draw, drawn = Style.draw, []
    monkeypatch.setattr(Style, "draw", lambda *args: drawn.append(len(args[1])) or draw(*args))
    assert verify(plain, deep=True).made_again == sum(drawn) == 50


def test_a_sample_is_a_sample(copy):
    """16 of 20 frames of the shard are drawn again; row 7 is one of the others."""
    rows = np.linspace(0, 19, SAMPLE).astype(int)
    row = next(row for row in range(20) if row not in rows)

    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays["image"][row, 0, 8, 8] += 9

    _rewrite(copy, change)
    assert verify(copy).ok
    assert not verify(copy, deep=True).ok


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"system": "two_body"}, "attribute system: got 'two_body', expected 'pendulum'"),
        ({"split": "test"}, "attribute split"),
        ({"shard": 2}, "attribute shard: got 2, expected 1"),
        ({"first": 0}, "attribute first: got 0, expected 25"),
        ({"times": np.arange(4.0)}, "attribute times: not the times of the recipe"),
        ({"recipe": "{}"}, "attribute recipe: not the recipe of the manifest"),
        ({"recipe": "{"}, "attribute recipe: not the recipe of the manifest"),
        ({"parameters": "m g l"}, "attribute parameters: got 'm g l', expected 'm l g'"),
    ],
)
def test_attributes_are_those_of_the_recipe(copy, change, sentence):
    _rewrite(copy, lambda arrays: None, change)
    said = [str(finding) for finding in verify(copy).findings]
    assert any(line.startswith(f"train/00001.h5: {sentence}") for line in said), said


def test_axes_are_those_of_the_format(copy):
    path = copy / "train" / "00001.h5"
    with h5py.File(path, "r+") as file:
        file["q"].attrs["dimensions"] = np.bytes_("trajectory time x")
    whole = manifest.read(copy)
    changed = {"bytes": path.stat().st_size, "sha256": checksum(path)}
    shards = [
        shard.model_copy(update=changed) if shard.name == "train/00001.h5" else shard
        for shard in whole.shards
    ]
    manifest.write(copy, whole.model_copy(update={"shards": shards}))
    (finding,) = verify(copy).findings
    said = "train/00001.h5: array q: attribute dimensions is 'trajectory time x'"
    assert str(finding) == said


def test_arrays_are_those_of_the_recipe(copy):
    def change(arrays: dict[str, np.ndarray]) -> None:
        del arrays["dq_dt"]
        arrays["image"] = arrays["image"][:, :, :8]

    _rewrite(copy, change)
    said = "\n".join(str(finding) for finding in verify(copy).findings)
    assert "array dq_dt: got no array, expected (4, 1) per trajectory" in said
    assert "array image: got a shape (n, *(4, 8, 16, 3)), expected (4, 16, 16, 3)" in said


MISSHAPEN = {
    "wide q": ("q", (20, 4, 400), "a shape (n, *(4, 400)), expected (4, 1)"),
    "narrow p": ("p", (20, 4, 1), "a shape (n, *(4, 1)), expected (4, 4)"),
    "wide params": ("m", (20, 500), "a shape (n, *(500,)), expected ()"),
    "wide color": ("color", (20, 300), "a shape (n, *(300,)), expected (2,)"),
}


@pytest.mark.parametrize("case", MISSHAPEN)
def test_arrays_that_do_not_fit_reach_no_compiled_function(plain, coloured, tmp_path, case):
    """In both shards, so that the set agrees with itself; compiled functions check no bounds."""
    name, shape, sentence = MISSHAPEN[case]
    source = coloured if case in ("narrow p", "wide color") else plain
    folder = Path(shutil.copytree(source, tmp_path / "set"))

    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays[name] = np.ones((len(arrays["q"]), *shape[1:]), arrays[name].dtype)

    for number in (0, 1):
        _rewrite(folder, change, number=number)
    said = "\n".join(str(finding) for finding in verify(folder).findings)
    assert f"train/00001.h5: array {name}: got {sentence} per trajectory" in said
    data = physim.open(folder)
    for text in (report.page, card.text):
        with pytest.raises(ShardError, match=f"00000.h5: array {name}: got"):
            text(data)
    assert report.write(data, tmp_path / "report.html") is not None
    assert "Faults found by verification" in (tmp_path / "report.html").read_text()


def test_arrays_of_another_system_are_refused(plain):
    system, rows = physim.open(plain).system, np.ones((2, 3))
    for q, p in ((np.ones((2, 4, 2)),) * 2, (np.ones((2, 4, 1)), np.ones((2, 4, 2)))):
        for function in (rollout.energy, rollout.derivatives):
            with pytest.raises(RecipeError, match=r"states: got shape \(2, 4, 2\)"):
                function(system, q, p, rows)
    with pytest.raises(RecipeError, match=r"states: got shape \(2, 4, 2\)"):
        positions(system, np.ones((2, 4, 2)), rows)
    for wrong in (rows[:1], rows[:, :2]):
        with pytest.raises(RecipeError, match="params: got shape"):
            positions(system, np.ones((2, 4, 1)), wrong)


def _rows_at(path: Path, offset: int) -> set[int]:
    """Trajectories whose data lie at a byte of a shard."""
    rows: set[int] = set()
    for array in read_index(path).arrays.values():
        inside = (array.offsets <= offset) & (offset < array.offsets + array.sizes)
        for number in np.flatnonzero(inside):
            rows |= set(range(number * array.chunk, (number + 1) * array.chunk))
    return rows


def _contents(path: Path) -> list[np.ndarray]:
    """All arrays of a shard of 100 trajectories."""
    return list(Split("train", [path], [100])[:].values())


def test_any_flipped_byte_and_any_truncation_is_found(tmp_path):
    folder = tmp_path / "set"
    physim.render(
        system="pendulum", out=folder, **SETTINGS | {"n": 100, "n_test": 0, "shard_size": 100}
    )
    path = folder / "train" / "00000.h5"
    good, contents = path.read_bytes(), _contents(path)
    rng = np.random.default_rng(4)
    named = 0
    for number in range(200):
        path.write_bytes(good)
        offset = int(rng.integers(len(good)))
        rows = _rows_at(path, offset)
        bad = bytearray(good)
        bad[offset] ^= int(rng.integers(1, 256))
        path.write_bytes(bad if number % 4 else good[:offset])
        found = verify(folder)
        assert not found.ok, offset
        assert {finding.shard for finding in found.findings} == {"train/00000.h5"}
        if rows and number % 4:
            places = {finding.trajectory for finding in found.findings} - {None}
            assert places <= rows
            if places:
                named += 1
            else:  # a copy of the same pixels from another place
                assert all(map(np.array_equal, _contents(path), contents))
    assert named > 50
    path.write_bytes(good)
    assert verify(folder).ok


def test_files_that_are_missing_or_too_many(copy):
    (copy / "train" / "00001.h5").unlink()
    shutil.copy(copy / "train" / "00000.h5", copy / "test" / "00001.h5")
    (copy / "test" / ".DS_Store").write_bytes(b"of another program")
    said = [str(finding) for finding in verify(copy).findings]
    assert said == ["test/00001.h5: is not in the manifest", "train/00001.h5: is missing"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"seed": 5}, "manifest: seed 5, the recipe says 0"),
        ({"recipe": {"system": "pendulun"}}, "did you mean 'pendulum'"),
        ({"format_version": 3}, "format_version 3, this program reads 1"),
        ({"counts": {"train": 45}}, "`physim render --overwrite` the data set"),
    ],
)
def test_manifests_that_do_not_fit(copy, change, sentence):
    path = copy / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert sentence in "\n".join(str(finding) for finding in verify(copy).findings)


def test_a_set_that_says_less_than_its_recipe(copy):
    whole = manifest.read(copy)
    kept = [shard for shard in whole.shards if shard.name != "train/00001.h5"]
    counts = {"train": 25, "test": 5}
    manifest.write(copy, whole.model_copy(update={"shards": kept, "counts": counts}))
    said = [str(finding) for finding in verify(copy).findings]
    assert "data set: manifest: 25 train trajectories, not as in the recipe" in said


def test_an_energy_error_that_the_manifest_makes_up(copy):
    """Larger than that of the states, too."""
    whole = manifest.read(copy)
    wrong = [shard.model_copy(update={"energy_error": 1.0}) for shard in whole.shards[:1]]
    manifest.write(copy, whole.model_copy(update={"shards": [*wrong, *whole.shards[1:]]}))
    (finding,) = verify(copy).findings
    assert str(finding).startswith("train/00000.h5, trajectory ")
    assert str(finding).endswith("the manifest says 1.0e+00")


def test_a_split_that_no_recipe_makes(copy):
    whole = manifest.read(copy)
    shards = [
        shard.model_copy(
            update={"name": shard.name.replace("test", "val"), "split": "val"}
            if shard.split == "test"
            else {}
        )
        for shard in whole.shards
    ]
    (copy / "test").rename(copy / "val")
    counts = {"train": 45, "val": 5}
    manifest.write(copy, whole.model_copy(update={"shards": shards, "counts": counts}))
    said = [str(finding) for finding in verify(copy).findings]
    assert said == [
        "data set: manifest: split 'val' is none that the recipe makes",
        "val/00000.h5: attribute split: got 'test', expected 'val'",
    ]


def _run(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["physim", *arguments])
    return run(cli)


def test_exit_status_and_output(copy, monkeypatch, capsys):
    assert _run(monkeypatch, "verify", str(copy)) == 0
    printed = capsys.readouterr().out
    assert printed == f"{verify(copy)}\n"
    assert printed.endswith("all is as promised\n")
    assert _run(monkeypatch, "verify", str(copy), "--json", "--deep") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is True
    assert found["made_again"] == 50
    (copy / "test" / "00000.h5").write_bytes(b"")
    assert _run(monkeypatch, "verify", str(copy)) == 1
    printed = capsys.readouterr().out
    assert "test/00000.h5: " in printed
    assert "1 promise does not hold" in printed
    again = f"physim render --recipe {copy} --out {copy}"
    assert f"1 shard missing or changed: `{again}` makes it again" in printed
    assert _run(monkeypatch, "verify", str(copy), "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert found["findings"][0]["shard"] == "test/00000.h5"
    assert _run(monkeypatch, *again.split()[1:], "--quiet") == 0  # which is true
    assert verify(copy).ok
    assert _run(monkeypatch, "verify", str(copy / "nowhere")) == 2
    assert "there is no such folder" in capsys.readouterr().err


def test_what_is_no_data_set(tmp_path):
    with pytest.raises(ShardError, match="there is no such folder"):
        verify(tmp_path / "x")
    assert "no manifest.json; not a data set" in str(verify(tmp_path).findings[0])
