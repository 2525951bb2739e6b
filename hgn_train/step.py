"""One optimiser update: forward, backward, clipping, optimiser, averaged weights, sums of metrics.

Nothing here asks the device for a number: what is to be read later is added up on the device, and
learning rate, number of the update and weight of the average are written into tensors there. So an
update can also be captured: the first few run as plain calls, then the device's work of one is
recorded into a CUDA graph and the later ones replay it, with the batch and the random numbers
copied to where the graph reads them. Both ways see the same batches and the same random numbers.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from physim.errors import PhysimError

Named = Mapping[str, Tensor]
WAYS = ("auto", "eager", "captured")

WARM_UP = 3
"""Updates as plain calls before one is captured: kernels are chosen and state is allocated."""

AHEAD = 8
"""Replays between the marks of which two may lie ahead of the device: enough that it never waits,
and no more, since a full queue makes the driver spin instead of sleep."""

NEVER = 2**62
"""Number of the first bad update where there is none."""

_capturing = threading.Lock()


class Update:
    """One optimiser update as plain calls.

    Arguments:
        forward: From batch and random draws to scalars, `loss` among them.
        model: Whose weights are trained.
        optimizer: Their optimiser.
        average: A copy of the model that follows it, or none.
        clip: Largest norm of the gradient; 0 for none.
        backward: From the loss to gradients.
    """

    def __init__(
        self,
        forward: Callable[[Named, Named], Named],
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        average: nn.Module | None = None,
        clip: float = 0.0,
        backward: Callable[[Tensor], None] = Tensor.backward,
    ) -> None:
        self.forward, self.backward = forward, backward
        self.model, self.optimizer, self.average = model, optimizer, average
        self.clip = clip
        self.weights = list(model.parameters())
        device = self.weights[0].device
        self.number = torch.zeros((), dtype=torch.int64, device=device)
        self.first_bad = torch.full((), NEVER, dtype=torch.int64, device=device)
        self.share = torch.zeros((), device=device)
        self.sums: dict[str, Tensor] = {}
        self.rate = 0.0

    def __call__(
        self, number: int, rate: float, batch: Named, draws: Named, decay: float = 0.0
    ) -> None:
        """Do an update.

        Arguments:
            number: Which one, from 0.
            rate: Learning rate.
            batch: Arrays by name.
            draws: Random numbers by name.
            decay: Of the averaged weights.
        """
        self.rate = rate
        self.number.fill_(number)
        self.share.fill_(1 - decay)
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        self.run(batch, draws)

    def run(self, batch: Named, draws: Named) -> None:
        """The work of the device."""
        self.work(batch, draws)

    def work(self, batch: Named, draws: Named) -> None:
        """Forward, backward, clipping, optimiser, averaged weights, sums."""
        out = dict(self.forward(batch, draws))
        self.optimizer.zero_grad(set_to_none=True)
        self.backward(out["loss"])
        if self.clip:
            norm = nn.utils.clip_grad_norm_(self.weights, self.clip)
            out["gradient"] = norm
        self.optimizer.step()
        if self.average is not None:
            average_weights(self.average, self.model, self.share)
        bad = torch.where(torch.isfinite(out["loss"].detach()), NEVER, self.number)
        self.first_bad.copy_(torch.minimum(self.first_bad, bad))
        for name in out:
            if name not in self.sums:
                self.sums[name] = torch.zeros((), device=self.first_bad.device)
        with torch.no_grad():
            values = [value.detach().float() for value in out.values()]
            torch._foreach_add_([self.sums[name] for name in out], values)

    def begin_again(self) -> None:
        """Reset the sums."""
        for value in self.sums.values():
            value.zero_()


class Captured(Update):
    """The same update, replayed from a CUDA graph after the first few.

    The optimiser must be capturable, its learning rate a tensor.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.graph: torch.cuda.CUDAGraph | None = None
        self.stream = torch.cuda.Stream(self.first_bad.device)
        self.done = 0
        self.marks: deque[torch.cuda.Event] = deque()
        self.batch: dict[str, Tensor] = {}
        self.draws: dict[str, Tensor] = {}

    def run(self, batch: Named, draws: Named) -> None:
        """Plain calls at first, then the graph.

        Raises:
            PhysimError: The work cannot be captured, as where it waits for the device.
        """
        if self.done < WARM_UP:
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                self.work(batch, draws)
            torch.cuda.current_stream().wait_stream(self.stream)
        else:
            if self.graph is None:
                self.batch = {name: torch.empty_like(value) for name, value in batch.items()}
                self.draws = {name: torch.empty_like(value) for name, value in draws.items()}
                copy(self.batch, batch)  # what is captured once sees real numbers
                copy(self.draws, draws)
                self.graph = self.captured()
            copy(self.batch, batch)
            copy(self.draws, draws)
            self.graph.replay()
            if self.done % AHEAD == 0:
                self.wait()
        self.done += 1

    def wait(self) -> None:
        """Sleep while the device is more than two marks behind."""
        mark = torch.cuda.Event(blocking=True)
        mark.record()
        self.marks.append(mark)
        if len(self.marks) > 2:
            self.marks.popleft().synchronize()

    def captured(self) -> torch.cuda.CUDAGraph:
        """Record the work on the fixed batch and draws, without doing it."""
        graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with _capturing:  # runs in threads of one process capture one after the other
            try:
                with torch.cuda.graph(
                    graph, stream=self.stream, capture_error_mode="thread_local"
                ):
                    self.work(self.batch, self.draws)
            except RuntimeError as error:
                raise PhysimError(
                    f"step: this model's update cannot be captured "
                    f"({str(error).splitlines()[0]}); expected --set step=eager"
                ) from error
        return graph


