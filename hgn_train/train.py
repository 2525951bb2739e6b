"""Training: settings, data, model, optimiser, loop, from top to bottom.

A step does not wait for the device: metrics are added up there and read every `log_every` updates.
What a step draws at random follows from (seed, step), what it sees from (seed, epoch); several
processes share both, each its rows of them.
"""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hgn_train import checkpoint, convolution, data, files, models, step
from hgn_train.checkpoint import Checkpoint
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
from hgn_train.log import Log, Pictures, Report, compiling
from hgn_train.models.model import Batches
from hgn_train.resume import restore, snapshot
from hgn_train.scores import Scores
from hgn_train.seeds import Purpose, seed_of
from hgn_train.settings import RunSettings, TrainSettings, load
from physim.errors import PhysimError

COLLAPSED_SHARE = 0.1
"""Below this share explained a model that is done has learned no more than a mean."""

WORSE = "rollouts are further from the truth than a mean"

_building = threading.Lock()
"""Weights are drawn from PyTorch's global generator, which runs in threads share."""


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


class DivergedError(PhysimError):
    """The loss or a weight became infinite or not a number."""


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
    from lightning.fabric import Fabric

    for part in ("fabric", "pytorch"):  # no word about the precision
        logging.getLogger(f"lightning.{part}").setLevel(logging.WARNING)
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
    t = settings.train
    if t.deterministic and not cpu:
        deterministic_cublas()
    precision: Any = t.precision
    fabric = Fabric(accelerator=device.type, devices=devices, precision=precision)
    fabric.launch()
    full_float32()
    if cpu:
        keep_memory()
    if t.batch_size % fabric.world_size:
        raise PhysimError(
            f"batch_size: got {t.batch_size}, expected a multiple of the "
            f"{fabric.world_size} processes"
        )
    rank, local = fabric.global_rank, t.batch_size // fabric.world_size

    # data
    kind = models.find(settings.model)
    material = kind.open(settings.data, settings.network)
    fingerprint = material.fingerprint

    # model: the same weights for the same seed, whatever was drawn before
    with _building, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(Purpose.WEIGHTS, t.seed))
        model: Any = kind.build(settings.network)
    train = material.train(
        model.inputs, fabric.device, local, t.seed, t.trajectories, rank, fabric.world_size
    )
    held_out = material.held_out(model.inputs, fabric.device, t.seed, t.held_out)
    model = model.to(fabric.device, memory_format=torch.channels_last)
    model.prepare(train.rows(torch.arange(min(train.n, 512))))
    average = copy.deepcopy(model).eval().requires_grad_(False) if t.averaging else None
    updates = step.kind(t.step, fabric.device, fabric.world_size)
    optimizer = step.adam(model, updates, t.learning_rate, t.weight_decay)
    first, best, share = 0, math.inf, math.nan
    sums: dict[str, Tensor] = {}
    with files.writing(run):
        run.mkdir(parents=True, exist_ok=True)
    last = run / "checkpoints" / checkpoint.LAST
    if resume:
        saved, sums = restore(last, model, average, optimizer)
        if saved.facts.get("data", fingerprint) != fingerprint:  # older ones say nothing
            raise PhysimError(
                f"{settings.data}: holds other data than {run} was trained on so far; expected "
                "those, or a new run with another --out"
            )
        first, best = saved.step, float(saved.facts["best"])
        share = float(saved.facts["share_explained"])
    elif last.is_file():
        raise PhysimError(f"{run}: holds a run already; expected a new folder, or --resume")
    if fabric.is_global_zero and not resume:
        files.write(run / "config.json", settings.to_json() + "\n")

    compiled: Any = torch.compile(model, fullgraph=True) if t.compile else model
    forward, backward = loss_of(fabric, compiled, optimizer)
    update = updates(forward, model, optimizer, average, t.clip, backward)
    update.sums = sums
    generator = torch.Generator(device=fabric.device)
    reference = material.reference(train, held_out)
    if cpu and not t.compile and any(isinstance(part, nn.Conv2d) for part in model.modules()):
        with compiling(progress):
            convolution.prepare()
    log = Log(run, t, first, report, progress) if fabric.is_global_zero else None
    started, began = time.perf_counter(), time.process_time()
    stopped = ""

    def save(done: int, name: str = checkpoint.LAST) -> None:
        if fabric.is_global_zero:
            kept = optimizer if name == checkpoint.LAST else None
            content = snapshot(model, average, kept, sums)
            facts = {
                "best": best,
                "data": fingerprint,
                "seed": t.seed,
                "share_explained": share,
                "system": material.system,
            }
            checkpoint.write(run / "checkpoints" / name, Checkpoint(content, done, facts))

    with (
        contextlib.closing(log) if log is not None else contextlib.nullcontext(),
        stop_signals() if asked is None else contextlib.nullcontext(asked) as signals,
        deterministic(t.deterministic),
        flushed_denormals(),
        threads(t.threads),
    ):
        done = first
        while done < t.steps:
            rate = t.learning_rate * schedule(t, done)
            decay = min(t.averaging, (1 + done) / (10 + done))
            generator.manual_seed(seed_of(Purpose.NOISE, t.seed, done))
            draws = model.draws(t.batch_size, generator)
            if fabric.world_size > 1:
                draws = {name: drawn[rank :: fabric.world_size] for name, drawn in draws.items()}
            update(done, rate, train.batch(done), draws, decay)
            done += 1

            stop = bool(signals)
            if (
                fabric.world_size > 1
            ):  # all processes must agree, so they ask each other now and then
                stop = done % t.log_every == 0 and asked_anywhere(fabric, stop)
            final = done == t.steps or stop
            if done % t.log_every == 0 or final or done % t.save_every == 0:
                bad = int(update.first_bad)
                if bad < t.steps or not all_finite(model):
                    raise DivergedError(
                        f"step {min(bad, done)}: the loss is not finite; the last good checkpoint "
                        f"is {last if last.is_file() else 'none'}; "
                        "a smaller learning_rate or clip 1 may help"
                    )
            save_now = done % t.save_every == 0 or final
            if done % t.log_every == 0 or save_now:
                sums = over_processes(fabric, update.sums)
            if done % t.log_every == 0 or done == t.steps:
                if log is not None:
                    log.write(done, sums, rate)
                update.begin_again()
            due = bool(t.evaluate_every) and done % t.evaluate_every == 0
            if (due or done == t.steps) and fabric.is_global_zero:
                error, shown = evaluate(
                    average if average is not None else model, held_out, fabric
                )
                share = math.nan if reference is None else 1 - error / reference
                if log is not None:
                    log.evaluation(done, error, reference, shown)
                if error < best:
                    best = error
                    save(done, checkpoint.BEST)
            if save_now:
                save(done)
            if stop:
                stopped = signals[0] if signals else "SIGTERM"
                break
    seconds, busy = time.perf_counter() - started, time.process_time() - began
    if fabric.is_global_zero:
        used = t.threads or torch.get_num_threads()
        write_timing(run, done, seconds, busy, fabric.device, used, resume)
    collapse = ""
    if share < COLLAPSED_SHARE and done == t.steps:
        collapse = material.collapse if share > -COLLAPSED_SHARE else WORSE
    return Outcome(first, done, stopped, collapse, best, share, seconds)


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


