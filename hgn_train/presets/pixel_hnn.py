"""Settings of the pixel HNN by name.

| preset | for | autoencoder | training |
| --- | --- | --- | --- |
| paper | a GPU | the authors': dense, 3 × 200 each way | 10,000 steps of 200 |
| conv | a GPU | encoder and decoder of the HGN | 10,000 steps of 200 |
| small | a CPU | as `paper` | 5,000 steps of 50, falling learning rate |
| small-conv | a CPU | encoder and decoder of the small HGN | the same, in steps of 32 |
| test | tests | as small as it can be | seconds |
"""

from __future__ import annotations

from typing import Any

PAPER: dict[str, Any] = {
    "steps": 10_000,
    "batch_size": 200,
    "learning_rate": 1e-3,
    "weight_decay": 1e-5,
}

SMALL: dict[str, Any] = PAPER | {
    "steps": 5000,
    "batch_size": 50,
    "final_learning_rate": 0.01,
    "trajectories": 5000,
    "threads": 1,
    "evaluate_every": 1000,
    "save_every": 1000,
}

PRESETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "paper": ({}, PAPER),
    "conv": ({"autoencoder": "convolutional"}, PAPER),
    "small": ({}, SMALL),
    "small-conv": (
        {
            "autoencoder": "convolutional",
            "encoder": ((32, 32), (64, 64), (64,)),
            "decoder": ((32,), (32,)),
            "shuffle": 2,
        },
        SMALL | {"batch_size": 32, "precision": "auto"},
    ),
    "test": (
        {
            "frames": 10,
            "resolution": 16,
            "width": 32,
            "encoder": ((8,), (16,)),
            "decoder": ((16,), (8,)),
            "maps": 8,
            "hamiltonian": (32, 32),
        },
        {
            "steps": 200,
            "batch_size": 32,
            "learning_rate": 3e-3,
            "log_every": 10,
            "evaluate_every": 50,
            "save_every": 50,
            "held_out": 32,
        },
    ),
}
