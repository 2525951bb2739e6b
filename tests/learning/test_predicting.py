"""What a run predicts has the score that its evaluation says, by the simulator's own judging."""

import shutil

import numpy as np
import pytest
import torch

import physim
from hgn_train import cli, evaluation
from physim.command_line import run as run_command

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning")


def test_scores_are_those_of_the_evaluation(tiny_run, tiny_data, tmp_path, capsys):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    out = tmp_path / "further.npy"
    words = ("predict", run, "-n", 24, "--before", 5, "--after", 7, "--out", out)
    assert run_command(cli.cli, [str(word) for word in words]) == 0
    said = capsys.readouterr().out
    assert f"physim score {tiny_data} {out} --seen 3 --start -5" in said
    found = physim.score(tiny_data, np.load(out), seen=3, start=-5)
    judged = evaluation.evaluate(run, torch.device("cpu"), 24, 7)
    test, beyond = judged["splits"]["test"], judged["beyond"]
    stored, after = found.parts["stored"], found.parts["after"]
    assert stored.error == pytest.approx(test["error"], rel=1e-5)
    assert stored.standard_error == pytest.approx(test["standard_error"], rel=1e-4)
    assert stored.average_image == pytest.approx(test["average_image"], rel=1e-5)
    assert stored.share_explained == pytest.approx(test["share_explained"], abs=1e-5)
    assert after.share_explained == pytest.approx(beyond["forward"]["share_explained"], abs=1e-5)
    assert found.per_frame[5:17] == pytest.approx(test["per_frame"], rel=1e-5)
    assert found.per_frame == pytest.approx(beyond["per_frame"][2:], rel=1e-5)


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
