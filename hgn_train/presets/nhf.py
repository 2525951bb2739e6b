"""Settings of neural Hamiltonian flows by name.

| preset | for | flow | training |
| --- | --- | --- | --- |
| paper | the paper's figure | one H: 2 × 128, tanh, quadratic parts; 4 steps of 0.5 | 3,000 steps of 256 |
| small | a CPU | eight H, a step of 1 along each: 1 × 128, tanh, quadratic parts | 3,000 or 5,000 steps of 256 |
| test | tests | two H: 1 × 16 | seconds |
"""  # noqa: E501 - a table

from __future__ import annotations

from typing import Any

SHARED: dict[str, Any] = {
    "steps": 3000,
    "batch_size": 256,
    "learning_rate": 5e-3,
    "warmup": 100,
    "final_learning_rate": 0.01,
    "clip": 1.0,
    "averaging": 0.998,
    "threads": 1,  # thousands of small operations: more threads only wait
    "evaluate_every": 1000,
    "save_every": 1000,
    "held_out": 1024,
}

FLOW: dict[str, Any] = {"activation": "tanh", "harmonic": True, "encoder": (64, 64)}

PRESETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "paper": (FLOW | {"substeps": 4, "hamiltonian": (128, 128)}, SHARED),
    "small": (FLOW | {"stages": 8, "substeps": 1, "dt": 1.0, "hamiltonian": (128,)}, SHARED),
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

THIN: dict[str, Any] = {"steps": 5000}
OF_SYSTEM: dict[str, dict[str, dict[str, Any]]] = {
    "small": {"spirals": THIN, "rings": THIN, "checkerboard": THIN},
}
"""What is thin or has sharp edges takes longer."""
