"""What the training loop computes besides updates: rates, means, errors and the best weights."""

import json
from types import SimpleNamespace

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR

import physim
from hgn_train import checkpoint, log, loop
from hgn_train.images import pixels
from hgn_train.scores import Scores
from hgn_train.settings import TrainSettings


def rates_of_torch(steps, warmup, final):
    """Its cosine, times a line that reaches 1 with the last update of the warm-up."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = CosineAnnealingLR(optimizer, T_max=steps, eta_min=final)
    found = []
    for step in range(steps):
        found.append(scheduler.get_last_lr()[0] * min(1, (step + 1) / max(1, warmup)))
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("warmup", [0, 4])
@pytest.mark.parametrize("final", [0.0, 0.05, 1.0])
def test_learning_rate_is_that_of_torch(warmup, final):
    t = TrainSettings(steps=20, warmup=warmup, final_learning_rate=final)
    found = [loop.schedule(t, step) for step in range(20)]
    assert found == pytest.approx(rates_of_torch(20, warmup, final), abs=1e-12)


def test_the_lines_of_a_run_say_its_rates(tiny_run):
    t = json.loads((tiny_run / "config.json").read_text())["train"]
    rates = rates_of_torch(t["steps"], t["warmup"], t["final_learning_rate"])
    lines = [line for line in log.lines(tiny_run) if "learning_rate" in line]
    assert [line["step"] for line in lines] == list(range(10, 201, 10))
    for line in lines:
        expected = t["learning_rate"] * rates[line["step"] - 1]
        assert line["learning_rate"] == pytest.approx(expected, rel=1e-6)


def test_the_best_weights_are_those_of_the_least_error(tiny_run):
    """Of the last test rollouts, on which they are judged here again."""
    judged = {
        line["step"]: line["held_out_error"]
        for line in log.lines(tiny_run)
        if "held_out_error" in line
    }
    model, chosen, saved = checkpoint.load_model(tiny_run, torch.device("cpu"))
    assert list(judged) == [50, 100, 150, 200]
    assert saved.step == min(judged, key=judged.get)
    assert saved.facts["best"] == judged[saved.step]
    assert saved.part("model")
    assert not saved.part("optimizer")
    s = model.settings
    images = torch.from_numpy(physim.open(chosen.data).test.image[-32:, : s.frames])
    with torch.no_grad():
        z, _ = model.infer(images)
        drawn = model.rollout(z, s.frames - 1 - s.inferred, s.inferred).images
    error = ((drawn - pixels(images)) ** 2).mean()
    assert float(error) == pytest.approx(judged[saved.step], rel=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_every_row_counts_alike_in_an_evaluation(training):
    """Also those of the last batch, which is shorter; the mode is what it was."""

    class Model(torch.nn.Module):
        def score(self, rows):
            assert not self.training
            assert not torch.is_grad_enabled()
            return Scores(rows["x"].float() ** 2, ("first", rows["x"][0]))

    n = 150
    held_out = SimpleNamespace(n=n, rows=lambda index: {"x": index})
    fabric = SimpleNamespace(autocast=lambda: torch.autocast("cpu", enabled=False))
    model = Model().train(training)
    error, shown = loop.evaluate(model, held_out, fabric)
    assert error == pytest.approx((n - 1) * (2 * n - 1) / 6, rel=1e-6)
    assert shown == ("first", 0)
    assert model.training == training


def test_a_line_is_the_mean_since_the_last_one(tmp_path):
    def sums(loss):
        return {"loss": torch.tensor(loss), "error": torch.tensor(2 * loss)}

    t = TrainSettings(log_every=10)
    first = log.Log(tmp_path, t, 0, 0, None, progress=False)
    first.write(10, sums(20.0), 0.5)
    first.write(20, sums(30.0), 0.25)
    first.write(30, sums(10.0), 0.25)
    first.close()
    again = log.Log(tmp_path, t, 25, 20, None, progress=False)  # a checkpoint between two lines
    again.write(30, sums(40.0), 0.125)
    again.close()
    found = [(x["step"], x["loss"], x["error"], x["learning_rate"]) for x in log.lines(tmp_path)]
    assert found == [(10, 2.0, 4.0, 0.5), (20, 3.0, 6.0, 0.25), (30, 4.0, 8.0, 0.125)]
