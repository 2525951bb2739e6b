"""`physim report`: the page holds what the data set holds, and works in a real browser."""

from __future__ import annotations

import base64
import io
import re
import sys
from html.parser import HTMLParser

import browser
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import physim
from physim import report
from physim.cli import cli
from physim.command_line import run
from physim.errors import RecipeError, ShardError
from physim.report import captions, markdown, portraits, svg
from physim.report.contours import level_set

SETS = {
    "pendulum": {"system": "pendulum", "n": 14, "n_test": 3},
    "hgn": {"recipe": "hgn/mass_spring", "n": 14, "n_test": 0},
    "dm": {
        "system": "two_body",
        "n": 9,
        "n_test": 2,
        "style": "dm",
        "colors": 6,
        "canvas_offset": True,
        "friction": 0.05,
        "noise": 0.05,
        "frames": 20,
    },
    "two": {"system": "two_body", "n": 5, "n_test": 2, "resolution": 24},
    "one": {"system": "three_body", "n": 1, "n_test": 0, "frames": 1},
}
needs_browser = pytest.mark.skipif(
    not (browser.CHROMIUM and browser.DRIVER), reason=browser.MISSING
)


@pytest.fixture(scope="module", params=SETS)
def made(request, tmp_path_factory):
    """A data set and the path of its report."""
    folder = tmp_path_factory.mktemp("report") / request.param
    physim.render(**SETS[request.param], out=folder)
    target = folder / "report.html"
    result = CliRunner().invoke(cli, ["report", str(folder)], catch_exceptions=False)
    assert result.output.strip() == str(target)
    return physim.open(folder), target


