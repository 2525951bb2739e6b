"""Output of a run while it trains: JSON lines, TensorBoard events and a progress bar."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hgn_train import files, metrics
from hgn_train.settings import TrainSettings
from physim.kernels import Compiling

Report = Callable[[dict[str, Any]], None]
"""Called with each line of metrics."""

Pictures = tuple[Tensor, Tensor] | None
"""True and drawn frames, (few, time, channel, height, width) from 0 to 1, or none."""


def lines(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics of a run; one cut off when its process was killed is omitted.

    Arguments:
        run: Its folder.

    Returns:
        The lines as written, none where there is no file.
    """
    path = run / "metrics.jsonl"
    found = path.read_text().splitlines() if path.is_file() else []
    if found and not found[-1].endswith("}"):
        found.pop()
    return [json.loads(line) for line in found]


@contextlib.contextmanager
def compiling(said: bool) -> Iterator[None]:
    """Print a message if kernels are compiled meanwhile.

    Arguments:
        said: Whether to print it at all.
    """
    text = "Compiling kernels for this machine; later runs of this kind start at once."
    with Compiling(lambda: print(text, file=sys.stderr) if said else None):
        yield


IN_A_FILE = 30.0
"""Seconds between two states of the bar where it is not seen, but kept."""


class Log:
    """Metrics as JSON lines, TensorBoard events and a progress bar.

    Arguments:
        run: Folder of the run.
        t: How it is trained.
        first: Updates that were done before.
        logged: Updates up to the last line of these.
        report: Called with each line.
        progress: Whether a bar is shown.
    """

    def __init__(
        self,
        run: Path,
        t: TrainSettings,
        first: int,
        logged: int,
        report: Report | None,
        progress: bool,
    ) -> None:
        from torch.utils.tensorboard import SummaryWriter
        from tqdm import tqdm

        # what came after the checkpoint is done again
        kept = [line for line in lines(run) if line["step"] <= first] if first else []
        path = run / "metrics.jsonl"
        files.write(path, "".join(f"{json.dumps(line)}\n" for line in kept))
        with files.writing(path):
            self.lines = path.open("a")
        with files.writing(run / "tensorboard"):
            self.board = SummaryWriter(
                str(run / "tensorboard"), purge_step=first + 1 if first else None
            )
        self.bar = tqdm(
            total=t.steps,
            initial=first,
            unit="step",
            disable=not progress,
            dynamic_ncols=True,
            mininterval=0.1 if sys.stderr.isatty() else IN_A_FILE,
        )
        self.report, self.t = report, t
        self.step, self.time = logged, time.perf_counter()

    def write(self, step: int, sums: dict[str, Tensor], learning_rate: float) -> None:
        """A line of means since the last one."""
        n = step - self.step
        now = time.perf_counter()
        line: dict[str, Any] = {"step": step}
        line |= {name: float(value) / n for name, value in sorted(sums.items())}
        line["learning_rate"] = learning_rate
        rate = n * self.t.batch_size / (now - self.time)
        self.bar.update(step - self.bar.n)
        shown = {"error×1e4": f"{1e4 * line['error']:.2f}"} if "error" in line else {}
        shown |= {"KL": f"{line['divergence']:.0f}"} if "divergence" in line else {}
        shown |= {"λ": f"{line['multiplier']:.2f}"} if "multiplier" in line else {}
        self.bar.set_postfix({"loss": f"{line['loss']:.3g}", **shown, "samples/s": f"{rate:.0f}"})
        self._out(line)
        self.board.add_scalar("samples_a_second", rate, step)
        self.step, self.time = step, now

    def evaluation(
        self, step: int, error: float, reference: float | None, shown: Pictures
    ) -> None:
        """A line about held-out rows, and a picture of some."""
        line: dict[str, Any] = {"step": step, "held_out_error": error}
        text = f"step {step}: held-out error {error:.4g}"
        if reference is not None:
            share = metrics.share_explained(error, reference)
            line |= {"reference_error": reference, "share_explained": share}
            text += f", share explained {share:.3f}"
        self._out(line)
        if shown is not None:
            rows = [frames[i, ::2] for i in range(len(shown[0])) for frames in shown]
            grid = torch.cat([torch.cat(list(row), 2) for row in rows], 1)
            self.board.add_image("rollouts", grid.float().cpu().clamp(0, 1), step)
        if not self.bar.disable:
            self.bar.write(text)

    def close(self) -> None:
        """Finish the files."""
        self.bar.close()
        self.lines.close()
        self.board.close()

    def _out(self, line: dict[str, Any]) -> None:
        with files.writing(Path(self.lines.name)):
            self.lines.write(json.dumps(line) + "\n")
            self.lines.flush()
        for name, value in line.items():
            if name != "step":
                self.board.add_scalar(name, value, line["step"])
        if self.report is not None:
            self.report(line)
