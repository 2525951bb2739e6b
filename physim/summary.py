"""What `render` made, in figures and words."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from physim import integrators
from physim.command_line import percent, size_text, smaller_text
from physim.recipe import Recipe
from physim.shards.manifest import Shard

KEPT = 1e-10
"""Energy error up to which nothing is said of it."""

LARGE = 1e-2
"""Energy error from which on steps count as too long."""

CLOSE = "bodies passed so close that double precision holds no more of it"
NEAR_ZERO = "of an H near 0, to which the same error is large"


@dataclass
class Summary:
    """What `render` made.

    Attributes:
        path: Folder of the data set.
        recipe: Its recipe.
        made: Trajectories made by this call; the others were there.
        seconds: Time that this call took.
        compiling: Of these, what kernels took that were not compiled yet on this machine.
        shards: All shards, in order.
        hidden: With noise: of how many training trajectories, the first ones, in how many of them,
            and in how many of their frames, a body is out of sight.
    """

    path: Path
    recipe: Recipe
    made: int = 0
    seconds: float = 0.0
    compiling: float = 0.0
    shards: list[Shard] = field(default_factory=list, repr=False)
    hidden: tuple[int, int, int] = (0, 0, 0)

    @property
    def bytes(self) -> int:
        """Size on disk of all shards."""
        return sum(shard.bytes for shard in self.shards)

    @property
    def energy_error(self) -> float:
        """Largest |H/H₀ − 1| over all stored states; without meaning where there is friction."""
        return max(shard.energy_error for shard in self.shards)

    @property
    def excuse(self) -> str:
        """Why the energy error is large, if it is and something can be said."""
        method, system = integrators.find(self.recipe.integrator), self.recipe.find_system()
        if self.recipe.friction:
            return ""
        if not method.exact:
            more = f"{method.name} took {self.recipe.substeps} per frame, --substeps takes more"
            return f"of steps that are too long: {more}" if self.energy_error > LARGE else ""
        if self.energy_error < KEPT or system.bodies == 1:
            return ""
        return NEAR_ZERO if system.box else CLOSE

    @property
    def redrawn(self) -> int:
        """Trajectories that left the canvas, or whose bodies met, and were drawn again."""
        return sum(shard.redrawn for shard in self.shards)

    def __str__(self) -> str:
        """The summary that the command line prints."""
        recipe, total = self.recipe, self.recipe.n + (self.recipe.n_test or 0)
        raw = total * recipe.trajectory_bytes
        energy = (
            f"{'falls' if recipe.dt > 0 else 'grows'} by friction {recipe.friction:g}"
            if recipe.friction
            else f"worst relative error {self.energy_error:.1e} over {recipe.frames} frames"
        )
        running = max(self.seconds - self.compiling, 1e-9)
        rate = f", {self.made / running:,.0f} trajectories/s" if self.made else ""
        there = f" ({total - self.made:,} were there)" if self.made < total else ""
        once = f" after {self.compiling:.1f} s of compiling, once per machine"
        preview = Path(f"{recipe.name.replace('/', '-')}.gif")
        path = json.dumps(str(self.path), ensure_ascii=False)
        lines = {
            "size": f"{size_text(self.bytes)}{smaller_text(raw, self.bytes)}",
            "time": f"{running:.1f} s{rate}{there}{once if self.compiling > 0.1 else ''}",
            "energy": energy,
            "": self.excuse,
            "drawn again": self._again(),
            "out of sight": self._hidden(),
            "look at it": shlex.join(["physim", "preview", str(self.path), "-o", str(preview)]),
            "load it": f"physim.open({path}).train.image[:10]",
        }
        counts = f"{recipe.n:,} training and {recipe.n_test:,} test trajectories in {self.path}"
        rows = [f"  {name:12} {text}" for name, text in lines.items() if text]
        return "\n".join([f"{recipe.name}: {counts}", *rows])

    def _again(self) -> str:
        met = ", or whose bodies had met" if self.recipe.find_system().may_collide else ""
        return f"{self.redrawn:,}, which had left the canvas{met}" if self.redrawn else ""

    def _hidden(self) -> str:
        seen, trajectories, frames = self.hidden
        if not trajectories:
            return ""
        return (
            f"by noise, a body in {percent(trajectories, seen)} of trajectories, "
            f"{percent(frames, seen * self.recipe.frames)} of frames; a larger half_width shows it"
        )
