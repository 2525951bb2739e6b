"""What the README says is true: its code runs, its tables are current, its links exist."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import physim
from benchmarks import measure
from physim.cli import COMMANDS, cli
from physim.command_line import run
from physim.markdown import between

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the README's data set in it, at a small scale."""
    path = tmp_path_factory.mktemp("readme")
    out = path / "datasets" / "two_body"
    physim.render(system="two_body", n=10_100, n_test=10, frames=12, resolution=8, out=out)
    return path


def test_python_examples_run(folder, monkeypatch):
    monkeypatch.chdir(folder)
    examples = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(examples) == 5
    scope: dict[str, object] = {}
    for example in examples:
        exec(example, scope)  # noqa: S102 - it is our own page
    assert scope["pictures"].shape == (1, 100, 64, 64, 3)
    assert len(scope["frames"]) == 64
    assert scope["one"]["image"].shape == (12, 8, 8, 3)
    assert len(scope["windows"][0]["image"]) == 10
    assert scope["rows"].num_rows == 10_100
    assert "trajectory" in scope["named"].dims


def test_the_page_on_scoring_runs(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    small = {"n": 20, "n_test": 10, "resolution": 8, "name": "hgn/pendulum"}
    physim.render("hgn/pendulum", "datasets/hgn/pendulum", **small)
    page = (ROOT / "docs" / "scoring.md").read_text()
    scope: dict[str, object] = {}
    for example in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(example, scope)  # noqa: S102 - it is our own page
    promised = re.search(r"\n    hgn/pendulum, test split.*?\n\n", page, re.DOTALL)[0]
    texts = (promised.strip().splitlines(), capsys.readouterr().out.splitlines()[:5])
    said, printed = ([re.sub(r"-?[\d.]+|\s+", "", line) for line in lines] for lines in texts)
    assert said == printed
    assert scope["q"].shape == (8, 150, 1)
    assert scope["frames"].shape == (8, 150, 8, 8, 3)


def test_commands_run(folder, monkeypatch, capsys):
    """At a small scale: `--n` is replaced, the rest stands as it does on the page."""
    monkeypatch.chdir(folder)
    commands = [
        line.split("#")[0].strip()
        for line in README.splitlines()
        if re.match(r" {4}physim ", line)
    ]
    assert {shlex.split(command)[1] for command in commands} >= {"render", "systems", "verify"}
    for command in commands:
        words = re.sub(r"--n \d+", "--n 20 --frames 6 --overwrite", command)
        if words.startswith("physim score"):
            np.save("predictions.npy", physim.open("datasets/two_body").test.image[:2])
        assert run(cli, shlex.split(words)[1:]) == 0, command
    capsys.readouterr()


def test_tables_are_current():
    path = ROOT / "scripts" / "readme_tables.py"
    spec = importlib.util.spec_from_file_location("readme_tables", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.renewed(README) == README, "python scripts/readme_tables.py renews them"
    with pytest.raises(physim.PhysimError, match="no markers <!-- figures -->"):
        module.renewed(README.replace("<!-- figures -->", ""))


def test_a_page_without_the_place_for_a_table_is_refused():
    page = "before\n<!-- read -->\nold\n<!-- /read -->\nafter\n"
    assert between(page, "read", "new\n") == page.replace("old", "new")
    with pytest.raises(physim.PhysimError, match="no markers <!-- step --> and <!-- /step -->"):
        between(page, "step", "new\n")


def test_a_measured_process_may_say_much(tmp_path, monkeypatch):
    """More than a pipe holds; what it says is the reason where it fails."""
    (tmp_path / "talking.py").write_text(
        "import sys; sys.stderr.write('x' * 2**18 + 'end'); sys.exit(int(sys.argv[1]))"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert measure.process(["talking", "0"]).wall > 0
    with pytest.raises(RuntimeError, match=r"exit status 3: x+end$"):
        measure.process(["talking", "3"])


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "datasets/README.md"])
def test_links_lead_somewhere(page):
    path = ROOT / page
    for target in re.findall(r"\]\((?!http)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_that_names_it(name, capsys):
    assert run(cli, [name, "--help"]) == 0
    printed = capsys.readouterr().out
    assert "Example:" in printed
    assert f"physim {name}" in printed
