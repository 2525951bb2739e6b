"""Judging a run of a flow: bounds of the log-density of points that it has not seen.

Bounds of k = 1, 2, 8, … momenta a point come from the same momenta, so that they differ by k
alone. Where the target is a density that is known, its own log-density of the same points stands
beside them: the difference of the two is the divergence of the flow from the target, and more
certain than either. Numbers go to `evaluation.json`, what is drawn later to `evaluation.npz`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hgn_train import checkpoint, metrics, points
from hgn_train.evaluation import elsewhere, spline_flow
from hgn_train.evaluation.density_report import comparisons, lead, pictures, rows
from hgn_train.evaluation.density_table import tables
from hgn_train.evaluation.results import also_chose, keep, training_facts
from hgn_train.models.nhf import bound

__all__ = ["comparisons", "evaluate", "lead", "pictures", "rows", "tables"]

KS = (1, 2, 8, 32, 128)
"""Momenta a point of the bounds that are reported; each divides the next."""

DRAWN = 20_000
"""Points of target and flow in the pictures."""

FOLLOWED = 2000
"""Points that are followed from the base to the data."""

GRID = 81
"""Places along an axis where a function of the plane is looked at."""


def evaluate(
    run: Path,
    device: torch.device,
    n: int = 5000,
    extra: int | None = None,
    folder: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Judge a run.

    Arguments:
        run: Its folder.
        device: Where to compute.
        n: Points of each part.
        extra: Of no meaning here.
        folder: Another target than the run's own.
        say: Called with what is being done.

    Returns:
        The results, as written to `evaluation.json`.

    Raises:
        PhysimError: No run, a damaged checkpoint, or points that do not fit.
    """
    started = time.perf_counter()
    found, settings, _ = checkpoint.load_model(run, device)
    model: Any = found
    if not folder:
        elsewhere.check_there(run, settings)
    target = points.open_points(folder or settings.data, settings.network)
    results: dict[str, Any] = {
        "system": target.system,
        "data": folder or settings.data,
        "settings": json.loads((run / "config.json").read_text()),
        "parameters": sum(w.numel() for w in model.parameters() if w.requires_grad),
        "training": training_facts(run),
        "dimension": target.dimension,
        "points": len(target.first),
        "splits": {},
    }
    for name, some in (("train", target.first), ("test", target.rest)):
        some = some[:n]
        say(f"{name}: {len(some)} points")
        log_weights = weights_of(model, some.to(device), max(KS))
        true = None if target.density is None else target.density.log_prob(some.double())
        results["splits"][name] = judge_split(log_weights, true, gaussian(target.first, some))
    place = elsewhere.folder_of(run, settings, results["data"])
    if place == run:
        results["splits"]["test"] |= also_chose(results["settings"], len(target.rest), n)
    generator = torch.Generator(device).manual_seed(1)
    say("samples")
    samples = model.sample((DRAWN,), generator).cpu()
    if target.density is not None:
        results["entropy"] = target.density.entropy
        results["strays"] = strays(target, samples)
    results["spline_flow"] = spline_flow.found(run) if place == run else None
    arrays = {"target": target.rest[:DRAWN].numpy(), "samples": samples.numpy()}
    say("pictures")
    arrays |= followed(model, generator)
    arrays |= surfaces(model)
    if target.dimension <= 2:
        arrays |= log_density(model, target.rest)
    results["seconds"] = time.perf_counter() - started
    keep(place, results, arrays)
    return results


