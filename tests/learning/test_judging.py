"""Judging: on the run's own data and on other data, with a prior that fits, and what is said."""

import json
import shutil

import h5py
import numpy as np
import pytest
import torch

import physim
from hgn_train import checkpoint, cli, evaluation, settings, train
from hgn_train.evaluation import elsewhere, image_report, latents, state_report
from hgn_train.evaluation.images import valid_part
from hgn_train.evaluation.results import also_chose, numbers
from hgn_train.paper import runs
from hgn_train.presets import settings_of
from physim.command_line import run as run_command

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning_fabric")

FEW = ["--n", "16", "--extra", "4"]


def test_where_the_average_image_is_valid_nothing_is():
    """A frame that bodies hardly change is near its average, whatever a model draws."""
    truth = np.full((3, 5, 4, 4, 3), 1.0, np.float32)
    truth[:, :, 0, 0] = 0.5
    drawn = truth.copy()
    drawn[:, 3:] = 0
    blank = np.full((4, 4, 3), 1.0, np.float32)
    assert valid_part("forward", drawn, truth, blank) == {}
    found = valid_part("forward", drawn, truth, 0 * blank)
    assert found == {"valid_forward": 0.6, "valid_frames_forward": 3.0}


def run(capsys, *words):
    capsys.readouterr()
    status = run_command(cli.cli, [str(word) for word in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def refused(capsys, *words):
    """The sentence with which words are refused."""
    status, _, err = run(capsys, *words)
    assert status == 2
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    return err


def files(folder):
    """Names and bytes of all files below a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def judged_run(tiny_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("judging") / "run"
    shutil.copytree(tiny_run, folder)
    assert run_command(cli.cli, ["evaluate", str(folder), *FEW]) == 0
    return folder


def fitted(folder):
    """The prior of a run."""
    return checkpoint.read(folder / "checkpoints" / "prior.safetensors").tensors


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def stopped_at(folder, data, step):
    """A training that was stopped after so many steps."""

    def stop(line):
        if line["step"] >= step:
            raise KeyboardInterrupt

    changes = {"steps": 60, "save_every": 20, "evaluate_every": 20, "log_every": 10}
    with pytest.raises(KeyboardInterrupt):
        train.fit(
            settings_of("test", str(data), train=changes), folder, accelerator="cpu", report=stop
        )


def test_the_prior_is_that_of_the_weights(tiny_data, tmp_path, capsys):
    """Stopped, sampled, resumed, judged: that of a run that was never sampled from before."""
    folder = tmp_path / "run"
    stopped_at(folder, tiny_data, 30)
    status, _, err = run(capsys, "sample", folder, "-o", tmp_path / "a.npz")
    assert status == 0, err
    early = fitted(folder)
    train.fit(settings.load(folder), folder, resume=True, accelerator="cpu")
    assert run(capsys, "evaluate", folder, *FEW)[0] == 0
    shutil.copytree(folder, tmp_path / "fresh")
    (tmp_path / "fresh" / "checkpoints" / "prior.safetensors").unlink()
    latents.fit_prior(tmp_path / "fresh", torch.device("cpu"))
    assert not same(fitted(folder), early)
    assert same(fitted(folder), fitted(tmp_path / "fresh"))


def test_sampling_fits_a_stale_prior_anew_and_keeps_one_that_fits(
    judged_run, tmp_path, capsys, monkeypatch
):
    folder = tmp_path / "run"
    shutil.copytree(judged_run, folder)
    path = folder / "checkpoints" / "prior.safetensors"
    before = fitted(folder)
    monkeypatch.setattr(latents.prior, "fit_mixture", None)  # fitting would fail
    assert run(capsys, "sample", folder, "-n", 2, "-o", tmp_path / "a.npz")[0] == 0
    monkeypatch.undo()
    # one as it was written before it said which weights it belongs to
    tensors = {name: 0 * tensor for name, tensor in fitted(folder).items()}
    checkpoint.write(path, checkpoint.Checkpoint(tensors, 0))
    assert run(capsys, "sample", folder, "-n", 2, "-o", tmp_path / "b.npz")[0] == 0
    assert same(fitted(folder), before)
    path.write_bytes(path.read_bytes()[:100])  # a damaged one, too
    latents.fit_prior(folder, torch.device("cpu"))
    assert same(fitted(folder), before)
    with np.load(tmp_path / "a.npz") as one, np.load(tmp_path / "b.npz") as other:
        assert (one["q"] == other["q"]).all()


def test_another_interval_is_refused(judged_run, other_data, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(judged_run, folder)
    before = files(folder)
    err = refused(capsys, "evaluate", folder, "--data", other_data / "slow", *FEW)
    assert "has frames 0.25 units of time apart" in err
    assert "was trained on frames 0.125 apart" in err
    assert files(folder) == before


def test_another_interval_is_refused_where_the_models_time_is_in_frames(
    tiny_data, other_data, tmp_path, capsys
):
    """A pixel HNN has no setting of that name, and an HGN may be given a time of its own."""
    few = {"steps": 2}
    hnn = settings_of("test", str(tiny_data), "pixel-hnn", train=few)
    own_time = settings_of("test", str(tiny_data), network={"dt": 0.25}, train=few)
    for name, chosen in (("hnn", hnn), ("hgn", own_time)):
        train.fit(chosen, tmp_path / name, accelerator="cpu")
        err = refused(capsys, "evaluate", tmp_path / name, "--data", other_data / "slow", *FEW)
        assert "was trained on frames 0.125 apart" in err


def test_other_data_have_a_folder_of_their_own(judged_run, other_data, tmp_path, capsys):
    folder = tmp_path / "runs" / "run"
    shutil.copytree(judged_run, folder)
    before = files(folder)
    table = run(capsys, "table", folder)[1]
    status, out, err = run(capsys, "evaluate", folder, "--data", other_data / "stiff", *FEW)
    assert status == 0, err
    assert {path: content for path, content in files(folder).items() if path in before} == before
    other = folder / "on-stiff"
    assert f"report: {other / 'report.html'}" in out
    assert {path.name for path in other.iterdir()} == {
        "evaluation.json",
        "evaluation.npz",
        "report.html",
        "pictures",
    }
    found = json.loads((other / "evaluation.json").read_text())
    assert found["data"] == str(other_data / "stiff")
    assert found["own_data"] is False
    assert numbers(folder)["own_data"] is True
    assert "also_chose" not in found["splits"]["test"]  # though as many rows chose the weights
    page = (other / "report.html").read_text()
    assert str(other_data / "stiff") in page
    assert "evaluated on" in page
    assert [one.folder for one in runs.found([folder.parent])] == [folder]
    assert run(capsys, "table", folder)[1] == table
    status, _, err = run(capsys, "table", other)
    assert status == 2
    assert f"holds results on other data than the run's own, expected {folder}" in err


def test_other_data_of_the_same_name_replace_nothing(judged_run, other_data, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(judged_run, folder)
    first, second = tmp_path / "one" / "stiff", tmp_path / "two" / "stiff"
    for place in (first, second):
        shutil.copytree(other_data / "stiff", place)
        assert run(capsys, "evaluate", folder, "--data", place, *FEW)[0] == 0
    for name, data in (("on-stiff", first), ("on-two-stiff", second)):
        assert json.loads((folder / name / "evaluation.json").read_text())["data"] == str(data)
    assert elsewhere.folder_of(folder, settings.load(folder), str(first)) == folder / "on-stiff"
    third = tmp_path / "three" / "two" / "stiff"
    shutil.copytree(first, third)
    status, _, err = run(capsys, "evaluate", folder, "--data", third, *FEW)
    assert status == 2
    assert "hold results on other data; expected them renamed or removed" in err


def test_its_own_data_by_another_name_are_its_own(judged_run, tiny_data, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(judged_run, folder)
    (tmp_path / "link").symlink_to(tiny_data)
    status, out, err = run(capsys, "evaluate", folder, "--data", tmp_path / "link", *FEW)
    assert status == 0, err
    assert f"report: {folder / 'report.html'}" in out
    assert not list(folder.glob("on-*"))


@pytest.fixture
def moved(tiny_run, tiny_data, tmp_path):
    """A run whose data are no longer where they were, and where they are."""
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    (folder / "checkpoints" / "prior.safetensors").unlink(missing_ok=True)
    path = folder / "config.json"
    path.write_text(path.read_text().replace(str(tiny_data), str(tmp_path / "gone")))
    (tmp_path / "place").symlink_to(tiny_data)
    return folder, tmp_path / "place"


def test_data_that_have_moved_are_asked_for(moved, other_data, tmp_path, capsys):
    """Also where others are given: the prior of a run is that of its own data."""
    folder, _ = moved
    gone = tmp_path / "gone"
    for words in (
        ["evaluate", folder, *FEW],
        ["evaluate", folder, "--data", other_data / "stiff", *FEW],
        ["sample", folder, "-o", tmp_path / "a.npz"],
        ["rollout", folder, "-o", tmp_path / "a.npz"],
        ["predict", folder, "-o", tmp_path / "a.npy"],
        ["fit", "--resume", "--out", folder],
    ):
        err = refused(capsys, *words)
        assert f"{gone}: not there, though {folder} was trained on it" in err
        assert "if it has moved, say where it is with --data" in err
    assert not list(tmp_path.glob("a.*"))


def test_data_that_have_moved_are_found(moved, other_data, tmp_path, capsys):
    """They are the run's own by what they hold, and others are not, whatever their place."""
    folder, place = moved
    status, out, err = run(capsys, "evaluate", folder, "--data", place, *FEW)
    assert status == 0, err
    assert f"report: {folder / 'report.html'}" in out
    assert not list(folder.glob("on-*"))
    for command, name in (("sample", "a.npz"), ("rollout", "b.npz"), ("predict", "c.npy")):
        words = [command, folder, "-n", 2, "-o", tmp_path / name, "--data"]
        status, _, err = run(capsys, *words, place)
        assert status == 0, err
        if command != "sample":  # whose samples follow from the data of the run
            status, _, err = run(capsys, *words, other_data / "stiff")
            assert status == 0, err
        else:
            err = refused(capsys, *words, other_data / "stiff")
            assert f"holds other data than {folder} was trained on" in err
        large = other_data / "large"
        assert f"{large}: has resolution 32, but" in refused(capsys, *words, large)
    stiff = physim.open(other_data / "stiff").test.image[:2]
    with np.load(tmp_path / "b.npz") as arrays:
        assert np.array_equal(arrays["truth"], stiff[:, 1:11])
    words = ["fit", "--resume", "--out", folder, "-q", "--device", "cpu", "--data"]
    err = refused(capsys, *words, other_data / "stiff")
    assert f"holds other data than {folder} was trained on" in err
    assert run(capsys, *words, place)[0] == 0
    assert settings.load(folder).data == str(place)
    assert run(capsys, *words[:-1])[0] == 0  # which knows the place now


def test_a_run_whose_folder_is_called_so_is_found(judged_run, tmp_path):
    shutil.copytree(judged_run, tmp_path / "on-ice")
    assert [one.folder for one in runs.found([tmp_path])] == [tmp_path / "on-ice"]


def test_runs_that_are_linked_are_found(judged_run, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "link").symlink_to(judged_run)
    found = [one.folder for one in runs.found([tmp_path / "runs"])]
    assert found == [tmp_path / "runs" / "link"]


def test_other_targets_and_states_have_a_folder_of_their_own(tmp_path, capsys):
    flow = settings_of("test", "circle", "nhf", train={"steps": 5})
    train.fit(flow, tmp_path / "flow", accelerator="cpu")
    physim.render("hnn/mass_spring", tmp_path / "spring", n=30, n_test=8, resolution=8)
    physim.render("hnn/pendulum", tmp_path / "pendulum", n=30, n_test=8, resolution=8)
    spring = settings_of("test", str(tmp_path / "spring"), "hnn", train={"steps": 20})
    train.fit(spring, tmp_path / "states", accelerator="cpu")
    points = np.random.default_rng(0).normal(size=(300, 2))
    np.save(tmp_path / "cloud.npy", points)
    for name, data, other in (
        ("flow", "moons", "on-moons"),
        ("flow", tmp_path / "cloud.npy", "on-cloud"),
        ("states", tmp_path / "pendulum", "on-pendulum"),
    ):
        folder = tmp_path / name
        status, out, err = run(capsys, "evaluate", folder, "--data", data, "--n", 100)
        assert status == 0, err
        assert f"report: {folder / other / 'report.html'}" in out
        assert (folder / other / "evaluation.npz").is_file()
        assert not (folder / "evaluation.json").exists()
    assert runs.found([tmp_path]) == []
    words = ["evaluate", tmp_path / "flow", "--data", "moons", "--spline-flow"]
    assert "--spline-flow: is trained on the run's own target" in refused(capsys, *words)


def test_auto_refuses_data_of_another_system(tiny_data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["auto", "--system", "pendulum", "--preset", "test", "--data", tiny_data]
    err = refused(capsys, *words, "--set", "steps=2", "-q")
    assert "holds 'mass_spring'" in err
    assert "--system mass_spring" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("frames", [1, 3, 14])
def test_a_sample_has_as_many_states_as_frames(judged_run, tmp_path, capsys, frames):
    out = tmp_path / "s.npz"
    status, said, err = run(capsys, "sample", judged_run, "-n", 2, "--frames", frames, "-o", out)
    assert status == 0, err
    assert f"2 sampled trajectories of {frames} frames" in said
    with np.load(out) as arrays:
        assert {len(arrays[name]) for name in arrays} == {2}
        assert {arrays[name].shape[1] for name in ("image", "q", "p", "energy")} == {frames}


def test_divergence_is_that_of_the_posteriors(judged_run):
    """By torch.distributions, of the first test trajectories."""
    results = numbers(judged_run)
    model, chosen, _ = checkpoint.load_model(judged_run, torch.device("cpu"))
    with h5py.File(next((physim.open(chosen.data).path / "test").glob("*.h5"))) as shard:
        images = torch.from_numpy(shard["image"][:16])
    with torch.no_grad():
        mean, log_sigma = model.infer(images)
    normal = torch.distributions.Normal
    each = torch.distributions.kl_divergence(normal(mean, log_sigma.exp()), normal(0.0, 1.0))
    found = results["splits"]["test"]["divergence"]
    assert found["mean"] == pytest.approx(float(each.flatten(1).sum(1).mean()), rel=1e-4)
    rows = dict(image_report.rows(results))
    assert f"{found['mean']:.3g} ±" in rows["test: KL of the posteriors from N(0, 1), nats"]
    assert "PRIOR" not in image_report.lead(results)


def test_a_posterior_that_equals_the_prior_is_named(tiny_data, tmp_path, capsys):
    """On the terminal, in the report, in rows and sentence, with the verdict on its rollouts."""
    chosen = settings_of("test", str(tiny_data), train={"steps": 2})
    folder = tmp_path / "run"
    train.fit(chosen, folder, accelerator="cpu")
    for name in ("best", "last"):
        path = folder / "checkpoints" / f"{name}.safetensors"
        saved = checkpoint.read(path)
        for key, tensor in saved.tensors.items():
            if ".encoder." in key and key.startswith(("model.", "average.")):
                tensor.mul_(0)  # mean 0 and log σ 0, whatever is seen
        checkpoint.write(path, saved)
    status, out, err = run(capsys, "evaluate", folder, *FEW)
    assert status == 0, err
    results = numbers(folder)
    assert results["splits"]["test"]["divergence"]["mean"] == pytest.approx(0, abs=1e-6)
    page = (folder / "report.html").read_text()
    for said in (out, page, image_report.lead(results)):
        assert "POSTERIOR EQUAL TO THE PRIOR" in said
        assert "COLLAPSED" in said or "NOT LEARNED" in said
    assert image_report.lead(results) in out
    rows = dict(image_report.rows(results))
    assert "the prior itself" in rows["test: KL of the posteriors from N(0, 1), nats"]


def test_a_model_that_does_not_sample_has_no_divergence(tiny_data, tmp_path):
    chosen = settings_of("test", str(tiny_data), network={"stochastic": False}, train={"steps": 2})
    train.fit(chosen, tmp_path / "run", accelerator="cpu")
    judge = evaluation.find("hgn")
    results = judge.evaluate(tmp_path / "run", torch.device("cpu"), n=8, extra=2)
    assert "divergence" not in results["splits"]["test"]
    assert not any("KL" in name for name, _ in judge.rows(results))
    assert "KL" not in judge.lead(results)


def test_rows_that_chose_the_weights_are_counted(tiny_run, tmp_path):
    """Of 64 test trajectories the last 32 did."""
    shutil.copytree(tiny_run, tmp_path / "run")
    judge = evaluation.find("hgn")
    results = judge.evaluate(tmp_path / "run", torch.device("cpu"), n=40, extra=1)
    row = ("test: of these trajectories, also used to choose the weights", "8 of 40")
    assert row in judge.rows(results)
    assert "also_chose" not in results["splits"]["train"]


def test_nothing_is_chosen_by_looking_once():
    train = {"steps": 200, "evaluate_every": 200, "held_out": 30}
    assert also_chose({"train": train}, 40, 40) == {}
    assert also_chose({"train": train | {"evaluate_every": 0}}, 40, 40) == {}
    assert also_chose({"train": train | {"evaluate_every": 100}}, 40, 40) == {"also_chose": 30}
    assert also_chose({"train": train | {"evaluate_every": 100}}, 20, 512) == {"also_chose": 20}
    again = {"train": train, "extended": [[100, 100]]}  # and looked at its first end
    assert also_chose(again, 40, 40) == {"also_chose": 30}


def test_a_model_whose_rollouts_are_not_finite_is_judged(tiny_run, tmp_path, capsys):
    """And said to be so: no frame of it is valid, and nothing can be read off its states."""
    folder = tmp_path / "run"
    shutil.copytree(tiny_run, folder)
    path = folder / "checkpoints" / "best.safetensors"
    saved = checkpoint.read(path)
    for key, tensor in saved.tensors.items():
        if ".hamiltonian." in key and key.endswith("weight"):
            tensor.mul_(1e20)
    checkpoint.write(path, saved)
    status, out, err = run(capsys, "evaluate", folder, *FEW)
    assert status == 0, err
    assert "NOT LEARNED: its rollouts are not finite" in out
    results = numbers(folder)
    assert results["beyond"]["valid_forward"] < 0.5
    assert results["latent"]["symetric"]["why"].startswith("not computed for states that are not")
    assert np.isnan(results["latent"]["readout"]["quadratic"])
    assert (folder / "report.html").is_file()


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.5, ""),
        (0.05, "COLLAPSED: it draws little but the average image;"),
        (-0.05, "COLLAPSED: it draws little but the average image;"),
        (-3.0, "NOT LEARNED: its rollouts are further from the truth than the average image"),
        (float("nan"), "NOT LEARNED: its rollouts are not finite"),
    ],
)
def test_the_verdict_on_frames(judged_run, share, words):
    results = numbers(judged_run)
    results["splits"]["test"]["share_explained"] = share
    said = image_report.lead(results)
    assert words in said
    assert ("COLLAPSED" in said or "NOT LEARNED" in said) is bool(words)
    results["own_data"] = False  # of other data a bad share says nothing about the training
    said = image_report.lead(results)
    assert ("does not carry over to these data" in said) is bool(words)
    assert "COLLAPSED" not in said
    assert "NOT LEARNED" not in said


