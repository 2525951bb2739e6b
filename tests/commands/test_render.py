"""One command makes a data set; a reader with h5py alone finds it true."""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

import physim
from physim.cli import cli
from physim.command_line import run
from physim.errors import RecipeError
from physim.recipe import Recipe, load, recipes
from physim.shards import manifest
from physim.shards.journal import Journal
from physim.shards.manifest import Shard
from physim.summary import Summary

SYSTEMS = ("mass_spring", "pendulum", "two_body", "three_body")


def _energy(system: str, shard: dict[str, np.ndarray]) -> np.ndarray:
    """H written out once more, from what stands in the file."""
    q, p = shard["q"], shard["p"]
    m = shard["m"]
    if system == "mass_spring":
        return (p**2 / (2 * m[:, None, None]) + shard["k"][:, None, None] * q**2 / 2)[..., 0]
    if system == "pendulum":
        m, length, g = (shard[name][:, None] for name in ("m", "l", "g"))
        return p[..., 0] ** 2 / (2 * m * length**2) + m * g * length * (1 - np.cos(q[..., 0]))
    bodies = q.shape[-1] // 2
    x = q.reshape(*q.shape[:2], bodies, 2)
    total = (p.reshape(x.shape) ** 2).sum(-1) / (2 * m[:, None])
    total = total.sum(-1)
    for i in range(bodies):
        for j in range(i):
            distance = np.sqrt(((x[:, :, i] - x[:, :, j]) ** 2).sum(-1))
            total -= (shard["G"] * m[:, i] * m[:, j])[:, None] / distance
    return total


