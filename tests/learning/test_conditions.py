"""What holds while a training runs, seen from outside of the process."""

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from hgn_train import conditions
if sys.argv[1] == "kept":
    conditions.keep_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def use():
    torch.ones(2**24)  # 64 MiB, and given back
for _ in range(16):  # until a hole is found that is large enough
    use()
before = faults()
for _ in range(8):
    use()
print(faults() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_memory_that_is_given_back_stays():
    """Its pages are not cleared again: no page fault, where there are some without it."""
    faults = {}
    for way in ("kept", "as it is"):
        call = [sys.executable, "-c", FAULTS, way]
        found = subprocess.run(call, capture_output=True, text=True, check=True)
        faults[way] = int(found.stdout)
    pages = 8 * 2**26 / 2**21  # of 2 MiB at most
    assert faults["kept"] < pages / 2 < faults["as it is"]
