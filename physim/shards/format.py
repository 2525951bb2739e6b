"""The format of a shard, as data; the tables of `docs/format.md` are printed from here.

A shard is an HDF5 file. At its root stand arrays whose first axis is the trajectory, and nothing
else: no groups, no links, no dimension scales. What is common to all trajectories is an attribute
of the root; what describes an array is an attribute of that array. Arrays are chunked along the
trajectory axis alone and compressed with HDF5's own filters, so that any HDF5 library reads them.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

FORMAT = "physim-shard"
FORMAT_VERSION = 1
"""Raised when a reader of the previous version could misread a file; see `docs/format.md`."""

SIGNATURE = b"\x89HDF\r\n\x1a\n"
LIBVER = ("v108", "v108")
"""HDF5 1.8 (2008) and later read the files."""

CHUNK_LENGTHS: tuple[int, ...] = (50, 25, 10, 5, 2, 1)
"""Trajectories per chunk; divisors of a renderer's largest block."""

CHUNK_BYTES = 2**20
"""Raw size that a chunk of frames or states stays below, unless one trajectory is larger."""

SCALAR_CHUNK_BYTES = 2**20
"""The same for arrays without a time axis: in practice one chunk a shard."""

MAX_CHUNK_BYTES = 2**31
MAX_TRAJECTORIES = 10**9
MAX_ARRAYS = 128

SYMBOL = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
"""What a parameter may be called."""

Presence = Literal["always", "optional"]


@dataclass(frozen=True)
class Array:
    """An array at the root of a shard.

    Attributes:
        name: Its name.
        dtype: NumPy's code of the element type, little-endian.
        dimensions: Names of its axes.
        unit: Unit of its values.
        description: One line.
        presence: Whether every shard has it.
    """

    name: str
    dtype: str
    dimensions: tuple[str, ...]
    unit: str
    description: str
    presence: Presence = "always"


@dataclass(frozen=True)
class Attribute:
    """An attribute of the root.

    Attributes:
        name: Its name.
        kind: `string` (fixed length, UTF-8), `integer` (64 bits) or `floats` (a list of
            float64).
        description: One line.
    """

    name: str
    kind: Literal["string", "integer", "floats"]
    description: str


_STATES = ("trajectory", "time", "coordinate")

ARRAYS = (
    Array(
        "image",
        "|u1",
        ("trajectory", "time", "y", "x", "channel"),
        "1",
        "Frames, RGB, 0 to 255; row 0 is the top",
    ),
    Array(
        "q",
        "<f8",
        _STATES,
        "natural units",
        "Positions, without noise; bodies one after the other: x1, y1, x2, y2, …",
    ),
    Array("p", "<f8", _STATES, "natural units", "Momenta, without noise, in the order of q"),
    Array("energy", "<f8", ("trajectory", "time"), "natural units", "The Hamiltonian of q and p"),
    Array("index", "<i8", ("trajectory",), "1", "Number of the trajectory in its split"),
    Array(
        "seed",
        "<u8",
        ("trajectory",),
        "1",
        "Seed of all random numbers, together with split, index and attempt",
    ),
    Array(
        "attempt",
        "<i4",
        ("trajectory",),
        "1",
        "How many times it was redrawn because it had left the canvas or bodies had met",
    ),
    Array(
        "q_drawn",
        "<f8",
        _STATES,
        "natural units",
        "Positions with noise, which the frames show",
        "optional",
    ),
    Array("p_drawn", "<f8", _STATES, "natural units", "Momenta with noise", "optional"),
    Array("dq_dt", "<f8", _STATES, "natural units", "Time derivative of q", "optional"),
    Array("dp_dt", "<f8", _STATES, "natural units", "Time derivative of p", "optional"),
    Array(
        "color",
        "<i4",
        ("trajectory", "body"),
        "1",
        "Index of each body's colour on the hue wheel",
        "optional",
    ),
    Array(
        "offset",
        "<f8",
        ("trajectory", "axis"),
        "natural units",
        "Centre of the canvas, x and y",
        "optional",
    ),
)

PARAMETER = Array(
    "<symbol>",
    "<f8",
    ("trajectory",),
    "natural units",
    "A parameter of the system, whose meaning is the description; with a second axis `component` "
    "if it has several values",
)

ATTRIBUTES = (
    Attribute("format", "string", f"`{FORMAT}`"),
    Attribute("format_version", "integer", f"{FORMAT_VERSION}; see the rule on versions"),
    Attribute("generator", "string", "Program and version that made the file"),
    Attribute("system", "string", "Name of the system"),
    Attribute(
        "parameters",
        "string",
        "Symbols of the parameters, separated by spaces; each is an array of that name",
    ),
    Attribute("recipe", "string", "The recipe as JSON, from which the file can be reproduced"),
    Attribute("split", "string", "Name of the split"),
    Attribute("shard", "integer", "Number of the shard in its split, from 0"),
    Attribute("first", "integer", "Number of the first trajectory in its split"),
    Attribute("times", "floats", "Times of the frames and states, (time,)"),
)

ARRAY_ATTRIBUTES = (
    Attribute("dimensions", "string", "Names of the axes, separated by spaces"),
    Attribute("unit", "string", "Unit of the values"),
    Attribute("description", "string", "One line"),
)

_BY_NAME = {array.name: array for array in ARRAYS}

TAKEN = {"times", "name", "names", "paths", *(axis for a in ARRAYS for axis in a.dimensions)}
"""Axes, and what readers call something else (the times in an export, a split's own name): allowed
in a file, but no name for a parameter of new data."""


def find(name: str, components: bool = False) -> Array:
    """The description of an array.

    Arguments:
        name: Name of an array or symbol of a parameter.
        components: Whether a parameter has a second axis.

    Returns:
        The entry of `ARRAYS`, or one for the parameter.

    Example:
        >>> find("energy").dimensions
        ('trajectory', 'time')
        >>> find("m", components=True).dimensions
        ('trajectory', 'component')
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    axes = ("trajectory", "component") if components else ("trajectory",)
    return Array(name, PARAMETER.dtype, axes, PARAMETER.unit, "A parameter of the system")


def is_parameter(name: str) -> bool:
    """Whether a name may be the symbol of a parameter."""
    return name not in _BY_NAME and SYMBOL.fullmatch(name) is not None


def chunk_length(name: str, dtype: np.dtype, row: tuple[int, ...], n: int) -> int:
    """Trajectories per chunk.

    Arguments:
        name: Name of the array.
        dtype: Element type.
        row: Shape of one trajectory's part.
        n: Trajectories in the shard.

    Returns:
        A number from 1 to n.

    Example:
        >>> chunk_length("image", np.dtype("u1"), (30, 32, 32, 3), 2000)
        10
    """
    size = max(1, math.prod(row) * dtype.itemsize)
    if "time" not in find(name).dimensions:
        return max(1, min(n, SCALAR_CHUNK_BYTES // size))
    fitting = next((length for length in CHUNK_LENGTHS if length * size <= CHUNK_BYTES), 1)
    return min(n, fitting)
