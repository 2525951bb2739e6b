"""Tables of the paper's runs: several seeds, batches and calls in one; the page of results."""

import copy
import json
import math
import statistics
from pathlib import Path

import pytest

from benchmarks.paper_table import merge
from benchmarks.paper_table.tables import ERROR, SECONDS, tables
from physim.errors import PhysimError

ROOT = Path(__file__).parents[2]
MACHINE = {"device": "a processor", "python": "3", "versions": {}, "date": "2000-01-01"}


def row(error, seed=0, variant="euler", system="pendulum", batch=16, frames=30, **train):
    """A run whose test error is that, and whose other numbers follow from it."""
    split = {
        "error": error,
        "average_image": 0.01,
        "share_explained": 1 - error / 0.01,
        "energy": {"relative_spread": 10 * error},
        "per_frame": [error] * 30,
    }
    beyond = {way: {"share_explained": 0.5} for way in ("forward", "backward")}
    return {
        "variant": variant,
        "system": system,
        "seed": seed,
        "state": "evaluated",
        "evaluation": {
            "data": "somewhere",
            "settings": {
                "model": "hgn",
                "preset": "tuned",
                "network": {"frames": frames, "resolution": 32},
                "train": {"batch_size": batch, "seed": seed} | train,
            },
            "splits": {"train": split | {"error": error / 2}, "test": split},
            "beyond": beyond,
            "training": {"seconds": 100 * (1 + seed)},
        },
    }


def call(*rows, command="gpu_results.sh 1 OUT"):
    return {"machine": MACHINE, "call": {"command": command}, "cells": list(rows)}


def cells(text, caption, label):
    """Cells of a row of a table."""
    part = text.split(f"#### {caption}")[1].split("####")[0]
    (line,) = [line for line in part.splitlines() if line.startswith(f"| {label} |")]
    return [cell.strip() for cell in line.strip("| ").split("|")[1:]]


def test_a_cell_is_the_mean_and_deviation_over_seeds():
    errors = [1.1e-4, 1.3e-4, 1.5e-4]
    text = tables([row(error, seed) for seed, error in enumerate(errors)])
    mean, spread = 1e4 * statistics.mean(errors), 1e4 * statistics.stdev(errors)
    expected = f"{mean / 2:.3f} ± {spread / 2:.3f} / {mean:.2f} ± {spread:.2f} (3)"
    assert cells(text, ERROR, "euler") == [expected]
    assert cells(text, ERROR, "average image") == ["100.00"]
    assert cells(text, ERROR, "Toth et al. (2019), HGN, Euler") == ["5.43 / 10.93"]
    assert cells(text, SECONDS, "euler") == ["100, 200, 300"]


def test_what_a_run_lacks_is_left_out():
    other = row(2e-4, variant="hnn-dense", system="two_body")
    text = tables([row(1e-4), other, {"variant": "x", "system": "pendulum", "seed": 0}])
    assert "Valid prediction time" not in text  # no run has it
    assert cells(text, ERROR, "euler") == ["0.500 / 1.00", "–"]
    assert cells(text, ERROR, "hnn-dense") == ["–", "1.00 / 2.00"]
    assert "| x |" not in text


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf, -1.0])
def test_numbers_without_a_size_are_shown(value):
    found = row(1e-4)
    found["evaluation"]["beyond"]["forward"]["share_explained"] = value
    cell = cells(tables([found]), "Share explained further forward / backward", "euler")[0]
    assert cell == f"{value:.2f} / 0.500"


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_seed_that_diverged_does_not_hide_the_others(value):
    """As results in JSON say it, with null, and as they are in memory."""
    lost = row(1e-4)
    lost["evaluation"]["beyond"]["forward"]["share_explained"] = value
    text = tables([lost, row(1e-4, seed=1)])
    (cell,) = cells(text, "Share explained further forward / backward", "euler")
    assert cell.startswith(("nan", "inf"))
    assert cell.endswith(" / 0.500 ± 0.000 (2)")
    assert cells(text, ERROR, "euler") == ["0.500 ± 0.000 / 1.00 ± 0.00 (2)"]


