"""What cards share: front matter, and the laws of a recipe in words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from physim.systems.parameters import Distribution

_ORDERS = ("", "1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B")


def front_matter(
    name: str, systems: Iterable[str], total: int, configs: Mapping[str, Mapping[str, str]]
) -> str:
    """What the Hugging Face Hub reads at the top of a card.

    Arguments:
        name: Name of the data set.
        systems: Names of the systems, as tags.
        total: Total number of trajectories.
        configs: Name of each configuration to its splits and the paths of their files.

    Returns:
        YAML between lines of dashes.

    Example:
        >>> print(front_matter("mine", ["pendulum"], 5000, {"default": {"train": "train/*.h5"}}))
        ---
        pretty_name: "mine"
        license: apache-2.0
        size_categories:
        - 1K<n<10K
        tags:
        - physics
        - hamiltonian
        - dynamics
        - video
        - pendulum
        configs:
        - config_name: default
          data_files:
          - split: train
            path: "train/*.h5"
        ---
        <BLANKLINE>
    """
    order = max(0, len(str(total)) - 3)
    lines = [
        "---",
        f"pretty_name: {json.dumps(name, ensure_ascii=False)}",
        "license: apache-2.0",
        "size_categories:",
        f"- {_ORDERS[order]}<n<{_ORDERS[order + 1]}" if order else "- n<1K",
        "tags:",
        *(f"- {tag}" for tag in ("physics", "hamiltonian", "dynamics", "video", *systems)),
        "configs:",
    ]
    for config, splits in configs.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for split, path in splits.items():
            lines += [f"  - split: {split}", f"    path: {json.dumps(path)}"]
    return "\n".join([*lines, "---", ""])


def apart(dt: float) -> str:
    """The spacing of frames, in words.

    Arguments:
        dt: Time between them.

    Returns:
        The words.

    Example:
        >>> apart(-0.1)
        '0.1 units of time apart, backward in time'
    """
    return f"{abs(dt):g} units of time apart" + ", backward in time" * (dt < 0)


def law(value: Any) -> str:
    """A parameter's entry in a recipe, in words: `1`, `0.5 … 1.5`, `0.1 … 1 (area)`.

    Arguments:
        value: A number, a law with its bounds, or a list of these.

    Returns:
        The words.

    Example:
        >>> law([1.0, {"uniform": [0.5, 1.5]}])
        '1, 0.5 … 1.5'
    """
    if isinstance(value, list):
        return ", ".join(law(row) for row in value)
    if isinstance(value, Mapping):
        kind, (low, high) = next(iter(value.items()))
        return str(Distribution(kind, low, high))
    return f"{value:g}"
