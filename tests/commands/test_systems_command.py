"""`physim systems` says what the recipes hold."""

import re

import pytest
from click.testing import CliRunner

from physim.cli import cli
from physim.recipe import recipes
from physim.recipe.files import load
from physim.systems import SYSTEMS


def constants(system):
    """The heading of the last numbers, and those of each constant."""
    printed = CliRunner().invoke(cli, ["systems", system]).output
    heading, *rows = printed.split("\n\n")[1].splitlines()
    table = [re.split(r"\s{2,}", row.strip()) for row in rows]
    return re.split(r"\s{2,}", heading.strip())[1], {row[0]: row[2] for row in table}


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_paper_is_named_where_it_has_a_recipe(system):
    heading, printed = constants(system)
    if f"hgn/{system}" not in recipes():
        assert heading == "if fixed"
        return
    assert heading == "in hgn/*"
    held = load(f"hgn/{system}")["parameters"]
    assert {name: float(value) for name, value in printed.items()} == held
