"""The tables of `docs/format.md`, printed from the format: `python -m physim.shards.tables FILE`.

A test compares.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from physim.markdown import between, table
from physim.shards import format as layout
from physim.shards.manifest import Manifest, Shard


def _arrays() -> str:
    rows = []
    for array in (*layout.ARRAYS, layout.PARAMETER):
        axes = ", ".join(array.dimensions)
        cells = (
            f"`{array.dtype.lstrip('|')}`",
            f"({axes})",
            array.unit,
            array.presence,
            array.description,
        )
        rows.append((f"`{array.name}`", *cells))
    return table(("array", "type", "axes", "unit", "present", "meaning"), rows)


def _attributes(attributes: Sequence[layout.Attribute]) -> str:
    rows = [(f"`{entry.name}`", entry.kind, entry.description) for entry in attributes]
    return table(("attribute", "type", "meaning"), rows)


def _fields(model: type) -> str:
    """From the docstring of a model of the manifest."""
    text = re.sub(r"\n {12,}", " ", (model.__doc__ or "").partition("Attributes:")[2])
    rows = re.findall(r"^ {8}(\w+): (.+)$", text, flags=re.MULTILINE)
    return table(("key", "meaning"), [(f"`{name}`", meaning) for name, meaning in rows])


def tables() -> dict[str, str]:
    """All tables by the name of their marker."""
    return {
        "root attributes": _attributes(layout.ATTRIBUTES),
        "arrays": _arrays(),
        "array attributes": _attributes(layout.ARRAY_ATTRIBUTES),
        "manifest": _fields(Manifest),
        "manifest shards": _fields(Shard),
    }


def renewed(text: str) -> str:
    """A document with its tables as they are now.

    Arguments:
        text: Markdown with markers.

    Returns:
        The same with what stands between the markers replaced.
    """
    for name, made in tables().items():
        text = between(text, name, made)
    return text


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(renewed(path.read_text()))
