"""What a device has room for, and one copy there for all trainings of a process."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Hashable
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor


def whole(split: Any, name: str, rows: tuple[int, int], device: torch.device) -> Tensor:
    """Rows of an array, from one up to another, on the device."""
    array = np.asarray(getattr(split, name)[slice(*rows)])
    return torch.from_numpy(tensor_ready(array)).to(device)


_held: WeakValueDictionary[Hashable, Tensor] = WeakValueDictionary()
_reading: WeakValueDictionary[Hashable, threading.Lock] = WeakValueDictionary()
_looking = threading.Lock()


def shared(split: Any, name: str, rows: tuple[int, int], device: torch.device) -> Tensor:
    """As `whole`, but read once for all trainings of this process that hold it at a time."""
    files = tuple((path, path.stat().st_mtime_ns) for path in split.paths)
    key = (files, name, rows, str(device))
    with _looking:
        mine = _reading.setdefault(key, threading.Lock())
    with mine:
        found = _held.get(key)
        if found is None:
            found = whole(split, name, rows, device)
            if device.type == "cuda":
                torch.cuda.synchronize(device)  # others use it on streams of their own
            _held[key] = found
    return found


def tensor_ready(array: np.ndarray) -> np.ndarray:
    """Networks compute in float32; images stay bytes."""
    array = np.ascontiguousarray(array)
    return array.astype(np.float32) if array.dtype == np.float64 else array


def free_memory(device: torch.device) -> float:
    """Bytes that are free on a device, or can be made so: what files fill by the way is."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return min(_available(), _below_limits())


ROOT = Path("/")


def _available() -> float:
    """Bytes that the machine can give without swapping; where it does not say, those it has."""
    for line in _text(ROOT / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return 1024.0 * int(line.split()[1])
    return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


GROUPS = {
    "": ("", "memory.max", "memory.current", "inactive_file"),
    "memory": ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Where control groups of version 2 and 1 say what they may use, and use: folder and names."""


def _below_limits() -> float:
    """Bytes that the control groups of this process, such as a container, leave to it."""
    left = math.inf
    for line in _text(ROOT / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in GROUPS.keys() & set(controllers.split(",")):
            folder, *names, files = GROUPS[controller]
            inside = Path(path.lstrip("/"))
            for group in (inside, *inside.parents):  # a container may see itself as the root
                place = ROOT / "sys/fs/cgroup" / folder / group
                limit, used = (_text(place / name).strip() for name in names)
                if limit.isdigit() and used.isdigit():
                    words = (row.split() for row in _text(place / "memory.stat").splitlines())
                    spare = sum(int(value) for name, value in words if name == files)
                    left = min(left, float(int(limit) - int(used) + spare))
    return left


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
