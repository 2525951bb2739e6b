"""`physim score` says of predictions what anyone can compute, at stored frames and beyond."""

from __future__ import annotations

import json
import re

import h5py
import numpy as np
import pytest

import physim
from physim.cli import cli
from physim.command_line import run
from physim.errors import PhysimError
from physim.predictions import read_predictions
from physim.scoring import Part, Score, average_image

SETTINGS = {"n": 210, "n_test": 12, "frames": 6, "resolution": 16}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    folder = tmp_path_factory.mktemp("score") / "clean"
    physim.render("hgn/pendulum", out=folder, **SETTINGS)
    return physim.open(folder)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """Noise, colours, canvas and friction, backward in time, by a method with a fixed step."""
    folder = tmp_path_factory.mktemp("score") / "noisy"
    changes = {"noise": 0.1, "friction": 0.05, "integrator": "rk4", "dt": -0.1, "substeps": 2}
    physim.render("dm/two_body_colors", canvas_offset=True, out=folder, **SETTINGS, **changes)
    return physim.open(folder)


def test_json_has_null_where_nothing_is_to_be_explained():
    part = Part(0, 6, 0.0, None, 0.0, 0.0, float("nan"))
    score = Score("mine", "test", 1, 5, {"stored": part}, {}, [0.0], {"stored": [0.0]})
    found = json.loads(json.dumps(score.as_dict(), allow_nan=False))
    assert found["parts"]["stored"]["share_explained"] is None


def test_a_path_that_cannot_be_is_refused():
    with (
        pytest.raises(PhysimError, match=r"predictions: there is no file 'x+'"),
        read_predictions("x" * 5000),
    ):
        pass


@pytest.fixture(scope="module")
def guesses(clean):
    rng = np.random.default_rng(0)
    return rng.random((12, 6, 16, 16, 3))


def test_errors_are_those_of_a_line_of_numpy(clean, guesses):
    true, train = clean.test.image[:] / 255, clean.train.image[:] / 255
    found = physim.score(clean, guesses, seen=2)
    squares = ((guesses - true) ** 2).mean((2, 3, 4))
    average = ((train.mean((0, 1)) - true) ** 2).mean((2, 3, 4))
    assert list(found.parts) == ["stored", "unseen"]
    for part, frames in zip(found.parts.values(), (slice(0, 6), slice(2, 6)), strict=True):
        each = squares[:, frames].mean(1)
        assert part.error == pytest.approx(each.mean(), rel=1e-5)
        assert part.standard_error == pytest.approx(each.std(ddof=1) / 12**0.5, rel=1e-4)
        assert part.average_image == pytest.approx(average[:, frames].mean(), rel=1e-5)
        share = 1 - each.mean() / average[:, frames].mean()
        assert part.share_explained == pytest.approx(share, rel=1e-4)
        assert part.oracle == 0
    assert found.per_frame == pytest.approx(squares.mean(0), rel=1e-5)
    assert found.per_trajectory["stored"] == pytest.approx(squares.mean(1), rel=1e-5)
    assert found.per_trajectory["unseen"] == pytest.approx(squares[:, 2:].mean(1), rel=1e-5)
    assert (found.parts["unseen"].first, found.parts["unseen"].frames) == (2, 4)
    one = physim.score(clean, guesses[:1])
    assert one.parts["stored"].standard_error is None
    assert "±" not in str(one)


@pytest.mark.parametrize("name", ["clean", "noisy"])
def test_the_simulator_draws_the_stored_frames_and_those_around_them(name, request):
    """To the last byte where it can be seen; so its own frames are without error everywhere."""
    data = request.getfixturevalue(name)
    times = data.recipe.dt * np.arange(-4, 10)
    q, p = data.states("test", slice(3, 8), times)
    assert q[:, 4:10] == pytest.approx(data.test.q[3:8], abs=1e-12)
    assert p[:, 4:10] == pytest.approx(data.test.p[3:8], abs=1e-12)
    frames = data.draw("test", slice(3, 8), q)
    stored = data.test.q_drawn[3:8] if data.recipe.noise else q[:, 4:10]
    assert np.array_equal(data.draw("test", slice(3, 8), stored), data.test.image[3:8])
    found = physim.score(data, frames, first=3, start=-4)
    assert [found.parts[part].first for part in found.parts] == [0, 5, 6, -4]
    for part in found.parts.values():
        assert part.error == pytest.approx(part.oracle, abs=1e-6)
        assert part.share_explained == pytest.approx(1, abs=1e-3)
        assert (part.oracle > 0) == bool(data.recipe.noise and part.first in (0, 5))
    one = data.states("test", 3, times)
    assert np.array_equal(one[0], q[0])
    assert np.array_equal(data.draw("test", 3, one[0]), frames[0])