def kind(way: str, device: torch.device, processes: int = 1) -> type[Update]:
    """How updates are run.

    Arguments:
        way: One of `WAYS`; `auto` captures on a GPU that trains alone.
        device: Where the model is.
        processes: How many share the batch.

    Returns:
        The class of the update.

    Raises:
        PhysimError: An unknown way, or capturing without a CUDA device or with several processes.

    Example:
        >>> kind("auto", torch.device("cpu")).__name__
        'Update'
    """
    if way not in WAYS:
        raise PhysimError(f"step: got '{way}', expected one of {', '.join(WAYS)}")
    if way == "captured" and device.type != "cuda":
        raise PhysimError(
            f"step: got 'captured' on {device.type}, which needs a CUDA device; "
            "expected 'eager' or 'auto'"
        )
    if way == "captured" and processes > 1:
        raise PhysimError(
            f"step: got 'captured' with {processes} processes, which share their gradients "
            "between kernels; expected 'eager' or 'auto'"
        )
    capture = way != "eager" and device.type == "cuda" and processes == 1
    return Captured if capture else Update


def adam(
    model: nn.Module, updates: type[Update], rate: float, weight_decay: float = 0.0
) -> torch.optim.AdamW:
    """AdamW as an update of that kind needs it.

    Arguments:
        model: Whose weights are trained.
        updates: From `kind`.
        rate: Learning rate.
        weight_decay: As in AdamW.

    Returns:
        The optimiser, fused; its learning rate is a tensor on the device where it is captured.
    """
    device = next(model.parameters()).device
    capture = updates is Captured
    optimizer: Any = torch.optim.AdamW(
        model.parameters(),
        lr=torch.tensor(rate, device=device) if capture else rate,
        weight_decay=weight_decay,
        fused=True,
        capturable=capture,
    )
    optimizer._warned_capturable_if_run_uncaptured = True  # the first updates are meant to be
    return optimizer


@torch.no_grad()
def average_weights(average: nn.Module, model: nn.Module, share: Tensor) -> None:
    """Move averaged weights towards the current ones.

    Arguments:
        average: What follows, changed in place.
        model: What is followed.
        share: Of the way, a scalar on their device.
    """
    kept: list[Tensor] = list(average.parameters())
    now: list[Tensor] = list(model.parameters())
    difference = torch._foreach_sub(now, kept)
    torch._foreach_mul_(difference, share)
    torch._foreach_add_(kept, difference)
    if buffers := list(average.buffers()):
        torch._foreach_copy_(buffers, list(model.buffers()))


def copy(to: Named, given: Named) -> None:
    """Write arrays to where a graph reads them."""
    for name, value in to.items():
        value.copy_(given[name], non_blocking=True)
