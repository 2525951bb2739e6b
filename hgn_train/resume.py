"""From the state of a run to the tensors of a checkpoint, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from hgn_train import checkpoint
from hgn_train.checkpoint import Checkpoint


def snapshot(
    model: nn.Module,
    average: nn.Module | None,
    optimizer: torch.optim.Optimizer | None,
    sums: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """The tensors of a checkpoint; without the optimiser, only those that are evaluated."""
    if optimizer is None:
        return {f"model.{name}": t for name, t in (average or model).state_dict().items()}
    tensors = {f"model.{name}": t for name, t in model.state_dict().items()}
    tensors |= {f"sums.{name}": t for name, t in sums.items()}
    if average is not None:
        tensors |= {f"average.{name}": t for name, t in average.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(t) for name, t in state.items()}
    return tensors


def restore(
    path: Path, model: nn.Module, average: nn.Module | None, optimizer: torch.optim.Optimizer
) -> tuple[Checkpoint, dict[str, Tensor]]:
    """Load a checkpoint into what is trained.

    Returns:
        The checkpoint, and the sums of metrics since their last line, where the model is.
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
    device = weights[0].device
    return saved, {name: t.to(device) for name, t in saved.part("sums").items()}
