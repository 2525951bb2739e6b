"""Runs that figures need and nobody has made: rendered, trained and evaluated, some at a time.

Each is made by commands of `hgn-train` in a process of its own, so that what is made can be made
again by hand, and so that an interrupted run resumes when the command is given again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import physim
from hgn_train import checkpoint
from hgn_train.data import is_there
from hgn_train.densities import DENSITIES
from hgn_train.evaluation.markdown import SYSTEMS
from hgn_train.paper.figure import Need
from hgn_train.presets import PRESETS, default, minutes
from physim import processors
from physim.errors import PhysimError

Say = Callable[[str], None]

MINUTES: dict[str, dict[str, dict[str, int]]] = {
    "nhf": {preset: dict.fromkeys(DENSITIES, 1) for preset in ("paper", "small")},
    "pixel-hnn": {preset: dict.fromkeys(SYSTEMS, 3) for preset in ("small", "small-conv")},
}
"""About how long a run takes on one core, by model, preset and subject, except for HGN's."""


@dataclass(frozen=True)
class Training:
    """A run to be made.

    Attributes:
        need: What it shows.
        out: Its folder.
        data: Folder of the data set; None for a density, which is drawn from.
    """

    need: Need
    out: Path
    data: Path | None

    @property
    def preset(self) -> str:
        """Of its settings."""
        return self.need.preset

    @property
    def minutes(self) -> float:
        """About how long it takes on one core, evaluation included; 0 if unknown."""
        preset, subject = self.preset, self.need.subject
        if self.need.model == "hgn":
            about = minutes(preset, subject)
        else:
            about = MINUTES.get(self.need.model, {}).get(preset, {}).get(subject, 0)
        return about and about + 1

    def commands(self) -> list[list[str]]:
        """The commands that make it, or resume it."""
        out, started = str(self.out), (self.out / "checkpoints" / checkpoint.LAST).is_file()
        if self.need.model == "hgn":
            words = ["auto", "--system", self.need.subject, "--preset", self.preset, "--quiet"]
            return [[*words, "--data", str(self.data), "--out", out]]
        if started:
            fit = ["fit", "--resume", "--out", out, "--quiet"]
        else:
            fit = ["fit", "--model", self.need.model, "--preset", self.preset, "--quiet"]
            fit += ["--data", str(self.data or self.need.subject), "--out", out]
        return [fit, ["evaluate", out]]


def planned(needs: Iterable[Need], data: Path, folder: Path, preset: str) -> list[Training]:
    """The runs to be made, the longest first.

    Arguments:
        needs: What they show.
        data: Folder of the data sets `hgn/*`.
        folder: Where runs go.
        preset: Of their settings; a model that has none of that name takes its default.

    Returns:
        A training each.
    """
    trainings = []
    for need in needs:
        fits = need.preset or preset
        fits = fits if fits in PRESETS[need.model] else default(need.model)
        of = None if need.subject in DENSITIES else data / need.subject
        said = replace(need, preset=fits)
        trainings.append(Training(said, folder / said.folder, of))
    return sorted(trainings, key=lambda training: -training.minutes)


def check_data(folder: Path, systems: Iterable[str], made: Iterable[str]) -> None:
    """Refuse a folder that does not hold the data sets that are to be shown.

    Arguments:
        folder: Of the data sets, one folder per system.
        systems: That are shown.
        made: Those whose data need not be there, as they are made.

    Raises:
        PhysimError: A data set is missing, or is of another system.
    """
    made = set(made)
    there = [name for name in systems if is_there(folder / name)]
    missing = [name for name in systems if name not in there and name not in made]
    if missing:
        raise PhysimError(f"{folder}: no data set of {', '.join(missing)} in it")
    for name in there:
        held = physim.open(folder / name).recipe.system
        if held != name:
            raise PhysimError(f"{folder / name}: holds '{held}', expected '{name}'")


def duration(trainings: Sequence[Training], workers: int) -> str:
    """What is to be made, and about how long it takes.

    Arguments:
        trainings: The runs to be made.
        workers: How many at a time.

    Returns:
        A sentence.
    """
    each = [training.minutes for training in trainings]
    named = ", ".join(str(training.need) for training in trainings)
    text = f"training what is missing: {named}"
    if workers > 1:
        text += f"; {workers} at a time"
    if all(each):
        text += f"; about {max(*each, sum(each) / workers):.0f} minutes"
    return text


def make(trainings: Sequence[Training], workers: int, say: Say) -> None:
    """Render the data that is missing, then train and evaluate.

    Arguments:
        trainings: The runs to be made.
        workers: How many at a time.
        say: Called with a line about each.

    Raises:
        PhysimError: A command fails; what the others have done stays.
    """
    for training in trainings:
        folder = training.data
        if folder is not None and not is_there(folder):
            say(f"rendering {folder}, which is missing")
            say(str(physim.render(f"hgn/{training.need.subject}", folder)))
    waiting, running = list(trainings), [Worker(say) for _ in range(workers)]
    try:
        while waiting or any(worker.busy for worker in running):
            for worker in running:
                if not worker.busy and waiting:
                    worker.start(waiting.pop(0), threads=max(1, processors.available() // workers))
                worker.look()
            time.sleep(0.2)
    finally:
        for worker in running:
            worker.stop()


class Worker:
    """Makes one run at a time, its commands one after the other."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.training: Training | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.commands: list[list[str]] = []
        self.environment: dict[str, str] = {}
        self.log = Path()
        self.began = 0.0

    @property
    def busy(self) -> bool:
        """Whether a run is being made."""
        return self.training is not None

    def start(self, training: Training, threads: int) -> None:
        """Begin a run."""
        self.training, self.commands = training, training.commands()
        self.environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        self.began = time.perf_counter()
        training.out.parent.mkdir(parents=True, exist_ok=True)
        self.log = training.out.with_name(f"{training.out.name}.log")
        self.log.write_bytes(b"")
        metrics = training.out / "metrics.jsonl"
        self.say(f"{training.need}: training; the steps done are in {metrics}")
        self._next()

    def look(self) -> None:
        """Go on if a command has ended."""
        if self.training is None or self.process is None or self.process.poll() is None:
            return
        if self.process.returncode:
            last = [*self.log.read_text(errors="replace").splitlines(), ""]
            said = next((line for line in reversed(last) if line.strip()), "")
            raise PhysimError(
                f"{self.training.need}: `hgn-train {' '.join(self.commands[0])}` ended with exit "
                f"status {self.process.returncode}: {said.removeprefix('Error: ')}"
            )
        self.commands.pop(0)
        if self.commands:
            self._next()
            return
        self.say(f"{self.training.need}: done in {time.perf_counter() - self.began:.0f} s")
        self.training = self.process = None

    def stop(self) -> None:
        """Let a run save itself, and wait for it."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def _next(self) -> None:
        words = [sys.executable, "-m", "hgn_train", *self.commands[0]]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - the words are ours
                words,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,  # Ctrl-C reaches it once, from here
            )


__all__ = ["Training", "check_data", "duration", "make", "planned"]
