"""A training that is set up: data, model, optimiser, where it stands, and the loop.

A step does not wait for the device: metrics are summed there and read every `log_every` updates.
A step's random draws follow from (seed, step), its batch from (seed, epoch); several processes
share both, each its rows of them.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hgn_train import checkpoint, data, files, metrics, models, start, step
from hgn_train.checkpoint import Checkpoint
from hgn_train.log import Log, Pictures
from hgn_train.models.model import Batches
from hgn_train.resume import restore, snapshot
from hgn_train.scores import Scores
from hgn_train.seeds import Purpose, seed_of
from hgn_train.settings import RunSettings, TrainSettings, load
from physim.errors import PhysimError

_building = threading.Lock()
"""Weights are drawn from PyTorch's global generator, which runs in threads share."""


class DivergedError(PhysimError):
    """The loss or a weight became infinite or not a number."""


class Training:
    """A run that is set up, at its first update or where it was stopped.

    Arguments:
        settings: The run.
        run: Its folder.
        fabric: Lightning's, launched.
        resume: Whether to resume from the last checkpoint.

    Attributes:
        first: Updates that were done before.
        done: Updates that are done.
        logged: Updates up to the last line of metrics.
        best: The least error on held-out rows so far.
        share: 1 − error / error of the reference, at the last look; nan where there is none.

    Raises:
        PhysimError: Settings, data or checkpoint that make no training.
    """

    def __init__(self, settings: RunSettings, run: Path, fabric: Any, resume: bool) -> None:
        t = settings.train
        if t.batch_size % fabric.world_size:
            raise PhysimError(
                f"batch_size: got {t.batch_size}, expected a multiple of the "
                f"{fabric.world_size} processes"
            )
        self.settings, self.run, self.fabric = settings, run, fabric
        self.rank = fabric.global_rank
        self.last = run / "checkpoints" / checkpoint.LAST
        kind = models.find(settings.model)
        self.material = kind.open(settings.data, settings.network)

        with _building, torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(Purpose.WEIGHTS, t.seed))
            model: Any = kind.build(settings.network)
        local = t.batch_size // fabric.world_size
        self.train = self.material.train(
            model.inputs, fabric.device, local, t.seed, t.trajectories, self.rank,
            fabric.world_size,
        )  # fmt: skip
        self.held_out = self.material.held_out(model.inputs, fabric.device, t.seed, t.held_out)
        self.model = model = model.to(fabric.device, memory_format=torch.channels_last)
        model.prepare(self.train.rows(torch.arange(min(self.train.n, 512))))
        if settings.start is not None and not resume:
            start.load(model, settings.start)
        self.average = copy.deepcopy(model).eval().requires_grad_(False) if t.averaging else None
        updates = step.kind(t.step, fabric.device, fabric.world_size)
        self.optimizer = step.adam(model, updates, t.learning_rate, t.weight_decay)

        self.first, self.logged, self.best, self.share = 0, 0, math.inf, math.nan
        self.sums: dict[str, Tensor] = {}
        with files.writing(run):
            run.mkdir(parents=True, exist_ok=True)
        if resume:
            self._resume()
        elif self.last.is_file():
            raise PhysimError(f"{run}: holds a run already; expected a new folder, or --resume")
        elif fabric.is_global_zero:
            files.write(run / "config.json", settings.to_json() + "\n")
        self.done = self.first

        compiled: Any = torch.compile(model, fullgraph=True) if t.compile else model
        forward, backward = loss_of(fabric, compiled, self.optimizer)
        self.update = updates(forward, model, self.optimizer, self.average, t.clip, backward)
        self.update.sums = self.sums
        self.generator = torch.Generator(device=fabric.device)
        self.reference = self.material.reference(self.train, self.held_out)

    def _resume(self) -> None:
        t = self.settings.train
        saved, self.sums = restore(self.last, self.model, self.average, self.optimizer)
        fingerprint = self.material.fingerprint
        if saved.facts.get("data", fingerprint) != fingerprint:  # older ones say nothing
            raise PhysimError(
                f"{self.settings.data}: holds other data than {self.run} was trained on so far; "
                "expected those, or a new run with another --out"
            )
        self.first, self.best = saved.step, float(saved.facts["best"])
        self.logged = saved.facts.get("logged", self.first - self.first % t.log_every)
        self.share = float(saved.facts["share_explained"])
        own, place = load(self.run), self.settings.data
        if longer := t.steps > own.train.steps:
            of_train = dataclasses.replace(own.train, steps=t.steps)
            extended = (*own.extended, (self.first, own.train.steps))
            own = dataclasses.replace(own, train=of_train, extended=extended)
            if not t.evaluate_every:  # the last weights are kept, not the better of two looks
                self.best = math.inf
        if (longer or place != own.data) and self.fabric.is_global_zero:
            text = dataclasses.replace(own, data=place).to_json()
            files.write(self.run / "config.json", text + "\n")

    def loop(self, signals: Sequence[str], log: Log | None) -> str:
        """Update until all are done or a signal asks to stop; log, judge and save on the way.

        Arguments:
            signals: Why to stop, as soon as there is an entry.
            log: Of the first process.

        Returns:
            Why it was stopped, or nothing.

        Raises:
            DivergedError: The loss is not finite.
        """
        t = self.settings.train
        while self.done < t.steps:
            rate = self.advance()
            done, stop = self.done, bool(signals)
            on_log = done % t.log_every == 0
            if self.fabric.world_size > 1:  # all must agree, and ask each other now and then
                stop = on_log and asked_anywhere(self.fabric, stop)
            ended = done == t.steps
            save_now = done % t.save_every == 0 or ended or stop
            if on_log or save_now:
                self.check_finite()
                self.sums = over_processes(self.fabric, self.update.sums)
            if on_log or ended:
                if log is not None:
                    log.write(done, self.sums, rate)
                self.update.begin_again()
                self.logged = done
                self.sums = self.update.sums  # of several processes it was another, not reset
            due = bool(t.evaluate_every) and done % t.evaluate_every == 0
            if (due or ended) and self.fabric.is_global_zero:
                self.judge(log)
            if save_now:
                self.save()
            if stop:
                return signals[0] if signals else "SIGTERM"
        return ""

    def advance(self) -> float:
        """Do one update; returns its learning rate."""
        t, done = self.settings.train, self.done
        rate = t.learning_rate * schedule(t, done)
        decay = min(t.averaging, (1 + done) / (10 + done))
        self.generator.manual_seed(seed_of(Purpose.NOISE, t.seed, done))
        draws = self.model.draws(t.batch_size, self.generator)
        if self.fabric.world_size > 1:
            mine = slice(self.rank, None, self.fabric.world_size)
            draws = {name: drawn[mine] for name, drawn in draws.items()}
        self.update(done, rate, self.train.batch(done), draws, decay)
        self.done += 1
        return rate

    def check_finite(self) -> None:
        """Raise `DivergedError` where the loss or a weight is not finite."""
        bad = int(self.update.first_bad)
        if bad < self.settings.train.steps or not all_finite(self.model):
            raise DivergedError(
                f"step {min(bad + 1, self.done)}: the loss is not finite; the last good "
                f"checkpoint is {self.last if self.last.is_file() else 'none'}; "
                "a smaller learning_rate or clip 1 may help"
            )

    def judge(self, log: Log | None) -> None:
        """Look at held-out rows, and keep the weights if they are the best so far."""
        model = self.model if self.average is None else self.average
        error, shown = evaluate(model, self.held_out, self.fabric)
        if self.reference is not None:
            self.share = metrics.share_explained(error, self.reference)
        if log is not None:
            log.evaluation(self.done, error, self.reference, shown)
        if error < self.best:
            self.best = error
            self.save(checkpoint.BEST)

    def save(self, name: str = checkpoint.LAST) -> None:
        """Write a checkpoint; that of the best weights has no optimiser."""
        if not self.fabric.is_global_zero:
            return
        kept = self.optimizer if name == checkpoint.LAST else None
        content = snapshot(self.model, self.average, kept, self.sums)
        facts = {
            "best": self.best,
            "data": self.material.fingerprint,
            "logged": self.logged,
            "seed": self.settings.train.seed,
            "share_explained": self.share,
            "system": self.material.system,
        }
        checkpoint.write(self.run / "checkpoints" / name, Checkpoint(content, self.done, facts))


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
