"""Settings of neural Hamiltonian flows by name.

| preset | for | flow | training |
| --- | --- | --- | --- |
| paper | the shape of the paper's figure | one H: 2 × 128, softplus; 2 leapfrog steps | 5,000 steps of 512 |
| small | a CPU | eight H, a step along each: 1 × 128, tanh | 6,000 steps of 256 |
| test | tests | two H: 1 × 16 | seconds |
"""  # noqa: E501 - a table

from __future__ import annotations

from typing import Any

SHARED: dict[str, Any] = {
    "warmup": 100,
    "final_learning_rate": 0.01,
    "clip": 1.0,
    "averaging": 0.998,
    "threads": 1,  # thousands of small operations: more threads only wait
}

PRESETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "paper": (
        {},
        SHARED
        | {
            "steps": 5000,
            "batch_size": 512,
            "learning_rate": 2e-3,
            "evaluate_every": 1000,
            "save_every": 1000,
            "held_out": 1024,
        },
    ),
    "small": (
        {
            "stages": 8,
            "substeps": 1,
            "hamiltonian": (128,),
            "activation": "tanh",
            "harmonic": True,
            "encoder": (64, 64),
        },
        SHARED
        | {
            "steps": 6000,
            "batch_size": 256,
            "learning_rate": 5e-3,
            "evaluate_every": 1000,
            "save_every": 1000,
            "held_out": 1024,
        },
    ),
    "test": (
        {
            "stages": 2,
            "substeps": 1,
            "hamiltonian": (16,),
            "activation": "tanh",
            "harmonic": True,
            "encoder": (16,),
        },
        {
            "steps": 300,
            "batch_size": 16,
            "learning_rate": 1e-2,
            "warmup": 20,
            "final_learning_rate": 0.05,
            "clip": 1.0,
            "averaging": 0.98,
            "log_every": 10,
            "evaluate_every": 100,
            "save_every": 50,
        },
    ),
}
