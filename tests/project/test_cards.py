"""Cards: of a family, current with its recipes; of a data set, true to its files."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

import physim
from physim import card
from physim.recipe import recipes

ROOT = Path(__file__).parent.parent.parent
FAMILIES = sorted({name.split("/")[0] for name in recipes()})


def _script():
    spec = importlib.util.spec_from_file_location("family_cards", ROOT / "scripts/family_cards.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cards") / "set"
    physim.render(
        system="pendulum",
        n=30,
        n_test=12,
        half_width=1.25,
        seed=5,
        noise=0.02,
        parameters={"m": 0.5, "l": {"uniform": [0.6, 0.8]}},
        out=folder,
    )
    dataset = physim.open(folder)
    card.write(dataset)
    return dataset


@pytest.mark.parametrize("family", FAMILIES)
def test_the_card_of_a_family_is_current(family):
    names = [name for name in recipes() if name.split("/")[0] == family]
    text = (ROOT / "datasets" / family / "README.md").read_text(encoding="utf-8")
    script = _script()
    assert script.renewed(text, family, names, script.generated(names)) == text
    measured = text.split("<!-- measured -->")[1].split("<!-- /measured -->")[0]
    assert re.findall(r"^\| `([^`]+)`", measured, flags=re.MULTILINE) == names
    for heading in ("Physics", "Measured", "What is hard about it", "How it differs", "Cite"):
        assert f"\n## {heading}" in text


@pytest.mark.parametrize("family", FAMILIES)
def test_the_picture_of_a_family_is_small_and_its_links_lead_somewhere(family):
    folder = ROOT / "datasets" / family
    text = (folder / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if not target.startswith("http"):
            assert (folder / target).exists()
    assert (folder / "frames.png").stat().st_size < 300_000
    assert "(frames.png)" in text


@pytest.mark.parametrize("family", FAMILIES)
def test_the_front_matter_of_a_family_names_every_recipe(family):
    yaml = pytest.importorskip("yaml")
    text = (ROOT / "datasets" / family / "README.md").read_text(encoding="utf-8")
    found = yaml.safe_load(text.split("---\n")[1])
    names = [name.split("/")[1] for name in recipes() if name.split("/")[0] == family]
    assert [config["config_name"] for config in found["configs"]] == names
    assert found["license"] == "apache-2.0"


def _value(text, label):
    return re.search(rf"^\| {re.escape(label)} \| (.+) \|$", text, flags=re.MULTILINE)[1]


def test_the_figures_of_a_card_are_those_of_its_files(dataset):
    text = (dataset.path / card.CARD).read_text()
    arrays = {}
    for split in ("train", "test"):
        with h5py.File(dataset.path / split / "00000.h5") as file:
            arrays[split] = {name: file[name][:] for name in file}
    lengths = np.concatenate([arrays[split]["l"] for split in arrays])
    expected = f"{lengths.min():.4g} … {lengths.max():.4g}, mean {lengths.mean():.4g}"
    assert _value(text, "`l` | length | 0.6 … 0.8") == expected
    assert _value(text, "trajectories") == "30 train, 12 test"
    size = sum(path.stat().st_size for path in dataset.path.glob("t*/*.h5"))
    assert _value(text, "files") == f"2, together {size / 1e6:,.1f} MB"
    assert _value(text, "pixels") == f"{42 * 30 * 32 * 32 * 3 / 1e6:,.1f} MB before compression"
    assert {str(seed) for split in arrays.values() for seed in split["seed"]} == {
        _value(text, "seed")
    }
    again = sum((split["attempt"] > 0).sum() for split in arrays.values())
    assert again > 0
    assert _value(text, "drawn again (left the canvas, or bodies met)") == str(again)
    energy = np.concatenate([arrays[split]["energy"] for split in arrays])
    assert _value(text, "initial energy") == f"{energy[:, 0].min():.4g} … {energy[:, 0].max():.4g}"
    error = np.abs(energy / energy[:, :1] - 1).max()
    assert float(_value(text, "worst energy error, \\|H/H₀ − 1\\|")) == pytest.approx(
        error, rel=0.1
    )
    mean = (arrays["train"]["image"] / 255).mean(axis=(0, 1))
    average = 1e4 * ((arrays["test"]["image"] / 255 - mean) ** 2).mean()
    assert float(_value(text, "pixel MSE × 10⁴ of the average image")) == pytest.approx(
        average, rel=6e-3
    )
    for name, array in arrays["train"].items():
        shape = ", ".join(("n", *map(str, array.shape[1:])))
        assert _value(text, f"`{name}` | ({shape})").startswith(str(array.dtype))
    assert "σ = 0.02" in text
    assert "riction" not in text


def test_the_card_of_a_data_set_is_the_same_every_time(dataset):
    text = card.text(dataset)
    assert text == card.text(physim.open(dataset.path))
    assert str(dataset.path.parent) not in text


def test_every_snippet_of_a_card_runs(dataset, monkeypatch, tmp_path):
    monkeypatch.chdir(dataset.path)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    snippets = re.findall(r"```python\n(.*?)```", card.text(dataset), flags=re.DOTALL)
    assert len(snippets) == 3
    for snippet in snippets:
        if "load_dataset" in snippet:
            pytest.importorskip("datasets", minversion="4.0")
        names: dict[str, object] = {}
        exec(snippet, names)  # noqa: S102 - it is our own text
        if "rows" in names:
            assert len(names["rows"]) == 30
        else:
            assert names["frames"].shape == (16, 30, 32, 32, 3)
            assert np.array_equal(names["q"], dataset.train.q[:16])


def test_the_hub_s_loader_takes_the_folder_as_it_is(dataset, monkeypatch, tmp_path):
    datasets = pytest.importorskip("datasets", minversion="4.0")
    rows = datasets.load_dataset(str(dataset.path), cache_dir=str(tmp_path))
    assert {split: len(part) for split, part in rows.items()} == {"train": 30, "test": 12}
    assert np.array_equal(np.array(rows["test"][3]["q"]), dataset.test.q[3])


def test_an_empty_split_is_left_out(tmp_path):
    physim.render(system="mass_spring", n=3, n_test=0, friction=0.1, out=tmp_path)
    text = card.text(physim.open(tmp_path))
    assert "split: test" not in text
    assert "c = 0.1" in text
    assert "it grows" not in text
    assert "worst energy error" not in text
