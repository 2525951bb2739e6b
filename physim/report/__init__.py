"""A data set as one HTML page that needs no network: contents, motion and accuracy."""

from __future__ import annotations

import html
import re
from importlib import resources
from pathlib import Path
from string import Template

from physim import __version__, card
from physim.card.words import apart
from physim.command_line import percent, size_text, smaller_text
from physim.dataset import Dataset
from physim.errors import RecipeError, ShardError
from physim.inspection import out_of_sight
from physim.report import energies, films, markdown, portraits
from physim.verification import Verification
from physim.verification import verify as verified

SHARDS = 40
"""Rows of the table of files."""


def write(dataset: Dataset, path: Path, *, verify: bool = True) -> Verification | None:
    """Write the report of a data set.

    Arguments:
        dataset: An open data set.
        path: The file, `.html`.
        verify: Whether to check every promise of the data set first, as `physim verify` does, and
            to say on the page what came out.

    Returns:
        What the check found, if requested.

    Raises:
        RecipeError: The name does not end in .html.
        ShardError: The data set holds nothing or is damaged, or the file cannot be written.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise RecipeError(f"output: got '{path.name}', expected a name that ends in .html")
    found = verified(dataset.path) if verify else None
    try:
        text = page(dataset, found)
    except ShardError:
        if found is None or found.ok:
            raise
        text = _faults(dataset, found)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ShardError(f"output: cannot write '{path}' ({error.strerror})") from None
    return found


def page(dataset: Dataset, verification: Verification | None = None) -> str:
    """The report of a data set.

    Arguments:
        dataset: An open data set.
        verification: What `physim verify` found, if requested.

    Returns:
        HTML.
    """
    split = next((name for name, split in dataset.splits.items() if len(split)), None)
    if split is None:
        raise ShardError(f"{dataset.path}: the data set holds no trajectory")
    recipe, system = dataset.recipe, dataset.system
    assets = resources.files("physim.report")
    plane = "Orbits" if system.dimension > 1 else "Phase portraits"
    return Template((assets / "page.html").read_text(encoding="utf-8")).substitute(
        style=(assets / "page.css").read_text(encoding="utf-8"),
        script=(assets / "page.js").read_text(encoding="utf-8"),
        title=html.escape(recipe.name),
        lede=html.escape(_lede(dataset)),
        formula=_formula(system.formula),
        figures=_figures(dataset),
        films=films.films(dataset, split),
        plane=plane,
        plane_lede=html.escape(_PLANES[plane]),
        portraits=portraits.portraits(dataset, split),
        energy_title="How the energy falls" if recipe.friction else "Energy error",
        energy_lede=html.escape(_energy_lede(dataset)),
        energies=energies.energies(dataset, split),
        distributions=energies.distributions(dataset),
        checks=_checks(verification),
        shards=_shards(dataset),
        card=_card(dataset),
        versions=html.escape(
            ", ".join(f"{name} {value}" for name, value in dataset.manifest.versions.items())
        ),
        version=__version__,
    )


def _faults(dataset: Dataset, verification: Verification) -> str:
    """A page that says what is wrong with a data set that cannot be read as a whole."""
    title = html.escape(str(dataset.settings.get("name", dataset.path)))
    style = (resources.files("physim.report") / "page.css").read_text(encoding="utf-8")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{title}</title>\n<style>\n{style}\n</style>\n</head>\n<body>\n<header>\n"
        f"<h1>{title}</h1>\n</header>\n<main>\n<section>\n<h2>Damaged</h2>\n"
        f"{_checks(verification)}\n</section>\n</main>\n</body>\n</html>\n"
    )


_PLANES = {
    "Orbits": (
        "Paths of the bodies, all to the same scale: a ring where a body begins, a disc where it "
        "ends, a dot at each frame between."
    ),
    "Phase portraits": (
        "Trajectories over the level sets of H at their own parameters. The exact motion, without "
        "friction, never leaves its level."
    ),
}


def _lede(dataset: Dataset) -> str:
    recipe, total = dataset.recipe, sum(dataset.manifest.counts.values())
    noise = f", drawn with observation noise of σ = {recipe.noise:g}" if recipe.noise else ""
    friction = f", slowed by friction c = {recipe.friction:g}" if recipe.friction else ""
    return (
        f"{total:,} trajectories of {dataset.system.summary}{friction}{noise}: {recipe.frames} "
        f"frames of {recipe.resolution} × {recipe.resolution} pixels, {apart(recipe.dt)}, "
        "with the states and parameters behind them."
    )


def _formula(text: str) -> str:
    """H, with indices set as such."""
    escaped = html.escape(text)
    escaped = re.sub(r"_\{([^}]*)\}|_(\w+)", lambda m: f"<sub>{m[1] or m[2]}</sub>", escaped)
    return f"<i>H</i> = {escaped}"


def _figures(dataset: Dataset) -> str:
    """The few numbers that matter."""
    recipe, manifest = dataset.recipe, dataset.manifest
    size = sum(shard.bytes for shard in manifest.shards)
    raw = sum(manifest.counts.values()) * recipe.trajectory_bytes
    entries = [(f"{n:,}", f"trajectories to {name}") for name, n in manifest.counts.items()]
    entries += [
        (
            f"{(recipe.frames - 1) * abs(recipe.dt):.4g}",
            f"units of time in {recipe.frames} frames",
        ),
        (size_text(size), f"on disk{smaller_text(raw, size)}"),
    ]
    if not recipe.friction:
        worst = max(shard.energy_error for shard in manifest.shards)
        entries.append((_power(worst), "worst relative energy error"))
    redrawn = sum(shard.redrawn for shard in manifest.shards)
    entries.append((f"{redrawn:,}", "drawn again (left the canvas, or bodies met)"))
    hidden = sum(out_of_sight(dataset, name)["trajectories"] for name in manifest.counts)
    if hidden:
        share = percent(hidden, sum(manifest.counts.values()))
        entries.append((share, "of trajectories with a body that noise puts out of sight"))
    return "".join(f"<div><dt>{words}</dt><dd>{value}</dd></div>" for value, words in entries)


def _energy_lede(dataset: Dataset) -> str:
    if dataset.recipe.friction:
        grows = " The frames run backward in time, so in them it grows." * (dataset.recipe.dt < 0)
        return f"With friction c the energy falls at the rate c ‖∂H/∂p‖².{grows}"
    return (
        f"Energy conservation in the stored states, limited by the integrator, "
        f"{dataset.recipe.integrator}, and double precision."
    )


def _checks(verification: Verification | None) -> str:
    if verification is None:
        return "<p>Not verified for this page; <code>physim verify</code> does.</p>"
    if verification.ok:
        return (
            '<p class="good">Verified when this page was made: '
            f"{verification.shards:,} files against their checksums, "
            f"{verification.trajectories:,} trajectories against their energies and parameters, "
            f"{verification.made_again:,} of them remade and compared frame by frame. "
            "Every promise holds.</p>"
        )
    found = "".join(
        f"<li>{html.escape(str(finding))}</li>" for finding in verification.findings[:20]
    )
    number = len(verification.findings)
    return f'<p class="bad">Faults found by verification: {number:,}.</p><ul>{found}</ul>'


def _shards(dataset: Dataset) -> str:
    """The table of files."""
    shards, conserved = dataset.manifest.shards, not dataset.recipe.friction
    rows = "".join(
        f"<tr><td><code>{html.escape(shard.name)}</code></td><td>{shard.trajectories:,}</td>"
        f"<td>{size_text(shard.bytes)}</td>"
        f"{f'<td>{_power(shard.energy_error)}</td>' if conserved else ''}"
        f"<td><code>{shard.sha256[:8]}…</code></td></tr>"
        for shard in shards[:SHARDS]
    )
    more = f"<p>And {len(shards) - SHARDS:,} more.</p>" if len(shards) > SHARDS else ""
    return (
        '<div class="scroll"><table class="numbers"><thead><tr><th>file</th><th>trajectories</th>'
        f"<th>size</th>{'<th>energy error</th>' if conserved else ''}<th>SHA-256</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>{more}"
    )


def _card(dataset: Dataset) -> str:
    """The card beside the shards, or, where there is none, the one that belongs there."""
    path = dataset.path / card.CARD
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(2**20)
    except OSError:
        text = card.text(dataset)
    return markdown.to_html(text, heading=3)


def _power(value: float) -> str:
    """`3.8 · 10⁻¹⁵`."""
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa} · 10<sup>{int(exponent)}</sup>".replace("-", "−")
