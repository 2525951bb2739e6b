"""Compile the kernels into a cache folder named after their sources, and set up Hypothesis.

Numba notices an edited file, but not an edited helper that was inlined into a kernel of another
file. A folder named after a hash of all sources cannot hold such a leftover.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def _sources_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted((ROOT / "physim").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


if "NUMBA_CACHE_DIR" not in os.environ:  # before the first import of numba
    os.environ["NUMBA_CACHE_DIR"] = str(
        Path(tempfile.gettempdir()) / f"physim-kernels-{_sources_hash()}"
    )

from hypothesis import settings  # noqa: E402

settings.register_profile("default", deadline=None, max_examples=30, derandomize=True)
settings.load_profile("default")