class _Outline(HTMLParser):
    """Tags that are open, addresses, and whether all tags are closed in order."""

    VOID = frozenset({"meta", "link", "input", "br", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.sheets: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        values = dict(attrs)
        self.addresses += [values[name] for name in ("src", "href", "action") if values.get(name)]
        if "data-sheet" in values:
            self.sheets.append(values["data-sheet"])

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def _outline(path):
    outline = _Outline()
    outline.feed(path.read_text())
    assert outline.open == []
    return outline


def test_the_page_needs_no_network(made):
    _, path = made
    outline = _outline(path)
    assert all(address.startswith(("data:", "#")) for address in outline.addresses)
    assert "@import" not in path.read_text()
    assert "Content-Security-Policy" in path.read_text()


def test_the_films_are_the_frames_pixel_by_pixel(made):
    dataset, path = made
    sheets = _outline(path).sheets
    image = dataset.train.image[:]
    assert len(sheets) == min(12, len(image))
    side = image.shape[2]
    for k, address in enumerate(sheets):
        sheet = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
        pixels = np.array(sheet.convert("RGB"))
        columns = pixels.shape[1] // side
        for t in range(image.shape[1]):
            y, x = t // columns * side, t % columns * side
            assert np.array_equal(pixels[y : y + side, x : x + side], image[k, t])


def test_the_page_says_what_the_data_set_is(made):
    dataset, path = made
    text = path.read_text()
    assert f"<h1>{dataset.recipe.name}</h1>" in text
    assert "Every promise holds" in text
    for shard in dataset.manifest.shards:
        assert shard.sha256[:8] in text
    for parameter in dataset.system.parameters:
        assert parameter.meaning in text
    heading = "Phase portraits" if dataset.system.dimension == 1 else "Orbits"
    assert f"<h2>{heading}</h2>" in text
    fading = "How the energy falls" if dataset.recipe.friction else "Energy error"
    assert f"<h2>{fading}</h2>" in text


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_it_looks_right_in_a_browser(made, width):
    dataset, path = made
    with browser.opened(width, 800) as page:
        page.open(path)
        assert page.run("return document.documentElement.scrollWidth") <= width
        assert page.run("return document.title") == dataset.recipe.name
        assert page.console() == []
        # no text sticks out of the page, and no plot is empty or flat
        beyond = page.run(
            "return [...document.querySelectorAll('h1,h2,p,dd,dt,figcaption,svg,canvas,button')]"
            ".filter(e => !e.closest('.scroll, pre') && e.getClientRects().length)"
            ".filter(e => { const r = e.getBoundingClientRect();"
            " return r.left < -1 || r.right > innerWidth + 1 || r.height < 5; })"
            ".map(e => e.outerHTML.slice(0, 80))"
        )
        assert beyond == []
        small = page.run(
            "return [...document.querySelectorAll('svg text')]"
            ".map(e => e.getBoundingClientRect()).filter(r => Math.max(r.width, r.height) < 3)"
            ".length"
        )
        assert small == 0


@needs_browser
@pytest.mark.parametrize("made", ["dm"], indirect=True)
def test_the_films_play_stop_and_can_be_wound(made):
    dataset, path = made
    frames = dataset.train.image[0]
    with browser.opened(1000, 800) as page:
        page.command(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-reduced-motion", "value": "no-preference"}],
        )
        page.open(path)
        shown = "return Number(document.querySelector('.seek').value)"
        seen = {
            page.run(f"await new Promise(r => setTimeout(r, 120)); {shown}") for _ in range(12)
        }
        assert len(seen) > 3
        page.run("document.querySelector('.play').click()")
        assert page.run("return document.querySelector('.play').textContent") == "Play"
        held = page.run(shown)
        assert page.run(f"await new Promise(r => setTimeout(r, 300)); {shown}") == held
        assert page.console() == []
        for frame in (0, len(frames) // 2, len(frames) - 1):
            pixels = page.run(
                f"const s = document.querySelector('.seek'); s.value = {frame};"
                "s.dispatchEvent(new Event('input')); const c = document.querySelector('canvas');"
                "return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
            )
            drawn = np.array(pixels).reshape(*frames.shape[1:3], 4)[..., :3]
            assert np.array_equal(drawn, frames[frame])
            clock = page.run("return document.querySelector('.clock').value")
            assert clock.startswith(f"t = {dataset.times[frame]:.2f}"[:-1])


@needs_browser
@pytest.mark.parametrize("made", ["pendulum"], indirect=True)
def test_who_prefers_less_motion_starts_the_films_by_hand(made):
    _, path = made
    with browser.opened(1000, 800) as page:
        page.command(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-reduced-motion", "value": "reduce"}],
        )
        page.open(path)
        assert page.run("return document.querySelector('.play').textContent") == "Play"
        still = "await new Promise(r => setTimeout(r, 400));"
        assert page.run(f"{still} return Number(document.querySelector('.seek').value)") == 0


@needs_browser
@pytest.mark.parametrize("made", ["pendulum"], indirect=True)
def test_dark_and_light_can_both_be_read(made):
    _, path = made
    contrasts = []
    with browser.opened(1000, 800) as page:
        for scheme in ("light", "dark"):
            page.command(
                "Emulation.setEmulatedMedia",
                features=[{"name": "prefers-color-scheme", "value": scheme}],
            )
            page.open(path)
            found = page.run(
                "const rgb = s => s.match(/[\\d.]+/g).slice(0, 3).map(Number);"
                "const paper = rgb(getComputedStyle(document.body).backgroundColor);"
                "return ['h1', '.lede', 'dt', 'figcaption', '.kicker', 'footer p'].map(q =>"
                " [paper, rgb(getComputedStyle(document.querySelector(q)).color)])"
            )
            contrasts.append(sum(found[0][0]) / 3)
            for paper, ink in found:
                assert _contrast(paper, ink) > 3
            assert _contrast(*found[1]) > 4.5
    assert contrasts[0] > 200
    assert contrasts[1] < 60


def _contrast(first, second):
    """Contrast ratio of two colours as the Web Content Accessibility Guidelines define it."""
    levels = []
    for colour in (first, second):
        channels = np.array(colour) / 255
        linear = np.where(
            channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
        )
        levels.append(float(linear @ [0.2126, 0.7152, 0.0722]) + 0.05)
    return max(levels) / min(levels)


def test_a_damaged_data_set_is_called_damaged(tmp_path):
    physim.render(system="mass_spring", n=6, n_test=0, out=tmp_path / "set")
    manifest = tmp_path / "set" / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(re.sub(r'"sha256": "[0-9a-f]{8}', '"sha256": "00000000', text))
    page = tmp_path / "page.html"
    report.write(physim.open(tmp_path / "set"), page)
    assert "Faults found by verification: 1." in page.read_text()
    report.write(physim.open(tmp_path / "set"), page, verify=False)
    assert "Not verified for this page" in page.read_text()
    result = CliRunner().invoke(cli, ["report", str(tmp_path / "set"), "-o", str(page)])
    assert result.exit_code == 1
    assert result.stdout == f"{page}\n"
    assert result.stderr.startswith("1 promise does not hold: see the page")


def test_what_cannot_be_read_has_a_page_that_says_so(tmp_path):
    physim.render(system="mass_spring", n=6, n_test=0, out=tmp_path / "set")
    shard = tmp_path / "set" / "train" / "00000.h5"
    shard.write_bytes(shard.read_bytes()[:1000])
    page = tmp_path / "page.html"
    result = CliRunner().invoke(cli, ["report", str(tmp_path / "set"), "-o", str(page)])
    assert result.exit_code == 1
    text = page.read_text()
    assert "Faults found by verification: 1." in text
    assert "train/00000.h5" in text
    with pytest.raises(ShardError, match="00000"):
        report.write(physim.open(tmp_path / "set"), page, verify=False)


def test_names_and_cards_of_strangers_put_no_markup_on_the_page(tmp_path):
    evil = "<script>alert(1)</script>"
    with pytest.raises(RecipeError, match="name: got '<script>"):
        physim.render(system="mass_spring", name=evil, n=2, n_test=0, out=tmp_path)
    physim.render(system="mass_spring", n=2, n_test=0, out=tmp_path)
    (tmp_path / "README.md").write_text(f"# {evil}\n\n| {evil} |\n\n[a](javascript:alert(2))\n")
    page = tmp_path / "page.html"
    report.write(physim.open(tmp_path), page)
    text = page.read_text()
    assert "<script>alert" not in text
    assert "javascript:alert" not in text
    assert text.count("<script>") == 1


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("page.pdf", "output: got 'page.pdf', expected a name that ends in .html"),
        ("missing/page.html", "output: cannot write 'missing/page.html'"),
    ],
)
def test_what_does_not_fit_ends_in_one_sentence(tmp_path, monkeypatch, capsys, output, sentence):
    physim.render(system="mass_spring", n=2, n_test=0, out=tmp_path / "set")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["physim", "report", "set", "-o", output])
    assert run(cli) == 2
    message = capsys.readouterr().err
    assert sentence in message
    assert message.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_small_masses_of_many_bodies_have_a_caption(tmp_path):
    masses = [3e-7, 2.0, 0.5, 1e-5]
    made = physim.render(
        system="n_body",
        bodies=4,
        parameters={"m": masses},
        n=1,
        n_test=0,
        frames=2,
        resolution=8,
        out=tmp_path / "set",
    )
    data = physim.open(made.path)
    words = captions.parameter_words(data, data.params("train", 0))
    assert words.startswith(f"m\N{NO-BREAK SPACE}{svg.number(3e-7)} … 2 · G")
    assert svg.number(3e-7) in report.page(data)


