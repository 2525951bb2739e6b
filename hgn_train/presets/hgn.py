"""Settings of HGN by name.

| preset | for | network | training |
| --- | --- | --- | --- |
| paper | a GPU | the authors' HGN: maps of 4×4, convolutional H, GECO | 15,625 steps of 16 |
| tuned | a GPU | the same less f_ψ, T and V in part quadratic, β-ELBO, from 5 frames | as many |
| plus | a GPU | the authors' HGN++: vectors, MLP H, β-ELBO, from 5 frames | 50,000 steps of 128 |
| small | a CPU | a light HGN++: 8 frames decoded of each rollout | minutes on 2 cores |
| long | a GPU, or patience | the same network, all trajectories | 20,000 steps of 32 |
| test | tests | as small as it can be | seconds |
"""

from __future__ import annotations

from typing import Any

SMALL: tuple[dict[str, Any], dict[str, Any]] = (
    {
        "inference_frames": 5,
        "anchor": "middle",
        "state": "vector",
        "transform": False,
        "encoder": ((32, 32), (64, 64), (64,)),
        "moments": 3,
        "standardize": True,
        "precise_encoder": True,
        "hamiltonian": (128, 128),
        "harmonic": True,
        "decoder": ((32,), (32,)),
        "shuffle": 2,
        "both_ways": True,
        "objective": "elbo",
        "beta": 0.01,
        "decoded": 8,
    },
    {
        "steps": 3000,
        "batch_size": 32,
        "trajectories": 10_000,
        "learning_rate": 2e-3,
        "warmup": 100,
        "final_learning_rate": 0.01,
        "clip": 0.02,
        "averaging": 0.998,
        "precision": "auto",
        "threads": 1,  # a rollout is thousands of small operations: more threads only wait
        "evaluate_every": 500,
        "save_every": 500,
    },
)

PRESETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "paper": ({}, {"precision": "auto"}),
    "tuned": (
        {
            "inference_frames": 5,
            "anchor": "middle",
            "transform": False,
            "standardize": True,
            "precise_encoder": True,
            "harmonic": True,
            "objective": "elbo",
            "beta": 0.01,
        },
        {
            "learning_rate": 1e-3,
            "warmup": 200,
            "final_learning_rate": 0.01,
            "clip": 0.02,
            "averaging": 0.999,
            "precision": "auto",
        },
    ),
    "plus": (
        {
            "inference_frames": 5,
            "anchor": "last",
            "state": "vector",
            "transform": False,
            "encoder": ((64, 64), (64, 64), (64, 64, 64)),
            "hamiltonian": (250, 250, 250, 250),
            "activation": "swish",
            "objective": "elbo",
            "beta": 0.1,
        },
        {"steps": 50_000, "batch_size": 128, "precision": "auto"},
    ),
    "small": SMALL,
    "long": (SMALL[0], SMALL[1] | {"steps": 20_000, "trajectories": 0}),
    "test": (
        {
            "frames": 10,
            "inference_frames": 3,
            "anchor": "middle",
            "resolution": 16,
            "state": "vector",
            "state_size": 4,
            "latent_size": 8,
            "encoder": ((8,), (16,)),
            "hamiltonian": (16, 16),
            "decoder": ((16,), (8,)),
            "maps": 8,
            "objective": "elbo",
            "beta": 0.01,
        },
        {
            "steps": 200,
            "batch_size": 16,
            "learning_rate": 5e-3,
            "warmup": 20,
            "final_learning_rate": 0.05,
            "clip": 1.0,
            "averaging": 0.98,
            "threads": 1,
            "log_every": 10,
            "evaluate_every": 50,
            "save_every": 50,
            "held_out": 32,
        },
    ),
}


REGULAR = ("mass_spring", "pendulum", "two_body")
"""Systems whose motion is not chaotic."""

CONTINUING: dict[str, Any] = {
    "consistency": 0.03,
    "consistency_delay": 300,
    "consistency_each": True,
}
"""What keeps rollouts of regular motion on track beyond the trained length."""

CONTINUING_MAPS: dict[str, Any] = CONTINUING | {"consistency": 0.01, "both_ways": True}

OF_SYSTEM: dict[str, dict[str, dict[str, Any]]] = {
    "tuned": dict.fromkeys(REGULAR, CONTINUING_MAPS),
    "long": dict.fromkeys(REGULAR, CONTINUING),
    "small": {
        "mass_spring": {"steps": 1000, **CONTINUING},
        "pendulum": {"steps": 6000, **CONTINUING},
        "two_body": {"steps": 5000, **CONTINUING},
        "three_body": {"steps": 6000},
    },
}
"""What differs between systems."""

MINUTES: dict[str, dict[str, int]] = {
    "small": {"mass_spring": 2, "pendulum": 13, "two_body": 11, "three_body": 10},
    "long": {"pendulum": 50, "two_body": 50, "three_body": 40},
}
"""About how long a run takes on one core of a current server, for the sentence of `auto`."""

IN_FLOAT32 = 2.1
"""How many times as long it takes on one of a server without bf16."""
