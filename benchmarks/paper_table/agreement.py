"""Whether the step that trains here is the step as it is written down: in float64, and plainly."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

from benchmarks.paper_table.cells import Scale

TRAJECTORIES = 4

LIMITS = {"float32": (1e-3, 1e-2), "bf16": (1e-2, 0.1)}
"""What loss and gradient may be away: some thousand sums of 24 and of 8 bits."""


def compared(scale: Scale, device: str) -> list[dict[str, Any]]:
    """Loss and gradient of a batch of random frames beside `benchmarks.plain_step` in float64.

    Arguments:
        scale: Whose presets.
        device: `cpu` or `cuda`, where both are computed.

    Returns:
        For each preset and precision, how far loss and gradient are away, relative to what they
        should be, and whether that is within `LIMITS`.
    """
    import torch

    from benchmarks.step import precisions
    from hgn_train.conditions import full_float32

    full_float32()
    place = torch.device(device)
    return [
        beside_plain(preset, scale, place, precision)
        for preset in ([scale.preset] if scale.preset else ["paper", "tuned"])
        for precision in precisions(place)
    ]


def beside_plain(preset: str, scale: Scale, device: Any, precision: str) -> dict[str, Any]:
    """The row of one preset and precision."""
    import torch

    from benchmarks import plain_step
    from hgn_train.models.hgn import HGN
    from hgn_train.presets import settings_of

    torch.manual_seed(0)
    model: Any = HGN(settings_of(preset, "", network=dict(scale.network)).network)
    s = model.settings
    generator = torch.Generator().manual_seed(0)
    shape = (TRAJECTORIES, s.frames, s.resolution, s.resolution, s.channels)
    image = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    draws = {n: x.to(device) for n, x in model.draws(TRAJECTORIES, generator).items()}
    batch = {"image": image.to(device)}
    model = model.to(device, memory_format=torch.channels_last)
    model.prepare(batch)
    true_model = copy.deepcopy(model).to(device, memory_format=torch.contiguous_format).double()

    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        loss = model(batch, draws)["loss"]
    found = gradient_of(model, loss)
    with float64():
        doubled = {name: value.double() for name, value in draws.items()}
        true_loss = plain_step.loss(true_model, batch, doubled)
        truth = gradient_of(true_model, true_loss)
    away = {
        "loss": abs(float(loss.detach().double() / true_loss.detach()) - 1),
        "gradient": float((found - truth).norm() / truth.norm()),
    }
    within = all(x <= most for x, most in zip(away.values(), LIMITS[precision], strict=True))
    return {"preset": preset, "precision": precision, **away, "within": within}


def gradient_of(model: Any, loss: Any) -> Any:
    """Of all weights that have one, joined, in float64."""
    import torch

    loss.backward()
    parts = [w.grad.double().flatten() for w in model.parameters() if w.grad is not None]
    return torch.cat(parts)


@contextlib.contextmanager
def float64() -> Iterator[None]:
    """Where a model says float(), which means at least float32, have it mean float64."""
    import torch

    with mock.patch.object(torch.Tensor, "float", torch.Tensor.double):
        yield


def said(rows: Sequence[dict[str, Any]]) -> str:
    """In a line."""
    parts = [
        f"{row['preset']} in {row['precision']}: loss {row['loss']:.1e}, "
        f"gradient {row['gradient']:.1e}" + ("" if row["within"] else " (too far)")
        for row in rows
    ]
    return f"away from the plain step in float64: {'; '.join(parts)}"
