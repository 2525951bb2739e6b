"""Training a model: `fit` sets a run up on its devices, keeps its folder, and says how it ended.

What is done update by update is in `loop`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hgn_train import convolution, files
from hgn_train.conditions import (
    deterministic,
    deterministic_cublas,
    flushed_denormals,
    full_float32,
    keep_memory,
    precision_of,
    stop_signals,
    threads,
)
from hgn_train.log import Log, Report, compiling
from hgn_train.loop import DivergedError, Training
from hgn_train.settings import RunSettings, load
from physim.errors import PhysimError

__all__ = ["DivergedError", "Outcome", "fit"]

COLLAPSED_SHARE = 0.1
"""Below this share explained a model that is done has learned no more than a mean."""

WORSE = "predictions are further from the truth than a mean"


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        first: Updates that were done before.
        step: Updates that were done.
        stopped: Why before the end: a signal, or nothing.
        collapse: What the model does that has learned no more than a mean, or nothing.
        error: The least error on held-out rows.
        share_explained: 1 − error / error of the reference, such as the average image, on held-out
            rows; nan where there is no reference.
        seconds: Wall time of this call.
    """

    first: int
    step: int
    stopped: str
    collapse: str
    error: float
    share_explained: float
    seconds: float

    @property
    def collapsed(self) -> bool:
        """Whether the model has learned no more than a mean."""
        return bool(self.collapse)


def fit(
    settings: RunSettings,
    run: Path,
    resume: bool = False,
    accelerator: str = "auto",
    devices: int | str = "auto",
    report: Report | None = None,
    progress: bool = False,
    asked: list[str] | None = None,
) -> Outcome:
    """Train a model and keep everything in a folder.

    Arguments:
        settings: The run.
        run: Its folder, which must be new or, with `resume`, hold this run.
        resume: Whether to resume from the last checkpoint.
        accelerator: `auto`, `cpu` or `cuda`.
        devices: How many; `auto` takes one on a CPU, and all GPUs.
        report: Called with each line of metrics.
        progress: Whether a progress bar is shown.
        asked: A list to which another thread adds a word to have the training saved and stopped;
            by default SIGTERM and SIGINT do.

    Returns:
        How it ended.

    Raises:
        DivergedError: The loss is not finite; names the step and the last good checkpoint.
        PhysimError: Settings, data or checkpoint that make no training.
    """
    fabric, settings = launched(settings, run, resume, accelerator, devices)
    t, cpu = settings.train, fabric.device.type == "cpu"
    with threads(t.threads):  # first biases too are sums, which threads round in another order
        training = Training(settings, run, fabric, resume)
    kernels = any(isinstance(part, nn.Conv2d) for part in training.model.modules())
    if cpu and kernels and not t.compile:
        with compiling(progress):
            convolution.prepare()
    log = None
    if fabric.is_global_zero:
        log = Log(run, t, training.first, training.logged, report, progress)
    started, began = time.perf_counter(), time.process_time()
    with (
        contextlib.closing(log) if log is not None else contextlib.nullcontext(),
        stop_signals() if asked is None else contextlib.nullcontext(asked) as signals,
        deterministic(t.deterministic),
        flushed_denormals(),
        threads(t.threads),
    ):
        stopped = training.loop(signals, log)
    seconds, busy = time.perf_counter() - started, time.process_time() - began
    if fabric.is_global_zero:
        used = t.threads or torch.get_num_threads()
        write_timing(run, training.done, seconds, busy, fabric.device, used, resume)
    collapse, share = "", training.share
    if share < COLLAPSED_SHARE and training.done == t.steps:
        collapse = training.material.collapse if share > -COLLAPSED_SHARE else WORSE
    return Outcome(training.first, training.done, stopped, collapse, training.best, share, seconds)


def launched(
    settings: RunSettings, run: Path, resume: bool, accelerator: str, devices: int | str
) -> tuple[Any, RunSettings]:
    """Lightning's Fabric, started on the devices that are asked for.

    Arguments:
        settings: The run.
        run: Its folder.
        resume: Whether a run is resumed, whose precision counts.
        accelerator: `auto`, `cpu` or `cuda`.
        devices: How many; `auto` takes one on a CPU, and all GPUs.

    Returns:
        Fabric, and the settings with nothing left to the device.

    Raises:
        PhysimError: There is no such device, or the run cannot be in the folder.
    """
    from lightning_fabric import Fabric

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # no word about the precision
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise PhysimError(
            "device: got 'cuda', but this machine has none; expected 'cpu' or 'auto'"
        )
    if run.exists() and not run.is_dir():
        raise PhysimError(f"out: got '{run}', which is a file; expected a folder")
    if devices != "auto" and int(devices) < 1:
        raise PhysimError(f"devices: got {devices}, expected a whole number from 1")
    cpu = accelerator == "cpu" or not torch.cuda.is_available()
    if devices == "auto":
        devices = 1 if cpu else -1
    device = torch.device("cpu" if cpu else "cuda")
    settings = settings.decided(load(run).train.precision if resume else precision_of(device))
    if settings.train.deterministic and not cpu:
        deterministic_cublas()
    precision: Any = settings.train.precision
    fabric = Fabric(accelerator=device.type, devices=devices, precision=precision)
    fabric.launch()
    full_float32()
    if cpu:
        keep_memory()
    return fabric, settings


def write_timing(
    run: Path,
    done: int,
    seconds: float,
    busy: float,
    device: torch.device,
    used: int,
    resume: bool,
) -> None:
    """Updates done, wall and processor time of the training, over all calls, and where it ran."""
    path = run / "timing.json"
    before: dict[str, Any] = {}
    if resume and path.is_file():
        with contextlib.suppress(ValueError):  # damaged: the time of this call alone
            before = json.loads(path.read_text())
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    facts = {
        "steps": done,
        "seconds": before.get("seconds", 0.0) + seconds,
        "processor_seconds": before.get("processor_seconds", 0.0) + busy,
        "device": name,
        "threads": used,
    }
    files.write(path, json.dumps(facts) + "\n")
