"""`python -m benchmarks [render|read|deflate|train …]`: print the tables and save them as JSON."""

from __future__ import annotations

import sys
from importlib import import_module

from benchmarks.measure import machine, save

PARTS = ("render", "read", "deflate", "train")


def main() -> int:
    """Run the parts that are named, or all."""
    parts = sys.argv[1:] or list(PARTS)
    for name in parts:
        if name not in PARTS:
            print(f"benchmarks: got '{name}', expected {', '.join(PARTS)}", file=sys.stderr)
            return 2
    of = machine()
    versions = ", ".join(f"{name} {number}" for name, number in of["versions"].items())
    print(f"{of['processor']}, {of['processors']} processors; Python {of['python']}, {versions}\n")
    for name in parts:
        results = import_module(f"benchmarks.{name}").main()
        print(f"saved as {save(name, results)}\n")
    return 0


sys.exit(main())
