"""Hamiltonian systems: simulated to machine precision, drawn, and written as data sets.

The public names below load what they need when they are first used, so that `import physim` and
the command line start at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "render": "physim.rendering",
    "open": "physim.dataset",
    "simulate": "physim.simulation",
    "energy": "physim.hamiltonian",
    "derivatives": "physim.hamiltonian",
    "draw": "physim.drawing.draw",
    "verify": "physim.verification",
    "score": "physim.scoring",
    "Recipe": "physim.recipe",
    "PhysimError": "physim.errors",
    "RecipeError": "physim.errors",
    "ShardError": "physim.errors",
    "SimulationError": "physim.errors",
}

if TYPE_CHECKING:
    from physim.dataset import open  # noqa: A004
    from physim.drawing.draw import draw
    from physim.errors import PhysimError, RecipeError, ShardError, SimulationError
    from physim.hamiltonian import derivatives, energy
    from physim.recipe import Recipe
    from physim.rendering import render
    from physim.scoring import score
    from physim.simulation import simulate
    from physim.verification import verify

__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'physim' has no attribute '{name}'")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
