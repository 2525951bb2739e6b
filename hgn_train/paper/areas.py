"""Figure 9: an area of phase space under a symplectic method and under one that is not."""

from __future__ import annotations

import numpy as np

import physim
from hgn_train.paper import page
from hgn_train.paper.figure import Drawing, Figure, Material

M, K, DT, STEPS = 0.5, 2.0, 0.125, 30
"""The oscillator of the paper, its step, and as many steps as its rollouts have."""

SHOWN = (0, 4, 8, 12, 16, 20, 24)
METHODS = {"leapfrog": page.BLUE, "euler": page.ORANGE}


def draw(material: Material) -> Drawing:
    """The blob along time, its area and its energy, under leapfrog and explicit Euler.

    Arguments:
        material: Not needed.

    Returns:
        The figure.
    """
    q0, p0 = outline()
    times = DT * np.arange(STEPS + 1)
    constants = {"m": M, "k": K}
    drawn = page.sheet(2.8)
    axes = drawn.subplots(1, 4, width_ratios=[1, 1, 0.85, 0.85])
    ends = {}
    for axis, (name, colour) in zip(axes, METHODS.items(), strict=False):
        q, p = physim.simulate("mass_spring", q0, p0, constants, times, integrator=name)
        q, p = q[..., 0], p[..., 0]
        levels(axis)
        for t in SHOWN:
            axis.fill(q[:, t], p[:, t], alpha=0.35, color=colour, ec=colour, lw=0.8)
            axis.text(q[:, t].mean(), p[:, t].mean(), str(t), ha="center", va="center", size=7)
        axis.set(xlabel="q", ylabel="p", title=name, xlim=(-3, 3), ylim=(-3, 3))
        axis.set_aspect("equal")
        area = enclosed(q.T, p.T)
        energy = p**2 / (2 * M) + K * q**2 / 2
        steps = np.arange(STEPS + 1)
        axes[2].plot(steps, area / area[0], color=colour, label=name)
        axes[3].plot(steps, energy.mean(0) / energy.mean(0)[0], color=colour, label=name)
        ends[name] = area[-1] / area[0], np.ptp(energy.mean(0) / energy.mean(0)[0])
    for axis, title in zip(axes[2:], ("area / first area", "mean energy / first"), strict=True):
        axis.set(xlabel="step", title=title, yscale="log", ylim=(0.8, 10))
        axis.set_yticks([1, 2, 5, 10], ["1", "2", "5", "10"])
        axis.minorticks_off()
    axes[2].legend()
    growth = 1 + DT**2 * K / M
    caption = (
        f"A square of initial states of the harmonic oscillator (`mass_spring`, m = {M:g}, "
        f"k = {K:g}) after 0, 4, 8, … steps of {DT:g}, the step of the paper's models; grey: "
        "exact orbits. Leapfrog is symplectic and preserves the area; explicit Euler multiplies "
        f"it by 1 + dt² k/m = {growth:.4f} per step. After {STEPS} steps the area is "
        f"{ends['leapfrog'][0]:.6f} times its initial value with leapfrog and "
        f"{ends['euler'][0]:.3f} times with Euler (expected: {growth**STEPS:.3f}); the mean "
        f"energy of the states varies by {ends['leapfrog'][1]:.2g} of its initial value with "
        f"leapfrog and by {ends['euler'][1]:.3g} with Euler. Simulated by `physim.simulate`; no "
        "model is involved. [accuracy.md](../accuracy.md) shows the same for every integrator."
    )
    return Drawing(drawn, caption)


def outline(points: int = 40, middle: float = 1.0, half: float = 0.3) -> tuple[np.ndarray, ...]:
    """The boundary of a square in phase space, q and p, each (4 points, 1)."""
    side = np.linspace(-1, 1, points, endpoint=False)
    one = np.ones(points)
    q = np.concatenate([side, one, -side, -one])
    p = np.concatenate([-one, side, one, -side])
    return (middle + half * q)[:, None], (half * p)[:, None]


def enclosed(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Area of polygons.

    Arguments:
        x: (..., corners).
        y: (..., corners).

    Returns:
        (...,).
    """
    return abs((x * np.roll(y, -1, -1) - np.roll(x, -1, -1) * y).sum(-1)) / 2


def levels(axis: object) -> None:
    """Exact orbits in grey."""
    amplitude = np.arange(0.5, 5, 0.5)[:, None]
    turn = np.linspace(0, 2 * np.pi * np.sqrt(M / K), 200)
    q, p = physim.simulate("mass_spring", amplitude, 0 * amplitude, {"m": M, "k": K}, turn)
    axis.plot(q[..., 0].T, p[..., 0].T, color=page.LEVEL, lw=0.6)  # type: ignore[attr-defined]


FIGURE = Figure(9, "areas", "Areas of phase space under leapfrog and Euler", draw)
