"""One training step taken apart: `python -m benchmarks step`.

Operations, floating-point operations and bytes are counted, not timed: they are the same on every
device. From them and two measured peaks, that of a matrix product and that of a copy, follow the
two floors of a step; `python -m benchmarks.step --tflops 900 --gb-a-second 3000` gives them.

Floating-point operations are those of convolutions as PyTorch multiplies them out. On a processor
in float32 our own take fewer, and a step can be faster than that floor.

- *operations*: calls that compute or move something; views and allocations are not counted. In
  plain calls on a GPU each is at least one kernel launch.
- *launches*: kernels or graphs that the processor starts, where there is a GPU; there the parts of
  a step are timed as graphs.
- *waits*: calls that would make the processor wait for a GPU.
- *fewest bytes*: batch, weights, gradients and the optimiser's state, each read and written once.
- *bytes by operation*: what all operations read and write, each by itself.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import median, save, table
from hgn_train import step
from hgn_train.conditions import keep_memory, precision_of
from hgn_train.convolution import by_library
from hgn_train.gpu import plain_calls
from hgn_train.models.hgn import HGN
from hgn_train.presets import settings_of

BATCH = 16
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal")
FREE = (
    "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "detach", "alias",
    "_reshape_alias", "lift_fresh", "_unsafe_view", "split_with_sizes", "_to_copy_meta",
)  # fmt: skip
"""Operations that compute nothing, besides views."""


@dataclass
class Count(TorchDispatchMode):
    """Operations of a piece of work."""

    operations: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    moved: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), named: Any = None
    ) -> Any:
        out = function(*arguments, **(named or {}))
        name = function.overloadpacket.__name__
        if name in WAITS:
            self.waits[name] += 1
        if name not in FREE and not function.is_view:
            self.operations[name] += 1
            touched = tree_leaves((arguments, named, out))
            self.moved += sum(x.numel() * x.element_size() for x in touched if _is_tensor(x))
        return out


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


@dataclass(frozen=True)
class Peaks:
    """Peaks of the device: operations per second by precision, bytes per second of a copy."""

    flops: dict[str, float]
    moved: float


def precisions(device: torch.device) -> list[str]:
    """Those that the device supports."""
    return ["float32", "bf16"] if precision_of(device) == "bf16-mixed" else ["float32"]


def peaks(device: torch.device) -> Peaks:
    """Of a large matrix product of random numbers, and of a large copy."""
    n, size = (8192, 2**32) if device.type == "cuda" else (2048, 2**28)
    flops = {}
    for name in precisions(device):
        kind = torch.bfloat16 if name == "bf16" else torch.float32
        a, b = (torch.randn(n, n, device=device).to(kind) for _ in range(2))
        flops[name] = 2 * n**3 / timed(partial(torch.matmul, a, b), device)
    source = torch.empty(size, dtype=torch.uint8, device=device).random_()
    target = torch.empty_like(source)
    return Peaks(flops, 2 * size / timed(lambda: target.copy_(source), device))


def timed(call: Callable[[], Any], device: torch.device, repeats: int = 5) -> float:
    """Median wall seconds, after one call that does not count."""
    seconds = []
    for _ in range(repeats + 1):
        wait(device)
        began = time.perf_counter()
        call()
        wait(device)
        seconds.append(time.perf_counter() - began)
    return median(seconds[1:])


def wait(device: torch.device) -> None:
    """Wait until the device has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass
