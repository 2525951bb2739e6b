"""docs/paper.md says what other pages say, and docs/figures/ is what `hgn-train figures` wrote."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
SOURCES = ("accuracy.md", "figures/README.md")
DECIMAL = re.compile(r"(?<![\w.])\d+\.\d+(?:e[-+]?\d+)?")


def test_numbers_come_from_pages_that_commands_write():
    known = set()
    for name in SOURCES:
        known |= set(DECIMAL.findall((DOCS / name).read_text()))
    said = DECIMAL.findall((DOCS / "paper.md").read_text())
    assert said
    assert [number for number in said if number not in known] == []


def test_links_lead_somewhere():
    for page in (DOCS / "paper.md", DOCS / "figures" / "README.md"):
        text = page.read_text()
        headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in headings}
        for target in re.findall(r"\]\((?!http)([^)]+)\)", text):
            path, _, anchor = target.partition("#")
            assert (page.parent / path).exists(), target
            assert path or anchor in anchors, target


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs the extra 'train'")
def test_figures_are_as_they_were_written(tmp_path):
    from PIL import Image

    from hgn_train import paper
    from hgn_train.paper import captions, page

    pictures = sorted((DOCS / "figures").glob("*.png"))
    assert {path.name for path in pictures} == {f.file for f in paper.FIGURES.values()}
    for path in pictures:
        (tmp_path / path.name).write_bytes(path.read_bytes())
        assert path.stat().st_size <= page.BYTES
        assert len(Image.open(path).convert("RGB").getcolors(1 << 24)) > 30
    written = captions.write(tmp_path, list(paper.FIGURES.values())).read_text()
    assert written == (DOCS / "figures" / "README.md").read_text(), "hgn-train figures renews it"