def test_frames_that_the_system_leaves_are_those_of_its_hamiltonian(clean):
    """What stands before the first frame is energy-conserving and moves into it."""
    q, p = clean.states("test", slice(None), [2.0, -1.0, 0.0])
    params = clean.params("test")
    m, length, g = params.T[:, :, None]
    energy = (p**2)[..., 0] / (2 * m * length**2) + m * g * length * (1 - np.cos(q[..., 0]))
    assert np.ptp(energy, axis=1) == pytest.approx(0, abs=1e-12)
    assert np.array_equal(q[:, 2], clean.test.q[:, 0])


def test_valid_frames_are_counted_from_the_first_unseen_one(clean, monkeypatch):
    """Too bright by a factor 1 + e, a frame has a relative error of e²; 0.025 is 0.158²."""
    q, _ = clean.states("test", slice(None), clean.recipe.dt * np.arange(-5, 6))
    frames = clean.draw("test", slice(None), q) / np.float32(255)
    frames[:10, 5 + 3] *= 1.157
    frames[:10, 5 + 4] *= 1.159  # frame 4 of 2 … 5
    frames[:10, 5 - 4] *= 0.841  # frame −4 of −1 … −5
    frames[:3] = 0  # like the two that are valid to the end, these do not move the median
    found = physim.score(clean, frames, start=-5, seen=2)
    assert found.valid == {"forward": 2 / 4, "backward": 3 / 5}
    said = str(found)
    assert re.search(r"\n  before +−5…−1 ", said)
    assert "valid forward: 0.50 of" in said
    monkeypatch.setattr("physim.scoring.VALID_BELOW", 9.0)  # so is the average image
    assert physim.score(clean, frames, start=-5, seen=2).valid == {}


def test_noise_does_not_make_a_true_prediction_invalid(noisy, monkeypatch):
    """Validity is that of the picture without its noise, which nobody can predict."""
    q, _ = noisy.states("test", slice(None), noisy.recipe.dt * np.arange(noisy.recipe.frames))
    frames = noisy.draw("test", slice(None), q)
    monkeypatch.setattr("physim.scoring.VALID_BELOW", 1e-9)
    found = physim.score(noisy, frames, seen=2)
    assert found.parts["stored"].error > 0
    assert found.valid == {"forward": 1.0}


def test_what_is_worse_than_the_average_image_is_said(clean, tmp_path, capsys):
    for name, frames in (
        ("true", clean.test.image[:]),
        ("upside-down", clean.test.image[:, :, ::-1]),
    ):
        np.save(tmp_path / f"{name}.npy", frames)
        assert run(cli, ["score", str(clean.path), str(tmp_path / f"{name}.npy")]) == 0
        said = capsys.readouterr().err
        assert ("further from the frames than the average image" in said) == (name != "true")


def test_the_average_image_is_of_the_first_training_trajectories(clean, monkeypatch):
    monkeypatch.setattr("physim.scoring.AVERAGED", 203)  # more than are read at once
    expected = (clean.train.image[:203] / 255).mean((0, 1))
    assert average_image(clean) == pytest.approx(expected, rel=1e-12)


