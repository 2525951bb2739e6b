"""Compiled functions: what is left where they cannot be kept on disk."""

import subprocess
import sys

import pytest

from physim.kernels import Kernel


def test_a_function_that_cannot_be_kept_is_compiled_nevertheless():
    """Numba keeps none that has no file, as it keeps none where no folder can be written to."""
    there = {}
    exec("def square(x):\n    return x * x", there)  # noqa: S102
    kernel = Kernel(there["square"], "f8(f8)")
    with pytest.warns(UserWarning, match="NUMBA_CACHE_DIR may name a folder"):
        assert kernel(3.0) == 9.0


def test_commands_let_go_of_cores_that_they_wait_on():
    """OpenMP's threads spin for milliseconds otherwise, which takes cores from other programs."""
    code = (
        "import os, sys; os.environ.pop('GOMP_SPINCOUNT', None)\n"
        "from hgn_train import cli\n"
        "sys.argv = ['hgn-train', '--version']\n"
        "try: cli.main()\n"
        "except SystemExit: print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "1000 False", done.stderr
