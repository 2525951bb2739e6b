"""The script that makes the paper's table: at toy size, in its time, and what it brings home."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import types
import zipfile
from pathlib import Path

import pytest
import torch

from benchmarks.paper_table import __main__ as script
from benchmarks.paper_table import agreement, bundle, work
from benchmarks.paper_table.cells import PAPER, QUICK, SYSTEMS, VARIANTS, groups, named, settings
from benchmarks.step import precisions
from hgn_train import checkpoint, models
from hgn_train.presets import settings_of
from physim.errors import PhysimError

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning:lightning_fabric")

SCRIPT = Path(__file__).parents[2] / "scripts" / "gpu_results.sh"


def call(*words):
    return subprocess.run(
        ["sh", str(SCRIPT), *map(str, words)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHON": sys.executable},
        timeout=500,
    )


def results(out):
    found = json.loads((out / "bundle" / "results.json").read_text())
    return {f"{c['system']}-{c['variant']}-{c['seed']}": c for c in found["cells"]}


def test_quick_renders_trains_judges_and_goes_on(tmp_path):
    out = tmp_path / "out"
    words = ["--quick", "--device", "cpu", "--systems", "mass_spring", "--variants", "euler"]
    done = call(8, out, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    cell = results(out)["mass_spring-euler-0"]
    assert cell["state"] == "evaluated"
    assert cell["evaluation"]["settings"]["network"]["integrator"] == "euler"
    assert cell["evaluation"]["settings"]["network"]["inference_frames"] == 10
    assert len(cell["evaluation"]["beyond"]["per_frame"]) == 10 + 2 * 4
    table = (out / "bundle" / "table.md").read_text()
    error = 1e4 * cell["evaluation"]["splits"]["test"]["error"]
    average = 1e4 * cell["evaluation"]["splits"]["test"]["average_image"]
    assert f" / {error:.1f} |" in table
    assert f"| average image | {average:.2f} |" in table
    with zipfile.ZipFile(out / "bundle" / "weights.zip") as archive:
        assert "mass_spring-euler-0/best.safetensors" in archive.namelist()
    with zipfile.ZipFile(out / "bundle" / "pictures.zip") as archive:
        assert "mass_spring-euler-0/rollout-0.png" in archive.namelist()
    times = json.loads((out / "bundle" / "timing.json").read_text())
    assert [training["steps"] for training in times["trainings"]] == [20]
    assert times["call"]["command"].startswith("scripts/gpu_results.sh 8 OUT --quick")
    rows = times["call"]["agreement"]
    assert [row["precision"] for row in rows] == precisions(torch.device("cpu"))
    assert all(row["within"] for row in rows)
    assert 0 < rows[0]["gradient"] < 1e-4
    written = out / "runs" / "mass_spring-euler-0" / "evaluation.json"
    before = written.stat().st_mtime_ns
    shutil.copytree(written.parent, out / "runs" / "pendulum-leapfrog-3")  # of another call
    again = call(8, out, *words)
    assert again.returncode == 0, again.stderr
    assert list(results(out)) == ["mass_spring-euler-0", "pendulum-leapfrog-3"]
    assert "1 evaluated" in again.stdout
    assert "rendered" not in again.stdout
    assert written.stat().st_mtime_ns == before


def test_a_step_that_is_not_the_plain_one_is_refused(tmp_path, monkeypatch, capsys):
    """Before anything is trained; what is wrong here is the sign of the time between frames."""
    from hgn_train import adjoint

    right = adjoint.states

    def reversed_in_time(integrator, network, q, p, dt, *steps):
        return right(integrator, network, q, p, -dt, *steps)

    monkeypatch.setattr(adjoint, "states", reversed_in_time)
    rows = agreement.compared(QUICK, "cpu")
    assert [row["within"] for row in rows if row["precision"] == "float32"] == [False]
    (tmp_path / script.AGREEMENT).write_text(json.dumps(rows))
    words = [str(tmp_path), "--quick", "--device", "cpu", "--systems", "mass_spring"]
    assert script.main(["1", *words, "--variants", "leapfrog"]) == 1
    assert "too far" in capsys.readouterr().out
    assert not (tmp_path / script.AGREEMENT).exists()
    assert not (tmp_path / "runs").exists()


def test_a_comparison_that_fails_is_said(tmp_path):
    """The process that compares ends with an error: nothing is trained."""
    options = script._options(["1", str(tmp_path), "--quick"])
    options.given = ["1", str(tmp_path), "--nonsense"]
    with (
        pytest.raises(PhysimError, match="comparing a step failed with exit status 2"),
        script.comparing(options, "cpu"),
    ):
        pass


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


@pytest.mark.parametrize(("kind", "before"), [("train", "missing"), ("evaluate", "trained")])
def test_a_process_that_dies_is_a_failure_of_its_cells(tmp_path, capsys, kind, before):
    cells = groups(("mass_spring", "pendulum"), [VARIANTS[0]], 1, 2)[0]
    done, undone = (tmp_path / "runs" / cell.name for cell in cells)
    (tmp_path / f"{kind}.log").write_text("begins\nKilled\n")
    for run in (done, undone):
        run.mkdir(parents=True)
    for run in (done,) if kind == "train" else (done, undone):
        (run / work.DONE).write_text("{}")
    if kind == "evaluate":
        (done / "report.html").write_text("judged")
    for code, expected in ((work.SAID, before), (-9, "failed")):
        child = types.SimpleNamespace(returncode=code)
        script.crashed(script.Process(kind, cells, child), tmp_path)
        assert bundle.state(undone) == expected
        assert bundle.state(done) == ("evaluated" if kind == "evaluate" else "trained")
    assert "exit status -9" in capsys.readouterr().out
    assert "Killed" in json.loads((undone / work.FAILED).read_text())["error"]


def test_a_traceback_is_a_failure_too(tmp_path):
    """Of a worker: what no cell has said is said of all of them."""
    cells = groups(("mass_spring",), [VARIANTS[0]], 1, 2)[0]
    child = types.SimpleNamespace(returncode=1)
    (tmp_path / "train.log").write_text("Traceback\nValueError: no such number\n")
    script.crashed(script.Process("train", cells, child), tmp_path)
    run = tmp_path / "runs" / cells[0].name
    assert "no such number" in json.loads((run / work.FAILED).read_text())["error"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--processes -1", "--processes: got -1, expected a whole number from 0"),
        ("--side -2", "--side: got -2"),
        ("--first-seed -1", "--first-seed: got -1"),
        ("--seeds 0", "--seeds: got 0, expected a whole number from 1"),
    ],
)
def test_counts_are_counts(words, said, capsys):
    with pytest.raises(SystemExit):
        script._options(["1", "out", *words.split()])
    assert said in capsys.readouterr().err


def test_all_frames_are_those_that_are_asked_for(tmp_path):
    """A variant that sees all frames sees as many as there are."""
    import physim

    physim.render("hgn/pendulum", tmp_path / "pendulum", n=16, n_test=8, frames=40)
    cell = groups(["pendulum"], [VARIANTS[0]], 1, 1)[0][0]
    for frames in ("20", "40"):
        network = settings(cell, PAPER, tmp_path, {"frames": frames}).network
        assert (network.frames, network.inference_frames) == (int(frames), int(frames))


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("ended", [False, True])
def test_a_run_with_other_settings_is_refused(ended, tmp_path, handlers, monkeypatch):
    """In progress or finished: nothing is trained, and no byte is written."""
    import physim

    out = tmp_path / "out"
    physim.render("hgn/pendulum", out / "data" / "pendulum", **QUICK.render)
    cells = groups(["pendulum"], [VARIANTS[0]], 1, 1)[0]
    kept = {"steps": "2", "learning_rate": "0.01"}
    assert work.train(cells, QUICK, out, "cpu", kept, 0, time.time() + 600 if ended else 0.0) == 0
    assert bundle.state(out / "runs" / cells[0].name) == ("trained" if ended else "started")
    if ended:  # which needs its last checkpoint no more
        (out / "runs" / cells[0].name / "checkpoints" / checkpoint.LAST).unlink()
    before = contents(out)
    words = ["--device", "cpu", "--systems", "pendulum", "--variants", "leapfrog", "--seeds", "1"]
    quick = ["0.1", str(out), "--quick", *words]
    other = ["--set", "steps=3", "--set", "learning_rate=0.02", "--set", "log_every=10"]
    for asked, differing in (
        ([*quick, *other], ["steps 2, got 3", "learning_rate 0.01, got 0.02"]),
        ([*quick, "--set", "learning_rate=0.01"], ["steps 2, got 20"]),
        (
            [*quick, "--batch", "32", *(f"--set={name}={value}" for name, value in kept.items())],
            ["batch_size 16, got 32", "steps 2, got 1", "learning_rate 0.01, got 0.0141"],
        ),
        (["0.1", str(out), *words], ["preset test, got tuned"]),
    ):
        with pytest.raises(PhysimError, match="pendulum-leapfrog-0: holds a run with ") as caught:
            script.main(asked)
        for words_of_one in differing:
            assert words_of_one in str(caught.value)
        assert "log_every" not in str(caught.value)  # as the preset has it
        assert contents(out) == before
    with pytest.raises(PhysimError, match="steps 2, got 9"):
        work.train(cells, QUICK, out, "cpu", kept | {"steps": "9"}, 0, time.time() + 600)
    assert contents(out) == before
    done = call(*quick, *other)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert contents(out) == before
    monkeypatch.chdir(tmp_path)  # the same settings, OUT called otherwise
    work.check(cells, QUICK, Path("out"), kept, 0)
    work.check(cells, QUICK, Path("out"), kept | {"precision": "auto"}, 0)  # which is decided


def test_a_run_that_never_saved_may_have_other_settings(tmp_path, handlers):
    """One that diverged, say: there is nothing of it to go on with."""
    import physim

    physim.render("hgn/pendulum", tmp_path / "data" / "pendulum", **QUICK.render)
    cells = groups(["pendulum"], [VARIANTS[0]], 1, 1)[0]
    run = tmp_path / "runs" / cells[0].name
    assert work.train(cells, QUICK, tmp_path, "cpu", {"steps": "1"}, 0, time.time() + 600) == 0
    (run / "checkpoints" / checkpoint.LAST).unlink()
    (run / work.DONE).unlink()
    assert work.train(cells, QUICK, tmp_path, "cpu", {"steps": "2"}, 0, time.time() + 600) == 0
    assert json.loads((run / "config.json").read_text())["train"]["steps"] == 2


@pytest.mark.parametrize(
    ("variants", "word", "message"),
    [
        (
            "leapfrog,hnn-dense",
            "lerning_rate=99",
            r"'lerning_rate' \(did you mean 'learning_rate'",
        ),
        ("hnn-dense", "harmonic=true", "setting: got 'harmonic'"),  # only HGN has it
        ("leapfrog", "autoencoder=dense", "setting: got 'autoencoder'"),  # only the pixel HNN
        ("leapfrog", "steps=many", "steps: got 'many'"),
        ("leapfrog", "learning_rate=-1", "learning_rate: got -1"),
    ],
)
def test_what_no_variant_knows_is_refused_before_rendering(
    variants, word, message, tmp_path, monkeypatch
):
    def rendered(*arguments):
        raise AssertionError("rendered")

    monkeypatch.setattr(script, "render", rendered)
    monkeypatch.setattr(script, "comparing", lambda *arguments: contextlib.nullcontext())
    out = tmp_path / "out"
    words = ["0.1", str(out), "--quick", "--device", "cpu", "--variants", variants]
    with pytest.raises(PhysimError, match=message):
        script.main([*words, "--set", word])
    assert not out.exists()
    for known in ("harmonic=true", "autoencoder=dense"):  # of one of the two
        both = ["--variants", "leapfrog,hnn-dense", "--set", known]
        with pytest.raises(AssertionError, match="rendered"):
            script.main([*words, *both])


def test_archives_hold_everything_below_the_limit(tmp_path, monkeypatch, capsys):
    """Runs of several archives, less of them at the next call; what is too large is said."""
    monkeypatch.setattr(bundle, "LIMIT", 10_000)
    monkeypatch.setattr(script, "render", lambda *arguments: None)
    monkeypatch.setattr(script, "schedule", lambda *arguments: None)
    sizes = {"mass_spring": 4000, "pendulum": 4000, "two_body": 20_000, "three_body": 9500}
    expected = {"weights": {}, "pictures": {}}
    for system, size in sizes.items():
        cell = f"{system}-leapfrog-0"
        for stem, name, n in (
            ("weights", "config.json", 1500),
            ("weights", "checkpoints/best.safetensors", size),
            ("pictures", "pictures/error.png", 3000),
        ):
            path = tmp_path / "runs" / cell / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(n))
            expected[stem][f"{cell}/{path.name}"] = path.read_bytes()
    words = ["0", str(tmp_path), "--quick", "--device", "cpu", "--variants", "leapfrog"]
    script.main(words)
    large = tmp_path / "runs" / "two_body-leapfrog-0" / "checkpoints" / "best.safetensors"
    (line,) = [line for line in capsys.readouterr().out.splitlines() if str(large) in line]
    assert line == f"{large}: not in the bundle, as its 20 kB are above 10 kB"
    del expected["weights"]["two_body-leapfrog-0/best.safetensors"]
    for stem, entries in expected.items():
        paths = sorted((tmp_path / "bundle").glob(f"{stem}*.zip"))
        assert {path.name for path in paths} >= {f"{stem}.zip", f"{stem}-2.zip"}
        found = {}
        for path in paths:
            assert path.stat().st_size <= bundle.LIMIT
            with zipfile.ZipFile(path) as archive:
                assert archive.namelist()
                found |= {name: archive.read(name) for name in archive.namelist()}
        assert found == entries
    for system in sizes:
        (tmp_path / "runs" / f"{system}-leapfrog-0" / "checkpoints" / "best.safetensors").unlink()
    script.main(words)
    assert [path.name for path in (tmp_path / "bundle").glob("weights*")] == ["weights.zip"]
    assert "not in the bundle" not in capsys.readouterr().out


def test_an_archive_is_as_large_as_was_reckoned(tmp_path):
    """Files that fill it to the last byte fit; a byte more does not."""
    names = ["ä/one.bin", "b/two.bin"]
    room = bundle.LIMIT - bundle.END - sum(bundle.AROUND + 2 * len(n.encode()) for n in names)
    for more, count in ((0, 1), (1, 2)):
        files = []
        for name, size in zip(names, (1000, room - 1000 + more), strict=True):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(bytes(size))
            files.append((path.parent.name, path))
        folder = tmp_path / str(more)
        folder.mkdir()
        assert bundle.archives(folder, "weights", files) == []
        assert len(list(folder.iterdir())) == count
        if not more:
            assert (folder / "weights.zip").stat().st_size == bundle.LIMIT


@pytest.mark.parametrize(
    ("words", "cores", "expected"),
    [
        ("--quick --device cpu", 2, (2, (20, 20))),
        ("--quick --device cpu", 16, (16, (3, 3))),
        ("--quick --device cpu --processes 3 --judges 1", 16, (3, (14, 40))),
        ("--quick --device cpu --side 4", 2, (2, (4, 20))),
        ("--quick --device cuda", 16, (1, (8, 3))),
        ("--device cuda", 16, (2, (8, 1))),
        ("--device cuda --processes 1", 16, (1, (8, 1))),
        ("--device cpu", 16, (1, (1, 1))),
    ],
)
def test_runs_are_divided_among_processes(words, cores, expected, monkeypatch):
    """At toy size, on a CPU, processes that train are as many as cores and start once."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)))
    options = script._options(["1", "out", *words.split()])
    assert (options.processes, script.shares(options, 40)) == expected