def test_level_sets_lie_on_their_level():
    x, y = np.linspace(-3, 3, 121), np.linspace(-2.5, 2.5, 101)
    values = y[:, None] ** 2 / 2 + 1 - np.cos(x)  # a pendulum
    for level in (0.3, 1.0, 1.9, 2.4):
        lines = level_set(x, y, values, level)
        points = np.concatenate(lines)
        assert np.abs(points[:, 1] ** 2 / 2 + 1 - np.cos(points[:, 0]) - level).max() < 2e-3
        closed = all((line[0] == line[-1]).all() for line in lines)
        assert closed == (level < 1 - np.cos(3) - 1e-9)
        assert len(lines) == (1 if closed else 2)


def test_level_sets_of_a_checkerboard_never_cross():
    values = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    axis = np.arange(3.0)
    lines = level_set(axis, axis, values, 0.4)
    points = np.concatenate([line[:-1] if (line[0] == line[-1]).all() else line for line in lines])
    assert len(np.unique(points.round(9), axis=0)) == len(points)
    assert level_set(axis, axis, values, 2.0) == []


@pytest.mark.parametrize(("level", "joined"), [(0.4, True), (0.6, False)])
def test_at_a_saddle_the_middle_decides(level, joined):
    """The function is 1 in two opposite corners, 0 in the others, 0.5 in the middle."""
    axis = np.array([0.0, 1.0])
    lines = level_set(axis, axis, np.array([[1.0, 0.0], [0.0, 1.0]]), level)
    assert len(lines) == 2
    for line in lines:
        x, y = line.mean(axis=0)
        assert (abs(x + y - 1) < 1e-12) == joined  # the low corners are cut off, or the high ones


def test_two_bodies_about_each_other_have_the_energy_that_is_stored(tmp_path):
    physim.render(system="two_body", n=20, n_test=0, out=tmp_path)
    dataset = physim.open(tmp_path)
    rows, params = dataset.train[:], dataset.params("train")
    for k in range(20):
        r, radial, angular = portraits.radial_motion(rows["q"][k], rows["p"][k], params[k])
        energy = portraits.radial_energy(r, radial, angular, params[k])
        assert np.allclose(energy, rows["energy"][k], rtol=1e-12)  # their centre is at rest


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.2, 7.7), (1e-9, 3e-9), (-5000, -4000)])
def test_ticks_are_round_and_inside(low, high):
    ticks = svg.ticks(low, high, 6)
    assert 3 <= len(ticks) <= 7
    assert min(ticks) >= low - 1e-6 * (high - low)
    assert max(ticks) <= high + 1e-6 * (high - low)
    assert np.ptp(np.diff(ticks)) < 1e-9 * (high - low)


def test_markdown_of_cards():
    text = """\
---
front: matter
---
# A

Some *soft*, **hard**
and `co*d*e`.

- one
  more
- two

| a | b \\| c |
| --- | --- |
| 1 | `x` |

    indented

```python
x < 1
```
See [here](https://example.org).
"""
    html = markdown.to_html(text)
    assert "front" not in html
    for part in (
        "<h2>A</h2>",
        "<p>Some <em>soft</em>, <strong>hard</strong> and <code>co*d*e</code>.</p>",
        "<ul><li>one more</li><li>two</li></ul>",
        "<th>b | c</th>",
        "<td><code>x</code></td>",
        "<pre><code>indented</code></pre>",
        "<pre><code>x &lt; 1</code></pre>",
        '<a href="https://example.org">here</a>',
    ):
        assert part in html
