"""What holds while a training runs, seen from outside of the process."""

import os
import subprocess
import sys
import threading

import pytest
import torch

from hgn_train import conditions
from physim.errors import PhysimError

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


@pytest.mark.parametrize(
    ("can", "expected"),
    [
        ({"avx2": True, "avx512_bf16": True}, "bf16-mixed"),
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": True}, "bf16-mixed"),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "32-true"),
        ({"neon": True}, "32-true"),
    ],
)
def test_bf16_where_the_processor_computes_with_it(can, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: can)
    assert conditions.precision_of(torch.device("cpu")) == expected


def test_float32_where_nobody_can_say(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert conditions.precision_of(torch.device("cpu")) == "32-true"


@pytest.mark.parametrize(("has", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_bf16_where_the_gpu_does_not_emulate_it(has, expected, monkeypatch):
    def supported(including_emulation=True):
        return has or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert conditions.precision_of(torch.device("cuda")) == expected


@pytest.mark.parametrize(
    ("hold", "look", "usual", "wanted"),
    [
        (
            conditions.deterministic,
            torch.are_deterministic_algorithms_enabled,
            False,
            True,
        ),
        (conditions.threads, torch.get_num_threads, 1, 2),
    ],
)
def test_a_condition_holds_until_the_last_thread_has_done(hold, look, usual, wanted):
    """Of two trainings that begin one after the other and end in the same order."""
    second_began, first_ended = threading.Event(), threading.Event()
    seen = []

    def second():
        with hold(wanted):
            second_began.set()
            first_ended.wait()
            seen.append(look())

    other = threading.Thread(target=second)
    with hold(wanted):
        other.start()
        second_began.wait()
    first_ended.set()
    other.join()
    assert seen == [wanted]
    after = threading.Thread(target=lambda: seen.append(look()))  # a new one has the process's
    after.start()
    after.join()
    assert seen == [wanted, usual]
    torch.set_num_threads(1)  # this thread ended first, and has kept its own


def test_another_number_of_threads_meanwhile_is_refused():
    with (
        conditions.threads(2),
        pytest.raises(
            PhysimError, match="threads: got 3, expected 2, which a training in another"
        ),
        conditions.threads(3),
    ):
        pass
    assert torch.get_num_threads() == 1
    with conditions.threads(0):
        assert torch.get_num_threads() == 1


def test_denormals_are_flushed_as_long_as_before():
    with conditions.flushed_denormals():
        with conditions.flushed_denormals():
            pass
        assert not torch.tensor(1e-39)
    assert torch.tensor(1e-39)


def test_cublas_is_told_to_repeat_itself_unless_it_was(monkeypatch):
    name = "CUBLAS_WORKSPACE_CONFIG"
    monkeypatch.setenv(name, ":16:8")
    conditions.deterministic_cublas()
    assert os.environ[name] == ":16:8"
    monkeypatch.delenv(name)
    conditions.deterministic_cublas()
    assert os.environ[name] == ":4096:8"
