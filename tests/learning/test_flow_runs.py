"""Flows by the command line: train, judge, report, table; a line and a space besides a plane."""

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from hgn_train import checkpoint, cli, models, points
from hgn_train.evaluation import densities
from physim.command_line import run as run_command

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning_fabric")


def run(capsys, *words):
    capsys.readouterr()
    status = run_command(cli.cli, [str(word) for word in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture(scope="session")
def flows(tmp_path_factory):
    """A trained and judged run on a density, on a line and in a space of three dimensions."""
    folder = tmp_path_factory.mktemp("flows")
    random = np.random.default_rng(0)
    np.save(
        folder / "line.npy",
        np.concatenate([random.normal(-2, 0.4, 400), random.normal(2, 0.4, 400)]),
    )
    np.savetxt(
        folder / "space.csv",
        random.normal(size=(600, 3)) @ random.normal(size=(3, 3)),
        delimiter=",",
    )
    targets = {"plane": "circle", "line": folder / "line.npy", "space": folder / "space.csv"}
    for name, target in targets.items():
        words = ["fit", "--model", "nhf", "--target", target, "--preset", "test", "-q"]
        assert run_command(cli.cli, [*map(str, words), "--out", str(folder / name)]) == 0
        assert run_command(cli.cli, ["evaluate", str(folder / name), "--n", "400"]) == 0
    return folder


@pytest.mark.parametrize(("name", "size"), [("plane", 2), ("line", 1), ("space", 3)])
def test_results_are_complete(flows, name, size):
    results = json.loads((flows / name / "evaluation.json").read_text())
    assert results["dimension"] == size
    assert results["settings"]["network"]["dimension"] == size
    test = results["splits"]["test"]
    bounds = [test["bounds"][str(k)] for k in densities.KS]
    assert bounds == sorted(bounds)
    assert test["log_prob"] == bounds[-1]
    if name == "plane":
        assert test["gap"] == pytest.approx(test["true"] - test["log_prob"], abs=1e-9)
        assert test["gap"] > 0
        assert test["true"] == pytest.approx(-results["entropy"], abs=0.2)
        assert test["true"] > test["gaussian"]
        assert 0 < results["strays"] < 1
    else:
        assert "true" not in test
    page = (flows / name / "report.html").read_text()
    assert page.count("data:image/png;base64") == 5
    for picture in ("density", "energies", "step", "flow", "training"):
        assert 2000 < (flows / name / "pictures" / f"{picture}.png").stat().st_size < 300_000


def test_training_lowers_the_loss(flows):
    lines = [
        json.loads(line) for line in (flows / "line" / "metrics.jsonl").read_text().splitlines()
    ]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert np.mean(losses[-5:]) < losses[0] - 0.2
    results = json.loads((flows / "line" / "evaluation.json").read_text())
    test = results["splits"]["test"]
    assert test["log_prob"] > test["gaussian"]  # two wells are no Gaussian


def test_table_says_what_is_known(flows, capsys):
    status, out, _ = run(capsys, "table", flows / "plane", flows / "space")
    assert status == 0
    lines = [line.split(" | ") for line in out.splitlines() if line.startswith("| ")]
    by_target = {cells[0].strip("| "): cells for cells in lines}
    assert {"circle", "space"} < set(by_target)
    assert len({len(cells) for cells in lines}) == 1
    results = json.loads((flows / "plane" / "evaluation.json").read_text())
    assert f"{results['splits']['test']['log_prob']:.3f}" in " ".join(by_target["circle"])


def test_model_of_a_run_is_a_distribution(flows):
    model, _, _ = checkpoint.load_model(flows / "plane", torch.device("cpu"))
    some = points.read("circle").rest[:50]
    with torch.no_grad():
        assert model.log_prob(some).shape == (50,)
    assert model.sample((7,)).shape == (7, 2)


def test_training_goes_on_bit_by_bit(tmp_path, capsys):
    from hgn_train import settings, train
    from hgn_train.presets import settings_of

    whole = settings_of("test", "moons", "nhf", train={"steps": 60})
    train.fit(whole, tmp_path / "whole", accelerator="cpu")
    seen = []

    def stop(line):
        seen.append(line)
        if line["step"] >= 30 and len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.fit(
            settings_of("test", "moons", "nhf", train={"steps": 60, "save_every": 10}),
            tmp_path / "parts",
            accelerator="cpu",
            report=stop,
        )
    train.fit(
        settings.load(tmp_path / "parts"), tmp_path / "parts", resume=True, accelerator="cpu"
    )
    ends = [
        checkpoint.read(tmp_path / name / "checkpoints" / checkpoint.LAST)
        for name in ("whole", "parts")
    ]
    for name, tensor in ends[0].tensors.items():
        assert torch.equal(tensor, ends[1].tensors[name]), name


def test_spline_flow_is_trained_as_long(flows, tmp_path, capsys):
    folder = tmp_path / "line"
    shutil.copytree(flows / "line", folder)
    status, out, err = run(capsys, "evaluate", folder, "--n", 100, "--spline-flow")
    assert status == 0, err
    facts = json.loads((folder / "spline.json").read_text())
    assert facts["steps"] > 1
    assert np.isfinite(facts["log_prob"])
    assert "neural spline flow" in out


def test_a_flow_has_nothing_to_follow_further(flows, capsys):
    status, _, err = run(capsys, "evaluate", flows / "line", "--extra", 10)
    assert status == 2
    assert "--extra: a flow has no frames" in err


def test_spline_flow_without_zuko_is_one_sentence(flows, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "zuko", None)
    status, _, err = run(capsys, "evaluate", flows / "line", "--spline-flow")
    assert status == 2
    assert "needs zuko, which is not installed" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("moon", "did you mean 'moons'"),
        ("none.csv", "there is no file"),
    ],
)
def test_wrong_target_is_one_sentence(tmp_path, capsys, target, sentence):
    status, _, err = run(
        capsys, "fit", "--model", "nhf", "--target", target, "--out", tmp_path / "run"
    )
    assert status == 2
    assert sentence in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("ending", [".npy", ".csv"])