class Bench:
    """A model with one batch, and updates of it."""

    model: HGN
    batch: dict[str, Tensor]
    draws: dict[str, Tensor]
    device: torch.device
    precision: str

    def forward(self, batch: Any, draws: Any, compiled: Any = None) -> Any:
        """The loss in the chosen precision."""
        bf16 = self.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            return (compiled or self.model)(batch, draws)

    def update(self, kind: type[step.Update], compiled: bool) -> Callable[[], None]:
        """A call that performs one update."""
        whole = torch.compile(self.model, fullgraph=True) if compiled else None
        optimizer = step.adam(self.model, kind, 1e-4)

        def forward(batch: Any, draws: Any) -> Any:
            return self.forward(batch, draws, whole)

        update = kind(forward, self.model, optimizer, None, 1.0)
        numbers = iter(range(10**9))
        return lambda: update(next(numbers), 1e-4, self.batch, self.draws)

    def parts(self) -> dict[str, Callable[[], Tensor]]:
        """The parts of a forward pass, each from inputs of its own to a scalar."""
        model, s = self.model, self.model.settings
        images = self.batch["image"]
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            mean, _ = model.encode(images[:, : s.inference_frames])
            q, p = (x.detach().requires_grad_() for x in model.state(mean))
            qs = model.unroll(q, p, s.dt, s.frames - 1 - s.inferred, s.inferred)[0].detach()
        z, qs = mean.detach().requires_grad_(), qs.flatten(0, 1).requires_grad_()
        ahead = s.frames - 1 - s.inferred
        return {
            "encoder": lambda: model.encode(images[:, : s.inference_frames])[0].sum(),
            "f_ψ": lambda: torch.cat(model.state(z)).sum(),
            "rollout": lambda: model.unroll(q, p, s.dt, ahead, s.inferred)[0].sum(),
            "decoder": lambda: model.decoder(qs).sum(),
        }


def bench(preset: str, changes: dict[str, Any], device: torch.device, precision: str) -> Bench:
    """A model of a preset on random frames."""
    torch.manual_seed(0)
    model: Any = HGN(settings_of(preset, "", network=changes).network)
    s = model.settings
    generator = torch.Generator().manual_seed(0)
    shape = (BATCH, s.frames, s.resolution, s.resolution, s.channels)
    image = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    draws = {name: x.to(device) for name, x in model.draws(BATCH, generator).items()}
    model = model.to(device, memory_format=torch.channels_last)
    model.prepare({"image": image.to(device)})
    return Bench(model, {"image": image.to(device)}, draws, device, precision)


def counted(call: Callable[[], Any]) -> tuple[Count, int]:
    """Operations and floating-point operations of a call, all of it by PyTorch."""
    count = Count()
    with by_library(), plain_calls(), FlopCounterMode(display=False) as flops, count:
        call()
    return count, flops.get_total_flops()


def launches(call: Callable[[], Any]) -> tuple[int, int]:
    """Kernels and graphs that are started, and waits, as a profile of a GPU has them."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        call()
        wait(torch.device("cuda"))
    names = Counter(event.name for event in found.events())
    started = ("cudaLaunchKernel", "cuLaunchKernel", "cudaLaunchKernelExC", "cuLaunchKernelEx")
    waits = sum(names[name] for name in ("cudaStreamSynchronize", "aten::_local_scalar_dense"))
    return sum(names[name] for name in (*started, "cudaGraphLaunch")), waits


def fewest_bytes(it: Bench) -> int:
    """Batch and draws read; weights, gradients and two moments of Adam read and written."""
    inputs = sum(x.numel() * x.element_size() for x in (*it.batch.values(), *it.draws.values()))
    weights = sum(w.numel() * w.element_size() for w in it.model.parameters() if w.requires_grad)
    return inputs + 2 * 4 * weights


LIBRARY = "PyTorch's convolutions"
THEIRS = "captured with PyTorch's kernels"


def ways(device: torch.device) -> list[tuple[str, type[step.Update], bool]]:
    """How a step can run there."""
    if device.type != "cuda":
        return [(LIBRARY, step.Update, False), ("eager", step.Update, False)]
    return [
        (THEIRS, step.Captured, False),
        ("eager", step.Update, False),
        ("compiled", step.Update, True),
        ("captured", step.Captured, False),
        ("compiled and captured", step.Captured, True),
    ]


@contextmanager
def run_as(way: str) -> Iterator[None]:
    """PyTorch's own kernels where a way is called so, else ours."""
    with ExitStack() as stack:
        if way == LIBRARY:
            stack.enter_context(by_library())
        if way == THEIRS:
            stack.enter_context(plain_calls())
        yield


CASE, PRESET = "paper, from 30 frames", "paper"


