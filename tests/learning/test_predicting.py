"""What a run predicts has the score that its evaluation says, by the simulator's own judging."""

import shutil

import numpy as np
import pytest
import torch

import physim
from hgn_train import cli
from hgn_train.evaluation import images
from hgn_train.evaluation.judged import judged, to_bytes
from physim.command_line import run as run_command

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning_fabric")


def test_scores_are_those_of_the_evaluation(tiny_run, tiny_data, tmp_path, capsys):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    out = tmp_path / "further.npy"
    words = ("predict", run, "-n", 24, "--before", 5, "--after", 5, "--out", out)
    assert run_command(cli.cli, [str(word) for word in words]) == 0
    said = capsys.readouterr().out
    assert f"physim score {tiny_data} {out} --seen 3 --start -5" in said
    predictions = np.load(out)
    results = images.evaluate(run, torch.device("cpu"), 24, 7)  # of rollouts of 10 frames
    beyond = results["beyond"]
    found = physim.score(tiny_data, predictions, seen=3, start=-5)
    assert found.per_frame == pytest.approx(beyond["per_frame"][2:], rel=1e-5)
    assert beyond["first_frame"] == -7
    for way, frames in (("backward", slice(0, 7)), ("forward", slice(17, 24))):
        assert beyond[way]["error"] == pytest.approx(np.mean(beyond["per_frame"][frames]))
    # as far as a rollout of the training goes
    inside = physim.score(tiny_data, predictions[:, 5:15], seen=3).parts
    test = results["splits"]["test"]
    for name in ("error", "standard_error", "average_image", "oracle", "share_explained"):
        assert test[name] == pytest.approx(getattr(inside["stored"], name), rel=1e-4), name
    for name, value in test["unseen_frames"].items():
        assert value == pytest.approx(getattr(inside["unseen"], name), rel=1e-4), name
    anchor = results["anchor"]
    ahead = physim.score(tiny_data, predictions[:, 5 + anchor :], seen=anchor, start=anchor)
    assert beyond["valid_forward"] == ahead.valid["forward"]
    before = physim.score(tiny_data, predictions[:, :5], start=-5).parts["before"]
    assert before.error == pytest.approx(np.mean(beyond["per_frame"][2:7]), rel=1e-5)
    of_average = np.mean(beyond["per_frame_average_image"][2:7])
    assert before.average_image == pytest.approx(of_average, rel=1e-5)
    assert before.share_explained == pytest.approx(1 - before.error / of_average, rel=1e-5)


def test_later_trajectories(tiny_run, tiny_data, tmp_path, capsys):
    """Are those of a whole prediction, and the command that is named scores them."""
    for name, words in {"all": (), "some": ("--first", "5", "-n", "4")}.items():
        out = tmp_path / f"{name}.npy"
        assert run_command(cli.cli, ["predict", str(tiny_run), *words, "--out", str(out)]) == 0
    every, some = (np.load(tmp_path / f"{name}.npy") for name in ("all", "some"))
    assert np.allclose(some, every[5:9], atol=1e-5)
    assert f"{out} --seen 3 --first 5" in capsys.readouterr().out
    name = tmp_path / "rollout.npz"
    words = ["rollout", str(tiny_run), "--first", "5", "-n", "4", "-o", str(name)]
    assert run_command(cli.cli, words) == 0
    stored = physim.open(tiny_data).test.image[5:9]
    with np.load(name) as arrays:
        drawn = arrays["image"].astype(int)
        assert np.abs(drawn - to_bytes(some)[:, 1:11]).max() <= 1
        assert np.array_equal(arrays["truth"], stored[:, 1:11])


def test_true_frames_are_the_stored_ones(tiny_run):
    """Also every second of them, around the inferred state."""
    it = judged(tiny_run, torch.device("cpu"))
    stored = it.source.dataset.test.image[:3]
    for speed, frames in ((1, range(12)), (2, range(it.anchor % 2, 12, 2))):
        behind = len([frame for frame in frames if frame < it.anchor])
        ahead = len(frames) - 1 - behind
        found = images.true_frames(it, "test", slice(0, 3), ahead, behind, float(speed))
        assert np.array_equal(to_bytes(found), stored[:, list(frames)])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--before", "-1"), "frames from 0"),
        (("-n", "0"), "n from 1"),
        (("-n", "100000"), "-n: got 100,000, expected at most "),
        (("--first", "-1"), "--first: got -1, expected 0 …"),
        (("--first", "100000"), "--first: got 100000, expected 0 …"),
        (("--out", "frames.gif"), "ending in .npy"),
        (("--out", "nowhere/frames.npy"), "cannot be written (No such file or directory)"),
    ],
)
def test_what_cannot_be_predicted_is_refused(tiny_run, capsys, words, said):
    assert run_command(cli.cli, ["predict", str(tiny_run), *words]) == 2
    assert said in capsys.readouterr().err
