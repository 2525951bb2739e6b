"""Settings of the HNN and of its baseline by name.

| preset | network | training |
| --- | --- | --- |
| paper | 2 × 200, tanh | Adam 1e-3; spring and pendulum 2,000 steps of all states, bodies 10,000 |
| cosine | the same | the same, but the learning rate falls to a hundredth on a cosine |
| test | 2 × 32, tanh | seconds |
"""

from __future__ import annotations

from typing import Any

PAPER: dict[str, Any] = {
    "steps": 2000,
    "batch_size": 200,
    "learning_rate": 1e-3,
    "weight_decay": 1e-4,
    "threads": 1,
    "log_every": 100,
    "evaluate_every": 0,  # the last weights are kept, so the test split chooses nothing
    "held_out": 10_000,
}

PRESETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "paper": ({}, PAPER),
    "cosine": ({}, PAPER | {"final_learning_rate": 0.01}),
    "test": (
        {"hidden": (32, 32)},
        {
            "steps": 600,
            "batch_size": 64,
            "learning_rate": 5e-3,
            "final_learning_rate": 0.05,
            "log_every": 20,
            "evaluate_every": 0,
        },
    ),
}

TASKS: dict[str, dict[str, Any]] = {
    "mass_spring": {"batch_size": 750},
    "pendulum": {"batch_size": 1125},
    "two_body": {"steps": 10_000, "weight_decay": 0.0},
    "three_body": {"steps": 10_000, "batch_size": 600},
}

OF_SYSTEM: dict[str, dict[str, dict[str, Any]]] = {"paper": TASKS, "cosine": TASKS}
"""What of the training differs between systems."""