@pytest.fixture(scope="module", params=SYSTEMS)
def rendered(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("render") / request.param
    summary = physim.render(system=request.param, n=300, n_test=20, out=folder)
    with h5py.File(folder / "train" / "00000.h5") as file:
        return request.param, folder, summary, {name: file[name][:] for name in file}


def test_h5py_alone_reads_it_and_the_energy_is_true(rendered):
    system, folder, summary, shard = rendered
    assert shard["image"].shape == (300, 30, 32, 32, 3)
    assert shard["image"].dtype == np.uint8
    assert all(len(array) == 300 for array in shard.values())
    energy = _energy(system, shard)
    # rounding of a dozen operations
    assert np.allclose(energy, shard["energy"], rtol=1e-13, atol=0)
    assert np.abs(energy / energy[:, :1] - 1).max() < 1e-9
    assert summary.energy_error < 1e-9
    with h5py.File(folder / "test" / "00000.h5") as file:
        assert len(file["q"]) == 20
        assert not np.isin(file["q"][:, 0], shard["q"][:, 0]).any()


def test_parameters_vary_and_nothing_is_constant(rendered):
    *_, shard = rendered
    for name in ("image", "q", "p", "energy", "m"):
        assert shard[name].std() > 0
    assert shard["image"].std(axis=(0, 1)).max(axis=2).mean() > 1  # bodies go nearly everywhere
    assert shard["image"].reshape(-1, 3).std(axis=0).min() > 1  # every channel
    assert len(np.unique(shard["m"])) == shard["m"].size


def test_mass_spring_is_its_closed_form(tmp_path):
    physim.render(system="mass_spring", n=50, n_test=0, out=tmp_path / "s")
    with h5py.File(tmp_path / "s/train/00000.h5") as file:
        q, p, m, k = (file[name][:] for name in "qpmk")
        times = file.attrs["times"]
    omega = np.sqrt(k / m)[:, None]
    q0, p0 = q[:, 0], p[:, 0]
    phase = omega * times
    exact = q0 * np.cos(phase) + p0 / (m[:, None] * omega) * np.sin(phase)
    assert np.abs(q[..., 0] - exact).max() < 1e-10


def test_two_body_centre_of_mass_rests(tmp_path):
    physim.render(system="two_body", n=50, n_test=0, out=tmp_path / "s")
    with h5py.File(tmp_path / "s/train/00000.h5") as file:
        q, m = file["q"][:].reshape(50, 30, 2, 2), file["m"][:]
    centre = (q * m[:, None, :, None]).sum(2) / m.sum(1)[:, None, None]
    assert np.abs(centre).max() < 1e-12


def _arrays(folder: Path, split: str, n: int) -> dict[str, np.ndarray]:
    found: dict[str, list[np.ndarray]] = {}
    for path in sorted((folder / split).glob("*.h5")):
        with h5py.File(path) as file:
            for name in file:
                found.setdefault(name, []).append(file[name][:])
    return {name: np.concatenate(parts)[:n] for name, parts in found.items()}


def test_a_table_is_a_recipe(tmp_path):
    table = {"system": "pendulum", "frames": 4, "parameters": {"g": 9.81}}
    summary = physim.render(table, tmp_path / "a", n=5)
    assert summary.recipe == Recipe.of({**table, "n": 5})
    with pytest.raises(RecipeError, match="did you mean 'frames'"):
        physim.render({"system": "pendulum", "frame": 4}, tmp_path / "b")


@pytest.mark.parametrize(("n", "n_test"), [(1, 1), (4, 1), (9, 1), (10, 2), (50_000, 10_000)])
def test_a_fifth_is_for_testing_and_at_least_one(n, n_test):
    assert Recipe.of({"system": "pendulum", "n": n}).n_test == n_test


@pytest.mark.parametrize("recipe", ["hgn/two_body", "hgn-noisy/three_body", "dm/pendulum_colors"])
def test_same_bytes_for_any_workers_shards_and_n(tmp_path, recipe):
    common = {"recipe": recipe, "frames": 8, "n_test": 7}
    physim.render(**common, n=100, out=tmp_path / "a", workers=1)
    physim.render(**common, n=100, out=tmp_path / "b", workers=2)
    physim.render(**common, n=230, out=tmp_path / "c", workers=2, shard_size=64)
    for split, n in (("train", 100), ("test", 7)):
        a, b, c = (_arrays(tmp_path / name, split, n) for name in "abc")
        assert set(a) == set(b) == set(c)
        for name in a:
            assert np.array_equal(a[name], b[name]), name
            assert np.array_equal(a[name], c[name]), name
    for path in sorted((tmp_path / "a").rglob("*.h5")):
        assert (
            path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
        )


def test_seeds_and_splits_differ(tmp_path):
    for seed in (0, 1):
        physim.render(system="pendulum", n=20, n_test=20, seed=seed, out=tmp_path / str(seed))
    states = [_arrays(tmp_path / s, split, 20)["q"] for s in "01" for split in ("train", "test")]
    assert len({array.tobytes() for array in states}) == 4


def test_noise_is_stored_beside_the_clean_states(tmp_path):
    clean = {"recipe": "hgn/mass_spring", "n": 200, "n_test": 0}
    physim.render(**clean, out=tmp_path / "clean")
    physim.render(**clean, noise=0.1, out=tmp_path / "noisy")
    a, b = (_arrays(tmp_path / name, "train", 200) for name in ("clean", "noisy"))
    assert np.array_equal(a["q"], b["q"])
    assert np.array_equal(a["p"], b["p"])
    noise = [(b[f"{name}_drawn"] - b[name]).ravel() for name in "qp"]
    assert abs(np.corrcoef(noise)[0, 1]) < 5 / np.sqrt(6000)  # five standard errors
    for difference in noise:
        assert difference.std() == pytest.approx(0.1, rel=0.05)  # 6,000 draws: one per cent
        assert abs(difference.mean()) < 0.01
    assert not np.array_equal(a["image"], b["image"])


def test_derivatives_are_those_of_the_states(tmp_path):
    physim.render(
        system="pendulum", n=5, n_test=0, store=["derivatives"], friction=0.3, out=tmp_path / "s"
    )
    shard = _arrays(tmp_path / "s", "train", 5)
    q, p, m, length, g = (shard[name] for name in ("q", "p", "m", "l", "g"))
    m, length, g = (array[:, None, None] for array in (m, length, g))
    assert np.allclose(shard["dq_dt"], p / (m * length**2), rtol=1e-13)
    expected = -m * g * length * np.sin(q) - 0.3 * p / (m * length**2)
    assert np.allclose(shard["dp_dt"], expected, rtol=1e-12, atol=1e-14)


def test_the_stored_recipe_makes_the_data_again(tmp_path):
    first = tmp_path / "first"
    physim.render(system="two_body", n=12, seed=5, noise=0.01, out=first)
    recipe = json.loads((first / "manifest.json").read_text())["recipe"]
    physim.render(Recipe.of(recipe), tmp_path / "second")
    physim.render(str(first), tmp_path / "third")
    for other in ("second", "third"):
        for path in sorted(first.rglob("*.h5")):
            assert path.read_bytes() == (tmp_path / other / path.relative_to(first)).read_bytes()


def test_backward_in_time(tmp_path):
    """From the state at time 0, the same as forward: the closed form, at falling times."""
    common = {
        "system": "mass_spring",
        "n": 20,
        "n_test": 3,
        "frames": 12,
        "store": ["derivatives"],
    }
    physim.render(**common, dt=0.1, out=tmp_path / "forward")
    physim.render(**common, dt=-0.1, out=tmp_path / "s")
    forward, shard = (_arrays(tmp_path / name, "train", 20) for name in ("forward", "s"))
    q, p = shard["q"][..., 0], shard["p"][..., 0]
    assert np.array_equal(q[:, 0], forward["q"][:, 0, 0])
    times = np.array(physim.open(tmp_path / "s").times)
    assert np.array_equal(times, -0.1 * np.arange(12))
    assert not np.signbit(times[0])
    m, k = shard["m"][:, None], shard["k"][:, None]
    omega = np.sqrt(k / m)
    exact = q[:, :1] * np.cos(omega * times) + p[:, :1] / (m * omega) * np.sin(omega * times)
    assert np.abs(q - exact).max() < 1e-12
    assert np.allclose(shard["dq_dt"][..., 0], p / m, rtol=1e-12)  # by t, which falls


@pytest.mark.parametrize("friction", [0.0, 0.05])
def test_what_reads_a_data_set_reads_one_that_runs_backward(
    tmp_path, monkeypatch, capsys, friction
):
    out = tmp_path / "s"
    physim.render(system="three_body", n=3, n_test=2, dt=-0.1, friction=friction, out=out)
    commands = [
        ("verify", "s"),
        ("inspect", "s"),
        ("preview", "s", "-o", "s.png"),
        ("preview", "s", "-o", "s.gif"),
        ("report", "s", "-o", "s.html"),
        *(("export", "s", "--format", kind, "-o", kind) for kind in ("npz", "webdataset")),
    ]
    monkeypatch.chdir(tmp_path)
    for command in commands:
        monkeypatch.setattr("sys.argv", ["physim", *command])
        assert run(cli) == 0, capsys.readouterr()
    card = (out / "README.md").read_text()
    page = (tmp_path / "s.html").read_text()
    assert all("0.1 units of time apart, backward in time" in text for text in (card, page))
    for text, words in ((card, "from frame to frame"), (page, "in them it grows")):
        assert (words in text) == (friction > 0)
    energy = _arrays(out, "train", 3)["energy"]
    if friction:
        assert (np.diff(energy) > 0).all()
    named = physim.open(out).to_xarray("train")
    assert named.sel(time=-0.2, method="nearest").q.shape == (3, 6)
    assert np.array_equal(named.time, -0.1 * np.arange(30))


@pytest.mark.parametrize("name", sorted(recipes()))
def test_every_recipe_that_ships_renders(tmp_path, name):
    summary = physim.render(name, tmp_path / "s", n=4, n_test=2)
    assert summary.made == 6
    assert summary.recipe.name == name
    shard = _arrays(tmp_path / "s", "train", 4)
    assert np.isfinite(shard["q"]).all()
    if not summary.recipe.friction:
        assert summary.energy_error < 1e-9


def test_the_recipe_of_the_docs_renders(tmp_path):
    """With its card, where one body has a fixed mass and the other a drawn one."""
    page = (Path(__file__).parents[2] / "datasets" / "README.md").read_text()
    text = re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1]
    (tmp_path / "mine.toml").write_text(text.replace("50_000", "10"))
    summary = physim.render(str(tmp_path / "mine.toml"), tmp_path / "s")
    assert summary.recipe.name == "mine"
    assert (tmp_path / "s" / "README.md").read_text().count("| 1, 0.5 … 1.5 |") == 1
    m = _arrays(tmp_path / "s", "train", 10)["m"]
    assert (m[:, 0] == 1).all()
    assert len(set(m[:, 1])) == 10
    for key in Recipe.model_fields:
        assert f"`{key}`" in page or f"`[{key}]`" in page, key


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"n": 7, "seed": 3, "store": ["derivatives"]}, "hgn/two_body"),
        ({"noise": 0.1, "colors": 4}, "hgn/two_body+noise+colors"),
        ({"parameters": {"m": {"uniform": [0.5, 1.5]}}}, "hgn/two_body+m"),
        ({"frames": 30, "noise": 0.0}, "hgn/two_body"),
        ({"noise": 0.1, "name": "mine"}, "mine"),
    ],
)
def test_a_changed_recipe_is_called_so(changes, name):
    made = Recipe.changed(load("hgn/two_body"), "hgn/two_body", changes)
    assert made.name == name
    assert made.parameters["G"] == 1.0  # as in the recipe, whatever is said of m


