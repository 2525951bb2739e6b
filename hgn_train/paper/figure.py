"""The contract of a figure of the paper: what it needs, and how it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure as Sheet


@dataclass(frozen=True)
class Need:
    """A run that a figure is drawn from.

    Attributes:
        model: Name of the model.
        subject: The system, or the density.
        preset: Of its settings; empty where any will do.
    """

    model: str
    subject: str
    preset: str = ""

    def __str__(self) -> str:
        """As in a sentence."""
        return f"{self.model} on {self.subject}" + (f" ({self.preset})" if self.preset else "")

    @property
    def folder(self) -> str:
        """Name of the folder of its run; that of HGN as `hgn-train auto` calls it."""
        words = (self.subject, "" if self.model == "hgn" else self.model, self.preset)
        return "-".join(word for word in words if word)

    def is_met_by(self, other: Need) -> bool:
        """Whether a run of which the other is said will do."""
        same = (self.model, self.subject) == (other.model, other.subject)
        return same and self.preset in ("", other.preset)


@dataclass(frozen=True)
class Run:
    """An evaluated run.

    Attributes:
        folder: Where it is.
        need: What it shows.
        results: What its evaluation wrote.
    """

    folder: Path
    need: Need
    results: dict[str, Any] = field(repr=False, compare=False)

    @property
    def settings(self) -> dict[str, Any]:
        """All settings: `model`, `preset`, `network`, `train`."""
        return self.results["settings"]

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that its evaluation kept."""
        from hgn_train.evaluation.results import load

        return load(self.folder)[1]


@dataclass(frozen=True)
class Material:
    """What figures are drawn from.

    Attributes:
        data: Folder of the data sets `hgn/*`, one folder per system.
        systems: Names of the systems that are shown.
        runs: Evaluated runs; of several that will do the first is shown.
    """

    data: Path
    systems: tuple[str, ...]
    runs: tuple[Run, ...] = ()

    def find(self, model: str, subject: str, preset: str = "") -> Run | None:
        """The run of a model on a system or density, or none."""
        wanted = Need(model, subject, preset)
        return next((run for run in self.runs if wanted.is_met_by(run.need)), None)

    def of(self, model: str) -> list[Run]:
        """The runs of a model, in the order of the systems, then of the others."""
        subjects = [*self.systems, *(run.need.subject for run in self.runs)]
        found = (self.find(model, subject) for subject in dict.fromkeys(subjects))
        return [run for run in found if run is not None]


@dataclass(frozen=True)
class Drawing:
    """A drawn figure.

    Attributes:
        sheet: The picture.
        caption: What it shows, in sentences of Markdown.
        runs: The runs that it was drawn from.
    """

    sheet: Sheet
    caption: str
    runs: Sequence[Run] = ()


@dataclass(frozen=True)
class Figure:
    """A line of the list of figures.

    Attributes:
        number: Its number in the paper.
        name: For its file.
        title: A line about it.
        draw: Draws it.
        needs: The runs that it is drawn from, given the systems that are shown.
        essential: The models without any run of which it cannot be drawn.
        shows_data: Whether it shows the data sets of the systems.
    """

    number: int
    name: str
    title: str
    draw: Callable[[Material], Drawing]
    needs: Callable[[Sequence[str]], Iterable[Need]] = lambda systems: ()
    essential: tuple[str, ...] = ()
    shows_data: bool = False

    @property
    def file(self) -> str:
        """Name of its picture."""
        return f"figure-{self.number}-{self.name}.png"
