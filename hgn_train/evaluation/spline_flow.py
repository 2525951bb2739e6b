"""A neural spline flow beside a Hamiltonian one: as many weights, trained for as long.

Durkan, Bekasov, Murray and Papamakarios (2019), "Neural Spline Flows", as `zuko` has it:
autoregressive, three transforms, two hidden layers, whose width is chosen for the number of
weights. It sees the same points in the same order, with Adam, a cosine of the learning rate,
clipping and averaged weights as the run has them, until it has used as much processor time. Its
log-density is exact, not a bound.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hgn_train import conditions, files, metrics, models, points, settings
from physim.errors import PhysimError

FILE = "spline.json"
TRANSFORMS = 3
LEARNING_RATE = 2e-3
JUDGED = 5000


def found(run: Path) -> dict[str, Any] | None:
    """What `fit` wrote into the folder of a run, or None."""
    path = run / FILE
    return json.loads(path.read_text()) if path.is_file() else None


def fit(run: Path, say: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Train a spline flow on the target of a run, on the CPU, and write `spline.json` there.

    Arguments:
        run: Folder of a finished run of a flow.
        say: Called with what is being done.

    Returns:
        `log_prob` and `standard_error` on test points, `parameters`, `steps`, `processor_seconds`.

    Raises:
        PhysimError: `zuko` is not installed, or the run is not that of a flow.
    """
    try:
        import zuko
    except ModuleNotFoundError:
        raise PhysimError(
            "--spline-flow: needs zuko, which is not installed; expected `pip install zuko`"
        ) from None
    chosen = settings.load(run)
    if chosen.model != "nhf":
        raise PhysimError(f"--spline-flow: got a run of '{chosen.model}', expected one of 'nhf'")
    timing = run / "timing.json"
    if not timing.is_file():
        raise PhysimError(f"{run}: its training has not ended; expected --resume first")
    seconds = json.loads(timing.read_text())["processor_seconds"]
    t = chosen.train
    target = points.open_points(chosen.data, chosen.network)
    cpu = torch.device("cpu")
    rows = target.train(("points",), cpu, t.batch_size, t.seed, t.trajectories)
    parameters = size(models.find("nhf").build(chosen.network))

    def flow(width: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(t.seed)
            return zuko.flows.NSF(
                target.dimension, transforms=TRANSFORMS, hidden_features=(width, width)
            )

    model = flow(min(range(4, 513, 4), key=lambda width: abs(size(flow(width)) - parameters)))
    say(f"spline flow of {size(model):,} weights, {seconds:.0f} s of processor time")
    centre, deviation = target.first.mean(0), target.first.std(0)
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=0.0)
    step, share = 0, 0.0
    with conditions.threads(t.threads):
        began = time.process_time()
        while share < 1:
            rate = LEARNING_RATE * min(1, (step + 1) / 100) * (1 + math.cos(math.pi * share)) / 2
            for group in optimizer.param_groups:
                group["lr"] = rate
            batch = (rows.batch(step)["points"] - centre) / deviation
            loss = -model().log_prob(batch).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            decay = min(t.averaging, (1 + step) / (10 + step))
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
            step += 1
            share = (time.process_time() - began) / seconds
    with torch.no_grad():
        some = (target.rest[:JUDGED] - centre) / deviation
        values = average().log_prob(some).double() - float(deviation.double().log().sum())
    mean, standard_error = metrics.mean_and_standard_error(values.numpy())
    facts = {
        "log_prob": mean,
        "standard_error": standard_error,
        "points": len(values),
        "parameters": size(model),
        "steps": step,
        "processor_seconds": seconds,
    }
    files.write(run / FILE, json.dumps(facts) + "\n")
    return facts


def size(model: nn.Module) -> int:
    """Weights that are trained."""
    return sum(w.numel() for w in model.parameters() if w.requires_grad)
