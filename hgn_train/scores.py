"""How a model does on rows that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Scores:
    """Errors of held-out rows.

    Attributes:
        errors: One number per row, (n,): lower is better.
        pictures: True and drawn frames to look at, (few, time, channel, height, width) from 0 to
            1; None for a model that draws none.
    """

    errors: Tensor
    pictures: tuple[Tensor, Tensor] | None = None