def test_blocks_and_forms_make_no_difference(clean, guesses, tmp_path, monkeypatch, capsys):
    whole = physim.score(clean, guesses, seen=2)
    monkeypatch.setattr("physim.scoring.BYTES_OF_A_BLOCK", 6 * 16 * 16 * 3 * 5)
    assert physim.score(clean, guesses, seen=2).as_dict() == whole.as_dict()
    np.save(tmp_path / "guesses.npy", guesses)
    with h5py.File(tmp_path / "guesses.h5", "w") as file:
        file["image"] = guesses
    for suffix in ("npy", "h5"):
        words = [str(clean.path), str(tmp_path / f"guesses.{suffix}"), "--seen", "2", "--json"]
        assert run(cli, ["score", *words]) == 0
        assert json.loads(capsys.readouterr().out) == whole.as_dict()
        assert physim.score(clean, tmp_path / f"guesses.{suffix}", seen=2) == whole
    assert run(cli, ["score", *words[:-1]]) == 0
    table = capsys.readouterr().out
    assert f"{1e4 * whole.parts['unseen'].error:.2f} ± " in table
    assert "12 trajectories from 2 frames" in table
    np.save(tmp_path / "unseen.npy", guesses[:, 2:])
    words = ["score", str(clean.path), str(tmp_path / "unseen.npy"), "--seen", "2"]
    for more, told in ([], True), (["--start", "2"], False), (["--start", "0"], False):
        assert run(cli, [*words, *more]) == 0
        assert ("pass --start 2" in capsys.readouterr().err) == told
    as_bytes = np.round(guesses * 255).astype(np.uint8)
    assert physim.score(clean, as_bytes).parts["stored"].error == pytest.approx(
        ((as_bytes / 255 - clean.test.image[:] / 255) ** 2).mean(), rel=1e-5
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:, :, :8], r"got shape \(12, 6, 8, 16, 3\), expected \(n, T, 16, 16, 3\)"),
        (lambda x: x[0], "expected \\(n, T, 16, 16, 3\\)"),
        (lambda x: x[:0], "got shape"),
        (lambda x: 255 * x, "expected 0 … 1, or bytes as uint8"),
        (lambda x: (255 * x).astype(np.int64), "got int64, expected uint8"),
        (lambda x: np.repeat(x, 2, 0), "got 24 trajectories from number 0 on, but the split"),
        (lambda x: 2 * x - 1, r"got -0.99\d+ … 0.99\d+ in floating point, expected 0 … 1"),
        (lambda x: np.round(x).astype(np.uint8), "got bytes of at most 1, expected 0 … 255"),
        (lambda x: x.tolist(), "got list, expected an array or a path"),
        (lambda x: "guesses.npz", "got 'guesses.npz', expected a .npy or an HDF5 file"),
    ],
    ids=["small", "one", "none", "to-255", "integers", "too-many", "centred", "bits", "list",
         "npz"],
)  # fmt: skip
def test_what_cannot_be_scored_is_refused(clean, guesses, change, message):
    with pytest.raises(PhysimError, match=message):
        physim.score(clean, change(guesses))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"first": -1}, "got 12 trajectories from number -1 on"),
        ({"first": 1}, "got 12 trajectories from number 1 on"),
        ({"seen": -1}, "seen: got -1, expected 0 … 6"),
        ({"seen": 7}, "seen: got 7, expected 0 … 6"),
    ],
)
def test_what_is_not_there_is_refused(clean, guesses, words, message):
    with pytest.raises(PhysimError, match=message):
        physim.score(clean, guesses, **words)


def test_a_trajectory_that_is_not_finite_is_named(clean, guesses, monkeypatch):
    """By its number in the split, in whatever block it is."""
    monkeypatch.setattr("physim.scoring.BYTES_OF_A_BLOCK", 6 * 16 * 16 * 3 * 2)
    bad = guesses[:8].copy()
    bad[5, 3, 2] = np.nan
    with pytest.raises(PhysimError, match="trajectory 8 is not finite"):
        physim.score(clean, bad, first=3)


def test_files_that_hold_no_frames_are_refused(clean, tmp_path, capsys):
    (tmp_path / "text.npy").write_text("nothing")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["frames"] = np.zeros(3)
    for name, said in {
        "missing.npy": "there is no file",
        "text.npy": "cannot be read as a .npy file of frames",
        "other.h5": "no array 'image'",
    }.items():
        assert run(cli, ["score", str(clean.path), str(tmp_path / name)]) == 2
        assert said in capsys.readouterr().err
    with pytest.raises(PhysimError, match="split: got 'valid'; known: train, test"):
        physim.score(clean, np.zeros((1, 6, 16, 16, 3)), "valid")
    with pytest.raises(PhysimError, match="q: got shape"):
        clean.draw("test", slice(0, 2), np.zeros((2, 3, 4)))
