"""Judging and reporting runs: a module a kind of data, which a line of the models names.

Each offers

    evaluate(run, device, n, extra, folder, say)   evaluate a run; writes evaluation.json and .npz
    rows(results)                                  its numbers, as name and text
    lead(results)                                  the result in two sentences
    pictures(run, results, arrays)                 name, caption and bytes of each picture
    tables(results of several runs)                Markdown, beside what papers report
    comparisons(several runs and their results)    name, caption and bytes of a page's pictures

`results` always hold `system`, `data`, `settings`, `parameters` and `training`.
"""

from __future__ import annotations

import importlib
from typing import Any

from hgn_train import models


def find(model: str) -> Any:
    """The module that evaluates runs of a model.

    Arguments:
        model: One of `models.MODELS`.

    Returns:
        The module.

    Raises:
        PhysimError: There is no such model.
    """
    return importlib.import_module(f"hgn_train.evaluation.{models.find(model).evaluation}")
