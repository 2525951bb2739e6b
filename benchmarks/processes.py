"""Trajectories per second by number of processes: `python -m benchmarks processes`.

Each row is one `torchrun --nproc-per-node N -m hgn_train fit` on a small data set, batches of 32
divided among the processes, one thread each; with GPUs, one process a GPU, and the preset `paper`.
What starting costs is left out: two lengths are run and their difference is taken.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import save, table

BATCH = 32


def seconds(count: int, steps: int, preset: str, data: Path, out: Path) -> float:
    """Seconds of so many updates on so many processes, as the training counts them."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count)]
    command += ["-m", "hgn_train", "fit", "--data", str(data), "--preset", preset, "--quiet"]
    changed = {"steps": steps, "batch_size": BATCH, "evaluate_every": 0, "log_every": steps}
    for name, value in (changed | {"threads": 1, "trajectories": 512, "held_out": 8}).items():
        command += ["--set", f"{name}={value}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, "--out", str(out)], env=environment, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{count} processes: {done.stderr.decode()[-500:]}")
    return float(json.loads((out / "timing.json").read_text())["seconds"])


def main() -> dict[str, Any]:
    """Print the table and return its rows."""
    import torch

    import physim
    from physim import processors

    gpus = torch.cuda.device_count()
    counts = [n for n in (1, 2, 4, 8) if n <= (gpus or processors.available())]
    preset, short = ("paper", 100) if gpus else ("small", 20)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        physim.render("hgn/mass_spring", data, n=512, n_test=16)
        for count in counts:
            parts = [
                seconds(count, steps, preset, data, Path(folder) / f"{count}-{steps}")
                for steps in (short, 3 * short)
            ]
            rate = 2 * short * BATCH / (parts[1] - parts[0])
            first = rows[0]["trajectories/s"] if rows else rate
            rows.append({"processes": count, "trajectories/s": rate, "times one": rate / first})
    where = "GPUs" if gpus else "one thread each, on the CPU"
    print(table(f"Training with several processes, preset {preset}, {where}", rows))
    return {"processes": rows}


if __name__ == "__main__":
    print(save("processes", main()))
