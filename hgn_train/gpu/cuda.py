"""Our own CUDA kernels: compiled when they are first needed, started on PyTorch's streams.

PyTorch for CUDA brings what this needs: NVIDIA's compiler as a library, and `cuda.bindings`, the
vendor's own Python names for it and for the driver.
"""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import functools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from physim.errors import PhysimError

_plain = contextvars.ContextVar("plain", default=False)


@contextlib.contextmanager
def plain_calls() -> Iterator[None]:
    """Have all done by PyTorch's own kernels meanwhile, as where the two are compared."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


def suits(x: Tensor) -> bool:
    """Whether kernels may be asked: an array of a GPU, plain calls."""
    if torch.compiler.is_compiling() or x.device.type != "cuda":
        return False
    return not (
        _plain.get() or torch.jit.is_tracing() or torch._C._are_functorch_transforms_active()
    )


def shared_memory(device: torch.device) -> int:
    """Bytes of shared memory that a block can have."""
    facts = torch.cuda.get_device_properties(device)
    return int(getattr(facts, "shared_memory_per_block_optin", 48 * 1024))


@functools.cache
def has_compiler() -> bool:
    """Whether PyTorch has brought the compiler; where it has not, that is said once."""
    try:
        from cuda.bindings import driver, nvrtc  # noqa: F401
    except ImportError as error:
        warnings.warn(
            f"training is several times slower without our own kernels: {error}; "
            "expected the package cuda-bindings, as PyTorch for CUDA asks for",
            stacklevel=2,
        )
        return False
    return True


class Program:
    """The kernels of a source, for the current device.

    Arguments:
        source: CUDA C++; its kernels are `extern "C"`.
        shared: Bytes of shared memory of each kernel, by name.
        threads: Of a block.

    Raises:
        PhysimError: It does not compile or load.
    """

    def __init__(self, source: str, shared: Mapping[str, int], threads: int) -> None:
        from cuda.bindings import driver

        self._driver: Any = driver
        major, minor = torch.cuda.get_device_capability()
        torch.cuda.current_stream().synchronize()  # the device is in use, as loading needs it
        self._module = self._checked(
            driver.cuModuleLoadData(compiled(source, f"sm_{major}{minor}"))
        )
        self._shared, self._threads = dict(shared), threads
        self._kernels = {}
        for name, size in shared.items():
            kernel = self._checked(driver.cuModuleGetFunction(self._module, name.encode()))
            most = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            self._checked(driver.cuFuncSetAttribute(kernel, most, size))
            self._kernels[name] = kernel

    def launch(self, name: str, blocks: int, arguments: Sequence[Tensor | float | None]) -> None:
        """Start a kernel on the current stream.

        Arguments:
            name: Which.
            blocks: How many blocks of threads.
            arguments: Arrays on the device, passed by address, or None for no address, whole
                numbers, and numbers in float32.

        Raises:
            PhysimError: It does not start.
        """
        words = [x.data_ptr() if isinstance(x, Tensor) else x or 0 for x in arguments]
        kinds = tuple(map(kind_of, arguments))
        stream = torch.cuda.current_stream().cuda_stream
        self._checked(
            self._driver.cuLaunchKernel(
                self._kernels[name], blocks, 1, 1, self._threads, 1, 1, self._shared[name],
                stream, (tuple(words), kinds), 0,
            )
        )  # fmt: skip

    def _checked(self, answer: tuple[Any, ...]) -> Any:
        status, *found = answer
        if int(status) != 0:
            raise PhysimError(f"CUDA: {status!s}")
        return found[0] if found else None


def kind_of(argument: Tensor | float | None) -> Any:
    """How C names an argument of a kernel."""
    if isinstance(argument, int):
        return ctypes.c_int
    return ctypes.c_float if isinstance(argument, float) else ctypes.c_void_p


def compiled(source: str, architecture: str) -> bytes:
    """Machine code of a source.

    Arguments:
        source: CUDA C++.
        architecture: Such as `sm_90`.

    Returns:
        The code as the driver loads it.

    Raises:
        PhysimError: With the compiler's words.
    """
    from cuda.bindings import nvrtc

    status, program = nvrtc.nvrtcCreateProgram(source.encode(), b"kernels.cu", 0, [], [])
    if int(status):
        raise PhysimError(f"CUDA's compiler: {status!s}")
    options = [f"--gpu-architecture={architecture}".encode(), b"--std=c++17"]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    if int(status):
        _, size = nvrtc.nvrtcGetProgramLogSize(program)
        log = b" " * size
        nvrtc.nvrtcGetProgramLog(program, log)
        raise PhysimError(f"CUDA's compiler: {log.decode(errors='replace')}")
    _, size = nvrtc.nvrtcGetCUBINSize(program)
    code = b" " * size
    nvrtc.nvrtcGetCUBIN(program, code)
    return code