def taken_apart(it: Bench) -> list[dict[str, Any]]:
    """Each part of the network forward and backward."""
    rows = []
    for name, call in it.parts().items():

        def both(call: Callable[[], Tensor] = call) -> None:
            with torch.autocast(it.device.type, torch.bfloat16, enabled=it.precision == "bf16"):
                loss = call()
            loss.backward()

        both()
        count, flops = counted(both)
        seconds = timed(replayed(both) if it.device.type == "cuda" else both, it.device, 3)
        rows.append(
            {
                "part": name,
                "precision": it.precision,
                "operations": count.operations.total(),
                "GFLOP": flops / 1e9,
                "MB by operation": count.moved / 1e6,
                "ms": 1e3 * seconds,
            }
        )
    return rows


def replayed(call: Callable[[], None]) -> Callable[[], None]:
    """The same from a CUDA graph, without what the processor does in between."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(step.WARM_UP):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def whole(name: str, it: Bench, top: Peaks, only: str = "") -> list[dict[str, Any]]:
    """Whole steps, and the floors under them."""
    rows = []
    plain = it.update(step.Update, False)
    plain()
    count, flops = counted(plain)
    arithmetic = flops / top.flops[it.precision]
    memory = fewest_bytes(it) / top.moved
    for way, kind, compiled in ways(it.device):
        if only and way not in only.split(","):
            continue
        if way == LIBRARY and it.precision == "bf16":
            continue  # the same as eager
        call = it.update(kind, compiled)
        with run_as(way):
            for _ in range(step.WARM_UP + 2 if kind is step.Captured or compiled else 1):
                call()
            seconds = timed(call, it.device, 20 if it.device.type == "cuda" else 3)
        row: dict[str, Any] = {"network": name, "precision": it.precision, "way": way}
        if it.device.type == "cuda":
            with run_as(way):
                row["launches"], row["waits"] = launches(call)
        else:
            row["operations"], row["waits"] = count.operations.total(), count.waits.total()
        rows.append(
            row
            | {
                "GFLOP": flops / 1e9,
                "MB, fewest": fewest_bytes(it) / 1e6,
                "MB by operation": count.moved / 1e6,
                "arithmetic floor, ms": 1e3 * arithmetic,
                "memory floor, ms": 1e3 * memory,
                "by operation, ms": 1e3 * count.moved / top.moved,
                "step, ms": 1e3 * seconds,
                "floor / step": max(arithmetic, memory) / seconds,
            }
        )
    return rows


def main(top: Peaks | None = None, only: str = "") -> dict[str, Any]:
    """Print the tables and return their rows."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name() if device.type == "cuda" else "the CPU"
    top = top or peaks(device)
    keep_memory()  # as training does
    limits = [
        {"peak": f"matrix product, {kind}", "measured": f"{rate / 1e12:.3g} TFLOP/s"}
        for kind, rate in top.flops.items()
    ]
    limits.append({"peak": "copy, read and written", "measured": f"{top.moved / 1e9:.3g} GB/s"})
    steps, parts = [], []
    for precision in precisions(device):
        it = bench(PRESET, {}, device, precision)
        steps += whole(CASE, it, top, only)
        parts += taken_apart(it)
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    print(f"torch {torch.__version__} on {name}{threads}, batches of {BATCH}.\n")
    print(table("Peaks of the device", limits))
    print(table("A training step", steps))
    print(table(f"Its parts, forward and backward: {CASE}", parts))
    return {"device": name, "peaks": limits, "steps": steps, "parts": parts}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Break down one training step.")
    parser.add_argument("--tflops", type=float, help="Peak of the device, for both precisions.")
    parser.add_argument("--gb-a-second", type=float, help="Of a copy, read and written.")
    parser.add_argument("--ways", default="", help="A subset, comma-separated: eager,captured.")
    given = parser.parse_args()
    known = None
    if given.tflops and given.gb_a_second:
        rate = 1e12 * given.tflops
        known = Peaks({"float32": rate, "bf16": rate}, 1e9 * given.gb_a_second)
    print(save("step", main(known, given.ways)))
