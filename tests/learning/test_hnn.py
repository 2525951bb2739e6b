"""HNN on states: its field keeps volume and energy, and it beats its baseline."""

import json
import os
import shutil
import signal

import h5py
import numpy as np
import pytest
import torch
from torch import nn

import physim
from hgn_train import checkpoint, cli, data, states, train, truth
from hgn_train.activations import SMOOTH
from hgn_train.evaluation import states as judging
from hgn_train.evaluation.states import integrated, learned_energy
from hgn_train.models.hnn import StateSettings, build_hnn, build_mlp
from hgn_train.presets import settings_of
from physim.command_line import run as run_command
from physim.errors import PhysimError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning_fabric")


def run(capsys, *words):
    capsys.readouterr()
    status = run_command(cli.cli, [str(word) for word in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture(scope="module")
def spring(tmp_path_factory):
    """30 training and 8 test trajectories of a noisy spring."""
    folder = tmp_path_factory.mktemp("states") / "spring"
    physim.render("hnn/mass_spring", folder, n=30, n_test=8, resolution=8)
    return folder


@pytest.fixture(scope="module")
def runs(spring, tmp_path_factory):
    """An HNN and its baseline, trained and evaluated."""
    folder = tmp_path_factory.mktemp("runs")
    for model in ("hnn", "mlp"):
        out = folder / model
        train.fit(settings_of("test", str(spring), model), out, accelerator="cpu")
        assert run_command(cli.cli, ["evaluate", str(out)]) == 0
    return folder


def motion(build, dimension=2, **changes):
    torch.manual_seed(0)
    model = build(StateSettings(dimension=dimension, hidden=(16, 12), **changes)).double()
    for weight in model.parameters():  # biases too: away from the start
        weight.data += 0.3 * torch.randn_like(weight)
    return model.motion


def divergences(field, dimension=2):
    """Trace of the field's Jacobian at random states, by autograd."""

    def joined(x):
        return torch.cat(field(x[None, :dimension], x[None, dimension:]), 1)[0]

    x = 2 * torch.randn(50, 2 * dimension, dtype=torch.float64)
    jacobians = torch.func.vmap(torch.func.jacrev(joined))(x)
    return jacobians.diagonal(dim1=1, dim2=2).sum(1)


@pytest.mark.parametrize("activation", SMOOTH)
def test_the_field_has_no_divergence(activation):
    found = divergences(motion(build_hnn, activation=activation))
    assert found.abs().max() < 1e-13  # rounding of sums of 2d terms of order 1
    assert divergences(motion(build_mlp, activation=activation)).abs().min() > 1e-4


def test_the_field_is_the_derivative_of_the_energy():
    field = motion(build_hnn)
    q, p = torch.randn(2, 20, 2, dtype=torch.float64, requires_grad=True)
    dq, dp = torch.autograd.grad(field.hamiltonian(q, p).sum(), (q, p))
    dq_dt, dp_dt = field(q, p)
    torch.testing.assert_close(dq_dt, dp, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(dp_dt, -dq, rtol=1e-12, atol=1e-14)


def test_a_rollout_keeps_the_learned_energy():
    field = motion(build_hnn)
    q0, p0 = np.random.default_rng(0).normal(size=(2, 5, 2))
    q, p = integrated(field, q0, p0, np.linspace(0, 10, 30))
    energy = learned_energy(field, q, p)
    assert np.abs(energy - energy[:, :1]).max() < 1e-6  # ten units of time at a tolerance of 1e-9
    assert np.ptp(q) > 1


@pytest.mark.parametrize("build", [build_hnn, build_mlp])
def test_the_loss_is_the_mean_of_squares_over_rows_and_coordinates(build):
    torch.manual_seed(0)
    model = build(StateSettings(dimension=2, hidden=(8,)))
    rows = {name: torch.randn(5, 2) for name in states.NAMES}
    apart = [
        found - rows[name]
        for found, name in zip(model.motion(rows["q"], rows["p"]), ("dq_dt", "dp_dt"), strict=True)
    ]
    expected = sum((x.detach().numpy() ** 2).sum() for x in apart) / (5 * 4)
    assert model(rows, {})["loss"].item() == pytest.approx(expected, rel=1e-5)
    each = sum((x.detach().numpy() ** 2).sum(1) for x in apart) / 4
    assert model.score(rows).errors.tolist() == pytest.approx(each.tolist(), rel=1e-5)


@pytest.mark.parametrize("build", [build_hnn, build_mlp])
def test_the_activation_is_the_one_asked_for(build):
    """Of the same weights: all but one activation would make the same field of them."""
    q, p = torch.linspace(-2, 2, 12, dtype=torch.float64).reshape(2, 3, 2)
    found = [motion(build, activation=name)(q, p)[0].detach() for name in SMOOTH]
    for number, one in enumerate(found):
        assert all((one - other).abs().max() > 1e-3 for other in found[:number])


@pytest.mark.parametrize("build", [build_hnn, build_mlp])
def test_start_is_orthogonal_and_gradients_reach_all(build):
    torch.manual_seed(0)
    model = build(StateSettings(dimension=1, hidden=(20, 20)))
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            weight = layer.weight if layer.in_features >= layer.out_features else layer.weight.T
            torch.testing.assert_close(weight @ weight.T, torch.eye(len(weight)))
    rows = {name: torch.randn(7, 1) for name in states.NAMES}
    model(rows, {})["loss"].backward()
    for name, weight in model.named_parameters():
        assert not weight.requires_grad or weight.grad.abs().max() > 0, name


def test_the_layers_are_the_papers():
    for build, outputs in ((build_hnn, 1), (build_mlp, 2)):
        model = build(StateSettings())
        shapes = [tuple(m.weight.shape) for m in model.modules() if isinstance(m, nn.Linear)]
        assert shapes == [(200, 2), (200, 200), (outputs, 200)]


def test_integration_finds_the_true_motion(spring):
    """The exact field of the spring, integrated as a learned one, against the simulator."""

    class Exact(nn.Module):
        def forward(self, q, p):
            return 2 * p, -2 * q

    source = data.open_source(spring)
    q0, p0 = (getattr(source.dataset.test, name)[:, 0] for name in ("q", "p"))
    times = np.linspace(0, 20, 40)
    q, p = integrated(Exact(), q0, p0, times)
    true_q, true_p = source.dataset.states("test", slice(None), times)
    assert np.abs(q - true_q).max() < 1e-6
    assert np.abs(p - true_p).max() < 1e-6
    q[0, -1] = np.inf
    energy = truth.energy(source, q, p, source.dataset.params("test"))
    assert np.isnan(energy[0, -1])
    q, p, energy = q[:, :-1], p[:, :-1], energy[:, :-1]
    assert np.allclose(energy, q[..., 0] ** 2 + p[..., 0] ** 2, rtol=1e-14)


class Escaping(nn.Module):
    """Motion whose q reaches infinity after 1 / q."""

    def forward(self, q, p):
        return q**2, torch.zeros_like(p)


def test_a_trajectory_that_diverges_ends_alone():
    times, start = np.linspace(0, 2, 21), np.array([[0.1], [-1.0], [1.0]])
    q, p = integrated(Escaping(), start, 0 * start, times)
    assert np.isfinite(q[2, :10]).all()
    assert np.isnan(q[2, 11:]).all()
    exact = 1 / (1 / start[:2] - times)
    assert np.abs(q[:2, :, 0] - exact).max() < 1e-6
    assert np.array_equal(p[:2], np.zeros((2, 21, 1)))


class Spiral(nn.Module):
    """The spring's motion, but faster by 0.02, and growing at a rate of 0.01."""

    def forward(self, q, p):
        return 2.02 * p + 0.01 * q, -2.02 * q + 0.01 * p


def test_the_errors_of_a_known_motion_are_those_by_hand(spring):
    """The true radius is A and H is A²; the learned one is A r, at a growing angle."""
    source = data.open_source(spring)
    split = source.dataset.test
    found, arrays = judging.judge_rollouts(Spiral(), source, 8, 5.0)
    times = np.linspace(0, 5, 500)
    square = split.q[:, 0] ** 2 + split.p[:, 0] ** 2  # A², (8, 1)
    r = np.exp(0.01 * times)
    expected = {
        "energy": (square * (r**2 - 1)) ** 2,
        "coordinates": square * (1 + r**2 - 2 * r * np.cos(0.02 * times)) / 2,
    }
    for name, errors in expected.items():
        each = errors.mean(1)
        assert found[name]["error"] == pytest.approx(each.mean(), rel=1e-4)
        assert found[name]["median"] == pytest.approx(np.median(each), rel=1e-4)
        assert found[name]["standard_error"] == pytest.approx(each.std(ddof=1) / 8**0.5, rel=1e-4)
        curve = arrays[f"{name.removesuffix('s')}_error"]
        assert curve[1:] == pytest.approx(errors.mean(0)[1:], rel=1e-3, abs=1e-12)
    assert (found["trajectories"], found["duration"], found["not_finite"]) == (8, 5.0, 0)
    assert found["mean_absolute_energy"] == pytest.approx(square.mean())
    shown = np.broadcast_to(square[:6], (6, 500))
    np.testing.assert_allclose(arrays["energy"], shown, rtol=1e-9)
    np.testing.assert_allclose(arrays["model_energy"], shown * r**2, rtol=1e-6)
    assert "learned_drift" not in found


def test_the_errors_of_known_derivatives_are_those_by_hand(spring):
    source = data.open_source(spring)
    test = source.dataset.test
    found = judging.judge_split(Spiral(), source, "test", 8)
    q, p = test.q[:][..., 0], test.p[:][..., 0]
    for key, x, y in (
        ("true_states", q, p),
        ("observed_states", test.q_drawn[:][..., 0], test.p_drawn[:][..., 0]),
    ):
        apart = (2.02 * y + 0.01 * x - 2 * p) ** 2 + (-2.02 * x + 0.01 * y + 2 * q) ** 2
        each = apart.mean(1) / 2
        spread = ((2 * p).var() + (2 * q).var()) / 2
        assert found[key]["error"] == pytest.approx(each.mean(), rel=1e-4)
        assert found[key]["standard_error"] == pytest.approx(each.std(ddof=1) / 8**0.5, rel=1e-4)
        assert found[key]["variance"] == pytest.approx(spread, rel=1e-5)
        share = 1 - each.mean() / spread
        assert found[key]["share_explained"] == pytest.approx(share, rel=1e-5)


def test_a_motion_that_diverges_is_judged(runs, tmp_path, capsys, monkeypatch):
    shutil.copytree(runs / "hnn", tmp_path / "run")
    monkeypatch.setattr(judging, "integrated", lambda motion, *of: integrated(Escaping(), *of))
    status, out, err = run(capsys, "evaluate", tmp_path / "run")
    assert status == 0, err
    rows = [line for line in out.splitlines() if "not finite at their end" in line]
    assert len(rows) == 1
    results = json.loads((tmp_path / "run" / "evaluation.json").read_text())["rollout"]
    assert rows[0].endswith(f" {results['not_finite']} of 8")
    assert 0 < results["not_finite"] < 8
    assert results["energy"]["error"] is None


def test_rows_are_noisy_states_and_true_derivatives(spring):
    source = data.open_source(spring)
    split = source.dataset.train
    material = states.States(source, noisy=True)
    rows = material.train(states.NAMES, torch.device("cpu"), 10, 0)
    assert rows.n == 900
    found = rows.rows(torch.arange(900))
    drawn = split.q_drawn[:].reshape(-1, 1)
    assert np.allclose(found["q"], drawn, atol=1e-6)
    assert 0.08 < np.std(found["q"].numpy() - split.q[:].reshape(-1, 1)) < 0.12
    assert np.allclose(found["dq_dt"], 2 * split.p[:].reshape(-1, 1), atol=1e-6)
    assert np.allclose(found["dp_dt"], -2 * split.q[:].reshape(-1, 1), atol=1e-6)
    clean = states.States(source, noisy=False).train(states.NAMES, torch.device("cpu"), 10, 0)
    assert np.allclose(clean.rows(torch.arange(900))["q"], split.q[:].reshape(-1, 1), atol=1e-6)
    few = material.train(states.NAMES, torch.device("cpu"), 10, 0, n=4)
    assert few.n == 120


def test_reference_is_the_error_of_a_mean(spring):
    material = states.States(data.open_source(spring), noisy=False)
    first, rest = (
        material.train((), torch.device("cpu"), 10, 0),
        material.held_out((), torch.device("cpu"), 0),
    )
    truth_of = torch.cat([rest.arrays["dq_dt"], rest.arrays["dp_dt"]], 1)
    mean = torch.cat([first.arrays["dq_dt"], first.arrays["dp_dt"]], 1).mean(0)
    assert material.reference(first, rest) == pytest.approx(
        ((truth_of - mean) ** 2).mean().item(), rel=1e-5
    )


def test_beats_its_baseline(runs):
    """The energy along rollouts, at least tenfold; the paper reports 400-fold at its size."""
    found = {m: json.loads((runs / m / "evaluation.json").read_text()) for m in ("hnn", "mlp")}
    energy = {m: results["rollout"]["energy"]["error"] for m, results in found.items()}
    assert energy["hnn"] < energy["mlp"] / 10
    for results in found.values():
        test = results["splits"]["test"]
        assert test["true_states"]["share_explained"] > 0.95
        assert test["true_states"]["error"] < test["observed_states"]["error"]
    assert found["hnn"]["rollout"]["learned_drift"] < 1e-6
    assert "learned_drift" not in found["mlp"]["rollout"]


def test_report_and_table(runs, tmp_path, capsys):
    page = (runs / "hnn" / "report.html").read_text()
    assert page.count("data:image/png;base64") == 4
    assert "energy, MSE" in page
    path = tmp_path / "results-hnn.md"
    status, _, err = run(capsys, "table", "--out", path, runs / "mlp", runs / "hnn")
    assert status == 0, err
    text = path.read_text()
    assert "| mass_spring | hnn | test | 0 | 600 × 64 |" in text
    assert "3.84e-4" in text
    assert "| mass_spring | test | 0 |" in text  # the factor between the two
    assert (tmp_path / "results-hnn" / "mass_spring-paths.png").is_file()


def test_a_resumed_training_is_bit_identical(spring, tmp_path):
    chosen = settings_of("test", str(spring), "hnn", train={"steps": 40, "save_every": 20})
    train.fit(chosen, tmp_path / "whole", accelerator="cpu")

    def stop(line):
        if line["step"] == 20 and "loss" in line:
            os.kill(os.getpid(), signal.SIGTERM)

    outcome = train.fit(chosen, tmp_path / "parts", accelerator="cpu", report=stop)
    assert outcome.stopped == "SIGTERM"
    train.fit(chosen, tmp_path / "parts", resume=True, accelerator="cpu")
    whole, parts = (
        checkpoint.read(tmp_path / name / "checkpoints" / checkpoint.LAST).tensors
        for name in ("whole", "parts")
    )
    assert whole.keys() == parts.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, parts[name]), name


def without(spring, tmp_path, name):
    """A copy of the data set whose shards lack an array."""
    folder = tmp_path / "without"
    shutil.copytree(spring, folder)
    for path in folder.rglob("*.h5"):
        with h5py.File(path, "r+") as file:
            del file[name]
    return folder


def test_data_without_states(spring, tmp_path, capsys):
    folder = without(spring, tmp_path, "q")
    status, _, err = run(
        capsys, "fit", "--model", "hnn", "--data", folder, "--out", tmp_path / "run"
    )
    assert status == 2
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert "array q is missing" in err
    assert not (tmp_path / "run").exists()


def test_derivatives_that_are_not_stored_are_computed(spring, tmp_path):
    folder = tmp_path / "plain"
    physim.render("hnn/mass_spring", folder, n=3, n_test=1, resolution=8, store=[])
    assert "dq_dt" not in physim.open(folder).train.names
    found = states.states(data.open_source(folder), "train", 3, noisy=False)
    stored = states.states(data.open_source(spring), "train", 3, noisy=False)
    for name in states.NAMES:
        assert np.allclose(found[name], stored[name], rtol=1e-14, atol=1e-15), name


BAD = {
    "an input that it has not": (["--model", "mlp", "--input", "pixels"], "input: got 'pixels'"),
    "an input that there is not": (["--model", "hnn", "--input", "sound"], "input: got 'sound'"),
    "a setting of another model": (
        ["--model", "hnn", "--beta", "1"],
        "beta: is a setting of hgn, not of hnn",
    ),
    "a preset of another model": (["--model", "hnn", "--preset", "plus"], "preset: got 'plus'"),
    "an activation": (["--model", "hnn", "--set", "activation=relu"], "activation: got 'relu'"),
    "no layers": (["--model", "hnn", "--set", "hidden=[]"], "hidden: got []"),
    "another dimension": (["--model", "hnn", "--set", "dimension=4"], "has 1 positions"),
    "a batch of more than there are": (
        ["--model", "hnn", "--preset", "test", "--batch-size", "901"],
        "batch_size: got 901, expected at most 900",
    ),
    "more trajectories": (
        ["--model", "hnn", "--preset", "test", "--trajectories", "31"],
        "trajectories: got 31",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name, spring, tmp_path, capsys):
    words, message = BAD[name]
    status, _, err = run(capsys, "fit", "--data", spring, "--out", tmp_path / "run", *words)
    assert status == 2
    assert message in err
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dimension": 0}, "dimension: got 0, expected a whole number from 1"),
        ({"hidden": (8, 0)}, r"hidden: got \[8, 0\], expected widths from 1"),
        ({"hidden": ()}, r"hidden: got \[\], expected widths from 1"),
        ({"activation": "relu"}, "activation: got 'relu'"),
    ],
)
def test_settings_that_make_no_model(changes, message):
    with pytest.raises(PhysimError, match=message):
        StateSettings(**changes)
