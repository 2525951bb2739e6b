"""Seconds a training step, by preset and precision, on the CPU: `python -m benchmarks train`.

The first rows are the paper's network on batches of 16 rollouts of 30 frames, autoencoding and
from 5 frames, with 29 leapfrog steps; the last ones what `small` does. A step is gathering the
batch, forward, backward, clipping and the optimiser.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks.measure import median, save, table

CASES: tuple[tuple[str, str, dict[str, Any], int, bool], ...] = (
    ("paper, from 30 frames", "paper", {}, 16, False),
    ("paper, from 30 frames", "paper", {}, 16, True),
    ("paper, from 5 frames", "paper", {"inference_frames": 5}, 16, False),
    ("paper, from 5 frames", "paper", {"inference_frames": 5}, 16, True),
    ("small", "small", {}, 32, False),
    ("small", "small", {}, 32, True),
)


def step_seconds(
    preset: str, changes: dict[str, Any], batch_size: int, bf16: bool, repeats: int = 5
) -> dict[str, Any]:
    """Median wall and processor seconds of a step on random frames."""
    import torch

    from hgn_train.models.hgn import HGN
    from hgn_train.presets import settings_of

    network = settings_of(preset, "", network=changes).network
    model = HGN(network).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    generator = torch.Generator().manual_seed(0)
    shape = (64, network.frames, network.resolution, network.resolution, network.channels)
    images = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    walls, processor = [], []
    for _ in range(repeats + 2):
        wall, cpu = time.perf_counter(), time.process_time()
        index = torch.randint(len(images), (batch_size,), generator=generator)
        draws = model.draws(batch_size, generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model({"image": images[index]}, draws)["loss"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        walls.append(time.perf_counter() - wall)
        processor.append(time.process_time() - cpu)
    return {
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "seconds a step": median(walls[2:]),
        "processor seconds a step": median(processor[2:]),
        "rollouts/s": batch_size / median(walls[2:]),
    }


def main() -> dict[str, Any]:
    """Print the table and return its rows."""
    import torch

    rows = []
    for name, preset, changes, batch_size, bf16 in CASES:
        precision = "bf16" if bf16 else "float32"
        cells = step_seconds(preset, changes, batch_size, bf16)
        rows.append({"network": name, "batch": batch_size, "precision": precision, **cells})
    print(table(f"A training step on {torch.get_num_threads()} threads", rows))
    return {"steps": rows, "threads": torch.get_num_threads()}


if __name__ == "__main__":
    print(save("train", main()))
