"""What stands below plots."""

from __future__ import annotations

import html

import numpy as np

from physim.dataset import Dataset
from physim.report.svg import number


def parameter_words(dataset: Dataset, row: np.ndarray) -> str:
    """A row of parameters in words.

    Arguments:
        dataset: Whose parameters.
        row: In the order of the system, (n_params,).

    Returns:
        HTML, `m 0.53 · k 2.1`.
    """
    words = []
    for symbol, columns in dataset.system.columns.items():
        values, between = row[columns], ", "
        if len(values) > 3:
            values, between = np.array([values.min(), values.max()]), " … "
        shown = between.join(number(float(f"{value:.3g}")) for value in values)
        words.append(f"{html.escape(symbol)}\N{NO-BREAK SPACE}{shown}")
    return " · ".join(words)


def figure(plot: str, caption: str, kind: str = "") -> str:
    """A plot with its caption.

    Arguments:
        plot: HTML.
        caption: HTML.
        kind: Class of the figure.

    Returns:
        HTML.
    """
    attributes = f' class="{kind}"' if kind else ""
    return f"<figure{attributes}>{plot}<figcaption>{caption}</figcaption></figure>"
