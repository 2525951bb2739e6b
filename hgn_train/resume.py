"""From a training to the tensors of a checkpoint, and back."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from hgn_train import checkpoint


def snapshot(
    model: nn.Module, average: nn.Module | None, optimizer: torch.optim.Optimizer | None
) -> dict[str, Tensor]:
    """The tensors of a checkpoint; without the optimiser, only those that are evaluated."""
    if optimizer is None:
        return {f"model.{name}": t for name, t in (average or model).state_dict().items()}
    tensors = {f"model.{name}": t for name, t in model.state_dict().items()}
    if average is not None:
        tensors |= {f"average.{name}": t for name, t in average.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(t) for name, t in state.items()}
    return tensors


def restore(
    path: Path, model: nn.Module, average: nn.Module | None, optimizer: torch.optim.Optimizer
) -> tuple[int, float, float]:
    """Load a checkpoint into what is trained.

    Returns:
        Updates that were done, the best held-out error, and the last share explained.
    """
    saved = checkpoint.read(path)
    checkpoint.load_weights(model, saved.part("model"), path)
    if average is not None:
        checkpoint.load_weights(average, saved.part("average"), path)
    state: dict[int, dict[str, Tensor]] = {}
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for name, tensor in saved.part("optimizer").items():
        index, key = name.split(".", 1)
        weight = weights[int(index)]
        if tensor.shape == weight.shape:  # a fused optimiser walks through memory side by side
            tensor = torch.empty_like(weight, requires_grad=False).copy_(tensor)
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )
    return saved.step, float(saved.facts["best"]), float(saved.facts["share_explained"])
