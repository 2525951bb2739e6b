"""The report of a run: one HTML file that holds its pictures, and the table of the terminal."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hgn_train import evaluation, files
from hgn_train.evaluation import elsewhere
from hgn_train.evaluation.results import load

Results = Mapping[str, Any]

PIXELS = ("rollout", "samples")
"""How the names of pictures start that are shown pixel by pixel."""


def text(results: Results) -> str:
    """The table for a terminal, and the result in two sentences below it."""
    judge = evaluation.find(results["settings"]["model"])
    table = judge.rows(results)
    width = max(len(name) for name, _ in table)
    lines = [f"{name:<{width}}  {value}" for name, value in table]
    return "\n".join([*lines, "", judge.lead(results)])


def write(run: Path) -> Path:
    """Write `report.html` and the pictures beside it.

    Arguments:
        run: Folder of an evaluated run, or its subfolder with results on other data.

    Returns:
        Path of the report.

    Raises:
        PhysimError: The run has not been evaluated, or its folder cannot be written.
    """
    from jinja2 import Environment

    results, arrays = load(run)
    judge = evaluation.find(results["settings"]["model"])
    folder = run / "pictures"
    with files.writing(folder):
        folder.mkdir(exist_ok=True)
    pictures: list[dict[str, str]] = []
    for name, caption, content in judge.pictures(run, results, arrays):
        files.write(folder / name, content)
        kind = "gif" if name.endswith(".gif") else "png"
        address = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
        smooth = "" if name.startswith(PIXELS) else "smooth"
        pictures.append({"caption": caption, "address": address, "smooth": smooth})
    settings = results["settings"]
    page = (
        Environment(autoescape=True)
        .from_string(PAGE)
        .render(
            title=f"{settings['model']} on {results['system']}",
            run=name_of(run, results),
            lead=judge.lead(results),
            rows=judge.rows(results),
            pictures=pictures,
            settings=json.dumps(settings, indent=2),
        )
    )
    path = run / "report.html"
    files.write(path, page)
    return path


def name_of(run: Path, results: Results) -> str:
    """Name of a run, and the data if evaluated on data other than its own."""
    if not elsewhere.is_of_other_data(run):
        return run.name
    own = results["settings"]["data"]
    return f"{run.absolute().parent.name}, trained on {own}, evaluated on {results['data']}"


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{ title }}</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; color: #1d2730; max-width: 72rem; margin: 2rem auto;
         padding: 0 1rem; }
  h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2rem; }
  .run { color: #6b7780; margin-top: 0; }
  table { border-collapse: collapse; font-size: .92rem; }
  td { border-top: 1px solid #dde2e6; padding: .2rem .8rem .2rem 0; }
  td:last-child { text-align: right; font-variant-numeric: tabular-nums; }
  figure { margin: 1.2rem 0; } figcaption { color: #4b5761; font-size: .92rem; }
  img { max-width: 100%; image-rendering: pixelated; } img.smooth { image-rendering: auto; }
  pre { background: #f3f5f7; padding: .8rem; overflow-x: auto; font-size: .82rem; }
</style>
<h1>{{ title }}</h1>
<p class="run">{{ run }}</p>
<p>{{ lead }}</p>
<h2>Pictures</h2>
{% for picture in pictures %}
<figure>
  <img class="{{ picture.smooth }}" src="{{ picture.address }}" alt="{{ picture.caption }}">
  <figcaption>{{ picture.caption }}</figcaption>
</figure>
{% endfor %}
<h2>Numbers</h2>
<table>
{% for name, value in rows %}
  <tr><td>{{ name }}</td><td>{{ value }}</td></tr>
{% endfor %}
</table>
<h2>Settings</h2>
<pre>{{ settings }}</pre>
</html>
"""
