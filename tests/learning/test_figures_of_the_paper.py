"""The figures of the paper: drawn from runs, with captions that say what was run."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import physim
from hgn_train import cli, paper
from hgn_train import figures as drawing
from hgn_train.paper import areas, page, rollouts, runs, systems, trainings
from hgn_train.paper.figure import Material, Need
from hgn_train.presets import settings_of
from physim.command_line import run as run_command
from physim.errors import PhysimError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning_fabric")


def figures(capsys, *words):
    capsys.readouterr()
    status = run_command(cli.cli, ["figures", *(str(word) for word in words)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture(scope="module")
def judged_runs(tiny_run, tmp_path_factory):
    """A folder with an evaluated run in it."""
    folder = tmp_path_factory.mktemp("judged")
    shutil.copytree(tiny_run, folder / "one")
    status = run_command(cli.cli, ["evaluate", str(folder / "one"), "--n", "16", "--extra", "6"])
    assert status == 0
    return folder


def test_figures_from_runs(judged_runs, tmp_path, capsys):
    words = ["--runs", judged_runs, "--out", tmp_path / "new", "--only", "5,6,7"]
    status, out, err = figures(capsys, *words)
    assert status == 0, err
    text = (tmp_path / "new" / "README.md").read_text()
    results = json.loads((judged_runs / "one" / "evaluation.json").read_text())
    for number in (5, 6, 7):
        path = tmp_path / "new" / paper.FIGURES[number].file
        assert f"({path.name})" in text
        assert path.name in out
        assert path.stat().st_size <= page.BYTES
        picture = Image.open(path).convert("RGB")
        # not blank: ink on white, and the colours of something drawn
        assert len(picture.getcolors(1 << 24)) > 30
        assert (np.asarray(picture.convert("L")) < 128).mean() > 0.005
        block = text[text.index(f"Figure {number}:") :]
        assert "hgn on mass_spring, preset test" in block
        assert f"{results['parameters']:,} parameters" in block
        assert f"{results['training']['steps']:,} steps of 16" in block
        words = f"--system mass_spring --data {results['settings']['data']} --preset test"
        assert f"`hgn-train auto {words}`" in block
    error = results["splits"]["test"]["error"]
    assert f"{1e4 * error:.2f}" in text
    assert str(tmp_path) not in text
    assert str(judged_runs) not in text


def test_samples_of_a_model_without_a_prior_of_its_own(judged_runs, tmp_path, capsys):
    """A deterministic model is sampled from the fitted prior alone."""
    run = shutil.copytree(judged_runs / "one", tmp_path / "runs" / "one")
    results = json.loads((run / "evaluation.json").read_text())
    del results["samples"]["normal"]
    (run / "evaluation.json").write_text(json.dumps(results))
    arrays = dict(np.load(run / "evaluation.npz"))
    del arrays["samples_normal"]
    np.savez(run / "evaluation.npz", **arrays)
    words = ["--runs", tmp_path / "runs", "--out", tmp_path / "new", "--only", "7"]
    status, _, err = figures(capsys, *words)
    assert status == 0, err
    text = (tmp_path / "new" / "README.md").read_text()
    assert f"mass_spring {1e4 * results['samples']['mixture']:.2f}, test frames" in text


def test_backward_begins_with_the_inferred_state():
    """Frames are numbered from the first of the data; the state is inferred at frame 2."""
    frames = np.arange(-6, 16)[None]
    arrays = {"beyond_images": frames, "beyond_drawn": 100 + frames}
    results = {
        "anchor": 2,
        "beyond": {"first_frame": -6},
        "splits": {"test": {"per_frame": [0.0] * 5}},
    }
    true, drawn = drawing.backward(results, arrays, 0)
    assert true.tolist() == [2, 1, 0, -1, -2]
    assert (drawn == 100 + true).all()
    results["splits"]["test"]["per_frame"] = [0.0] * 30  # longer than what was followed
    assert drawing.backward(results, arrays, 0)[0].tolist() == list(range(2, -7, -1))


def test_baselines_stand_beside_it(judged_runs, tmp_path, capsys):
    """Their rows of figure 6 show the same trajectory, wherever it is among those kept."""
    shutil.copytree(judged_runs / "one", tmp_path / "runs" / "one")
    for name, kind in (("HNN", "dense"), ("HNN, convolutional", "convolutional")):
        folder = tmp_path / "runs" / kind
        shutil.copytree(judged_runs / "one", folder)
        results = json.loads((folder / "evaluation.json").read_text())
        results["settings"]["model"] = "pixel-hnn"
        results["settings"]["network"] = {"autoencoder": kind, "inference_frames": 2}
        results["splits"]["test"]["error"] = {"HNN": 0.5, "HNN, convolutional": 0.25}[name]
        (folder / "evaluation.json").write_text(json.dumps(results))
        arrays = dict(np.load(folder / "evaluation.npz"))
        for key in ("test_images", "test_drawn"):
            arrays[key] = arrays[key][::-1]
        np.savez(folder / "evaluation.npz", **arrays)
    status, _, err = figures(
        capsys, "--runs", tmp_path / "runs", "--out", tmp_path / "new", "--only", "5,6"
    )
    assert status == 0, err
    text = (tmp_path / "new" / "README.md").read_text()
    assert re.search(r"\| mass_spring \| HNN \| .* \| 5000.00 ", text)
    assert re.search(r"\| mass_spring \| HNN, convolutional \| .* \| 2500.00 ", text)
    one, dense = (Path(tmp_path / "runs" / name) for name in ("one", "dense"))
    found = {run.folder: run for run in runs.found([tmp_path / "runs"])}
    for trajectory in (0, 3):
        drawn = rollouts.same(found[one], found[dense], trajectory)
        assert (drawn == found[one].arrays["test_drawn"][trajectory]).all()


def test_figure_of_flows(tmp_path, capsys):
    """From an evaluation as that of flows writes it; slow tests have one of a real run."""
    draws = np.random.default_rng(0)
    for preset, bound in (("paper", -3.5), ("small", -2.875)):
        folder = tmp_path / "runs" / preset
        folder.mkdir(parents=True)
        test = {"log_prob": bound, "standard_error": 0.01, "gaussian": -4.0}
        test |= {"true": -2.75, "gap": -2.75 - bound, "gap_error": 0.001}
        settings = json.loads(settings_of(preset, "circle", "nhf").to_json())
        results = {"system": "circle", "dimension": 2, "splits": {"test": test}}
        results |= {"settings": settings, "parameters": 10, "training": {"steps": 7}}
        (folder / "evaluation.json").write_text(json.dumps(results))
        axis = np.linspace(-4, 4, 41)
        well = np.add.outer(axis**2, axis**2)[None]
        places = {name: draws.normal(size=(500, 2)) for name in ("target", "samples")}
        path = draws.normal(size=(300, 5, 2))
        arrays = {"axis": axis, "potential": well, "kinetic": well, "path_q": path}
        np.savez(folder / "evaluation.npz", **places, **arrays)
    words = ["--runs", tmp_path / "runs", "--out", tmp_path / "new", "--only", "8"]
    status, _, err = figures(capsys, *words)
    assert status == 0, err
    picture = Image.open(tmp_path / "new" / paper.FIGURES[8].file).convert("RGB")
    assert len(picture.getcolors(1 << 24)) > 100
    text = (tmp_path / "new" / "README.md").read_text()
    assert "| circle | paper | -4.000 | -3.500 ± 0.010 | -2.750 | 0.750 ± 0.001 | – |" in text
    assert "| circle | small | -4.000 | -2.875 ± 0.010 | -2.750 | 0.125 ± 0.001 | – |" in text
    for preset in ("paper", "small"):
        out = f"runs/circle-nhf-{preset}"
        words = f"hgn-train fit --model nhf --target circle --out {out} --preset {preset}"
        train = settings_of(preset, "circle", "nhf").train
        assert f"7 of {train.steps:,} steps of {train.batch_size}, seed 0: `{words}`" in text


def test_figures_without_runs_and_the_page_of_old_ones(tiny_data, tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    (data / "mass_spring").symlink_to(tiny_data)
    words = ["--data", data, "--system", "mass_spring", "--out", tmp_path / "new"]
    for number in (4, 9):  # the second call keeps what the first has made
        status, _, err = figures(capsys, *words, "--only", number)
        assert status == 0, err
    text = (tmp_path / "new" / "README.md").read_text()
    recipes = "recipes `hgn/mass_spring+frames+resolution`, seed 0"
    assert text.index("Figure 4") < text.index(recipes) < text.index("Figure 9")
    for number in (4, 9):
        picture = Image.open(tmp_path / "new" / paper.FIGURES[number].file).convert("RGB")
        assert len(picture.getcolors(1 << 24)) > 30


BAD = {
    "a figure that is not there": (["--only", "4,12"], "--only: got '12'"),
    "no number": (["--only", "four"], "--only: got 'four'"),
    "no folder of runs": (["--runs", "nowhere"], "--runs: got 'nowhere'"),
    "no run": (["--runs", "EMPTY", "--only", "5"], "figure 5 needs an evaluated run of hgn"),
    "an unknown system": (["--system", "pendulun"], "did you mean 'pendulum'"),
    "an unknown preset": (["--preset", "smal"], "did you mean 'small'"),
    "a file": (["--out", "FILE", "--only", "9"], "is a file"),
    "damaged results": (["--runs", "DAMAGED", "--only", "5"], "evaluation.json: damaged"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = {word: tmp_path / word.lower() for word in ("EMPTY", "FILE", "DAMAGED")}
    places["EMPTY"].mkdir()
    places["FILE"].touch()
    places["DAMAGED"].mkdir()
    (places["DAMAGED"] / "evaluation.json").write_text('{"settings": 3}')
    words, message = BAD[name]
    before = sorted(tmp_path.rglob("*"))
    status, _, err = figures(capsys, *[places.get(word, word) for word in words])
    assert status == 2
    assert message in err
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("system", "changes", "message"),
    [
        ("mass_spring", {"initial": {"sampler": "annulus", "radius": 0.7}}, ""),
        (
            "pendulum",
            {"parameters": {"m": {"uniform": [0.5, 1.0]}}},
            "expected the same parameters",
        ),
        ("two_body", {"parameters": {"m": [1.0, 2.0]}}, "and masses and G of 1"),
        ("two_body", {"initial": {"sampler": "square"}}, "not drawn by their radius"),
    ],
)
def test_level_sets_are_those_of_the_data(system, changes, message, tmp_path):
    small = {"n": 6, "n_test": 1, "frames": 3, "resolution": 16}
    physim.render(f"hgn/{system}", tmp_path / system, **small, **changes)
    material = Material(tmp_path, (system,), ())
    if message:
        with pytest.raises(PhysimError, match=f"{system}: .*{message}"):
            systems.draw(material)
    else:
        name = physim.open(tmp_path / system).recipe.name
        assert f"the recipes `{name}`, seed 0, " in systems.draw(material).caption


def test_the_best_run_is_shown(judged_runs, tmp_path):
    found = {}
    for name, preset, seed in (("a", "test", 0), ("b", "small", 1), ("c", "small", 0)):
        folder = tmp_path / name
        shutil.copytree(judged_runs / "one", folder)
        found[name] = json.loads((folder / "evaluation.json").read_text())
        found[name]["settings"]["preset"] = preset
        found[name]["settings"]["train"]["seed"] = seed
        (folder / "evaluation.json").write_text(json.dumps(found[name]))
    material = Material(tmp_path, ("mass_spring",), tuple(runs.found([tmp_path])))
    assert material.find("hgn", "mass_spring").folder.name == "c"
    assert material.find("hgn", "mass_spring", "test").folder.name == "a"
    assert material.find("hgn", "mass_spring", "paper") is None
    assert [run.folder.name for run in material.of("hgn")] == ["c"]


def test_a_caption_says_what_was_changed(judged_runs, tmp_path):
    shutil.copytree(judged_runs / "one", tmp_path / "one")
    path = tmp_path / "one" / "evaluation.json"
    results = json.loads(path.read_text())
    results["settings"]["data"] = "datasets/hgn/mass_spring"
    results["settings"]["train"] |= {"seed": 3, "steps": 7}
    results["settings"]["network"]["encoder"] = [[4], [8, 8]]
    path.write_text(json.dumps(results))
    (run,) = runs.found([tmp_path])
    words = runs.command(run)
    assert words == (
        "hgn-train auto --system mass_spring --preset test --seed 3 "
        "--set encoder=[[4],[8,8]] --set steps=7"
    )
    changed = {"run": "runs/a", "step": 5, "weights": "0"}
    run.results["settings"] |= {"start": changed, "extended": [[4, 4]]}
    assert "--out runs/mass_spring-test --from runs/a --preset test" in runs.command(run)
    said = runs.sentence(run)
    assert "seed 3, from the weights of runs/a after 5 steps, prolonged at step 4 of 4, " in said


DATA = {
    "the default": ("hgn", "mass_spring", "datasets/hgn/mass_spring/", ""),
    "the default, in full": ("hgn", "mass_spring", "HERE/datasets/hgn/mass_spring", ""),
    "of its own": ("hgn", "mass_spring", "my data/spring", "--data 'my data/spring' "),
    "pixels": ("pixel-hnn", "pendulum", "mine/swing", "--data mine/swing "),
    "states": ("hnn", "pendulum", "datasets/hnn/pendulum", "--data datasets/hnn/pendulum "),
    "a density": ("nhf", "circle", "circle", "--target circle "),
    "a file of points": ("nhf", "cloud", "points/cloud.npy", "--target points/cloud.npy "),
}


@pytest.mark.parametrize("name", DATA)
def test_a_command_names_the_data_of_the_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, subject, data, words = DATA[name]
    data = data.replace("HERE", str(tmp_path))
    settings = json.loads(settings_of("test", data, model).to_json())
    need = Need(model, subject, "test")
    start = f"hgn-train fit --model {model} {words}--out runs/{subject}-{model}-test "
    if model == "hgn":
        start = f"hgn-train auto --system {subject} {words}"
    made = runs.command(runs.Run(tmp_path, need, {"settings": settings}))
    assert made.startswith(f"{start}--preset test")


def test_figures_refuse_data_that_are_not_there(tiny_data, tmp_path, capsys, monkeypatch):
    """A folder that was named and holds no data set is a mistake; without it data are made."""
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    (data / "pendulum").symlink_to(tiny_data)  # which shows a spring
    before = sorted(tmp_path.rglob("*"))
    for words, message in (
        (["--data", "nodata"], "--data: got 'nodata', expected a folder of data sets"),
        (["--data", "data"], "data: no data set of mass_spring, two_body, three_body in it"),
        (["--data", "data", "--system", "pendulum"], "holds 'mass_spring', expected 'pendulum'"),
    ):
        status, _, err = figures(capsys, "--only", "4", "--out", "new", *words)
        assert status == 2
        assert message in err
        assert err.count("\n") == 1
        assert sorted(tmp_path.rglob("*")) == before


def test_euler_area_grows_as_its_determinant_says():
    """A step of Euler on the oscillator has the determinant 1 + dt² k/m, one of leapfrog 1."""
    drawing = areas.draw(None)
    expected = (1 + areas.DT**2 * areas.K / areas.M) ** areas.STEPS
    curves = {line.get_label(): line.get_ydata() for line in drawing.sheet.axes[2].lines}
    assert np.isclose(curves["euler"][-1], expected, rtol=1e-9)
    assert np.allclose(curves["leapfrog"], 1, rtol=1e-12)


@pytest.mark.parametrize(("bodies", "name"), [(2, "two_body"), (3, "three_body")])
def test_polygons_stay_on_their_level_set(bodies, name):
    """In the plane of figure 4 the radial motion keeps H, and a circular orbit stays."""
    import physim

    state, radial = systems.breathing(bodies, 1.0)
    times = np.linspace(0, 3, 31)
    q, p = radial(*physim.simulate(name, *state(1.0, 0.0), None, times))
    assert np.allclose(q, 1, atol=1e-9)
    assert np.allclose(p, 0, atol=1e-9)
    q, p = radial(*physim.simulate(name, *state(1.0, -0.2), None, times))
    pull = {2: 1 / 4, 3: 1 / np.sqrt(3)}[bodies]  # of the others, at distance 1 from the centre
    energy = p**2 / 2 + pull / (2 * q**2) - pull / q
    assert np.ptp(q) > 0.1
    assert np.allclose(energy, energy[0], atol=1e-9)


def test_trainings_go_on_where_they_were_and_say_how_long(tmp_path):
    needs = [Need("hgn", name) for name in ("mass_spring", "pendulum")]
    planned = trainings.planned(needs, tmp_path / "data", tmp_path / "runs", "small")
    assert [training.need.subject for training in planned] == ["pendulum", "mass_spring"]
    sentence = trainings.duration(planned, 2)
    assert sentence.startswith("training what is missing: hgn on pendulum (small), hgn on mass")
    assert f"about {max(t.minutes for t in planned):.0f} minutes" in sentence
    (words,) = planned[1].commands()
    assert words[:3] == ["auto", "--system", "mass_spring"]
    assert words[-1] == str(tmp_path / "runs" / "mass_spring-small")


def test_a_training_that_fails_is_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "mass_spring").mkdir(parents=True)
    (tmp_path / "data" / "mass_spring" / "manifest.json").write_text("{}")
    words = ["--only", "7", "--system", "mass_spring", "--data", "data", "--preset", "test"]
    status, _, err = figures(capsys, *words)
    assert status == 2
    assert err.count("\n") == 1
    assert "hgn on mass_spring (test): `hgn-train auto --system mass_spring --preset test" in err


@pytest.mark.slow
def test_everything_that_is_missing_is_made(tmp_path):
    """From nothing but small data: trains, evaluates, draws all, and uses it again."""
    import physim

    for name in ("mass_spring", "three_body"):
        settings = {"n": 256, "n_test": 32, "frames": 12, "resolution": 16}
        physim.render(f"hgn/{name}", tmp_path / "data" / name, **settings)
    words = ["figures", "--data", "data", "--preset", "test", "--out", "new"]
    words += ["--system", "mass_spring", "--system", "three_body"]
    for again in (False, True):
        done = subprocess.run(
            [sys.executable, "-m", "hgn_train", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert ("training what is missing" in done.stdout) is not again
        names = {path.name for path in (tmp_path / "new").iterdir()}
        assert names == {"README.md", *(figure.file for figure in paper.FIGURES.values())}
