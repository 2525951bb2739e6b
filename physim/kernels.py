"""Compiled functions: declared once, compiled when first needed, kept on disk."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numba
from numba.core import event

subroutine = numba.njit(error_model="numpy")
"""Compiles a function that kernels of the same file call; a division by zero is inf or nan."""

inlined = numba.njit(error_model="numpy", forceinline=True)
"""The same for what is called so often that even passing the arrays on would count."""


NO_CACHE = (
    "compiled functions cannot be kept, neither beside the package nor in the home directory, and "
    "are compiled anew by each process; NUMBA_CACHE_DIR may name a folder for them"
)


def start_without_scipy() -> None:
    """Load Numba's functions for arrays without those that SciPy's BLAS computes.

    Numba imports SciPy for them when it first compiles, which takes longer than loading all our
    kernels, and no kernel multiplies matrices. For a process that compiles nothing but kernels.
    """
    if "scipy" in sys.modules:
        return
    sys.modules["scipy"] = None  # type: ignore[assignment]  # an import of it fails
    try:
        import numba.np.arraymath  # noqa: F401
    finally:
        del sys.modules["scipy"]


class Compiling(event.Listener):  # type: ignore[misc]
    """Notices that something is compiled, and how long it takes, while it is a context.

    Arguments:
        say: Called once, when the first compilation begins.

    Attributes:
        seconds: That compilations have taken.
    """

    def __init__(self, say: Callable[[], None] = lambda: None) -> None:
        self.say = say
        self.seconds = 0.0
        self._depth = 0  # a kernel's subroutines are compiled amid it, under Numba's lock
        self._said = False
        self._began = 0.0
        self._listening = event.install_listener("numba:compile", self)

    def __enter__(self) -> Compiling:
        self._listening.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._listening.__exit__(*error)

    def on_start(self, event: Any) -> None:
        """Called by Numba; what comes from the cache does not."""
        if not self._said:
            self._said = True
            self.say()
        if self._depth == 0:
            self._began = time.perf_counter()
        self._depth += 1

    def on_end(self, event: Any) -> None:
        """Called by Numba."""
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._began


class Kernel:
    """A Python function that is compiled for one declared signature when it is first needed.

    Importing a system or an integrator costs nothing; the compiled code is cached on disk.
    `python` stays callable on plain arrays, which is how tests differentiate a Hamiltonian by
    complex steps.
    """

    def __init__(self, python: Callable[..., Any], signature: Any, parallel: bool = False) -> None:
        self.python = python
        self.signature = signature
        self.parallel = parallel
        self.__name__ = python.__name__
        self.__doc__ = python.__doc__

    @cached_property
    def compiled(self) -> Callable[..., Any]:
        """The machine code: releases the GIL, raises nothing."""
        options: dict[str, Any] = {
            "nogil": True,
            "error_model": "numpy",
            "parallel": self.parallel,
        }
        try:
            return numba.njit(self.signature, cache=True, **options)(self.python)
        except RuntimeError as error:  # Numba has no other
            if "cannot cache" not in str(error):
                raise
        warnings.warn(NO_CACHE, stacklevel=1)
        return numba.njit(self.signature, **options)(self.python)

    def __call__(self, *args: Any) -> Any:
        """Run the compiled function."""
        return self.compiled(*args)


def kernel(signature: Any, parallel: bool = False) -> Callable[[Callable[..., Any]], Kernel]:
    """Declare the signature of a function that is to be compiled on first use.

    Arguments:
        signature: One of the signatures of this module, or any other Numba signature.
        parallel: Whether loops over `numba.prange` are shared among Numba's threads.

    Returns:
        A decorator.
    """
    return lambda python: Kernel(python, signature, parallel)
