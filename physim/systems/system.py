"""What a system offers: its Hamiltonian, the gradients, where its bodies are, how it starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from physim.errors import RecipeError
from physim.fields import Kernel
from physim.systems.parameters import Parameter


@dataclass(frozen=True)
class Sampler:
    """A distribution of initial states.

    Attributes:
        name: Its name in recipes.
        summary: One line.
        settings: What is drawn once a trajectory before the state, such as the radius.
        draws: How many further uniform numbers the kernel consumes.
        kernel: Compiled `fields.SAMPLER`.
    """

    name: str
    summary: str
    settings: tuple[Parameter, ...]
    draws: int
    kernel: Kernel


@dataclass(frozen=True)
class System:
    """One Hamiltonian system.

    `params`, wherever it appears, is the row of all parameters in the order declared, a parameter
    with several components taking as many places.

    Attributes:
        name: Its name in recipes and on the command line.
        summary: One line.
        formula: H as text.
        dimension: Degrees of freedom, d: q and p have d components each.
        bodies: How many discs are drawn.
        parameters: The physical constants.
        samplers: Distributions of initial states, the default one first.
        hamiltonian: Compiled `fields.ENERGY`.
        dh_dq: Compiled `fields.FIELD`, ∂H/∂q.
        dh_dp: Compiled `fields.FIELD`, ∂H/∂p.
        separable: Whether H = T(p) + V(q).
        positions: Compiled `fields.POSITIONS`.
        half_width: Half the width of the world that the `hgn` style shows.
        disc_radius: Radius, in the world, of a body of mass 1 in the `hgn` style; grows with √m.
        dm_half_width: Half the width of the `dm` canvas, from the largest value that each
            parameter and each setting of the sampler can take.
        default_integrator: The most accurate one that keeps rendering fast.
        closed_form: Compiled `fields.CLOSED_FORM`, or None.
        box: Symbol of the parameter that is the side of a box around the origin in which the world
            repeats itself, and to which `positions` brings the bodies back; the canvas is the box.
            Empty where the plane has no end.
        coordinates: A name and a unit for each kind of coordinate, for tables and axes.
        reference: Where it is described.
    """

    name: str
    summary: str
    formula: str
    dimension: int
    bodies: int
    parameters: tuple[Parameter, ...]
    samplers: tuple[Sampler, ...]
    hamiltonian: Kernel
    dh_dq: Kernel
    dh_dp: Kernel
    separable: bool
    positions: Kernel
    half_width: float
    disc_radius: float
    dm_half_width: Callable[[Mapping[str, float]], float]
    default_integrator: str
    closed_form: Kernel | None = None
    box: str = ""
    coordinates: Mapping[str, str] = field(default_factory=dict)
    reference: str = ""

    @property
    def may_collide(self) -> bool:
        """Whether it has several bodies, each of which moves freely in the plane."""
        return self.bodies > 1 and self.dimension == 2 * self.bodies

    @cached_property
    def fault(self) -> str:
        """What is wrong with its functions, as a sentence; empty where they fit each other."""
        from physim.systems import soundness

        return soundness.fault(self)

    @cached_property
    def n_params(self) -> int:
        """Length of a row of parameters."""
        return sum(parameter.components for parameter in self.parameters)

    @cached_property
    def columns(self) -> dict[str, slice]:
        """Where each parameter stands in the row."""
        found: dict[str, slice] = {}
        start = 0
        for parameter in self.parameters:
            found[parameter.symbol] = slice(start, start + parameter.components)
            start += parameter.components
        return found

    def check(self, params: np.ndarray, *states: np.ndarray) -> None:
        """Refuse arrays on which the compiled functions would read or write out of bounds.

        Arguments:
            params: Rows of parameters, (n, n_params).
            states: Positions, momenta or both, each (n, T, d).

        Raises:
            RecipeError: An array has another shape.
        """
        n, frames = states[0].shape[:2]
        for array in states:
            if array.shape != (n, frames, self.dimension):
                raise RecipeError(
                    f"states: got shape {array.shape}, expected {(n, frames, self.dimension)} "
                    f"for {self.name}"
                )
        if params.shape != (n, self.n_params):
            raise RecipeError(
                f"params: got shape {params.shape}, expected {(n, self.n_params)} for {self.name}"
            )

    def masses(self, params: np.ndarray) -> np.ndarray:
        """Mass of each body; 1 where no parameter is called `m`.

        Arguments:
            params: Rows of parameters, (n, n_params).

        Returns:
            (n, bodies).
        """
        if "m" not in self.columns:
            return np.ones((len(params), self.bodies))
        return np.broadcast_to(params[:, self.columns["m"]], (len(params), self.bodies))

    def sampler(self, name: str) -> Sampler:
        """The sampler of that name."""
        return next(sampler for sampler in self.samplers if sampler.name == name)
