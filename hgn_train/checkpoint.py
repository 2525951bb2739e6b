"""Checkpoints: one safetensors file with all tensors, and JSON in its header.

Names start with `model.` (weights as trained), `average.` (averaged weights, where kept) and
`optimizer.`; the header holds the step, the metrics and a checksum of the tensors. Loading reads
bytes and shapes, never code: nothing is unpickled. A file is written under a temporary name,
flushed and renamed, so that a checkpoint is either whole or the one before.

Random numbers and the order of data are determined by (seed, step) alone, so a checkpoint needs no
generator state, and a resumed run continues bit for bit on the CPU.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hgn_train import files, models, settings
from hgn_train.conditions import full_float32
from physim.errors import PhysimError

LAST = "last.safetensors"
BEST = "best.safetensors"


@dataclass
class Checkpoint:
    """What was saved.

    Attributes:
        tensors: By name, on the CPU.
        step: Updates that were done.
        facts: Anything else that is JSON.
    """

    tensors: dict[str, Tensor]
    step: int
    facts: dict[str, Any] = field(default_factory=dict)

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors whose names start with `name.`, without that."""
        start = f"{name}."
        return {
            key.removeprefix(start): t for key, t in self.tensors.items() if key.startswith(start)
        }


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint whole or not at all.

    Arguments:
        path: Where to.
        checkpoint: What.

    Raises:
        PhysimError: The disk is full or the folder cannot be written.
    """
    from safetensors.torch import save

    tensors = {
        name: tensor.detach().to("cpu", copy=True).contiguous()
        for name, tensor in checkpoint.tensors.items()
    }
    header = {
        "format": "hgn_train 1",
        "step": str(checkpoint.step),
        "facts": json.dumps(checkpoint.facts),
        "checksum": checksum(tensors),
    }
    with files.writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, save(tensors, header))


def read(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Arguments:
        path: Where it is.

    Returns:
        The checkpoint, its tensors on the CPU.

    Raises:
        PhysimError: There is none, it is damaged, or it is not one of ours.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise PhysimError(f"{path}: there is no such checkpoint")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        step, facts = int(header["step"]), json.loads(header["facts"])
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise PhysimError(f"{path}: damaged, or not a checkpoint of hgn-train ({error})") from None
    if header.get("checksum") != checksum(tensors):
        raise PhysimError(f"{path}: damaged, its checksum does not fit its tensors")
    return Checkpoint(tensors, step, facts)


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """BLAKE2 of names, shapes, types and bytes."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], source: Path) -> None:
    """Put weights into a model.

    Arguments:
        model: Where to.
        weights: By name.
        source: Where they come from, for errors.

    Raises:
        PhysimError: Names or shapes are not those of the model.
    """
    own = model.state_dict()
    for name, tensor in own.items():
        if name not in weights:
            raise PhysimError(f"{source}: holds no '{name}', which the model of this run has")
        if weights[name].shape != tensor.shape:
            raise PhysimError(
                f"{source}: '{name}' has shape {tuple(weights[name].shape)}, "
                f"expected {tuple(tensor.shape)} for the model of this run"
            )
    for name in weights:
        if name not in own:
            raise PhysimError(f"{source}: holds '{name}', which the model of this run has not")
    model.load_state_dict(dict(weights))


def kept(run: Path) -> tuple[Path, Checkpoint, dict[str, Tensor]]:
    """The weights of a run that are evaluated: the best, or the last while there are no others.

    Arguments:
        run: Folder of the run.

    Returns:
        Path of the checkpoint, the checkpoint, and the weights by name.

    Raises:
        PhysimError: There is no checkpoint, or it is damaged.
    """
    path = run / "checkpoints" / BEST
    if not path.is_file():
        path = run / "checkpoints" / LAST
    saved = read(path)
    return path, saved, saved.part("average") or saved.part("model")


def load_model(
    run: Path, device: torch.device
) -> tuple[nn.Module, settings.RunSettings, Checkpoint]:
    """The best model of a run, ready for evaluation.

    Arguments:
        run: Folder of the run.
        device: Where the model is wanted.

    Returns:
        The model in evaluation mode, the settings of the run, and the checkpoint.

    Raises:
        PhysimError: There is no run, or its checkpoint is damaged.
    """
    full_float32()
    chosen = settings.load(run)
    path, saved, weights = kept(run)
    model: Any = models.find(chosen.model).build(chosen.network)
    load_weights(model, weights, path)
    return model.to(device, memory_format=torch.channels_last).eval(), chosen, saved
