"""What a run predicts has the score that its evaluation says, by the simulator's own judging."""

import shutil

import numpy as np
import pytest
import torch

import physim
from hgn_train import cli
from hgn_train.evaluation import images
from physim.command_line import run as run_command

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning")


def test_scores_are_those_of_the_evaluation(tiny_run, tiny_data, tmp_path, capsys):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    out = tmp_path / "further.npy"
    words = ("predict", run, "-n", 24, "--before", 5, "--after", 5, "--out", out)
    assert run_command(cli.cli, [str(word) for word in words]) == 0
    said = capsys.readouterr().out
    assert f"physim score {tiny_data} {out} --seen 3 --start -5" in said
    predictions = np.load(out)
    judged = images.evaluate(run, torch.device("cpu"), 24, 7)  # of rollouts of 10 frames
    beyond = judged["beyond"]
    found = physim.score(tiny_data, predictions, seen=3, start=-5)
    assert found.per_frame == pytest.approx(beyond["per_frame"][2:], rel=1e-5)
    before = physim.score(tiny_data, predictions[:, :5], start=-5).parts["before"]
    assert before.error == pytest.approx(np.mean(beyond["per_frame"][2:7]), rel=1e-5)
    of_average = np.mean(beyond["per_frame_average_image"][2:7])
    assert before.average_image == pytest.approx(of_average, rel=1e-5)
    assert before.share_explained == pytest.approx(1 - before.error / of_average, rel=1e-5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--before", "-1"), "frames from 0"),
        (("-n", "0"), "n from 1"),
        (("--out", "frames.gif"), "ending in .npy"),
        (("--out", "nowhere/frames.npy"), "cannot be written (No such file or directory)"),
    ],
)
def test_what_cannot_be_predicted_is_refused(tiny_run, capsys, words, said):
    assert run_command(cli.cli, ["predict", str(tiny_run), *words]) == 2
    assert said in capsys.readouterr().err
