"""The table of the HGN paper within a time limit: `python -m benchmarks.paper_table MINUTES OUT`.

Compares a step with the plain one in float64, renders the four `hgn/*` data sets, trains every
variant of every system, those of a group side by side on the one device, evaluates each on the
test split, and writes a bundle: results as JSON, the table as Markdown, times, pictures, weights.
Called again with the same OUT it resumes: runs are saved when the time is up, what is done is
skipped, what failed is retried. `--quick` does everything at toy size. Settings that differ from
those of a run in OUT are refused, and so is a step that deviates too far from the plain one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.paper_table import agreement, bundle, work
from benchmarks.paper_table.cells import (
    PAPER,
    QUICK,
    SYSTEMS,
    VARIANTS,
    Cell,
    check_names,
    groups,
    known_variants,
    named,
)
from physim import processors
from physim.command_line import size_text
from physim.errors import PhysimError

AGREEMENT = "agreement.json"
"""Deviation of the step from the plain one, in OUT."""

QUEUES = "32"
"""Of the device for each process: with fewer (the default is 8), streams wait for one another."""

LAST, SHARE = 60.0, 0.1
"""Seconds, and share of the time, before the end at which runs are saved and stopped, so that
finished ones can be evaluated; in the last third of that no evaluation is started."""


@dataclass
class Process:
    """A process at work on some cells."""

    kind: str
    cells: list[Cell]
    child: subprocess.Popen[bytes]


def main(words: Sequence[str]) -> int:
    """Run, or be one of the processes that do the work.

    Returns:
        0 if every cell is evaluated, 3 if work remains, 1 if something failed.

    Raises:
        PhysimError: Settings that make no run, or that are not those of a run in OUT.
    """
    options = _options(words)
    until = time.time() + 60 * options.minutes
    scale = QUICK if options.quick else PAPER
    device = options.device
    changed = dict(word.split("=", 1) for word in options.set)
    variants = [v for v in known_variants() if v.name in options.variants]
    which = options.systems, variants, options.seeds
    cells = [cell for row in groups(*which, 1, 1, options.first_seed) for cell in row]
    side, together = shares(options, len(cells))
    rows = groups(*which, side, options.processes, options.first_seed)
    if options.work:
        mine = [cell for cell in cells if cell.name in options.cells]
        if options.work == "compare":
            rows_of = agreement.compared(scale, device)
            (options.out / AGREEMENT).write_text(json.dumps(rows_of, indent=1) + "\n")
            return 0
        if options.work == "evaluate":
            failed = work.evaluate(mine, scale, options.out, device)
        else:
            stop = float(options.until)
            failed = work.train(mine, scale, options.out, device, changed, options.batch, stop)
        return work.SAID if failed else 0
    check_names(changed, variants)
    work.check(cells, scale, options.out, changed, options.batch)
    began = time.time()
    options.out.mkdir(parents=True, exist_ok=True)
    for cell in cells:  # what failed is tried again
        (options.out / "runs" / cell.name / work.FAILED).unlink(missing_ok=True)
    with comparing(options, device):
        render(options.systems, options.out / "data", scale.render)
    compared = json.loads((options.out / AGREEMENT).read_text())
    print(agreement.said(compared), flush=True)
    if not all(row["within"] for row in compared):
        (options.out / AGREEMENT).unlink()  # the next call compares again
        return 1
    schedule(rows, options, device, until, together)
    said = ["OUT" if Path(word) == options.out else word for word in words]
    facts = {
        "command": f"scripts/gpu_results.sh {' '.join(said)}",
        "seconds": time.time() - began,
        "ended": time.time(),
        "side_by_side": side,
        "processes": options.processes,
        "agreement": compared,
    }
    others = [named(path.name) for path in sorted((options.out / "runs").glob("*"))]
    there = [cell for cell in others if cell is not None and cell not in cells]  # of earlier calls
    folder, left_out = bundle.write(options.out, [*cells, *there], facts)
    for path in left_out:
        size, most = size_text(path.stat().st_size), size_text(bundle.LIMIT)
        print(f"{path}: not in the bundle, as its {size} are above {most}")
    states = [bundle.state(options.out / "runs" / cell.name) for cell in cells]
    counts = ", ".join(f"{states.count(name)} {name}" for name in sorted(set(states)))
    print(f"{counts}; {time.time() - began:.0f} s; {folder}")
    if "failed" in states:
        return 1
    return 0 if set(states) == {"evaluated"} else 3


def shares(options: argparse.Namespace, cells: int) -> tuple[int, int]:
    """How many runs one process trains side by side, and how many it evaluates in turn.

    At toy size starting a process takes longer than a run, so on a CPU each starts only once.
    """
    side = (
        8 if options.device == "cuda" else -(-cells // options.processes) if options.quick else 1
    )
    return options.side or side, -(-cells // options.judges) if options.quick else 1


@contextlib.contextmanager
def comparing(options: argparse.Namespace, device: str) -> Iterator[None]:
    """Compare a step with the plain one meanwhile, in a separate process, unless already done.

    Raises:
        PhysimError: That process failed.
    """
    if (options.out / AGREEMENT).is_file():
        yield
        return
    command = [sys.executable, "-m", "benchmarks.paper_table", *options.given]
    with subprocess.Popen([*command, "--work", "compare", "--device", device]) as child:
        yield
    if child.returncode:
        raise PhysimError(f"comparing a step failed with exit status {child.returncode}")


def render(systems: Sequence[str], folder: Path, changed: Mapping[str, int]) -> None:
    """Render the data sets that are not there, at once."""

    folder.mkdir(parents=True, exist_ok=True)
    words = [word for name, value in changed.items() for word in _option(name, value)]
    began, started = time.time(), {}
    for system in systems:
        if not (folder / system / "manifest.json").is_file():
            command = [
                "physim",
                "render",
                "--recipe",
                f"hgn/{system}",
                "--out",
                str(folder / system),
            ]
            started[system] = subprocess.Popen([sys.executable, "-m", *command, *words, "--quiet"])
    for system, child in started.items():
        if child.wait():
            raise SystemExit(f"rendering {system} failed with exit status {child.returncode}")
    if started:
        facts = {"systems": list(started), "seconds": time.time() - began}
        (folder / "seconds.json").write_text(json.dumps(facts) + "\n")
        print(f"rendered {', '.join(started)} in {facts['seconds']:.1f} s", flush=True)


def _option(name: str, value: int) -> list[str]:
    return [f"--{name.replace('_', '-')}", str(value)]


def schedule(
    rows: list[list[Cell]], options: argparse.Namespace, device: str, until: float, together: int
) -> None:
    """Train groups in order and evaluate them as they finish, until the time is up."""
    running: list[Process] = []
    tried: set[tuple[str, str]] = set()
    last = min(LAST, SHARE * 60 * options.minutes)
    stop, begin = until - last, until - last / 3
    cores = processors.available()
    training = options.processes * max((len(row) for row in rows), default=1)

    def start(kind: str, cells: list[Cell]) -> None:
        words = [*options.given, "--work", kind, "--until", str(stop)]
        words += ["--device", device]
        names = [word for cell in cells for word in ("--cells", cell.name)]
        command = [sys.executable, "-m", "benchmarks.paper_table", *words, *names]
        log = (options.out / f"{kind}.log").open("ab")
        environment = {"CUDA_DEVICE_MAX_CONNECTIONS": QUEUES} | os.environ
        environment["PYTHONUNBUFFERED"] = "1"
        if kind == "evaluate":  # on all cores it would hold up training, which waits for its cores
            threads = judging_threads(cores, training, options.judges)
            environment.setdefault("OMP_NUM_THREADS", str(threads))
        child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        log.close()
        tried.update((kind, cell.name) for cell in cells)
        running.append(Process(kind, cells, child))

    def wanting(kind: str, needed: Sequence[str]) -> list[list[Cell]]:
        found = []
        for row in rows:
            left = [
                cell
                for cell in row
                if (kind, cell.name) not in tried
                and bundle.state(options.out / "runs" / cell.name) in needed
            ]
            found += [left] if left else []
        return found

    while True:
        for process in [each for each in running if each.child.poll() is not None]:
            running.remove(process)
            crashed(process, options.out)
            names = ", ".join(cell.name for cell in process.cells)
            left = max(0.0, until - time.time())
            print(f"{process.kind}: {names}; {left:.0f} s left", flush=True)
        busy = [each.kind for each in running]
        if time.time() < stop:
            trainings = wanting("train", ("missing", "started"))
            if trainings and busy.count("train") < options.processes:
                start("train", trainings[0])
                continue
        judged = [cell for row in wanting("evaluate", ("trained",)) for cell in row]
        waits = "train" in busy and len(judged) < together  # then more will come
        judges = busy.count("evaluate")
        if judged and not waits and time.time() < begin and judges < options.judges:
            start("evaluate", judged[:together])
            continue
        if not running:
            return
        if time.time() > until:  # an evaluation that is cut off is done again by the next call
            for process in running:
                process.child.kill()
                process.child.wait()
            return
        time.sleep(0.1)


def crashed(process: Process, out: Path) -> None:
    """Mark what a process that died on the way has left undone as failed, and say so."""
    code = process.child.returncode
    if code in (0, work.SAID):
        return
    log = out / f"{process.kind}.log"
    last = (log.read_text(errors="replace").splitlines() or [""])[-1]
    undone = ("trained",) if process.kind == "evaluate" else ("missing", "started")
    for cell in process.cells:
        run = out / "runs" / cell.name
        if bundle.state(run) in undone:
            run.mkdir(parents=True, exist_ok=True)
            reason = {"error": f"the process ended with exit status {code}; {log}: {last}"}
            (run / work.FAILED).write_text(json.dumps(reason, indent=2) + "\n")
            print(f"{cell.name}: {reason['error']}", flush=True)


def judging_threads(cores: int, trainings: int, judges: int) -> int:
    """Threads of each evaluation: its share of the cores left by training, at least one."""
    return max(1, (cores - trainings) // max(1, judges))


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gpu_results.sh", description=__doc__)
    names = [variant.name for variant in VARIANTS]
    cores = processors.available()
    parser.add_argument("minutes", type=float, help="time limit of this call")
    parser.add_argument("out", type=Path, help="folder of data, runs and bundle")
    parser.add_argument("--quick", action="store_true", help="everything at toy size")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--systems", type=_list(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument("--variants", type=_list(names), default=names)
    parser.add_argument("--seeds", type=int, default=None, help="default 3, quick 1")
    parser.add_argument("--first-seed", type=int, default=0, help="of them; default 0")
    parser.add_argument("--batch", type=int, default=0, help="trajectories per update")
    parser.add_argument("--side", type=int, default=0, help="runs per process, in threads")
    parser.add_argument(
        "--processes",
        type=int,
        default=0,
        help="such processes at once; by default two on a GPU and one on a CPU, at toy size one "
        "on a GPU and as many as cores on a CPU",
    )
    parser.add_argument(
        "--judges",
        type=int,
        default=0,
        help="evaluations at once; by default a quarter of the cores",
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    for name in ("--work", "--until"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--cells", action="append", default=[], help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    for name in ("batch", "side", "processes", "judges", "first_seed"):
        if (got := getattr(options, name)) < 0:
            word = name.replace("_", "-")
            parser.error(f"--{word}: got {got}, expected a whole number from 0")
    if options.seeds is not None and options.seeds < 1:
        parser.error(f"--seeds: got {options.seeds}, expected a whole number from 1")
    options.seeds = options.seeds or (1 if options.quick else 3)
    if options.device == "auto":
        import torch

        options.device = "cuda" if torch.cuda.is_available() else "cpu"
    of_device = {"cuda": 1 if options.quick else 2, "cpu": cores if options.quick else 1}
    options.processes = options.processes or of_device[options.device]
    options.judges = options.judges or (cores if options.quick else max(1, cores // 4))
    options.given = list(words)
    for word in options.set:
        if "=" not in word:
            parser.error(f"--set: got '{word}', expected NAME=VALUE")
    return options


def _list(known: Sequence[str]):  # noqa: ANN202 - a converter of argparse
    def names(text: str) -> list[str]:
        found = [word.strip() for word in text.split(",")]
        for word in found:
            if word not in known:
                raise argparse.ArgumentTypeError(f"got '{word}', expected {', '.join(known)}")
        return found

    return names


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except PhysimError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
