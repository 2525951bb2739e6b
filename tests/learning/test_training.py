"""The training loop: it learns, resumes bit by bit, stops when asked, and says what went wrong."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import physim
from hgn_train import checkpoint, data, loop, settings, train
from hgn_train.presets import changes, settings_of
from physim.errors import PhysimError

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning:lightning_fabric")


def losses(run, name="loss"):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line[name]) for line in lines if name in line]


def tensors(run, name=checkpoint.LAST):
    return checkpoint.read(run / "checkpoints" / name).tensors


def test_beats_the_average_image(tiny_run):
    """By 20 % in 200 steps of 16 rollouts; a model that has not moved stays at 0."""
    found = [json.loads(line) for line in (tiny_run / "metrics.jsonl").read_text().splitlines()]
    shares = [line["share_explained"] for line in found if "share_explained" in line]
    assert shares[-1] > 0.2
    assert shares[-1] > shares[0]
    assert {"config.json", "timing.json", "metrics.jsonl", "checkpoints", "tensorboard"} <= {
        entry.name for entry in tiny_run.iterdir()
    }


@pytest.mark.parametrize("objective", ["elbo", "geco"])
def test_resumed_is_bit_identical(tiny_data, tmp_path, objective):
    changes = {"objective": objective, "decoded": 4}
    whole = settings_of(
        "test", str(tiny_data), network=changes, train={"steps": 40, "save_every": 20}
    )
    train.fit(whole, tmp_path / "whole", accelerator="cpu")
    stopped = tmp_path / "stopped"

    def stop_at(line):
        if line["step"] == 20 and "loss" in line:
            os.kill(os.getpid(), signal.SIGTERM)

    outcome = train.fit(whole, stopped, accelerator="cpu", report=stop_at)
    assert outcome.stopped == "SIGTERM"
    assert outcome.step == 21
    outcome = train.fit(whole, stopped, resume=True, accelerator="cpu")
    assert outcome.step == 40
    a, b = tensors(tmp_path / "whole"), tensors(stopped)
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name
    whole_curve = (tmp_path / "whole" / "metrics.jsonl").read_text()
    assert (stopped / "metrics.jsonl").read_text() == whole_curve
    again = train.fit(whole, stopped, resume=True, accelerator="cpu")  # nothing is left to do
    assert again.share_explained == outcome.share_explained


def test_sums_that_were_logged_are_not_saved(tiny_data, tmp_path, monkeypatch):
    """Resumed, a run of several processes would count their steps twice: theirs are copies."""

    def copies(fabric, sums):
        return {name: value.clone() for name, value in sums.items()}

    monkeypatch.setattr(loop, "over_processes", copies)
    short = {"steps": 4, "log_every": 2, "save_every": 4, "evaluate_every": 0}
    train.fit(
        settings_of("test", str(tiny_data), train=short), tmp_path / "run", accelerator="cpu"
    )
    saved = checkpoint.read(tmp_path / "run" / "checkpoints" / checkpoint.LAST).part("sums")
    assert "loss" in saved
    assert not any(value.any() for value in saved.values())


def test_other_data_of_the_same_name_are_refused(tmp_path):
    """Resumed with them a training would not be what one without an end had been."""
    folder, run = tmp_path / "data", tmp_path / "run"

    def render(seed):
        shutil.rmtree(folder, ignore_errors=True)
        physim.render(
            "hgn/mass_spring", folder, n=32, n_test=4, frames=10, resolution=16, seed=seed
        )

    render(0)
    chosen = settings_of("test", str(folder), train={"steps": 2, "log_every": 1})
    train.fit(chosen, run, accelerator="cpu")
    render(0)  # the same again
    assert train.fit(chosen, run, resume=True, accelerator="cpu").step == 2
    render(1)
    with pytest.raises(PhysimError, match=f"{folder}: holds other data than {run} was trained on"):
        train.fit(chosen, run, resume=True, accelerator="cpu")
    path = run / "checkpoints" / checkpoint.LAST
    older = checkpoint.read(path)
    del older.facts["data"]  # older checkpoints hold none
    checkpoint.write(path, older)
    assert train.fit(chosen, run, resume=True, accelerator="cpu").step == 2


def test_a_run_that_is_given_more_steps_is_one_of_that_length(tiny_data, tmp_path):
    """Where the learning rate does not fall; what its lines of metrics are means of, too."""
    t = {"final_learning_rate": 1.0, "log_every": 10, "evaluate_every": 0, "save_every": 8}
    short = settings_of("test", str(tiny_data), train=t | {"steps": 25})
    whole = settings_of("test", str(tiny_data), train=t | {"steps": 40})
    train.fit(whole, tmp_path / "whole", accelerator="cpu")
    run = tmp_path / "run"
    train.fit(short, run, accelerator="cpu")
    outcome = train.fit(whole, run, resume=True, accelerator="cpu")
    assert (outcome.first, outcome.step) == (25, 40)
    for name in (checkpoint.LAST, checkpoint.BEST):  # the weights at the end, looked at once
        a, b = tensors(run, name), tensors(tmp_path / "whole", name)
        assert a.keys() == b.keys()
        for key in a:
            assert torch.equal(a[key], b[key]), key
    found, expected = dict(losses(run)), dict(losses(tmp_path / "whole"))
    assert found[25] + found[30] == pytest.approx(2 * expected[30])  # 21 … 25 and 26 … 30
    assert found[40] == expected[40]
    kept = settings.load(run)
    assert kept.train.steps == 40
    assert kept.extended == ((25, 25),)
    assert train.fit(kept, run, resume=True, accelerator="cpu").first == 40
    assert settings.load(run) == kept


def test_trainings_in_threads_do_not_meet(tiny_data, tmp_path):
    """Each gives what it gives alone, in the precision whose backward pass Fabric watches."""
    chosen = settings_of(
        "test", str(tiny_data), train={"steps": 24, "log_every": 4, "precision": "bf16-mixed"}
    )

    def fit(name):
        return train.fit(chosen, tmp_path / name, accelerator="cpu", asked=[]).step

    fit("alone")
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(fit, "abc")) == [24] * 3
    for name in "abc":
        assert losses(tmp_path / name) == losses(tmp_path / "alone")


def test_precision_left_to_the_device_stays_what_it_was(tiny_data, tmp_path, monkeypatch):
    """As a run started it goes on, on whatever device; and only float32 is worth a word."""
    short = {"steps": 20, "save_every": 10, "log_every": 5, "evaluate_every": 0}
    chosen = settings_of("test", str(tiny_data), train=short | {"precision": "auto"})

    def stop_at(line):
        if line["step"] == 10:
            os.kill(os.getpid(), signal.SIGTERM)

    curves = {}
    for one, other in (("bf16-mixed", "32-true"), ("32-true", "bf16-mixed")):
        run = tmp_path / one
        monkeypatch.setattr(train, "precision_of", lambda device, one=one: one)
        train.fit(chosen, run, accelerator="cpu", report=stop_at)
        assert settings.load(run).train.precision == one
        monkeypatch.setattr(train, "precision_of", lambda device, other=other: other)
        assert train.fit(chosen, run, resume=True, accelerator="cpu").step == 20
        assert settings.load(run).train.precision == one
        whole = settings_of("test", str(tiny_data), train=short | {"precision": one})
        train.fit(whole, tmp_path / f"{one}-asked-for", accelerator="cpu")
        assert losses(run) == losses(tmp_path / f"{one}-asked-for")
        curves[one] = losses(run)
    assert curves["bf16-mixed"] != curves["32-true"]


@pytest.mark.parametrize(
    ("precision", "named"), [("bf16-mixed", {}), ("32-true", {"precision": "32-true"})]
)
def test_float32_where_bf16_is_usual_is_named(precision, named):
    small = settings_of("small", "", system="pendulum").decided(precision)
    assert changes(json.loads(small.to_json()), "pendulum") == named


def test_a_line_of_metrics_that_was_cut_off_does_no_harm(tiny_data, tmp_path):
    short = {"steps": 20, "save_every": 10, "log_every": 5, "evaluate_every": 0}
    run = tmp_path / "run"
    train.fit(settings_of("test", str(tiny_data), train=short), run, accelerator="cpu")
    whole = (run / "metrics.jsonl").read_text()
    (run / "metrics.jsonl").write_text(whole[:-30])
    chosen = settings_of("test", str(tiny_data), train=short)
    assert train.fit(chosen, run, resume=True, accelerator="cpu").step == 20
    assert (run / "metrics.jsonl").read_text() == whole[: whole[:-30].rfind("\n") + 1]


def test_the_seed_decides_everything(tiny_data, tmp_path):
    def fit(name, seed):
        chosen = settings_of("test", str(tiny_data), train={"steps": 10, "seed": seed})
        train.fit(chosen, tmp_path / name, accelerator="cpu")
        return losses(tmp_path / name)

    assert fit("a", 0) == fit("b", 0)
    assert fit("c", 1) != fit("a2", 0)


def test_saved_and_loaded_is_bit_identical(tiny_run, tmp_path):
    model, chosen, saved = checkpoint.load_model(tiny_run, torch.device("cpu"))
    path = tmp_path / "again.safetensors"
    content = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    checkpoint.write(path, checkpoint.Checkpoint(content, saved.step, saved.facts))
    again = checkpoint.read(path)
    assert again.step == saved.step
    assert again.facts == saved.facts
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.part("model")[name], tensor)
    assert chosen.preset == "test"


def test_a_loss_that_is_not_finite_stops(tiny_data, tmp_path):
    chosen = settings_of(
        "test", str(tiny_data), train={"steps": 40, "learning_rate": 1e20, "warmup": 0, "clip": 0}
    )
    with pytest.raises(train.DivergedError, match=r"step 2: the loss is not finite.*none"):
        train.fit(chosen, tmp_path / "run", accelerator="cpu")  # the first makes weights too large
    assert not (tmp_path / "run" / "checkpoints" / checkpoint.LAST).exists()


def test_a_collapse_is_reported(tiny_data, tmp_path):
    """A weight of the divergence that leaves nothing for the picture."""
    chosen = settings_of("test", str(tiny_data), network={"beta": 1e4}, train={"steps": 30})
    outcome = train.fit(chosen, tmp_path / "run", accelerator="cpu")
    assert outcome.collapsed
    assert outcome.share_explained < train.COLLAPSED_SHARE


def test_what_has_learned_is_not_reported_as_a_collapse(tiny_data, tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    chosen = settings_of("test", str(tiny_data))
    outcome = train.fit(chosen, run, resume=True, accelerator="cpu")  # finished already
    assert outcome.step == chosen.train.steps
    assert not outcome.collapsed


def test_training_asks_the_device_for_no_number(tiny_data, tmp_path, monkeypatch):
    """Between lines of metrics, from the batch of an update to that of the next."""
    asked, at = [], [0]
    for name in ("item", "__bool__", "__float__", "__int__", "tolist"):
        before = getattr(torch.Tensor, name)

        def noted(self, before=before, name=name):
            asked.append((at[0], name))
            return before(self)

        monkeypatch.setattr(torch.Tensor, name, noted)
    draw = data.Batches.batch

    def batch(self, step):
        at[0] = step
        return draw(self, step)

    monkeypatch.setattr(data.Batches, "batch", batch)
    few = {"steps": 8, "log_every": 4, "evaluate_every": 0, "save_every": 8}
    chosen = settings_of("test", str(tiny_data), train=few)
    train.fit(chosen, tmp_path / "run", accelerator="cpu")
    steps = {step for step, _ in asked}
    assert {3, 7} <= steps  # where lines are written, so that the rest is no accident
    assert not steps & {1, 2, 4, 5, 6}, asked


def test_a_run_is_not_overwritten(tiny_run, tiny_data):
    with pytest.raises(PhysimError, match="holds a run already"):
        train.fit(settings_of("test", str(tiny_data)), tiny_run, accelerator="cpu")


@pytest.mark.slow
def test_two_processes_train_like_one(tiny_data, tmp_path):
    """The same error at every line: gloo on the CPU, started as torchrun does.

    Each process has every other row of each batch and of its random numbers, also where half of
    the batch runs backward; gradients are averaged.
    """
    changed = {"objective": "geco", "alpha": 0.5, "both_ways": True, "decoded": 4}
    of_train = {"steps": 40, "log_every": 1, "evaluate_every": 0}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m"]
    command += ["hgn_train", "fit", "--data", str(tiny_data), "--preset", "test", "--quiet"]
    command += ["--out", str(tmp_path / "two"), "--device", "cpu"]
    for name, value in (changed | of_train).items():
        command += ["--set", f"{name}={value}"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    one = settings_of("test", str(tiny_data), network=changed, train=of_train)
    train.fit(one, tmp_path / "one", accelerator="cpu")
    found, expected = losses(tmp_path / "two", "error"), losses(tmp_path / "one", "error")
    assert len(found) == 40
    remembered = [tensors(tmp_path / name)["model.geco.average"] for name in ("two", "one")]
    assert torch.allclose(*remembered, rtol=1e-3)  # of half a batch it would be another
    for (step, error), (same_step, truth) in zip(found, expected, strict=True):
        assert step == same_step
        assert abs(error / truth - 1) < 1e-3, step  # float32 sums in another order, 40 times


@pytest.mark.slow
def test_sigterm_of_a_command_saves_and_resumes(tiny_data, tmp_path):
    run = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "hgn_train",
        "fit",
        "--data",
        str(tiny_data),
        "--preset",
        "test",
    ]
    command += ["--out", str(run), "--steps", "5000", "--device", "cpu", "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait_for_a_line():
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if (run / "metrics.jsonl").is_file() and (run / "metrics.jsonl").read_text():
                return
            time.sleep(0.2)

    waiter = threading.Thread(target=wait_for_a_line)
    waiter.start()
    waiter.join()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert "stopped by SIGTERM; resume with --resume" in out
    assert checkpoint.read(run / "checkpoints" / checkpoint.LAST).step > 0
