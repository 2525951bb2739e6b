"""Plots as inline SVG, coloured by the page's style sheet."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

Range = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """The axes of a plot, and the way from values to places.

    Attributes:
        x: Smallest and largest value on the horizontal axis.
        y: The same on the vertical one.
        width: Of the whole picture, in units of its own.
        height: The same.
        log_y: Whether `y` are powers of ten.
        angle: Whether `x` are angles, labelled in parts of π.
    """

    x: Range
    y: Range
    width: float = 400
    height: float = 260
    log_y: bool = False
    angle: bool = False

    bottom = 38

    @property
    def left(self) -> float:
        """Room for the labels of the vertical axis, as long as they are."""
        if self.log_y:
            return 58
        return max(42.0, 27 + 6.0 * max(len(number(value)) for value in self._y_ticks()))

    def places(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Places in the picture, (k, 2)."""
        inner_width, inner_height = self.width - self.left - 10, self.height - self.bottom - 10
        across = self.left + (np.asarray(x) - self.x[0]) / (self.x[1] - self.x[0]) * inner_width
        up = 10 + inner_height * (1 - (np.asarray(y) - self.y[0]) / (self.y[1] - self.y[0]))
        return np.stack([across, up], axis=-1)

    def picture(
        self, parts: Iterable[str], *, x_label: str, y_label: str, title: str, kind: str = ""
    ) -> str:
        """The whole plot.

        Arguments:
            parts: What is plotted, in places.
            x_label: Name and unit of the horizontal axis.
            y_label: Name and unit of the vertical axis.
            title: For those who cannot see it.
            kind: Class of the picture.

        Returns:
            An `<svg>`.
        """
        right, low = self.width - 10, self.height - self.bottom
        lines = []
        for value, label in self._x_ticks():
            (place, _) = self.places(np.array([value]), np.array([self.y[0]]))[0]
            lines.append(f'<path class="grid" d="M{place:.1f} 10V{low:.1f}"/>')
            lines.append(f'<text class="tick" x="{place:.1f}" y="{low + 15:.1f}">{label}</text>')
        for value in self._y_ticks():
            (_, place) = self.places(np.array([self.x[0]]), np.array([value]))[0]
            label = (
                f"10<tspan dy='-4' class='power'>{number(value)}</tspan>"
                if self.log_y
                else number(value)
            )
            lines.append(f'<path class="grid" d="M{self.left:.1f} {place:.1f}H{right:.1f}"/>')
            lines.append(
                f'<text class="tick end" x="{self.left - 6:.1f}" y="{place + 3.5:.1f}">'
                f"{label}</text>"
            )
        axis = f'<path class="axis" d="M{self.left:.1f} 10V{low:.1f}H{right:.1f}"/>'
        middle = (self.left + right) / 2
        labels = (
            f'<text class="label" x="{middle:.1f}" y="{self.height - 5:.1f}">'
            f"{html.escape(x_label)}</text>"
            f'<text class="label" transform="translate(11 {(10 + low) / 2:.1f}) rotate(-90)">'
            f"{html.escape(y_label)}</text>"
        )
        return _svg(self.width, self.height, [*lines, *parts, axis, labels], title, kind)

    def _x_ticks(self) -> list[tuple[float, str]]:
        if self.angle:
            names = ("−π", "−π/2", "0", "π/2", "π")
            return [((k - 2) * math.pi / 2, name) for k, name in enumerate(names)]
        return [(value, number(value)) for value in ticks(*self.x, 6)]

    def _y_ticks(self) -> list[float]:
        if not self.log_y:
            return ticks(*self.y, 5)
        low, high = math.ceil(self.y[0]), math.floor(self.y[1])
        step = max(1, math.ceil((high - low) / 5))
        return [float(value) for value in range(low, high + 1, step)]


def panel(parts: Iterable[str], title: str, kind: str) -> str:
    """A square without axes, 100 units wide.

    Arguments:
        parts: What is drawn.
        title: For those who cannot see it.
        kind: Class of the picture.

    Returns:
        An `<svg>`.
    """
    return _svg(100, 100, parts, title, kind)


def _svg(width: float, height: float, parts: Iterable[str], title: str, kind: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" class="plot {kind}" role="img">'
        f"<title>{html.escape(title)}</title>{''.join(parts)}</svg>"
    )


def line(places: np.ndarray, kind: str, style: str = "") -> str:
    """A line through places, (k, 2)."""
    if len(places) < 2:
        return ""
    data = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    return f'<path class="{kind}" d="M{data}"{_style(style)}/>'


def dots(places: np.ndarray, radius: float, kind: str, style: str = "") -> str:
    """A dot at each place, (k, 2)."""
    return "".join(
        f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"{_style(style)}/>'
        for x, y in places
    )


def band(frame: Frame, x: np.ndarray, low: np.ndarray, high: np.ndarray, kind: str) -> str:
    """The area between two curves."""
    there, back = frame.places(x, high), frame.places(x, low)[::-1]
    data = "L".join(f"{x:.1f} {y:.1f}" for x, y in np.concatenate([there, back]))
    return f'<path class="{kind}" d="M{data}Z"/>'


def histogram(values: np.ndarray, *, x_label: str, title: str) -> str:
    """How often values occur.

    Arguments:
        values: Finite numbers, (n,).
        x_label: Name and unit.
        title: For those who cannot see it.

    Returns:
        An `<svg>`.
    """
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-9 * max(abs(low), abs(high), 1e-300):
        low, high = low - 0.5, high + 0.5
    bins = min(24, max(6, round(2 * len(values) ** (1 / 3))))  # Rice's rule, within reason
    counts, edges = np.histogram(values, bins=bins, range=(low, high))
    frame = Frame((low, high), (0.0, 1.08 * counts.max()), 340, 210)
    bars = []
    for count, start, stop in zip(counts, edges[:-1], edges[1:], strict=True):
        (x0, y0), (x1, y1) = frame.places(np.array([start, stop]), np.array([count, 0]))
        bars.append(
            f'<rect class="bar" x="{x0 + 0.5:.1f}" y="{y0:.1f}" height="{y1 - y0:.1f}" '
            f'width="{max(0.5, x1 - x0 - 1):.1f}"/>'
        )
    return frame.picture(bars, x_label=x_label, y_label="count", title=title)


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers in a range: steps of 1, 2 or 5 times a power of ten.

    Arguments:
        low: Where the range begins.
        high: Where it ends.
        about: How many there should be at most.

    Returns:
        Ascending.

    Example:
        >>> ticks(-0.13, 0.92, 6)
        [0.0, 0.2, 0.4, 0.6, 0.8]
    """
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def number(value: float) -> str:
    """A number for a label, with a real minus sign."""
    return f"{value:.6g}".replace("-", "−")


def padded(values: Sequence[float] | np.ndarray, share: float = 0.06) -> Range:
    """A range around values, a little wider."""
    low, high = float(np.min(values)), float(np.max(values))
    room = share * (high - low) or 0.5 * max(abs(high), 1e-3)
    return low - room, high + room


def _style(style: str) -> str:
    return f' style="{style}"' if style else ""