@torch.no_grad()
def weights_of(model: Any, some: Tensor, k: int) -> Tensor:
    """Log-weights of `k` momenta a point, always the same random numbers, (k, n) on the CPU."""
    generator = torch.Generator(some.device).manual_seed(0)
    parts = []
    for part in some.split(max(1, 2**13 // k)):
        noise = torch.randn((k, *part.shape), generator=generator, device=some.device)
        parts.append(model.log_weights(part, noise).cpu().double())
    return torch.cat(parts, 1)


def judge_split(log_weights: Tensor, true: Tensor | None, fitted: Tensor) -> dict[str, Any]:
    """Means over points with standard errors: the bound of each k, and what it stands beside."""
    bounds = {
        k: torch.stack([bound(part) for part in log_weights.split(k)]).mean(0).numpy() for k in KS
    }
    best = bounds[KS[-1]]
    mean, standard_error = metrics.mean_and_standard_error(best)
    results = {
        "points": len(best),
        "log_prob": mean,
        "standard_error": standard_error,
        "bounds": {str(k): float(values.mean()) for k, values in bounds.items()},
        "gaussian": float(fitted.mean()),
    }
    if true is not None:
        gap, error = metrics.mean_and_standard_error(true.numpy() - best)
        results |= {"true": float(true.mean()), "gap": gap, "gap_error": error}
    return results


def gaussian(first: Tensor, some: Tensor) -> Tensor:
    """Log-density of some points under the one Gaussian that fits those to train on."""
    first, some = first.double(), some.double()
    centred = first - first.mean(0)
    covariance = centred.T @ centred / len(first)
    covariance += 1e-9 * covariance.diagonal().mean() * torch.eye(len(covariance)).double()
    return torch.distributions.MultivariateNormal(first.mean(0), covariance).log_prob(some)


def strays(target: points.Points, samples: Tensor) -> float:
    """Share of samples where the target is thinner than at all but 0.1 % of its own points."""
    assert target.density is not None  # noqa: S101 - asked only where it is known
    own = target.density.log_prob(target.rest.double())
    there = target.density.log_prob(samples.double())
    return float((there < own.quantile(0.001) - 1e-9).double().mean())


@torch.no_grad()
def followed(model: Any, generator: torch.Generator) -> dict[str, np.ndarray]:
    """States of some samples from the base to the data, after each step, (n, times, d) each."""
    q, p = model.path(*model.start((FOLLOWED, model.settings.dimension), generator))
    return {
        "path_q": (model.centre + model.deviation * q).cpu().numpy(),
        "path_p": p.cpu().numpy(),
    }


@torch.no_grad()
def surfaces(model: Any) -> dict[str, np.ndarray]:
    """V and K of each Hamiltonian over the plane of their first two coordinates, others at 0.

    Returns:
        `axis`, (places,), in units of the standardised data, and `potential` and `kinetic`,
        (stages, places, places), the first axis of the plane first; (stages, places) for a line.
    """
    axis = torch.linspace(-4, 4, GRID, device=model.centre.device)
    size = model.settings.dimension
    shown = min(size, 2)
    plane = torch.cartesian_prod(*[axis] * shown).reshape(-1, shown)
    state = torch.zeros(len(plane), size, device=axis.device)
    state[:, :shown] = plane
    shape = [GRID] * shown
    return {
        "axis": axis.cpu().numpy(),
        "potential": np.stack(
            [h.potential(state).reshape(shape).cpu().numpy() for h in model.stages]
        ),
        "kinetic": np.stack([h.kinetic(state).reshape(shape).cpu().numpy() for h in model.stages]),
    }


def log_density(model: Any, some: Tensor) -> dict[str, np.ndarray]:
    """The bound of 32 momenta on a grid around the points, of one or two dimensions."""
    low, high = edges(some)
    axes = [torch.linspace(float(a), float(b), GRID) for a, b in zip(low, high, strict=True)]
    places = torch.cartesian_prod(*axes).reshape(-1, some.shape[1]).to(model.centre)
    values = bound(weights_of(model, places, 32))
    return {
        "edges": np.stack([low, high]),
        "log_density": values.reshape([GRID] * some.shape[1]).float().numpy(),
    }


def edges(some: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The box of nearly all points, a tenth wider on each side."""
    low, high = (some.double().quantile(share, 0).numpy() for share in (0.001, 0.999))
    return low - 0.1 * (high - low), high + 0.1 * (high - low)
