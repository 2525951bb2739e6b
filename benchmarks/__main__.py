"""`python -m benchmarks [--update] [PART …]`: print and save tables.

Parts are render, read, deflate, train, step and processes; without one, all are run. With
`--update` the tables also go into docs/performance.md, between the markers of their part.
"""

from __future__ import annotations

import contextlib
import io
import sys
from importlib import import_module
from pathlib import Path

from benchmarks.measure import machine, save
from physim.markdown import between

PARTS = ("render", "read", "deflate", "train", "step", "processes")
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def main() -> int:
    """Run the parts that are named, or all."""
    update = "--update" in sys.argv
    parts = [word for word in sys.argv[1:] if word != "--update"] or list(PARTS)
    for name in parts:
        if name not in PARTS:
            print(f"benchmarks: got '{name}', expected {', '.join(PARTS)}", file=sys.stderr)
            return 2
    for name in parts:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            print(f"On {machine_line()}:\n")
            results = import_module(f"benchmarks.{name}").main()
        print(printed.getvalue())
        print(f"saved as {save(name, results)}\n")
        if update:
            _renew(name, printed.getvalue())
    return 0


def machine_line() -> str:
    """What the figures were measured on, in a line."""
    of = machine()
    versions = ", ".join(f"{name} {number}" for name, number in of["versions"].items())
    return f"{of['processor']}, {of['processors']} processors; Python {of['python']}, {versions}"


def _renew(name: str, tables: str) -> None:
    PAGE.write_text(between(PAGE.read_text(), name, f"{tables.strip()}\n"))


if __name__ == "__main__":
    sys.exit(main())