def schedule(t: TrainSettings, step: int) -> float:
    """Share of the learning rate: a linear rise, then half a cosine."""
    rise = min(1.0, (step + 1) / t.warmup) if t.warmup else 1.0
    fall = (1 + math.cos(math.pi * step / t.steps)) / 2
    return rise * (t.final_learning_rate + (1 - t.final_learning_rate) * fall)


def all_finite(model: nn.Module) -> bool:
    """Whether no weight is infinite or not a number."""
    return bool(torch.stack([torch.isfinite(w).all() for w in model.parameters()]).all())


@torch.no_grad()
def evaluate(model: Any, held_out: Batches, fabric: Any) -> tuple[float, Pictures]:
    """Mean error of held-out rows, and pictures if the model makes any."""
    was_training = model.training
    model.eval()
    scores: list[Scores] = []
    for rows in data.slices(held_out.n, 64):
        found = held_out.rows(torch.arange(rows.start, rows.stop))
        with fabric.autocast():
            scores.append(model.score(found))
    model.train(was_training)
    return float(torch.cat([part.errors for part in scores]).mean()), scores[0].pictures


def loss_of(
    fabric: Any, model: Any, optimizer: torch.optim.Optimizer
) -> tuple[Callable[..., Any], Callable[[Tensor], None]]:
    """How a model computes its loss, and the gradients from it.

    Fabric's own wrapper marks the process while it goes backward, so that runs in several threads
    would take each other's marks; it is used only where processes share a batch.
    """
    if fabric.world_size > 1:
        wrapped, _ = fabric.setup(model, optimizer)
        return wrapped, fabric.backward

    def forward(batch: Mapping[str, Tensor], draws: Mapping[str, Tensor]) -> Any:
        with fabric.autocast():
            return model(batch, draws)

    return forward, Tensor.backward


def over_processes(fabric: Any, sums: dict[str, Tensor]) -> dict[str, Tensor]:
    """Sums of metrics as means over the processes, which have a part of each batch."""
    if fabric.world_size == 1 or not sums:
        return sums
    together = fabric.all_reduce(torch.stack(list(sums.values())), reduce_op="mean")
    return dict(zip(sums, together.unbind(), strict=True))


def asked_anywhere(fabric: Any, asked: bool) -> bool:
    """Whether any process was asked to stop."""
    flag = torch.tensor(float(asked), device=fabric.device)
    return bool(fabric.all_reduce(flag, reduce_op="sum") > 0)
