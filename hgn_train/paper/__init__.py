"""The figures of the paper, one file each. A new one is one file and one line here."""

from __future__ import annotations

from hgn_train.paper import areas, systems
from hgn_train.paper.figure import Figure

FIGURES: dict[int, Figure] = {figure.number: figure for figure in (systems.FIGURE, areas.FIGURE)}

__all__ = ["FIGURES", "Figure"]