def test_samples_can_be_a_target(flows, tmp_path, capsys, ending):
    path = tmp_path / f"points{ending}"
    status, out, err = run(capsys, "sample", flows / "space", "-n", 50, "--seed", 4, "-o", path)
    assert status == 0, err
    assert "50 sampled points" in out
    assert points.read(str(path)).first.shape == (45, 3)


def test_what_a_flow_does_not_do_is_one_sentence(flows, tmp_path, capsys):
    status, _, err = run(capsys, "sample", flows / "line", "-o", tmp_path / "points.gif")
    assert status == 2
    assert "expected a name ending in .npy, .csv" in err
    status, _, err = run(capsys, "rollout", flows / "line", "-o", tmp_path / "rollout.gif")
    assert status == 2
    assert "is a run of 'nhf', which draws no frames" in err
    status, _, err = run(capsys, "sample", flows / "line", "-o", tmp_path / "none" / "points.npy")
    assert status == 2
    assert "cannot be written" in err
    for option, value in (("--frames", 9), ("--prior", "normal")):
        out = tmp_path / "points.npy"
        status, _, err = run(capsys, "sample", flows / "line", option, value, "-o", out)
        assert status == 2
        assert f"{option}: 'nhf' draws points" in err


def test_a_flow_of_another_name_is_sampled(flows, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(models.MODELS, "mine", replace(models.find("nhf"), name="mine"))
    shutil.copytree(flows / "line", tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    path.write_text(path.read_text().replace('"model": "nhf"', '"model": "mine"'))
    out = tmp_path / "points.csv"
    status, _, err = run(capsys, "sample", tmp_path / "run", "-n", 30, "-o", out)
    assert status == 0, err
    assert len(out.read_text().splitlines()) == 30


def test_a_flow_that_learned_one_gaussian_is_named(flows):
    from hgn_train.evaluation.density_report import lead

    results = json.loads((flows / "line" / "evaluation.json").read_text())
    assert "ONE GAUSSIAN" not in lead(results)
    results["splits"]["test"]["log_prob"] = results["splits"]["test"]["gaussian"]
    assert "NO BETTER THAN ONE GAUSSIAN" in lead(results)
