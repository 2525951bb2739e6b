"""A table of the accuracy study: what it shows, and the promises in it that do not hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from physim import markdown
from physim.errors import PhysimError


@dataclass
class Table:
    """Numbers to print, and the promises among them that do not hold.

    Attributes:
        name: One word, under which `docs/accuracy.md` shows it.
        title: What is shown.
        header: Names of the columns.
        rows: Cells as text.
        broken: One sentence for each promise that does not hold.
    """

    name: str
    title: str
    header: list[str]
    rows: list[list[str]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def check(self, holds: bool, sentence: str) -> None:
        """Note a promise that does not hold.

        Write the condition so that a nan breaks it: `error < bound`, never `not error > bound`.
        """
        if not holds:
            self.broken.append(f"{self.name}: {sentence}")

    def markdown(self) -> str:
        """The table as Markdown."""
        return markdown.table(self.header, self.rows)

    def update(self, path: Path) -> None:
        """Put the table between its markers in a Markdown file.

        Arguments:
            path: The file; the table stands between `<!-- name -->` and `<!-- /name -->` from
                now on.

        Raises:
            PhysimError: The file has no such markers.
        """
        text, content = path.read_text(encoding="utf-8"), f"{self.title}:\n\n{self.markdown()}"
        try:
            path.write_text(markdown.between(text, self.name, content), encoding="utf-8")
        except PhysimError as error:
            raise PhysimError(f"{path}: {error}") from None


def number(value: float | None) -> str:
    """A cell: two digits, `nan` for what could not be computed, – for what does not apply.

    >>> number(1.26e-13), number(float("nan")), number(None)
    ('1.3e-13', 'nan', '–')
    """
    return "–" if value is None else f"{value:.1e}"
