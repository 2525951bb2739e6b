"""Run a command as a whole process, several times, and keep medians; print tables."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from physim import markdown, processors

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Run:
    """One process: wall seconds, processor seconds, peak memory in MB."""

    wall: float
    cpu: float
    peak_mb: float


def process(arguments: Sequence[str]) -> Run:
    """Run `python -m …` once; its exit status must be 0."""
    with tempfile.TemporaryFile() as said:  # a pipe that nobody reads fills up
        began = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, "-m", *arguments], stdout=subprocess.DEVNULL, stderr=said
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said.seek(0)
            message = said.read().decode(errors="replace")
            raise RuntimeError(f"{' '.join(arguments)}: exit status {child.returncode}: {message}")
    scale = 1e6 if sys.platform == "darwin" else 1e3
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / scale)


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def seconds(call: Callable[[], Any], repeats: int = 3) -> float:
    """Median wall time of a call, after one that does not count."""
    call()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return median(times)


def machine() -> dict[str, Any]:
    """The machine and versions of the measurements."""
    names = ("physim", "numpy", "numba", "h5py", "zlib-ng")
    return {
        "processor": _processor(),
        "processors": processors.available(),
        "python": platform.python_version(),
        "versions": {name: found for name in names if (found := installed(name))},
    }


def installed(name: str) -> str:
    """Version of a package, or nothing where it is not installed, as a source tree in the path."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    told = {name.strip(): text.strip() for name, _, text in (row.partition(":") for row in lines)}
    model, flags = told.get("model name", ""), told.get("flags", "")
    widest = next((text for flag, text in WIDEST.items() if flag in flags.split()), "")
    return f"{model} ({widest})" if widest else model


WIDEST = {
    "amx_bf16": "AMX with bf16",
    "avx512_bf16": "AVX-512 with bf16",
    "avx512f": "AVX-512",
    "avx2": "AVX2",
}
"""Instructions of a processor, the widest first: models of one name differ in them."""


def table(title: str, rows: Sequence[dict[str, Any]]) -> str:
    """Rows as a Markdown table."""
    if not rows:
        return f"### {title}\n"
    heads = list(rows[0])
    cells = [[_cell(row[head]) for head in heads] for row in rows]
    return f"### {title}\n\n{markdown.table(heads, cells)}"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def save(name: str, results: dict[str, Any]) -> Path:
    """Write results as JSON under `benchmarks/results/`."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **results}, indent=2))
    return path
