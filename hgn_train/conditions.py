"""Conditions that hold during training and are restored afterwards where possible."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Literal

import torch

from physim.errors import PhysimError


@contextlib.contextmanager
def stop_signals() -> Iterator[list[str]]:
    """Names of the stop signals received; the loop saves and stops at the next step."""
    received: list[str] = []
    before = {}
    with contextlib.suppress(ValueError):  # not the main thread: then nobody is sent signals
        for number in (signal.SIGTERM, signal.SIGINT):
            before[number] = signal.signal(
                number, lambda number, frame: received.append(signal.Signals(number).name)
            )
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Shared:
    """A setting of the whole process, which trainings in threads hold together.

    The first puts it in force, the last puts back what was before. PyTorch has some of them once a
    thread, so each thread sets it for itself.

    Arguments:
        name: For errors.
        get: What it is now.
        put: Change it.
    """

    def __init__(self, name: str, get: Callable[[], int], put: Callable[[int], None]) -> None:
        self.name, self.get, self.put = name, get, put
        self.holders, self.value, self.before = 0, 0, 0
        self.lock = threading.Lock()

    @contextlib.contextmanager
    def held(self, wanted: int) -> Iterator[None]:
        """In force meanwhile, or left alone where it is 0.

        Raises:
            PhysimError: A training in another thread has another one.
        """
        if not wanted:
            yield
            return
        with self.lock:
            if not self.holders:
                self.value, self.before = wanted, self.get()
            elif wanted != self.value:
                raise PhysimError(
                    f"{self.name}: got {wanted}, expected {self.value}, which a training in "
                    "another thread of this process has"
                )
            self.put(wanted)
            self.holders += 1
        try:
            yield
        finally:
            with self.lock:
                self.holders -= 1
                if not self.holders:
                    self.put(self.before)


_deterministic = Shared(
    "deterministic",
    torch.are_deterministic_algorithms_enabled,
    lambda value: torch.use_deterministic_algorithms(bool(value)),
)
_threads = Shared("threads", torch.get_num_threads, torch.set_num_threads)


def deterministic(wanted: bool) -> AbstractContextManager[None]:
    """Only deterministic algorithms while training, if wanted."""
    return _deterministic.held(wanted)


def threads(wanted: int) -> AbstractContextManager[None]:
    """So many threads while training, if wanted."""
    return _threads.held(wanted)


def deterministic_cublas() -> None:
    """Have cuBLAS repeat its sums; it reads this as it starts, and PyTorch demands it."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@contextlib.contextmanager
def flushed_denormals() -> Iterator[None]:
    """Numbers below 1e-38 as 0 while training: they are slow on a CPU. Each thread has its own."""
    before = not torch.tensor(1e-39)  # nothing tells, but this is 0 where they are
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def precision_of(device: torch.device) -> Literal["bf16-mixed", "32-true"]:
    """Bf16 where the device computes with it, else float32.

    A processor without its instructions converts every number, and takes several times as long.
    """
    if device.type == "cuda":
        has = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        told: Any = getattr(torch.cpu, "get_capabilities", dict)  # 2.11 may lack it
        can = told()
        has = can.get("avx512_bf16", False) or can.get("amx_bf16", False)
    return "bf16-mixed" if has else "32-true"


def full_float32() -> None:
    """Convolutions in float32 with all of its digits, from here on and in all threads.

    PyTorch lets GPUs round what enters them to ten bits; gradients of H made so do not keep it.
    """
    torch.backends.cudnn.allow_tf32 = False


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Numbers of mallopt(3) in glibc."""


def keep_memory() -> None:
    """Freed memory stays with the process, from here on, where the C library is glibc.

    By itself glibc gives arrays above 32 MiB back to the system, which clears their pages when the
    next training step asks for them again: a third of a step of the preset `paper` on a CPU.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(M_MMAP_THRESHOLD, 2**30)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
