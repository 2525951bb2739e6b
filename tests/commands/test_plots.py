"""The plots of `physim report`, read back by the labels of their axes, are the data's."""

from __future__ import annotations

import re

import numpy as np
import pytest

import physim
from physim import report

SETS = {
    "spring": {"recipe": "hgn/mass_spring", "n": 9, "n_test": 0},
    "pendulum": {
        "system": "pendulum",
        "integrator": "leapfrog",  # errors far above those of rounding
        "n": 12,
        "n_test": 5,
        "parameters": {"m": {"uniform": [0.5, 1.0]}, "l": 1.0, "g": 2.0},
        "initial": {"radius": {"uniform": [1.0, 4.0]}},
    },
    "friction": {"system": "two_body", "n": 30, "n_test": 0, "friction": 0.05},
    "two": {"system": "two_body", "n": 4, "n_test": 0},
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Of each data set, it and its page."""
    folder, found = tmp_path_factory.mktemp("plots"), {}
    for name, settings in SETS.items():
        made = physim.render(**settings, frames=20, resolution=8, out=folder / name)
        data = physim.open(made.path)
        found[name] = data, report.page(data)
    return found


class Plot:
    """A plot of that title; its axes are fitted to the labels of their ticks."""

    def __init__(self, page, title):
        pattern = rf'role="img"><title>{title}</title>(.*?)</svg>'
        (self.text,) = re.findall(pattern, page)
        across = r'M([\d.]+) 10V[\d.]+"/><text class="tick"[^>]*>(.*?)</text>'
        up = r'M[\d.]+ ([\d.]+)H[\d.]+"/><text class="tick end"[^>]*>(?:10<tspan[^>]*>)?([^<]*)'
        self.axes = [self._axis(re.findall(ticks, self.text)) for ticks in (across, up)]

    @staticmethod
    def _axis(ticks):
        places = [float(place) for place, _ in ticks]
        labels = [label.replace("−", "-") for _, label in ticks]
        if labels[0] == "-π":
            assert labels == ["-π", "-π/2", "0", "π/2", "π"]
            return np.polyfit(places, np.arange(-2, 3) * np.pi / 2, 1)
        return np.polyfit(places, [float(label) for label in labels], 1)

    def values(self, places):
        """Places, (k, 2), as values."""
        places = np.array(places, dtype=float)
        return np.stack([np.polyval(self.axes[i], places[:, i]) for i in (0, 1)], axis=1)

    def lines(self, kind):
        """Points of each line of a kind, as values."""
        drawn = re.findall(rf'<path class="{kind}" d="M([^"Z]+)Z?"', self.text)
        return [self.values([point.split() for point in line.split("L")]) for line in drawn]

    def dots(self, kind):
        """Dots of a kind, as values."""
        return self.values(
            re.findall(rf'<circle class="{kind}" cx="([\d.]+)" cy="([\d.]+)"', self.text)
        )

    def shows(self, found, x, y):
        """Whether points are those, up to the rounding of places and ticks to a tenth."""
        expected = np.stack(np.broadcast_arrays(x, y), axis=1)
        room = 0.2 * np.abs([axis[0] for axis in self.axes])
        return found.shape == expected.shape and (np.abs(found - expected) < room).all()


def test_energy_errors_are_the_worst_and_the_median(pages):
    data, page = pages["pendulum"]
    plot = Plot(page, "energy error along time")
    energy = data.train.energy[:]
    error = np.maximum(np.abs(energy / energy[:, :1] - 1)[:, 1:], 1e-17)
    (worst,), (middle,), (mark,) = map(plot.lines, ("curve", "curve second", "mark"))
    assert plot.shows(worst, data.times[1:], np.log10(error.max(axis=0)))
    assert plot.shows(middle, data.times[1:], np.log10(np.median(error, axis=0)))
    assert plot.shows(mark, data.times[[0, -1]], np.log10(2.0**-52))
    assert "median of 12 trajectories" in page


def test_energies_with_friction_are_the_median_and_nine_of_ten(pages):
    data, page = pages["friction"]
    plot = Plot(page, "energy along time")
    change = data.train.energy[:] - data.train.energy[:][:, :1]
    low, middle, high = np.percentile(change, [5, 50, 95], axis=0)
    (curve,), (band,) = plot.lines("curve"), plot.lines("band")
    assert plot.shows(curve, data.times, middle)
    there = np.concatenate([data.times, data.times[::-1]])
    assert plot.shows(band, there, np.concatenate([high, low[::-1]]))
    assert "Median of 30 trajectories" in page


@pytest.mark.parametrize("name", ["initial energies", "distribution of m"])
def test_histograms_count_both_splits(pages, name):
    data, page = pages["pendulum"]
    plot = Plot(page, name)
    array = "energy" if "energies" in name else "m"
    values = np.concatenate([split.array(array)[:] for split in (data.train, data.test)])
    values = values[:, 0] if values.ndim > 1 else values
    bars = re.findall(
        r'class="bar" x="([\d.]+)" y="([\d.]+)" height="([\d.]+)" width="([\d.]+)"', plot.text
    )
    x, y, height, width = np.array(bars, dtype=float).T
    counts, edges = np.histogram(values, bins=len(bars))
    assert 6 <= len(bars) <= 24
    assert plot.shows(plot.values(np.stack([x - 0.5, y], 1)), edges[:-1], counts)
    assert plot.shows(plot.values(np.stack([x + width + 0.5, y + height], 1)), edges[1:], 0)


def test_what_does_not_vary_is_a_sentence(pages):
    _, page = pages["pendulum"]
    assert "distribution of g" not in page
    assert re.search(r"The same for all: l, [^;]* = 1; g, [^;]* = 2\.", page)
    assert "<figcaption>m, mass.</figcaption>" in page
    assert (
        "<figcaption>m, mass of each body, 2 of each trajectory.</figcaption>" in pages["two"][1]
    )


def test_phase_portraits_are_the_trajectories_turned_by_whole_circles(pages):
    data, page = pages["pendulum"]
    whole = 0
    for k in range(6):
        plot = Plot(page, f"phase portrait of trajectory {k}")
        q, p, m = data.train.q[k, :, 0], data.train.p[k, :, 0], data.train.m[k]
        turned = np.arctan2(np.sin(q), np.cos(q))
        start, rest = plot.dots("start"), plot.dots("sample")
        assert plot.shows(np.concatenate([start, rest]), turned, p)
        pieces = plot.lines("orbit")
        whole += len(pieces) == 1
        for piece in pieces:
            assert np.abs(np.diff(piece[:, 0])).max() < np.pi  # no line across the picture
        H = {
            kind: [p**2 / (2 * m) + 2 * m * (1 - np.cos(q)) for q, p in map(np.transpose, lines)]
            for kind, lines in ((kind, plot.lines(kind)) for kind in ("level", "level saddle"))
        }
        highest = max(h.max() for h in H["level"])
        assert all(np.ptp(h) < 0.01 * highest for h in H["level"])
        assert all(np.abs(h - 4 * m).max() < 0.01 * highest for h in H["level saddle"])
        assert H["level saddle"]
    assert 0 < whole < 6  # some turn over


def test_trajectories_of_equal_constants_share_a_portrait(pages):
    """From the lowest energy to the highest, over ellipses at equal distances."""
    data, page = pages["spring"]
    plot = Plot(page, "phase portrait of 9 trajectories")
    order = np.argsort(data.train.energy[:][:, 0])
    orbits = plot.lines("orbit")
    assert len(orbits) == 9
    for k, orbit in zip(order, orbits, strict=True):
        assert plot.shows(orbit, data.train.q[int(k), :, 0], data.train.p[int(k), :, 0])
    hues = re.findall(r'class="orbit"[^>]* style="--part:([\d.]+)"', plot.text)
    assert np.allclose(np.array(hues, dtype=float), np.arange(9) / 8, atol=1e-3)
    m, k = data.params("train", 0)
    lines = plot.lines("level")
    closed = [q**2 * k / 2 + p**2 / (2 * m) for q, p in map(np.transpose, lines)]
    sizes = np.unique(np.sqrt([h.mean() for h in closed]).round(2))
    assert len(sizes) == 13
    assert np.ptp(np.diff([0.0, *sizes])) < 0.025


def test_orbits_are_the_positions_about_the_middle_of_a_square(pages):
    data, page = pages["two"]
    q = data.train.q[:]
    for k in range(4):
        text = re.findall(rf"<title>orbits of trajectory {k}</title>(.*?)</svg>", page)[0]
        paths = re.findall(r'<path class="path" d="M([^"]+)"', text)
        assert len(paths) == 2
        for b, path in enumerate(paths):
            places = np.array([point.split() for point in path.split("L")], dtype=float)
            x, y = q[k, :, 2 * b : 2 * b + 2].T / (1.15 * np.abs(q).max())
            assert np.allclose(places, np.stack([50 + 50 * x, 50 - 50 * y], 1), atol=0.06)
        for kind, frame in (("begin", 0), ("end", -1)):
            dots = re.findall(rf'class="{kind}" cx="([\d.]+)" cy="([\d.]+)"', text)
            ends = [path.split("L")[frame].split() for path in paths]
            assert [list(dot) for dot in dots] == ends


def test_radial_portraits_are_distance_and_its_momentum(pages):
    """Of two bodies whose centre rests: the momentum of the second along their line."""
    data, page = pages["two"]
    for k in range(3):
        plot = Plot(page, f"radial phase portrait of trajectory {k}")
        q, p = data.train.q[k], data.train.p[k]
        apart = q[:, 2:] - q[:, :2]
        r = np.hypot(*apart.T)
        (orbit,) = plot.lines("orbit")
        assert plot.shows(orbit, r, (p[:, 2:] * apart).sum(axis=1) / r)
        assert plot.shows(plot.dots("start"), r[:1], orbit[:1, 1])
        assert len(plot.lines("level")) > 5
