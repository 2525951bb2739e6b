"""Worker processes: runs trained side by side in threads, and evaluations."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
import time
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.paper_table.cells import Cell, Scale, settings
from physim.errors import PhysimError

SAID = 4
"""Exit status of a process of which a cell failed and says why itself."""

DONE, FAILED, TIMES = "trained.json", "failed.json", "times.json"


def check(
    cells: Sequence[Cell], scale: Scale, out: Path, changed: Mapping[str, str], batch: int
) -> None:
    """Refuse settings that make no run, or that are not those of a run that is there.

    Reads no data, so that it can stand before everything that is written.

    Arguments:
        cells: Which.
        scale: How large.
        out: Where runs are.
        changed: Settings of all cells.
        batch: As in `settings`.

    Raises:
        PhysimError: Names the setting; for a run that is there, the run and what differs.
    """
    from hgn_train import checkpoint
    from hgn_train.settings import load

    for cell in cells:
        run = out / "runs" / cell.name
        there = (run / DONE, run / "checkpoints" / checkpoint.LAST)
        kept = load(run) if any(path.is_file() for path in there) else None
        dt = 1.0 if kept is None else getattr(kept.network, "dt", 1.0)  # the data's, as it was
        wanted = settings(cell, scale, out / "data", changed, batch, dt)
        if kept is not None and wanted.train.precision == "auto":  # which is now decided
            wanted = wanted.decided(kept.train.precision)
        if kept is not None and (differing := _differences(wanted, kept)):
            raise PhysimError(
                f"{run}: holds a run with other settings ({', '.join(differing)}); "
                "expected its own, or another OUT"
            )


def _differences(wanted: Any, kept: Any) -> list[str]:
    """What differs between two runs, in words; not where their data is, which may be moved."""
    for name in ("model", "preset"):  # with them nearly everything differs
        if (got := getattr(wanted, name)) != (has := getattr(kept, name)):
            return [f"{name} {has}, got {got}"]
    return [
        f"{field.name} {has}, got {got}"
        for part in ("network", "train")
        for field in dataclasses.fields(getattr(kept, part))
        if (got := getattr(getattr(wanted, part), field.name))
        != (has := getattr(getattr(kept, part), field.name))
    ]


def train(
    cells: Sequence[Cell],
    scale: Scale,
    out: Path,
    device: str,
    changed: dict[str, str],
    batch: int,
    until: float,
) -> int:
    """Train cells at once, each in its own thread and, on a GPU, its own stream.

    Arguments:
        cells: Which.
        scale: How large.
        out: Where data and runs are.
        device: `cpu` or `cuda`.
        changed: Settings of all cells.
        batch: As in `settings`.
        until: Time, as of `time.time`, at which they are saved and stopped.

    Returns:
        How many failed.

    Raises:
        PhysimError: As `check`; then nothing is trained.
    """
    check(cells, scale, out, changed, batch)
    asked: list[str] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: asked.append(signal.Signals(number).name))

    def one(cell: Cell) -> bool:
        run = out / "runs" / cell.name
        try:
            return _train(cell, settings(cell, scale, out / "data", changed, batch), run, device)
        except Exception as error:  # one cell that fails must not end the others
            run.mkdir(parents=True, exist_ok=True)
            reason = {"error": str(error), "trace": traceback.format_exc()}
            (run / FAILED).write_text(json.dumps(reason, indent=2) + "\n")
            return False

    def _train(cell: Cell, chosen: Any, run: Path, device: str) -> bool:
        import torch

        from hgn_train import checkpoint, train

        began = time.time()
        resume = (run / "checkpoints" / checkpoint.LAST).is_file()
        streams: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        if device == "cuda":
            streams = torch.cuda.stream(torch.cuda.Stream())
        with streams:
            outcome = train.fit(chosen, run, resume, device, 1, asked=asked)
        times = run / TIMES
        calls = json.loads(times.read_text()) if times.is_file() else []
        calls.append(
            {
                "began": began,
                "seconds": outcome.seconds,
                "steps": outcome.step - outcome.first,
                "with_loading": time.time() - began,
                "side_by_side": len(cells),
            }
        )
        times.write_text(json.dumps(calls, indent=2) + "\n")
        if not outcome.stopped:
            (run / DONE).write_text(json.dumps({"steps": outcome.step}) + "\n")
        return True

    with ThreadPoolExecutor(len(cells)) as pool:
        waiting = [pool.submit(one, cell) for cell in cells]
        while not all(each.done() for each in waiting):
            if time.time() > until and not asked:
                asked.append("SIGTERM")
            time.sleep(0.05)
    return sum(not each.result() for each in waiting)


def evaluate(cells: Sequence[Cell], scale: Scale, out: Path, device: str) -> int:
    """Judge trained cells, one after the other, and draw their pictures.

    Arguments:
        cells: Which.
        scale: How large.
        out: Where data and runs are.
        device: `cpu` or `cuda`.

    Returns:
        How many failed.
    """
    import torch

    from hgn_train import evaluation, report

    failed = 0
    for cell in cells:
        run = out / "runs" / cell.name
        try:
            kind = evaluation.find(cell.variant.model)
            kind.evaluate(run, torch.device(device), n=scale.judged, extra=scale.extra)
            report.write(run)
        except Exception as error:
            failed += 1
            reason = {"error": str(error), "trace": traceback.format_exc()}
            (run / FAILED).write_text(json.dumps(reason, indent=2) + "\n")
    return failed