@pytest.mark.parametrize(
    ("cores", "given", "expected"),
    # 4 trainings run side by side, so 12 of 16 cores are left to 16 // 4 evaluations
    [(16, None, "3"), (2, None, "1"), (16, "7", "7")],
)
def test_evaluations_leave_cores_to_trainings(cores, given, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    started = {}

    class Child:
        returncode = 0

        def __init__(self, command, env, **others):
            started[command[command.index("--work") + 1]] = env

        def poll(self):
            return 0

    monkeypatch.setattr(script.subprocess, "Popen", Child)
    rows = groups(SYSTEMS, [VARIANTS[0]], 1, 4)
    judged = tmp_path / "runs" / rows[0][0].name
    judged.mkdir(parents=True)
    (judged / work.DONE).write_text("{}")
    options = script._options(["1", str(tmp_path), "--device", "cpu"])
    script.schedule(rows, options, "cpu", time.time() + 60, 1)
    assert started["evaluate"]["OMP_NUM_THREADS"] == expected
    assert started["train"].get("OMP_NUM_THREADS") == given


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
    later = groups(SYSTEMS, VARIANTS, 2, 4, first_seed=1)
    assert [cell for row in later for cell in row] == [
        cell for row in rows for cell in row if cell.seed > 0
    ]


@pytest.mark.parametrize("name", ["notes", "two_body-euler", "two_body-none-1", "x-euler-1"])
def test_what_no_cell_is_called(name):
    assert named(name) is None
    for row in groups(SYSTEMS, VARIANTS, 2, 8):
        assert [named(cell.name) for cell in row] == row


def test_processes_at_work_at_once_share_systems_as_little_as_possible():
    """Each reads the data of its systems; the variants that come first are trained first."""
    variants = VARIANTS[:5]
    first, second = groups(SYSTEMS, variants, 1, 10, 2)
    assert [{cell.system for cell in row} for row in (first, second)] == [
        set(SYSTEMS[:2]),
        set(SYSTEMS[2:]),
    ]
    rows = groups(SYSTEMS, variants, 1, 4, 2)  # eight at once: two variants, then two, then one
    assert [len(row) for row in rows] == [4, 4, 4, 4, 2, 2]
    assert [{cell.variant.name for cell in row} for row in rows] == [
        {variant.name for variant in variants[start : start + 2]} for start in (0, 0, 2, 2, 4, 4)
    ]
    assert [len({cell.system for cell in row}) for row in rows] == [2] * 6
    assert sorted(cell.name for row in rows for cell in row) == sorted(
        cell.name for row in groups(SYSTEMS, variants, 1, 20) for cell in row
    )


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
        "small-from-5": ("inference_frames", 5),
        "euler": ("integrator", "euler"),
        "deterministic": ("stochastic", False),
        "no-transform": ("transform", False),
        "hnn-dense": ("autoencoder", "dense"),
        "hnn-convolutional": ("autoencoder", "convolutional"),
        "as-published": ("objective", "geco"),
        "float32": ("inference_frames", 30),
    }[name]
    assert getattr(network, expected[0]) == expected[1]
    if chosen.model == "hgn":  # of the paper's columns, one is without f_ψ
        columns = ("leapfrog", "euler", "deterministic", "float32", "as-published")
        assert network.transform == (name in columns)
    assert chosen.train.precision == ("32-true" if name == "float32" else "bf16-mixed")
    models.find(chosen.model).build(network)
    toy = settings(cell, QUICK, tmp_path, {}, dt=0.1)
    assert (toy.train.steps, toy.preset) == (QUICK.train["steps"], "test")
    own = settings_of(variant.preset, "", variant.model, system="mass_spring")
    for entry in {"steps", "learning_rate", "clip", "averaging"} - set(variant.train):
        assert getattr(chosen.train, entry) == getattr(own.train, entry), entry
    if chosen.model == "hgn":
        larger = settings(cell, PAPER, tmp_path, {}, batch=64).train
        seen = chosen.train.steps * chosen.train.batch_size
        assert abs(larger.steps * larger.batch_size / seen - 1) < 1e-3
        more = (64 / chosen.train.batch_size) ** 0.5
        assert larger.learning_rate == pytest.approx(more * chosen.train.learning_rate)


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
