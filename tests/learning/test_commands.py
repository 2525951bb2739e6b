"""The command line: every command runs, and what is wrong is one sentence with exit status 2."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from hgn_train import cli
from physim.command_line import run as run_command

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning")


def run(capsys, *words):
    capsys.readouterr()
    status = run_command(cli.cli, [str(word) for word in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture(scope="session")
def evaluated(tiny_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    shutil.copytree(tiny_run, folder)
    status = run_command(cli.cli, ["evaluate", str(folder), "--n", "32", "--extra", "6"])
    assert status == 0
    return folder


def test_results_are_complete(evaluated):
    results = json.loads((evaluated / "evaluation.json").read_text())
    test = results["splits"]["test"]
    assert test["oracle"] == 0
    assert 0 < test["share_explained"] < 1
    assert len(test["per_frame"]) == 10
    assert np.isclose(np.mean(test["per_frame"]), test["error"])
    assert set(results["speeds"]) == {"0.5", "2.0"}
    beyond = results["beyond"]
    assert len(beyond["per_frame"]) == 10 + 2 * 6
    # the same frames, drawn from the simulated states instead of read from the shards
    inside = beyond["per_frame"][6:16]
    assert np.allclose(inside, test["per_frame"], rtol=0.05)
    assert 0 <= beyond["valid_forward"] <= 1
    assert results["latent"]["symetric"]["batches"] > 0
    samples = results["samples"]
    assert samples["test_frames"] < samples["average_image"]


def test_report_is_one_file(evaluated):
    page = (evaluated / "report.html").read_text()
    assert "share explained" in page
    assert page.count("data:image/png;base64") >= 7
    for outside in ('src="http', "src='", "<link", "<script"):
        assert outside not in page


@pytest.mark.parametrize("name", ["samples.gif", "samples.png", "samples.npz"])
def test_sample(evaluated, tmp_path, capsys, name):
    status, out, err = run(capsys, "sample", evaluated, "-n", 4, "-o", tmp_path / name)
    assert status == 0, err
    assert "4 sampled trajectories of 10 frames" in out
    if name.endswith("npz"):
        with np.load(tmp_path / name) as arrays:
            assert arrays["image"].shape == (4, 10, 16, 16, 3)
    else:
        with Image.open(tmp_path / name) as image:
            assert getattr(image, "n_frames", 1) == (10 if name.endswith("gif") else 1)


def test_rollout_backward_starts_where_forward_does(evaluated, tmp_path, capsys):
    for way in ((), ("--backward",)):
        name = tmp_path / f"{len(way)}.npz"
        status, _, err = run(
            capsys, "rollout", evaluated, *way, "--speed", 0.5, "-n", 3, "-o", name
        )
        assert status == 0, err
    with np.load(tmp_path / "0.npz") as forward, np.load(tmp_path / "1.npz") as backward:
        assert np.array_equal(forward["q"][:, 0], backward["q"][:, 0])
        assert not np.allclose(forward["q"][:, 1], backward["q"][:, 1])


def test_table_says_what_differs_from_the_preset(evaluated, tmp_path, capsys):
    _, plain, _ = run(capsys, "table", evaluated)
    assert "| hgn | test | 0 |" in plain
    other = shutil.copytree(evaluated, tmp_path / "other")
    results = json.loads((other / "evaluation.json").read_text())
    results["settings"]["network"] |= {"integrator": "euler", "stochastic": False}
    (other / "evaluation.json").write_text(json.dumps(results))
    _, changed, _ = run(capsys, "table", other)
    assert "| hgn | test, stochastic=false, integrator=euler | 0 |" in changed


def test_table_is_put_between_its_markers(evaluated, tmp_path, capsys):
    path = tmp_path / "results.md"
    path.write_text("# Mine\n\n<!-- results: start -->\nold\n<!-- results: end -->\nafter\n")
    status, _, err = run(capsys, "table", "--out", path, evaluated)
    assert status == 0, err
    text = path.read_text()
    assert "old" not in text
    assert text.startswith("# Mine")
    assert text.endswith("after\n")
    assert "| mass_spring | hgn | test | 0 |" in text
    assert "3.84 / 6.23" in text
    assert "(results/mass_spring-rollout-0.png)" in text
    assert (tmp_path / "results" / "mass_spring-rollout-0.png").is_file()


def test_auto_renders_trains_and_reports(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    import physim

    physim.render("hgn/mass_spring", "data", n=128, n_test=32, frames=12, resolution=16)
    words = [
        "auto",
        "--preset",
        "test",
        "--data",
        "data",
        "--device",
        "cpu",
        "-q",
        "--set",
        "steps=20",
    ]
    status, out, err = run(capsys, *words, "--out", "run")
    assert status == 0, err
    assert "mass_spring, preset test, as asked" in out
    assert (tmp_path / "run" / "report.html").is_file()
    status, _, err = run(capsys, *words, "--out", "run", "--set", "steps=21")
    assert status == 2
    assert "holds a run with other settings" in err


def test_help_is_instant_and_complete():
    for name in cli.COMMANDS:
        assert cli.cli.get_command(None, name).help
    code = (
        "import sys; from hgn_train import cli; cli.run(cli.cli, ['--help']); "
        "heavy = {'torch', 'numpy', 'lightning', 'numba', 'h5py'} & set(sys.modules); "
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


BAD = {
    "a preset that does not exist": (
        ["fit", "--data", "DATA", "--preset", "papr", "--out", "OUT"],
        "did you mean 'paper'",
    ),
    "another resolution": (
        ["fit", "--data", "DATA", "--preset", "small", "--out", "OUT"],
        "has resolution 16, but the model is made for 32",
    ),
    "fewer frames": (
        ["fit", "--data", "DATA", "--preset", "test", "--set", "frames=20", "--out", "OUT"],
        "has 12 frames a trajectory",
    ),
    "another channel count": (
        ["fit", "--data", "DATA", "--preset", "test", "--set", "channels=1", "--out", "OUT"],
        "has channels 3, but the model is made for 1",
    ),
    "more inference frames than frames": (
        ["fit", "--data", "DATA", "--preset", "test", "--inference-frames", "11", "--out", "OUT"],
        "inference_frames: got 11",
    ),
    "no data given": (["fit", "--out", "OUT"], "Missing option '--data'"),
    "nothing to resume": (["fit", "--resume", "--out", "OUT"], "no run in this folder"),
    "no data": (["fit", "--data", "nowhere", "--out", "OUT"], "nowhere"),
    "a setting that does not exist": (
        ["fit", "--data", "DATA", "--preset", "test", "--set", "stepss=3", "--out", "OUT"],
        "did you mean 'steps'",
    ),
    "a value of another type": (
        ["fit", "--data", "DATA", "--preset", "test", "--steps", "many", "--out", "OUT"],
        "steps: got 'many'",
    ),
    "a model that does not exist": (
        ["fit", "--data", "DATA", "--model", "hgm", "--out", "OUT"],
        "did you mean 'hgn'",
    ),
    "an integrator that needs another H": (
        [
            "fit",
            "--data",
            "DATA",
            "--preset",
            "test",
            "--joint",
            "--integrator",
            "leapfrog",
            "--out",
            "OUT",
        ],
        "needs H = T",
    ),
    "no run": (["evaluate", "nowhere"], "no run in this folder"),
    "not evaluated": (["table", "nowhere"], "not evaluated yet"),
    "an unknown ending": (["sample", "RUN", "-o", "a.mp3"], "expected a name ending in"),
    "a speed of zero": (["rollout", "RUN", "--speed", "0"], "--speed: got 0.0"),
    "a command that does not exist": (["trian"], "command: got 'trian'"),
    "an unknown system": (["auto", "--system", "pendulun", "--out", "OUT"], "pendulun"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name, tiny_data, tiny_run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words, message = BAD[name]
    places = {"DATA": tiny_data, "RUN": tiny_run, "OUT": tmp_path / "out"}
    status, _, err = run(capsys, *[places.get(word, word) for word in words])
    assert status == 2
    assert message in err
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
@pytest.mark.parametrize("command", ["fit", "evaluate"])
def test_cuda_that_is_absent(command, tiny_data, tiny_run, tmp_path, capsys):
    words = {
        "fit": ["fit", "--data", tiny_data, "--preset", "test", "--out", tmp_path / "out"],
        "evaluate": ["evaluate", tiny_run],
    }[command]
    status, _, err = run(capsys, *words, "--device", "cuda")
    assert status == 2
    assert "device: got 'cuda', but this machine has none" in err


def test_a_damaged_checkpoint(tiny_run, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(tiny_run, folder)
    path = folder / "checkpoints" / "best.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    status, _, err = run(capsys, "evaluate", folder)
    assert status == 2
    assert "best.safetensors: damaged" in err