def test_the_verdict_on_a_short_run_says_that_it_is_short(judged_run):
    results = numbers(judged_run)
    results["splits"]["test"]["share_explained"] = 0.05
    results["training"]["steps"] = 20
    said = image_report.lead(results)
    assert "COLLAPSED" not in said
    assert (
        "NOT LEARNED YET: it draws little but the average image, after 20 steps, where its preset "
        "has 200;" in said
    )


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.5, ""),
        (0.05, "NOT LEARNED: every state moves in the same way"),
        (-3.0, "NOT LEARNED: its derivatives are further from the truth than their mean"),
        (float("nan"), "NOT LEARNED: its derivatives are not finite"),
    ],
)
def test_the_verdict_on_states(share, words):
    test = {"true_states": {"share_explained": share}}
    rollout = {"energy": {"error": 1.0}, "duration": 1, "trajectories": 1}
    results = {
        "settings": {"preset": "test", "train": {"batch_size": 1}},
        "training": {},
        "parameters": 1,
        "splits": {"test": test},
        "rollout": rollout | {"mean_absolute_energy": 1.0},
    }
    said = state_report.lead(results)
    assert words in said
    assert ("NOT LEARNED" in said) is bool(words)


@pytest.mark.parametrize(
    ("largest", "n", "why"),
    [(2, 8, "not computed for so large a state"), (128, 1, "not computed for fewer than five")],
)
def test_what_cannot_be_asked_is_said(tmp_path, tiny_run, capsys, monkeypatch, largest, n, why):
    """In words in the report, with null in the JSON, which has no number for it."""
    shutil.copytree(tiny_run, tmp_path / "run")
    monkeypatch.setattr(latents, "SYMETRIC_LARGEST", largest)
    status, out, err = run(
        capsys, "evaluate", tmp_path / "run", "--device", "cpu", "--n", n, "--extra", 2
    )
    assert status == 0, err
    (row,) = [line for line in out.splitlines() if "SyMetric" in line]
    assert why in row
    (row,) = [line for line in out.splitlines() if line.startswith("test: pixel MSE")]
    assert ("±" in row) is (n > 1)  # a single value has no standard error
    text = (tmp_path / "run" / "evaluation.json").read_text()
    results = json.loads(text, parse_constant=pytest.fail)  # NaN is none of JSON's words
    assert (results["splits"]["test"]["standard_error"] is None) is (n == 1)
    asked = results["latent"]["symetric"]
    assert asked.pop("why").startswith(why)
    assert asked == {"r2": None, "distance": None, "good": None, "batches": 0}
    status, out, _ = run(capsys, "table", "--out", tmp_path / "table.md", tmp_path / "run")
    assert status == 0
    assert "± nan" not in (tmp_path / "table.md").read_text()
