"""Tables in Markdown, and their places in pages: between `<!-- name -->` and `<!-- /name -->`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from physim.errors import PhysimError


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; bars in cells are escaped.

    Arguments:
        header: Of the columns.
        rows: Rows with as many cells.

    Returns:
        Lines of Markdown.

    Example:
        >>> print(table(["x", "|x|"], [["-1", "1"]]), end="")
        | x | \\|x\\| |
        | --- | --- |
        | -1 | 1 |
    """
    lines = [header, ["---"] * len(header), *rows]
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in escaped)


def between(page: str, name: str, content: str) -> str:
    """A page with other content between the markers of a name.

    Arguments:
        page: Markdown.
        name: Of the place.
        content: Lines of Markdown.

    Returns:
        The page.

    Raises:
        PhysimError: It has no such markers.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise PhysimError(f"the page has no markers {begin} and {end}")
    return f"{before}{begin}\n{content}{end}{after}"