CHANGES = {
    "friction": ({"friction": 0.1}, {"integrator": "gauss_radau", "name": "mine+friction"}),
    "n": ({"n": 5}, {"n_test": 1, "name": "mine"}),
    "style": ({"style": "dm"}, {"half_width": 1.25 + np.sqrt(0.75 / np.pi)}),
    "frames": ({"frames": 4000, "n": 1, "n_test": 0}, {"shard_size": 1376}),
    "m": ({"parameters": {"m": 2.0}}, {"name": "mine+m"}),
    "radius": ({"initial": {"radius": 0.5}}, {"name": "mine+radius"}),
    "integrator": ({"integrator": "leapfrog"}, {"name": "mine+integrator"}),
    "name": ({"name": "yours", "noise": 0.1}, {"name": "yours"}),
    "nothing": ({}, {"name": "mine", "n_test": 2, "integrator": "closed_form"}),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The same recipe as a file, as an object, and with a data set of it."""
    folder = tmp_path_factory.mktemp("sources")
    file = folder / "mine.toml"
    text = 'system = "pendulum"\nn = 10\nframes = 2\nresolution = 8\nparameters.g = 2.5\n'
    file.write_text(text)
    made = physim.render(str(file), folder / "set")
    return {"file": str(file), "object": made.recipe, "data set": str(made.path)}


@pytest.mark.parametrize("source", ["file", "object", "data set"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_the_same_wherever_the_recipe_comes_from(sources, tmp_path, change, source):
    changes, expected = CHANGES[change]
    found = physim.render(sources[source], tmp_path, **changes).recipe
    assert found.parameters["g"] == 2.5
    assert {key: getattr(found, key) for key in expected} == expected
    assert found == Recipe.changed(load(sources["file"]), "", changes)
    assert change != "nothing" or found == sources["object"]


def test_a_manifest_stands_for_its_data_set(sources):
    assert load(Path(sources["data set"]) / "manifest.json") == load(sources["data set"])


def test_steps_that_a_closed_form_ignores_may_stay_in_a_recipe(tmp_path):
    """Only a request for them is refused; where they count they need not be asked for again."""
    given = Recipe.of({"system": "pendulum", "substeps": 4, "n": 3, "frames": 2}).model_dump()
    data = physim.open(physim.render(Recipe.of(given), tmp_path / "set").path)
    assert data.recipe.substeps == 4
    assert data.states("train", 0, [0.0, 9.0])[0].shape == (2, 1)
    assert Recipe.changed(given, "", {"noise": 0.1}).substeps == 4
    assert Recipe.changed(given, "", {"substeps": 1}).substeps == 1
    for method in ("leapfrog", "dop853"):
        assert Recipe.changed(given, "", {"integrator": method, "substeps": 2}).substeps == 2
    with pytest.raises(RecipeError, match=r"substeps: got 2, but closed_form takes no steps"):
        Recipe.changed(given, "", {"substeps": 2})


def test_what_was_chosen_stays_chosen():
    chosen = {"integrator": "leapfrog", "half_width": 3.0, "shard_size": 7, "n_test": 4}
    given = Recipe.of({"system": "pendulum", "n": 10, **chosen}).model_dump()
    made = Recipe.changed(given, "", {"style": "dm", "friction": 0.1, "frames": 9})
    assert {key: getattr(made, key) for key in chosen} == chosen


def test_only_the_result_of_a_change_must_be_valid():
    six = {"system": "n_body", "parameters": {"m": [1, 2, 3, 4, 5, 6]}}
    assert Recipe.changed(six, "six", {"bodies": 6}).name == "n_body+bodies"
    with pytest.raises(RecipeError, match=r"six: parameters.m: got 6 values, expected 4"):
        Recipe.changed(six, "six", {"frames": 3})
    pair = Recipe.of({"system": "n_body", "bodies": 2}).model_dump()
    five = Recipe.changed(pair, "", {"bodies": 5})
    assert five.name == "n_body+bodies"
    assert five.initial["radius"] == {"uniform": [1.2, 1.6]}  # a pair's polygon is smaller


def test_a_name_that_is_too_long_with_what_was_changed_is_refused():
    """Not stored, as nothing could read it."""
    made = {"system": "pendulum", "name": 198 * "x"}
    with pytest.raises(physim.RecipeError, match=r"name: got .*at most 200 characters"):
        Recipe.changed(made, "", {"noise": 0.1})
    assert Recipe.changed(made, "", {"noise": 0.1, "name": "short"}).noise == 0.1


def test_settings_may_be_numbers_of_numpy():
    mine = Recipe.of({"system": "two_body", "n": 5, "parameters": {"m": [1.0, 2.0], "G": 0.5}})
    numbers = {"m": np.array([1.0, 2.0]), "G": np.float32(0.5)}
    assert Recipe.of({"system": "two_body", "n": np.int64(5), "parameters": numbers}) == mine
    pair = {"m": (1, 2.0), "G": 0.5}
    assert Recipe.changed(
        {"system": "two_body"}, "", {"n": 5, "parameters": pair}
    ) == mine.model_copy(update={"name": "two_body+m+G"})


def test_what_cannot_be_a_path_is_no_recipe(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('system = "pendulum"')
    assert load(file) == load(str(file))
    for name in ("x" * 5000, Path("missing")):
        with pytest.raises(RecipeError, match=r"recipe: got .*; known: "):
            physim.render(name)


def test_workers_are_a_whole_number(tmp_path):
    for workers in ("2", 1.5, 0):
        with pytest.raises(RecipeError, match=r"workers: got .*, expected a whole number from 1"):
            physim.render(system="pendulum", out=tmp_path / "s", workers=workers)
    assert not (tmp_path / "s").exists()


def test_each_component_has_its_own_distribution(tmp_path):
    masses = [1.0, {"uniform": [2.0, 3.0]}]
    pair = Recipe(system="two_body", n=20, frames=2, parameters={"m": masses})
    assert physim.render(pair, tmp_path).recipe.parameters["m"] == masses
    first, second = physim.open(tmp_path).train.m[:].T
    assert (first == 1).all()
    assert 2 <= second.min() < second.max() <= 3
    assert Recipe.of({"system": "two_body", "parameters": {"m": [2, 2]}}).parameters["m"] == 2.0
    for mass in ([1.0, 2.0, 1.0], {"uniform": [2.0, 2.0]}):
        given = {"system": "three_body", "parameters": {"m": mass}}
        assert Recipe.of(given).parameters["m"] == mass
    for mass, half_width in (([0.5, 1.0], 2.75), ([1.0, {"uniform": [0.5, 1.5]}], 5.0)):
        given = {"system": "two_body", "style": "dm", "parameters": {"m": mass, "G": 1}}
        assert Recipe.of(given).half_width == half_width  # for the largest of all masses


def test_another_sampler_has_its_own_settings():
    given = {"system": "two_body", "initial": {"radius": 1.0}}
    square = Recipe.changed(given, "", {"initial": {"sampler": "square"}})
    assert set(square.initial) == {"sampler", "corner"}
    orbit = {"sampler": "orbit", "perturbation": 0.0}
    assert Recipe.changed(given, "", {"initial": orbit}).initial == {"radius": 1.0, **orbit}


def test_recipes_are_validated_however_they_are_made(tmp_path):
    with pytest.raises(RecipeError, match="got 'foo'; known: name"):
        Recipe(system="pendulum", foo=3)
    summary = physim.render(Recipe(system="pendulum", n=2, frames=3), tmp_path)
    assert summary.recipe == Recipe.of({"system": "pendulum", "n": 2, "frames": 3})
    with pytest.raises(RecipeError, match=r"parameters\.g: got"):
        physim.render(Recipe(system="pendulum", parameters={"g": (3, 5)}), tmp_path / "s")


def test_of_a_single_frame_no_second_one_is_computed(tmp_path):
    """It would be far away, at every attempt."""
    settings = {"system": "two_body", "n": 3, "n_test": 0, "resolution": 8, "out": tmp_path / "s"}
    far = {"integrator": "leapfrog", "dt": 1000.0}
    assert physim.render(frames=1, **far, **settings).made == 3
    with pytest.raises(physim.SimulationError, match="left the canvas"):
        physim.render(frames=2, **far, **settings, overwrite=True)


def test_bodies_that_nearly_met_are_said(tmp_path):
    words = "bodies passed so close"
    summary = physim.render(system="n_body", n=2, n_test=0, frames=4, resolution=8, out=tmp_path)
    assert words not in str(summary)
    shard = summary.shards[0].model_copy(update={"energy_error": 1e-8})
    assert words in str(dataclasses.replace(summary, shards=[shard]))
    euler = summary.recipe.model_copy(update={"integrator": "euler"})  # that is euler's own
    assert words not in str(dataclasses.replace(summary, shards=[shard], recipe=euler))


def test_steps_that_are_too_long_are_said(tmp_path):
    common = {"system": "two_body", "n": 5, "integrator": "leapfrog", "friction": 0.0}
    coarse = str(physim.render(**common, dt=1.0, out=tmp_path / "a"))
    assert "leapfrog took 1 per frame, --substeps takes more" in coarse
    fine = physim.render(**common, dt=1.0, substeps=200, out=tmp_path / "b")
    assert fine.energy_error < 1e-3
    assert "--substeps" not in str(fine)
    assert "--substeps" not in str(physim.render(**common | {"friction": 0.1}, out=tmp_path / "c"))


def test_quiet_prints_nothing_and_the_summary_says_all(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "sys.argv", ["physim", "render", "--system", "pendulum", "--n", "5", "--quiet"]
    )
    assert run(cli) == 0
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.argv", ["physim", "render", "--system", "two_body", "--n", "5"])
    assert run(cli) == 0
    lines = capsys.readouterr().out.splitlines()
    patterns = [
        r"two_body: 5 training and 1 test trajectories in datasets/two_body",
        r"  size         [\d.]+ kB, [\d.]+ times smaller than pixels",
        r"  time         [\d.]+ s, [\d,]+ trajectories/s( after [\d.]+ s of compiling, .*)?",
        r"  energy       worst relative error [\d.]+e-1\d over 30 frames",
        r"  look at it   physim preview datasets/two_body -o two_body.gif",
        r'  load it      physim.open\("datasets/two_body"\).train.image\[:10\]',
    ]
    assert len(lines) == len(patterns)
    for pattern, line in zip(patterns, lines, strict=True):
        assert re.fullmatch(pattern, line)


def test_the_line_that_loads_it_is_python():
    shard = Shard.model_construct(trajectories=1, bytes=1, energy_error=0.0, redrawn=0)
    summary = Summary(Path('a "b"'), Recipe.of({"system": "pendulum", "n": 1}), shards=[shard])
    text = re.search(r"physim\.open\((.*)\)\.train", str(summary))[1]
    assert ast.literal_eval(text) == 'a "b"'


@pytest.mark.parametrize("lost", ["manifest.json", "README.md", "both"])
def test_killed_before_the_very_end_goes_on(tmp_path, lost):
    """The last shard is in the journal, but the manifest or the card is not written yet."""
    out = tmp_path / "s"
    physim.render(system="pendulum", n=40, n_test=10, shard_size=20, out=out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    whole = manifest.read(out)
    Journal(out).begin(whole.recipe, whole.versions, whole.shards)
    for name in ("manifest.json", "README.md") if lost == "both" else (lost,):
        (out / name).unlink()
    assert physim.render(system="pendulum", n=40, n_test=10, shard_size=20, out=out).made == 0
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_key_of_another_version_is_named(tmp_path):
    settings = {"system": "pendulum", "n": 2, "n_test": 0, "frames": 2, "resolution": 8}
    physim.render(**settings, out=tmp_path)
    whole = manifest.read(tmp_path)
    manifest.write(tmp_path, whole.model_copy(update={"recipe": whole.recipe | {"older": 1}}))
    with pytest.raises(RecipeError, match="holds a data set with another older; choose"):
        physim.render(**settings, out=tmp_path)


@pytest.mark.parametrize("journal", [True, False])
def test_shards_of_two_versions_are_not_mixed(tmp_path, monkeypatch, journal):
    out, settings = tmp_path / "s", {"n": 4, "n_test": 1, "frames": 2, "resolution": 8}
    settings |= {"system": "pendulum", "shard_size": 2, "out": out}
    physim.render(**settings)
    before = manifest.read(out)
    monkeypatch.setattr(manifest, "versions", lambda: before.versions | {"numba": "9", "new": "1"})
    (out / "README.md").unlink()
    assert physim.render(**settings).made == 0
    assert manifest.read(out) == before
    if journal:
        Journal(out).begin(before.recipe, before.versions, before.shards)
        (out / "manifest.json").unlink()
    (out / "train" / "00001.h5").unlink()
    old = before.versions["numba"]
    with pytest.raises(RecipeError, match=f"were made with numba {old}, not 9; go on with that"):
        physim.render(**settings)
    assert physim.render(**settings, overwrite=True).made == 5
    assert manifest.read(out).versions["numba"] == "9"


def test_overwriting_takes_away_nothing_that_it_did_not_write(tmp_path):
    settings = {"system": "pendulum", "n": 4, "n_test": 1, "frames": 2, "resolution": 8}
    physim.render(**settings, shard_size=2, out=tmp_path)
    others = [tmp_path / "train" / name for name in ("7.h5", "notes.h5", "00007.hdf5")]
    for path in others:
        path.write_bytes(b"somebody's")
    physim.render(**settings, out=tmp_path, overwrite=True)
    assert all(path.read_bytes() == b"somebody's" for path in others)
    assert not (tmp_path / "train" / "00001.h5").exists()


@pytest.mark.slow
def test_the_first_run_says_that_it_compiles_and_later_ones_do_not(tmp_path):
    command = [sys.executable, "-m", "physim", "render", "--system", "three_body", "--n", "5"]
    for expected in (True, False):
        done = subprocess.run(
            [*command, "--out", str(tmp_path / str(expected))],
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "kernels")},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ("Compiling" in done.stderr) == expected


def test_interrupt_stops_within_a_second_and_leaves_no_half_shard(tmp_path):
    out = tmp_path / "s"
    command = [sys.executable, "-m", "physim", "render", "--system", "pendulum", "--n", "300000"]
    child = subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.PIPE, text=True)
    while not list(out.glob("train/*.h5")):
        assert child.poll() is None
        time.sleep(0.02)
    began = time.monotonic()
    child.send_signal(signal.SIGINT)
    _, message = child.communicate(timeout=20)
    assert time.monotonic() - began < 3  # one second, and a shared machine's share
    assert child.returncode == 130
    assert "Rerun the same command to resume" in message
    assert not [path for path in out.rglob("*") if path.suffix == ".part"]
    for path in out.rglob("*.h5"):
        with h5py.File(path) as file:
            assert np.isfinite(file["q"][-1]).all()
    assert not (out / "manifest.json").exists()


def test_an_interrupt_before_anything_is_written_does_not_speak_of_resuming(
    tmp_path, monkeypatch, capsys
):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("physim.rendering.render", stopped)
    command = ["render", "--system", "pendulum", "--n", "5", "--out"]
    assert run(cli, [*command, str(tmp_path / "none")]) == 130
    assert "Stopped. Nothing is there yet." in capsys.readouterr().err
    assert run(cli, [*command, str(tmp_path)]) == 130
    assert f"Rerun the same command to resume: {tmp_path}" in capsys.readouterr().err


def test_memory_does_not_grow_with_n(tmp_path):
    code = (
        "import physim, resource, sys; physim.render(system='mass_spring', n=int(sys.argv[1]),"
        " n_test=0, frames=8, out=sys.argv[2]);"
        " print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = [
        int(
            subprocess.run(
                [sys.executable, "-c", code, str(n), str(tmp_path / str(n))],
                capture_output=True,
                text=True,
                check=True,
                env=os.environ,
            ).stdout
        )
        for n in (8_000, 40_000)
    ]
    assert peaks[1] < 1.15 * peaks[0]  # allocators differ by a few per cent between runs