def test_papers_are_named_only_beside_frames_like_theirs():
    assert "Toth" in tables([row(1e-4)])
    assert "Toth" not in tables([row(1e-4, frames=10)])


def test_calls_are_merged_in_order_and_once():
    first = call(row(1e-4), row(2e-4, system="two_body"), command="first")
    more = call(row(3e-4, seed=1), row(1e-4), row(4e-4, batch=64), command="second")
    found = merge.merged([first, more, first])
    assert [source["command"] for source in found["sources"]] == ["first", "second"]
    order = [(c["system"], c["seed"]) for c in found["cells"]]
    assert order == [("pendulum", 0), ("two_body", 0), ("pendulum", 1), ("pendulum", 0)]
    text = tables(found["cells"])
    assert cells(text, ERROR, "euler, batches of 64") == ["2.00 / 4.00", "–"]
    assert cells(text, ERROR, "euler")[1] == "1.00 / 2.00"
    assert merge.merged([json.loads(merge.lines(found))]) == found


def test_what_is_undefined_is_the_same_twice_and_null_in_json():
    lost = row(1e-4)
    lost["evaluation"]["latent"] = {"symetric": math.nan, "readout": -math.inf}
    again = copy.deepcopy(lost)
    found = merge.merged([call(lost), call(again)])
    (cell,) = json.loads(merge.lines(found), parse_constant=pytest.fail)["cells"]
    assert cell["evaluation"]["latent"] == {"symetric": None, "readout": None}


def test_seeds_with_other_settings_are_refused():
    with pytest.raises(PhysimError, match=r"pendulum, euler: .* \(clip 1\.0 and 2\.0\)"):
        merge.merged([call(row(1e-4, clip=1.0), row(2e-4, seed=1, clip=2.0))])


def test_batches_are_named_where_they_are_not_those_of_the_preset():
    text = tables([row(1e-4, batch=64), row(2e-4, variant="leapfrog")])
    assert cells(text, ERROR, "euler, batches of 64") == ["0.500 / 1.00"]
    assert cells(text, ERROR, "leapfrog") == ["1.00 / 2.00"]


def test_two_runs_of_a_cell_are_refused():
    with pytest.raises(PhysimError, match="pendulum, euler, seed 0: two different runs"):
        merge.merged([call(row(1e-4)), call(row(2e-4))])


def test_curves_and_places_are_left_out_and_nothing_is_changed():
    given = call(row(1.23456789e-4))
    before = copy.deepcopy(given)
    (cell,) = merge.merged([given])["cells"]
    assert "data" not in cell["evaluation"]
    assert "per_frame" not in cell["evaluation"]["splits"]["test"]
    assert cell["evaluation"]["splits"]["test"]["error"] == 1.2346e-4
    assert given == before


def test_the_command_writes_results_and_renews_a_page(tmp_path, capsys):
    (tmp_path / "one.json").write_text(json.dumps(call(row(1e-4))))
    (tmp_path / "two.json").write_text(json.dumps(call(row(2e-4, seed=1))))
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- gpu -->\nold\n<!-- /gpu -->\nafter\n")
    files = [str(tmp_path / f"{name}.json") for name in ("one", "two")]
    out = tmp_path / "both.json"
    merge.main([*files, "--out", str(out), "--update", str(page)])
    printed = capsys.readouterr().out
    assert cells(printed, ERROR, "euler")[0].endswith("(2)")
    assert page.read_text() == f"before\n<!-- gpu -->\n{printed}<!-- /gpu -->\nafter\n"
    merge.main([str(out)])
    assert capsys.readouterr().out == printed


def test_the_page_of_results_shows_the_results_beside_it():
    page = ROOT / "docs" / "results.md"
    kept = json.loads((ROOT / "docs" / "results-gpu" / "results.json").read_text())
    text = tables(merge.merged([kept])["cells"])
    assert text in page.read_text(), (
        "python -m benchmarks.paper_table.merge docs/results-gpu/results.json "
        "--update docs/results.md"
    )
