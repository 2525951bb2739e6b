"""Seconds per training step, by preset and precision, on the CPU: `python -m benchmarks train`.

The first rows are the paper's network on batches of 16 rollouts of 30 frames, autoencoding and
from 5 frames, with 29 leapfrog steps, each beside the same step written plainly
(`benchmarks/plain_step.py`), and beside ours with PyTorch's convolutions; the last ones what
`small` does. A step is gathering the batch, forward, backward, clipping and the optimiser.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Any

from benchmarks.measure import median, save, table

FIVE = {"inference_frames": 5}
PLAIN = "float32, plain"
LIBRARY = "float32, PyTorch's convolutions"
CASES: tuple[tuple[str, str, dict[str, Any], int, str], ...] = (
    ("paper, from 30 frames", "paper", {}, 16, PLAIN),
    ("paper, from 30 frames", "paper", {}, 16, LIBRARY),
    ("paper, from 30 frames", "paper", {}, 16, "float32"),
    ("paper, from 30 frames", "paper", {}, 16, "bf16"),
    ("paper, from 5 frames", "paper", FIVE, 16, PLAIN),
    ("paper, from 5 frames", "paper", FIVE, 16, LIBRARY),
    ("paper, from 5 frames", "paper", FIVE, 16, "float32"),
    ("paper, from 5 frames", "paper", FIVE, 16, "bf16"),
    ("small", "small", {}, 32, LIBRARY),
    ("small", "small", {}, 32, "float32"),
    ("small", "small", {}, 32, "bf16"),
)


def step_seconds(
    preset: str, changes: dict[str, Any], batch_size: int, way: str, repeats: int = 5
) -> dict[str, Any]:
    """Median wall and processor seconds of a step on random frames, after two steps."""
    import torch

    from benchmarks import plain_step
    from hgn_train.convolution import by_library
    from hgn_train.models.hgn import HGN
    from hgn_train.presets import settings_of

    network = settings_of(preset, "", network=changes).network
    model: Any = HGN(network)
    if way != PLAIN:
        model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    generator = torch.Generator().manual_seed(0)
    shape = (64, network.frames, network.resolution, network.resolution, network.channels)
    images = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    walls, processor = [], []
    for _ in range(repeats + 2):
        wall, cpu = time.perf_counter(), time.process_time()
        index = torch.randint(len(images), (batch_size,), generator=generator)
        batch = {"image": images[index]}
        draws = model.draws(batch_size, generator)
        with (
            torch.autocast("cpu", torch.bfloat16, enabled=way == "bf16"),
            by_library() if way == LIBRARY else nullcontext(),
        ):
            if way == PLAIN:
                loss = plain_step.loss(model, batch, draws)
            else:
                loss = model(batch, draws)["loss"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        walls.append(time.perf_counter() - wall)
        processor.append(time.process_time() - cpu)
    return {
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "seconds per step": median(walls[2:]),
        "processor seconds per step": median(processor[2:]),
        "rollouts/s": batch_size / median(walls[2:]),
    }


def main() -> dict[str, Any]:
    """Print the table and return its rows."""
    import torch

    from hgn_train.conditions import keep_memory, precision_of

    keep_memory()  # as training does
    rows: list[dict[str, Any]] = []
    plain = {}
    usual = precision_of(torch.device("cpu"))
    for name, preset, changes, batch_size, way in CASES:
        slow = way == "bf16" and usual == "32-true"  # once tells enough, and takes a minute
        cells = step_seconds(preset, changes, batch_size, way, 1 if slow else 5)
        if way == PLAIN:
            plain[name] = cells["seconds per step"]
        times = plain[name] / cells["seconds per step"] if name in plain else "–"
        case = {"network": name, "batch": batch_size, "step": way}
        rows.append(case | cells | {"times as fast as plain": times})
    print(table(f"A training step on {torch.get_num_threads()} threads", rows))
    print(f"`precision=auto` takes `{usual}` here.\n")
    return {"steps": rows, "threads": torch.get_num_threads()}


if __name__ == "__main__":
    print(save("train", main()))
