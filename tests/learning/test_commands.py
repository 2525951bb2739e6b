"""The command line: every command runs, and what is wrong is one sentence with exit status 2."""

import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import physim
from hgn_train import checkpoint, cli, figures, settings, train
from hgn_train.cli.fit import prolonged
from hgn_train.presets import default, settings_of
from physim.command_line import run as run_command
from physim.errors import PhysimError
from physim.recipe import load

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning_fabric")


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


def test_strips_say_how_many_frames_they_show(evaluated, tmp_path, capsys):
    for frames, said in ((30, "30 frames"), (31, "31 frames; it shows 30 of them")):
        words = ("-n", 1, "--frames", frames, "--device", "cpu", "-o", tmp_path / "a.png")
        assert run(capsys, "sample", evaluated, *words)[1].endswith(f"{said}\n")
        with Image.open(tmp_path / "a.png") as image:
            assert image.size == (30 * 18 * 2, 18 * 2)


@pytest.mark.parametrize("way", [(), ("--backward",)])
def test_true_frames_stand_above_the_models(evaluated, tiny_data, tmp_path, capsys, way):
    """As stored, from the inferred frame on, and where the rollout is longer than the data."""
    name = tmp_path / "a.npz"
    words = ["rollout", evaluated, *way, "-n", 3, "--frames", 14, "--device", "cpu", "-o"]
    status, _, err = run(capsys, *words, name)
    assert status == 0, err
    stored = physim.open(tiny_data).test.image[:3]
    with np.load(name) as arrays:
        true, drawn = arrays["truth"], arrays["image"]
    assert true.shape == drawn.shape == (3, 14, 16, 16, 3)
    shown = stored[:, 1::-1] if way else stored[:, 1:]  # of three frames the middle one
    assert np.array_equal(true[:, : shown.shape[1]], shown)
    rows = figures.pairs(true, drawn)
    film = figures.film(rows, names=("true", "model"))
    margin, zoom = film.shape[2] - 2 * 18 * 4, 4  # two columns, each with its gap
    assert film.shape == (14, 2 * 35 * zoom, margin + 2 * 18 * zoom, 3)
    for place, frame in ((0, true[2, 5]), (17, drawn[2, 5])):
        top = (35 + place) * zoom  # the third is below the first
        shown = film[5, top : top + 16 * zoom : zoom, margin : margin + 16 * zoom : zoom]
        assert np.array_equal(shown, frame)
    assert (film[:, :, :margin] < 255).any()
    for ending in ("gif", "png", "mp4"):
        if ending == "mp4":
            pytest.importorskip("imageio_ffmpeg", reason="needs physim[video]")
        status, _, err = run(capsys, *words, tmp_path / f"a.{ending}")
        assert status == 0, err
    with Image.open(tmp_path / "a.gif") as image:
        assert (image.size, image.n_frames) == (film.shape[2:0:-1], 14)
    ffmpeg = [sys.modules["imageio_ffmpeg"].get_ffmpeg_exe(), "-v", "error"]
    raw = ["-i", str(tmp_path / "a.mp4"), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run([*ffmpeg, *raw], capture_output=True)
    decoded = np.frombuffer(done.stdout, np.uint8).reshape(film.shape)
    assert np.sqrt(((decoded.astype(float) - film) ** 2).mean()) < 12
    status, _, err = run(capsys, *words[:-1], "--no-truth", "-o", name)
    with np.load(name) as arrays:
        assert "truth" not in arrays


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


def test_table_has_a_system_together_by_model_then_by_folder(evaluated, tmp_path, capsys):
    for name, model, seed in (("a", "pixel-hnn", 1), ("b", "hgn", 3), ("c", "hgn", 2)):
        folder = shutil.copytree(evaluated, tmp_path / name)
        results = json.loads((folder / "evaluation.json").read_text())
        results["settings"]["model"] = model
        results["settings"]["train"]["seed"] = seed
        (folder / "evaluation.json").write_text(json.dumps(results))
    status, out, err = run(capsys, "table", *(tmp_path / name for name in "acb"))
    assert status == 0, err
    rows = [line.split(" | ") for line in out.splitlines() if line.startswith("| mass_spring")]
    found = [(row[1], row[3]) for row in rows[:3]]
    assert found == [("hgn", "3"), ("hgn", "2"), ("pixel-hnn", "1")]


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
    assert "mass_spring, preset test, as requested" in out
    assert (tmp_path / "run" / "report.html").is_file()
    status, _, err = run(capsys, *words, "--out", "run", "--set", "steps=21")
    assert status == 2
    assert "holds a run with other settings" in err


@pytest.mark.parametrize("told", [{"RANK": "1", "LOCAL_RANK": "1"}, {"LOCAL_RANK": "1"}])
@pytest.mark.parametrize("command", ["auto", "fit"])
def test_only_the_first_process_reports(command, told, tiny_data, tmp_path, capsys, monkeypatch):
    """Of those that torchrun or Fabric starts for one training, each running the same command."""
    from hgn_train import evaluation, train

    outcome = train.Outcome(0, 20, "", "", 0.1, 0.5, 1.0)
    monkeypatch.setattr(train, "fit", lambda *words, **settings: outcome)
    monkeypatch.setattr(evaluation, "find", lambda model: pytest.fail("evaluated"))
    for name, number in told.items():
        monkeypatch.setenv(name, number)
    words = [command, "--data", tiny_data, "--preset", "test", "--out", tmp_path / "run"]
    status, out, err = run(capsys, *words, "--device", "cpu", "-q")
    assert status == 0, err
    assert "20 steps" not in out


def test_help_is_instant_and_complete():
    for name in cli.COMMANDS:
        assert cli.cli.get_command(None, name).help
    code = (
        "import sys; from hgn_train import cli; cli.run(cli.cli, ['--help']); "
        "heavy = {'torch', 'numpy', 'lightning_fabric', 'numba', 'h5py'} & set(sys.modules); "
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
        ["fit", "--data", "DATA", "--preset", "small", "--set", "resolution=32", "--out", "OUT"],
        "has resolution 16, but the model is made for 32",
    ),
    "fewer frames": (
        ["fit", "--data", "DATA", "--preset", "test", "--set", "frames=20", "--out", "OUT"],
        "on rollouts of 20; a new one takes --set frames=12",
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
    "a speed that leaves the numbers": (
        ["rollout", "EVALUATED", "--speed", "1e300", "-o", "/nowhere.npz"],
        "not written, since the states of the rollout are not finite",
    ),
    "a command that does not exist": (["trian"], "command: got 'trian'"),
    "an unknown system": (["auto", "--system", "pendulun", "--out", "OUT"], "pendulun"),
    "a table in a folder that is not there": (
        ["table", "--out", "nodir/nm.md", "RUN"],
        "--out: got 'nodir/nm.md', but there is no folder nodir",
    ),
    "a table in a folder": (["table", "--out", "/", "RUN"], "--out: got '/', which is a folder"),
    "a table that cannot be written": (
        ["table", "--out", "/proc/nm.md", "EVALUATED"],
        "/proc/nm: cannot be written",  # the folder of its pictures
    ),
    "a table without an ending": (
        ["table", "--out", "nm", "RUN"],
        "--out: got 'nm', expected a name with an ending such as .md",
    ),
}
BAD |= {
    f"a folder {name}": (
        ["fit", "--data", "DATA", "--preset", "test", "--out", out],
        f"out: got '{out}', which cannot be written",
    )
    for name, out in (
        ("of the system", "/proc/run"),
        ("below a file", "/dev/null/run"),
        ("of a long name", f"{300 * 'a'}/run"),
    )
}
BAD |= {
    f"{model} with {name} {value}": (
        ["fit", "--model", model, "--data", data, "--set", f"{name}={value}", "--out", "OUT"],
        f"{name}: got {message}",
    )
    for model, data, name, value, message in (
        ("hgn", "DATA", "learning_rate", "nan", "'nan', expected a finite number"),
        ("hgn", "DATA", "learning_rate", "inf", "'inf', expected a finite number"),
        ("hgn", "DATA", "steps", "inf", "'inf', expected a whole number below 2^63"),
        ("hgn", "DATA", "dt", "1e39", "'1e39', expected a finite number up to 1e38"),
        ("hgn", "DATA", "steps", "1e400", "'1e400', expected a whole number below 2^63"),
        ("hgn", "DATA", "threads", "1e300", "'1e300', expected a whole number below 2^63"),
        ("hgn", "DATA", "hamiltonian", "[-1]", "'[-1]', expected widths from 1"),
        ("hgn", "DATA", "hamiltonian", "5", "'5', expected widths from 1"),
        ("hgn", "DATA", "hamiltonian", "[true]", "'[true]', expected widths from 1"),
        ("hgn", "DATA", "hamiltonian", "abc", "'abc', expected widths from 1"),
        ("hgn", "DATA", "encoder", '[["a"]]', "'[[\"a\"]]', expected lists of widths from 1"),
        ("hgn", "DATA", "encoder", "[5]", "'[5]', expected lists of widths from 1"),
        ("hgn", "DATA", "encoder", "[]", "[], expected at least one block"),
        ("hgn", "DATA", "encoder", "[[8], []]", "[[8], []], expected at least one block, each"),
        ("hgn", "DATA", "beta", "-1", "-1.0, expected a number from 0"),
        ("hgn", "DATA", "consistency", "-1", "-1.0, expected a number from 0"),
        ("hgn", "DATA", "beta_delay", "-1", "-1, expected a number from 0"),
        ("hgn", "DATA", "alpha", "1", "1.0, expected a number from 0 to below 1"),
        ("hgn", "DATA", "maps", "0", "0, expected a number above 0"),
        ("nhf", "circle", "hamiltonian", "5", "'5', expected widths from 1"),
        ("hnn", "DATA", "hidden", "5", "'5', expected widths from 1"),
        ("pixel-hnn", "DATA", "hamiltonian", "[-1]", "'[-1]', expected widths from 1"),
        ("pixel-hnn", "DATA", "encoder", "[[]]", "[[]], expected at least one block, each"),
    )
}
BAD |= {
    f"{name} without effect": (
        ["fit", "--model", model, "--data", "DATA", "--preset", "test", "--out", "OUT", *words],
        message,
    )
    for name, model, words, message in (
        (
            "kappa",
            "hgn",
            ["--kappa", "0.01"],
            (
                "kappa: got 0.01, which has no effect with objective elbo; expected "
                "objective geco, or no kappa"
            ),
        ),
        ("beta", "hgn", ["--deterministic-model", "--beta", "1"], "no effect with stochastic fal"),
        ("beta of geco", "hgn", ["--objective", "geco", "--beta", "1"], "with objective geco;"),
        ("maps", "hgn", ["--set", "state=maps", "--set", "maps=9"], "expected state vector, or"),
        (
            "a delay",
            "hgn",
            ["--set", "consistency_delay=9"],
            "with consistency 0.0; expected consistency above 0, or no consistency_delay",
        ),
        (
            "width",
            "pixel-hnn",
            ["--set", "autoencoder=convolutional", "--set", "width=9"],
            "dense",
        ),
    )
}
BAD |= {
    "a setting without effect of auto": (
        ["auto", "--preset", "test", "--data", "DATA", "--out", "OUT", "--set", "kappa=0.01"],
        "kappa: got 0.01, which has no effect with objective elbo",
    ),
    "a setting of another model": (
        ["fit", "--model", "hnn", "--objective", "geco", "--data", "DATA", "--out", "OUT"],
        "objective: is a setting of hgn, not of hnn",
    ),
}
BAD |= {
    f"weights of {name}": (["fit", "--from", "RUN", "--out", "OUT", *words], message)
    for name, words, message in (
        ("another model", ["--model", "hnn"], "model: got 'hnn', but RUN holds a run with 'hgn'"),
        (
            "another size",
            ["--set", "state_size=3"],
            (
                "'transform.4.weight' has shape (8, 128), expected (6, 128) for the model of this "
                "run; --from needs a run of the same model and sizes"
            ),
        ),
        ("a model without a part", ["--set", "harmonic=true"], "log_stiffness', which the model"),
        ("a model with other parts", ["--set", "transform=false"], "which the model of this run"),
        (
            "other frames",
            ["--data", "LARGE"],
            "resolution: LARGE has 32, but RUN was trained on 16; expected data with the same res",
        ),
        ("another dt", ["--data", "OTHER"], "expected data with the same dt, or --set dt=0.25"),
    )
}
BAD |= {
    f"a run that has another {name}": (["fit", "--resume", "--out", "RUN", *words], message)
    for name, words, message in (
        ("model", ["--model", "nhf"], "model: got 'nhf', but RUN holds a run with 'hgn'"),
        ("input", ["--input", "state"], "input: got 'state', but RUN holds a run with 'pixels'"),
        ("data set", ["--data", "OTHER"], "OTHER: holds other data than RUN was trained on"),
        ("start", ["--from", "OUT"], "from: got 'OUT', but RUN holds a run with 'no --from'"),
        ("preset", ["--preset", "paper"], "preset: got 'paper', but RUN holds a run with 'test'"),
        ("seed", ["--seed", "9"], "seed: got '9', but RUN holds a run with 0"),
        ("length", ["--steps", "150"], "steps: got '150', but RUN holds a run with 200"),
        ("H", ["--joint"], "separable: got 'false', but RUN holds a run with true"),
        (
            "width",
            ["--set", "encoder=[[8],[8]]"],
            "encoder: got '[[8],[8]]', but RUN holds a run with [[8], [16]]",
        ),
        ("setting of no model", ["--set", "nonsense=3"], "setting: got 'nonsense'"),
        ("setting of a wrong type", ["--steps", "many"], "steps: got 'many'"),
        ("model of no name", ["--model", "hgm"], "model: got 'hgm' (did you mean 'hgn'?)"),
    )
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(
    name, tiny_data, other_data, tiny_run, evaluated, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    words, message = BAD[name]
    places = {"DATA": tiny_data, "RUN": tiny_run, "EVALUATED": evaluated, "OUT": tmp_path / "out"}
    places |= {"OTHER": other_data / "slow", "LARGE": other_data / "large"}
    for word in ("RUN", "DATA", "OTHER", "LARGE", "OUT"):
        message = message.replace(word, str(places[word]))
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


DAMAGED = {
    "no results": (["table"], "evaluation.json", "{", "`hgn-train evaluate RUN` remakes it"),
    "other results": (
        ["table"],
        "evaluation.json",
        "[]",
        "`hgn-train evaluate RUN` remakes it",
    ),
    "results of no run": (
        ["table"],
        "evaluation.json",
        '{"settings": {}}',
        "`hgn-train evaluate RUN` remakes it",
    ),
    "no times": (
        ["evaluate", "--n", "8", "--extra", "2"],
        "timing.json",
        "{",
        "only a new run remakes it",
    ),
    "no metrics": (
        ["evaluate", "--n", "8", "--extra", "2"],
        "metrics.jsonl",
        "{\n[]\n{}\n",
        "only a new run remakes it",
    ),
    "no settings": (
        ["evaluate"],
        "config.json",
        '{"model": "hgn", "data": "", "network": [], "train": {}}',
        "not the settings of a run",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file(name, evaluated, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words, file, content, message = DAMAGED[name]
    folder = shutil.copytree(evaluated, tmp_path / "run")
    (folder / file).write_text(content)
    status, _, err = run(capsys, *words, folder)
    assert status == 2
    assert f"{folder / file}: " in err
    assert message.replace("RUN", str(folder)) in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("kept", [0, 2, 1000, -100])
def test_damaged_arrays(kept, evaluated, tmp_path):
    from hgn_train.evaluation.results import load
    from physim.errors import PhysimError

    folder = shutil.copytree(evaluated, tmp_path / "run")
    path = folder / "evaluation.npz"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(PhysimError, match=rf"npz: damaged; `hgn-train evaluate {folder}` remakes"):
        load(folder)


def test_a_line_of_metrics_that_was_cut_off_is_left_out(tiny_run, tmp_path):
    from hgn_train.evaluation.results import training_facts

    folder = shutil.copytree(tiny_run, tmp_path / "run")
    whole = training_facts(folder)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 201, "lo')
    assert training_facts(folder) == whole


def test_resuming_with_the_settings_of_the_run(tiny_data, tiny_run, tmp_path, capsys):
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    own = ["--model", "hgn", "--input", "pixels", "--data", f"{tiny_data}/", "--preset", "test"]
    own += ["--seed", "0", "--steps", "2e2", "--learning-rate", "0.0050", "--integrator"]
    own += [
        "leapfrog",
        "--precision",
        "auto",
        "--set",
        "encoder=[[8], [16]]",
        "--set",
        "transform=yes",
        "--quiet",
    ]
    for words in ([], own):
        status, out, err = run(capsys, "fit", "--resume", "--out", folder, *words)
        assert status == 0, err
        assert "already finished, with 200 steps" in out


def test_a_run_is_prolonged(tiny_run, tmp_path, capsys):
    """And says what becomes of a learning rate that had fallen along a cosine."""
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    words = ["fit", "--resume", "--out", folder, "--steps", 201, "--quiet", "--device", "cpu"]
    status, out, err = run(capsys, *words)
    assert status == 0, err
    assert "201 steps, no longer 200: at step 200 the learning rate is 0.00025" in out
    later = settings.load(folder)
    said = prolonged(later.train, 402)
    half = 0.005 * (0.05 + 0.95 / 2)
    assert (
        said == f"402 steps, no longer 201: at step 201 the learning rate is {half:.3g}, not "
        "0.00025"
    )
    assert later.train.steps == 201
    assert later.extended == ((200, 200),)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines if "loss" in line][-2:] == [200, 201]


def test_a_new_run_starts_from_the_weights_of_another(tiny_run, other_data, tmp_path, capsys):
    """On other data, with what is not said as in the other run; and says so in its report."""
    folder = tmp_path / "run"
    words = ["fit", "--from", tiny_run, "--data", other_data / "stiff", "--out", folder, "-q"]
    own = ["--steps", 2, "--learning-rate", "1e-30", "--seed", 7, "--device", "cpu"]
    status, _, err = run(capsys, *words, *own, "--set", "held_out=4")
    assert status == 0, err
    source, saved, weights = checkpoint.kept(tiny_run)
    found = checkpoint.read(folder / "checkpoints" / checkpoint.LAST).part("model")
    assert found.keys() == weights.keys()
    for name in weights:
        if name != "updates":
            assert torch.equal(found[name], weights[name]), name
    before, now = settings.load(tiny_run), settings.load(folder)
    assert now.network == before.network
    assert (now.train.steps, now.train.seed, now.train.clip) == (2, 7, before.train.clip)
    digest = checkpoint.checksum(saved.tensors)
    assert now.start == settings.Start(str(tiny_run), saved.step, digest)
    status, out, err = run(capsys, "evaluate", folder, "--n", 8, "--extra", 1, "--device", "cpu")
    assert status == 0, err
    said = f"from the weights of {tiny_run} after {saved.step} steps"
    assert said in out
    assert said in (folder / "report.html").read_text()
    assert said in run(capsys, "table", folder)[1]
    resumed = [*words[:3], "--out", folder, "--resume", "-q"]
    assert "already finished" in run(capsys, *resumed)[1]
    changed = replace(now.start, weights="0" * 32)
    with pytest.raises(PhysimError, match=f"{source}: holds other weights than those this run"):
        train.fit(replace(now, start=changed), tmp_path / "another", accelerator="cpu")
    assert not (tmp_path / "another").exists()


def test_resuming_is_about_what_is_said_alone(tiny_data, tmp_path, capsys):
    """`--joint` and `--both-ways` choose another integrator and anchor only for a new run."""
    words = ["fit", "--out", tmp_path / "run", "--joint", "--quiet"]
    new = ["--data", tiny_data, "--preset", "test", "--steps", "2", "--integrator", "rk4"]
    for more in (new, ["--resume"]):
        status, _, err = run(capsys, *words, *more)
        assert status == 0, err


@pytest.mark.parametrize("model", ["hgn", "pixel-hnn"])
def test_a_preset_takes_what_the_data_decide(model, tiny_data, tmp_path, capsys):
    """Frames of the data's size, and all trajectories where there are fewer than it takes."""
    words = ["fit", "--model", model, "--data", tiny_data, "--preset", "small", "--steps", 1, "-q"]
    sizes = ["--batch-size", 4, "--set", "frames=12", "--set", "held_out=4"]
    status, _, err = run(capsys, *words, *sizes, "--out", tmp_path / "run")
    assert status == 0, err
    settings = json.loads((tmp_path / "run" / "config.json").read_text())
    assert settings["network"]["resolution"] == physim.open(tiny_data).recipe.resolution == 16
    assert settings["train"]["trajectories"] == 0
    assert settings_of("small", "", rows=10_000).train.trajectories == 10_000


def test_frames_backward_in_time_are_refused(tmp_path, capsys):
    import physim

    folder = tmp_path / "backward"
    physim.render("hgn/pendulum", folder, n=4, n_test=4, frames=4, resolution=16, dt=-0.125)
    status, _, err = run(capsys, "fit", "--data", folder, "--out", tmp_path / "run")
    assert status == 2
    assert (
        err
        == f"Error: {folder}: its frames go backward in time (dt -0.125), expected a dt above 0\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["fit", "--data", "DATA", "--preset", "test", "--out", "OUT"],
        ["fit", "--data", "DATA", "--model", "hnn", "--out", "OUT"],
        ["fit", "--target", "DATA", "--model", "nhf", "--out", "OUT"],
        ["auto", "--data", "DATA", "--preset", "test", "--out", "OUT"],
        ["evaluate", "RUN", "--data", "DATA"],
    ],
)
def test_data_with_nothing_to_judge_on_are_refused(words, tiny_run, tmp_path, capsys):
    import physim

    folder, out = tmp_path / "data", tmp_path / "out"
    physim.render("hgn/mass_spring", folder, n=40, n_test=0, frames=10, resolution=16)
    places = {"DATA": folder, "OUT": out, "RUN": tiny_run}
    status, _, err = run(capsys, *[places.get(word, word) for word in words])
    assert status == 2
    assert err == f"Error: {folder}: the test split holds no trajectory, expected n_test from 1\n"
    assert not out.exists()


def test_the_help_of_fit_names_what_there_is(capsys):
    from hgn_train.models import MODELS
    from physim.recipe import recipes

    _, out, _ = run(capsys, "fit", "--help")
    told = out.partition("--model TEXT")[2].partition("--input")[0]
    assert set(MODELS) <= set(re.findall(r"[\w-]+", told))
    sets = {word.removeprefix("datasets/") for word in out.split() if "datasets/" in word}
    assert sets
    assert sets <= set(recipes())


def test_the_readme_renders_as_much_as_it_trains_on():
    """Each `fit` on a data set stands below the `render` that makes it, with enough in it."""
    page = (Path(__file__).parents[2] / "README.md").read_text()
    made, seen = {}, 0
    for line in re.findall(r"^    ((?:physim render|hgn-train fit) .*)", page, re.MULTILINE):
        words = shlex.split(line)
        options = dict(itertools.pairwise(words))
        if words[:2] == ["physim", "render"] and "--recipe" in options:
            recipe = load(options["--recipe"])
            made[f"datasets/{recipe['name']}"] = int(options.get("--n", recipe["n"]))
        elif "--data" in options:
            model, data = options["--model"], options["--data"]
            system = data.rsplit("/", 1)[1]
            preset = options.get("--preset") or default(model)
            t = settings_of(preset, data, model, system=system).train
            assert t.trajectories <= made[data], line
            seen += 1
    assert seen >= 2
