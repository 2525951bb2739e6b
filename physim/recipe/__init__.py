"""A recipe: the whole description of a data set, from which it can be reproduced.

A recipe is flat TOML that reads aloud, with two tables for what is drawn at random:

    system = "two_body"
    n = 50_000
    n_test = 10_000
    frames = 30
    dt = 0.125

    [parameters]            # a number, a range with a law, or one of these a body
    m = 1.0
    G = { uniform = [0.8, 1.2] }

    [initial]               # settings of the sampler
    sampler = "orbit"
    radius = { uniform = [0.5, 1.5] }

Whatever is left out takes the system's default and is filled in, so that a validated recipe says
everything. The same object comes out of a file, the command line and the JSON stored with the
data.
"""

from __future__ import annotations

from physim.recipe.files import load, recipes
from physim.recipe.model import Recipe

__all__ = ["Recipe", "load", "recipes"]
