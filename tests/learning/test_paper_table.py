"""The script that makes the paper's table: at toy size, in its time, and what it brings home."""

import json
import os
import signal
import subprocess
import time
import zipfile
from pathlib import Path

import pytest
import torch

from benchmarks.paper_table import bundle, work
from benchmarks.paper_table.cells import PAPER, QUICK, SYSTEMS, VARIANTS, groups, settings
from hgn_train import checkpoint, models

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning:lightning")

SCRIPT = Path(__file__).parents[2] / "scripts" / "gpu_results.sh"


def call(*words):
    return subprocess.run(
        ["sh", str(SCRIPT), *map(str, words)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=500,
    )


def results(out):
    found = json.loads((out / "bundle" / "results.json").read_text())
    return {f"{c['system']}-{c['variant']}-{c['seed']}": c for c in found["cells"]}


def test_quick_renders_trains_judges_and_goes_on(tmp_path):
    out = tmp_path / "out"
    words = ["--quick", "--device", "cpu", "--systems", "mass_spring", "--variants", "euler"]
    done = call(4, out, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    cell = results(out)["mass_spring-euler-0"]
    assert cell["state"] == "evaluated"
    assert cell["evaluation"]["settings"]["network"]["integrator"] == "euler"
    assert cell["evaluation"]["settings"]["network"]["inference_frames"] == 10
    assert len(cell["evaluation"]["beyond"]["per_frame"]) == 10 + 2 * 4
    table = (out / "bundle" / "table.md").read_text()
    error = 1e4 * cell["evaluation"]["splits"]["test"]["error"]
    average = 1e4 * cell["evaluation"]["splits"]["test"]["average_image"]
    assert f"| euler | {error:.3g} ({average:.2f}) |" in table
    with zipfile.ZipFile(out / "bundle" / "weights.zip") as archive:
        assert "mass_spring-euler-0/best.safetensors" in archive.namelist()
    with zipfile.ZipFile(out / "bundle" / "pictures.zip") as archive:
        assert "mass_spring-euler-0/rollout-0.png" in archive.namelist()
    times = json.loads((out / "bundle" / "timing.json").read_text())
    assert [training["steps"] for training in times["trainings"]] == [20]
    written = out / "runs" / "mass_spring-euler-0" / "evaluation.json"
    before = written.stat().st_mtime_ns
    again = call(4, out, *words)
    assert again.returncode == 0, again.stderr
    assert "rendered" not in again.stdout
    assert written.stat().st_mtime_ns == before


@pytest.fixture
def handlers():
    """Handlers of signals as they were."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_trainings_side_by_side_are_saved_when_the_time_is_over(tmp_path, handlers):
    """Two in threads, both saved and resumed; what they learn is what each learns alone."""
    import physim

    systems = ("mass_spring", "pendulum")
    for system in systems:
        physim.render(f"hgn/{system}", tmp_path / "data" / system, **QUICK.render)
    cells = groups(systems, [VARIANTS[0]], 1, 2)[0]

    def train(out, some, steps, until):
        (out / "runs").mkdir(parents=True, exist_ok=True)
        if not (out / "data").exists():
            (out / "data").symlink_to(tmp_path / "data")
        return work.train(some, QUICK, out, "cpu", {"steps": steps}, 0, until)

    for _ in range(2):
        assert train(tmp_path, cells, "1000000", 0.0) == 0
    for cell in cells:
        run = tmp_path / "runs" / cell.name
        assert bundle.state(run) == "started"
        calls = json.loads((run / work.TIMES).read_text())
        assert [times["steps"] for times in calls] == [1, 1]
        assert checkpoint.read(run / "checkpoints" / checkpoint.LAST).step == 2
    assert train(tmp_path / "together", cells, "6", time.time() + 600) == 0
    for cell in cells:
        assert train(tmp_path / "alone", [cell], "6", time.time() + 600) == 0
        runs = [tmp_path / name / "runs" / cell.name for name in ("together", "alone")]
        assert [bundle.state(run) for run in runs] == ["trained", "trained"]
        one, other = (checkpoint.read(run / "checkpoints" / checkpoint.LAST) for run in runs)
        for name, tensor in one.tensors.items():
            assert torch.equal(tensor, other.tensors[name]), name


def test_a_cell_that_fails_does_not_end_the_others(tmp_path, handlers):
    import physim

    physim.render("hgn/pendulum", tmp_path / "data" / "pendulum", **QUICK.render)
    cells = groups(("mass_spring", "pendulum"), [VARIANTS[0]], 1, 2)[0]
    failed = work.train(cells, QUICK, tmp_path, "cpu", {"steps": "3"}, 0, time.time() + 600)
    assert failed == 1
    assert [bundle.state(tmp_path / "runs" / cell.name) for cell in cells] == ["failed", "trained"]
    reason = json.loads((tmp_path / "runs" / cells[0].name / work.FAILED).read_text())
    assert "mass_spring" in reason["error"]


@pytest.mark.slow
def test_quick_does_everything(tmp_path):
    out = tmp_path / "out"
    done = call(8, out, "--quick", "--device", "cpu")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(results(out)) == len(SYSTEMS) * len(VARIANTS)
    files = [path for path in (out / "bundle").rglob("*") if path.is_file()]
    assert len(files) <= 8
    assert max(path.stat().st_size for path in files) <= 16 * 2**20


def test_the_first_seed_of_all_comes_first():
    rows = groups(SYSTEMS, VARIANTS, 3, 4)
    assert [len(row) for row in rows] == [4] * 3 * len(VARIANTS)
    seeds = [cell.seed for row in rows for cell in row]
    assert seeds == sorted(seeds)
    assert rows[0][0].name == "mass_spring-leapfrog-0"
    names = [cell.name for row in rows for cell in row]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", [variant.name for variant in VARIANTS])
def test_a_variant_is_what_it_is_called(name, tmp_path):
    """At the paper's size: what its settings say, and that they make a model."""
    import physim

    variant = {each.name: each for each in VARIANTS}[name]
    physim.render("hgn/mass_spring", tmp_path / "mass_spring", n=16, n_test=8)
    cell = groups(["mass_spring"], [variant], 1, 1)[0][0]
    chosen = settings(cell, PAPER, tmp_path, {})
    assert chosen.train.seed == 0
    network = chosen.network
    expected = {
        "leapfrog": ("integrator", "leapfrog"),
        "leapfrog-from-5": ("inference_frames", 5),
        "euler": ("integrator", "euler"),
        "deterministic": ("stochastic", False),
        "no-transform": ("transform", False),
        "hnn-dense": ("autoencoder", "dense"),
        "hnn-convolutional": ("autoencoder", "convolutional"),
        "leapfrog-float32": ("inference_frames", 30),
    }[name]
    assert getattr(network, expected[0]) == expected[1]
    assert chosen.train.precision == ("32-true" if name == "leapfrog-float32" else "bf16-mixed")
    models.find(chosen.model).build(network)
    if chosen.model == "hgn":
        larger = settings(cell, PAPER, tmp_path, {}, batch=64).train
        seen = chosen.train.steps * chosen.train.batch_size
        assert abs(larger.steps * larger.batch_size / seen - 1) < 1e-3
        assert larger.learning_rate == pytest.approx(2 * chosen.train.learning_rate)


def test_a_run_has_a_state(tmp_path):
    assert bundle.state(tmp_path / "none") == "missing"
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    assert bundle.state(tmp_path / "run") == "started"


@pytest.mark.gpu
def test_quick_on_a_gpu_captures(tmp_path):
    out = tmp_path / "out"
    words = ["--systems", "mass_spring,pendulum", "--variants", "leapfrog", "--set", "steps=60"]
    done = call(5, out, "--quick", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert torch.cuda.is_available()
