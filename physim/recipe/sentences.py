"""What the validation of a recipe found, as a sentence of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from physim.errors import unknown


def sentence(error: ValidationError, fields: Mapping[str, FieldInfo]) -> str:
    """The first problem that pydantic found, in our words.

    Arguments:
        error: What it raised.
        fields: Of the model.
    """
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    kind, context, value = first["type"], first.get("ctx", {}), first.get("input")
    if kind == "extra_forbidden":
        return unknown("recipe", path, fields)
    if kind == "missing":
        return f"{path}: missing, expected the name of a system"
    bounds = {
        "greater_than": ("above", "gt"),
        "greater_than_equal": ("from", "ge"),
        "less_than_equal": ("at most", "le"),
    }
    if kind in bounds:
        field = fields[str(first["loc"][0])]
        limits = {
            name: getattr(item, name)
            for item in [*field.metadata, *_nested(field.annotation)]
            for name in ("gt", "ge", "le")
            if getattr(item, name, None) is not None
        }
        if "ge" in limits and "le" in limits:
            return f"{path}: got {value}, expected {limits['ge']} … {limits['le']}"
        words, key = bounds[kind]
        return f"{path}: got {value}, expected a number {words} {context[key]:g}"
    return f"{path}: got {value!r}, {first['msg'][0].lower()}{first['msg'][1:]}"


def _nested(annotation: Any) -> list[Any]:
    """The bounds inside `Annotated[...] | None`."""
    found: list[Any] = []
    for part in getattr(annotation, "__args__", ()):
        for item in getattr(part, "__metadata__", ()):
            found += [*getattr(item, "metadata", ()), item]
    return found
