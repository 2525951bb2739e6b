#!/bin/sh
# The table of the HGN paper on one GPU, within a time limit:
#
#     scripts/gpu_results.sh MINUTES OUT [--quick] [--batch N] [--side N] [--set NAME=VALUE …]
#
# Called again with the same OUT it resumes. OUT/bundle holds what is worth keeping.
# Exit status: 0 all done, 3 work remains for another call, 1 a run failed or the step is
# not the plain one in float64, 2 bad input.
# It ends a few seconds after MINUTES; if calls are cut off at ten minutes, give 9.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
if [ -x "$root/.venv/bin/python" ]; then python=$root/.venv/bin/python; else python=python3; fi
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
exec "${PYTHON:-$python}" -m benchmarks.paper_table "$@"
