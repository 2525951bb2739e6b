"""Physical parameters and the distributions they are drawn from, one draw per trajectory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from physim.errors import RecipeError

Law = Literal["fixed", "uniform", "log_uniform", "area"]
LAWS: tuple[Law, ...] = ("fixed", "uniform", "log_uniform", "area")


@dataclass(frozen=True)
class Distribution:
    """A number, or a range with a law.

    Attributes:
        law: `fixed`; `uniform` on [low, high]; `log_uniform`, uniform in the logarithm; `area`, a
            radius such that the point is uniform over the annulus between low and high.
        low: Smallest value.
        high: Largest value; equals `low` where the law is `fixed`.
    """

    law: Law
    low: float
    high: float

    def __str__(self) -> str:
        """`1`, `0.5 … 1.5` or `0.5 … 1.5 (area)`."""
        if self.law == "fixed":
            return f"{self.low:g}"
        note = "" if self.law == "uniform" else f" ({self.law})"
        return f"{self.low:g} … {self.high:g}{note}"

    def refused(self) -> str:
        """What the law expects of its lower end instead, in words; empty where it is allowed."""
        if self.law == "log_uniform" and self.low <= 0:
            return "a number above 0"
        if self.law == "area" and self.low < 0:
            return "a number from 0, as of a radius"
        return ""


def fixed(value: float) -> Distribution:
    """Always `value`."""
    return Distribution("fixed", value, value)


def uniform(low: float, high: float) -> Distribution:
    """Uniform on [low, high]."""
    return Distribution("uniform", low, high)


@dataclass(frozen=True)
class Parameter:
    """A physical constant of a system, or a setting of its sampler.

    Attributes:
        symbol: Its name in formulas, recipes and files.
        meaning: One or two words.
        default: What it is drawn from where the recipe says nothing.
        paper: Its value in the HGN paper.
        components: How many independent values there are, such as one mass per body.
        positive: Whether it must be above zero (else: zero or more).
        least: Smallest value in a data set, where the sampler cannot do with less.
        signed: Whether it may be below zero, as a charge; the two before then say nothing.

    Raises:
        RecipeError: The default has values that are not allowed.
    """

    symbol: str
    meaning: str
    default: Distribution
    paper: Distribution
    components: int = 1
    positive: bool = True
    least: float = 0.0
    signed: bool = False

    def __post_init__(self) -> None:
        """Refuse a default that a recipe could not repeat."""
        for law in (self.default, self.paper):
            if expected := self.refused(law.low):
                raise RecipeError(
                    f"parameter {self.symbol}: got {law}, expected {expected}; `positive=False` "
                    "allows 0, `signed=True` all numbers"
                )
            if expected := law.refused():
                raise RecipeError(f"parameter {self.symbol}: got {law}, expected {expected}")
            if law.low > law.high:
                raise RecipeError(f"parameter {self.symbol}: got {law}, expected low ≤ high")

    def refused(self, value: float) -> str:
        """What is expected instead of a value, in words; empty where it is allowed.

        Arguments:
            value: Of one component.
        """
        if self.signed:
            return ""
        if self.positive and value <= 0:
            return "a number above 0"
        if value < self.least:
            return f"{self.least:g} or more"
        return ""
