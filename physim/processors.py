"""How many processors this process may use."""

from __future__ import annotations

import os


def available() -> int:
    """Those that the system lets this process run on, where it says; else those that there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
