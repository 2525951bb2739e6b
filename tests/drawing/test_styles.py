"""Every style against its formula in NumPy, and what any drawing of discs must have."""

from __future__ import annotations

from dataclasses import replace

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from physim.drawing import STYLES, find
from physim.errors import RecipeError

RESOLUTIONS = (8, 9, 16, 31, 32, 33, 64, 100, 256)
NIGHT = replace(find("hgn"), name="night", background=(0.0, 0.0, 0.0))
"""A style that shares the kernel of another."""

by_style = pytest.mark.parametrize("style", [*STYLES.values(), NIGHT], ids=[*STYLES, "night"])

FORMULAS = {find("hgn").kernel: naive.crisp_discs, find("dm").kernel: naive.soft_discs}
"""The kernel once more in NumPy."""


def _formula(style, *scene):
    """Levels of a scene; the background of a style in the list is the formula's own."""
    own = {} if style.name in ("hgn", "dm") else {"background": style.background}
    return FORMULAS[style.kernel](*scene, **own)


def _is_crisp(style):
    return FORMULAS[style.kernel] is naive.crisp_discs


def _scene(seed, n=3, frames=4, bodies=2, spread=1.1):
    """Bodies in and around a canvas of half-width 1, which is off-centre."""
    random = np.random.default_rng(seed)
    return (
        random.uniform(-spread, spread, (n, frames, 2 * bodies)),
        random.uniform(0.02, 0.6, (n, bodies)),
        random.uniform(0, 1, (n, bodies, 3)),
        1.0,
        random.uniform(-0.3, 0.3, (n, 2)),
    )


def _drawn(style, scene, resolution, out=None):
    n, frames, _ = scene[0].shape
    if out is None:
        out = np.full((n, frames, resolution, resolution, 3), 17, dtype=np.uint8)
    style.draw(*scene, out)
    return out


def _contrast(style):
    """Black or white in each channel, whichever the background is not."""
    return (np.array(style.background) < 0.5).astype(float)


def _one_disc(style, x, y, radius, resolution):
    scene = (
        np.array([[[x, y]]], dtype=float),
        np.array([[radius]], dtype=float),
        _contrast(style)[None, None],
        1.0,
        np.zeros((1, 2)),
    )
    return _drawn(style, scene, resolution)[0, 0]


def _coverage(style, image):
    """Share of each pixel that the disc of `_one_disc` covers, (resolution, resolution)."""
    background = np.floor(255 * np.array(style.background) + 1e-9)
    return ((image - background) / (255 * _contrast(style) - background)).mean(axis=-1)


@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("bodies", [1, 2, 5])
def test_crisp_discs_are_their_formula_rounded(resolution, bodies):
    scene = _scene(resolution + bodies, bodies=bodies)
    drawn = _drawn(find("hgn"), scene, resolution)
    levels = naive.crisp_discs(*scene, resolution)
    # half a level for rounding, and as much again where discs lie on each other, which is rounded
    # each time
    assert np.abs(drawn - levels).max() < 0.501 * bodies
    assert np.mean(np.abs(drawn - levels) < 0.501) > 0.9


@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("bodies", [1, 2, 5])
def test_soft_discs_are_the_suite_s_formula_truncated(resolution, bodies):
    scene = _scene(resolution + bodies, bodies=bodies)
    drawn = _drawn(find("dm"), scene, resolution).astype(int)
    truth = naive.soft_discs(*scene, resolution).astype(int)
    assert np.abs(drawn - truth).max() <= 1
    assert np.mean(drawn == truth) > 0.97


def test_full_channels_of_soft_discs_of_the_suite_s_size_are_254():
    """At a tenth of the canvas the centre is covered by 1 − e⁻⁸, and 254.9 is truncated."""
    assert _one_disc(find("dm"), 0, 0, 0.2, 33)[16, 16].tolist() == [254, 254, 254]


@pytest.mark.slow
@by_style
@pytest.mark.parametrize("resolution", [512, 1024])
def test_large_images(style, resolution):
    scene = _scene(resolution, n=1, frames=1)
    drawn = _drawn(style, scene, resolution)
    assert np.abs(drawn - _formula(style, *scene, resolution)).max() < 1.2


@by_style
@given(
    x=st.floats(-0.5, 0.5),
    y=st.floats(-0.5, 0.5),
    radius=st.floats(0.03, 0.4),
    resolution=st.sampled_from([32, 48, 64]),
)
def test_area_and_centre_of_a_disc(style, x, y, radius, resolution):
    cover = _coverage(style, _one_disc(style, x, y, radius, resolution))
    grid = np.linspace(-1, 1, resolution)
    pixel = 2 / (resolution - 1)
    area = np.pi * radius**2
    if _is_crisp(style):
        grid = (np.arange(resolution) + 0.5) * 2 / resolution - 1
        pixel = 2 / resolution
    else:  # ∫ 2πd / (1 + exp(40 (d − ρ))) to all orders but e^(−40ρ), in world units
        area += np.pi**3 / 3 / 40**2
        if radius < 0.1:
            return  # the edge is wider than the disc
    weight = cover.sum()
    # The lattice leaves errors that shrink with the radius in pixels, whole levels leave the rest.
    assert abs(weight * pixel**2 / area - 1) < 0.08 / (radius / pixel) ** 1.5 + 0.015
    centre = (cover.sum(0) @ grid / weight, cover.sum(1) @ grid[::-1] / weight)
    assert abs(centre[0] - x) < 0.03 * pixel + 0.065 * pixel**2 / radius
    assert abs(centre[1] - y) < 0.03 * pixel + 0.065 * pixel**2 / radius


@by_style
@pytest.mark.parametrize("resolution", [16, 33])
def test_discs_are_round(style, resolution):
    """Mirrored and turned scenes give mirrored and turned images."""
    x, y, radius = 0.28125, 0.40625, 0.3125  # dyadic: no rounding when mirrored
    image = _one_disc(style, x, y, radius, resolution)
    assert (
        np.abs(_one_disc(style, -x, y, radius, resolution).astype(int) - image[:, ::-1]).max() <= 1
    )
    assert np.abs(_one_disc(style, x, -y, radius, resolution).astype(int) - image[::-1]).max() <= 1
    turned = _one_disc(style, -y, x, radius, resolution).astype(int)
    assert np.abs(turned - np.rot90(image)).max() <= 1


@by_style
def test_up_is_up(style):
    image = _one_disc(style, 0, 0.5, 0.2, 32)
    cover = _coverage(style, image)
    rows, columns = np.indices(cover.shape)
    assert (cover * rows).sum() / cover.sum() == pytest.approx(7.5, abs=0.3)
    assert (cover * columns).sum() / cover.sum() == pytest.approx(15.5, abs=0.1)


@by_style
def test_the_first_body_is_in_front(style):
    scene = (
        np.zeros((1, 1, 4)),
        np.array([[0.3, 0.6]]),
        np.array([[[1.0, 0, 0], [0, 1.0, 0]]]),
        1.0,
        np.zeros((1, 2)),
    )
    image = _drawn(style, scene, 32)[0, 0]
    assert tuple(image[16, 16] > 250) == (True, False, False)
    assert tuple(image[16, 23] > 240) == (False, True, False)


@by_style
@pytest.mark.parametrize(("x", "y"), [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (5, 0)])
def test_discs_are_cut_off_at_the_edge_of_the_canvas(style, x, y):
    """What is drawn outside a canvas is what a larger canvas shows there."""
    image = _one_disc(style, x, y, 0.37, 32)
    centre = np.array([[[x, y]]], dtype=float)
    colours = np.ones((1, 1, 3))
    if _is_crisp(style):
        scene = (centre, np.array([[0.37]]), colours, 2.0, np.zeros((1, 2)))
        large = _drawn(style, scene, 64)[0, 0, 16:48, 16:48]
        assert np.array_equal(image, large)
    else:
        scene = (centre, np.array([[0.37]]), colours, 1.0, np.zeros((1, 2)))
        truth = _formula(style, *scene, 32)
        assert np.abs(image.astype(int) - truth[0, 0].astype(int)).max() <= 1
    if abs(x) > 2:
        assert len(np.unique(image.reshape(-1, 3), axis=0)) == 1


@by_style
def test_a_reused_buffer_keeps_nothing(style):
    first, second = _scene(1), _scene(2)
    buffer = _drawn(style, first, 32).copy()
    assert np.array_equal(_drawn(style, second, 32, buffer), _drawn(style, second, 32))


@by_style
def test_trajectories_do_not_depend_on_their_neighbours(style):
    xy, radii, colours, half_width, offset = _scene(3, n=5)
    together = _drawn(style, (xy, radii, colours, half_width, offset), 32)
    for i in range(5):
        one = slice(i, i + 1)
        alone = _drawn(style, (xy[one], radii[one], colours[one], half_width, offset[one]), 32)
        assert np.array_equal(alone[0], together[i])


@by_style
def test_no_channel_is_constant_for_the_style_s_own_colours(style):
    """For every number of bodies, all three channels and every corner of the scene move."""
    for bodies in range(1, 9):
        xy, radii, _, half_width, offset = _scene(bodies, n=8, frames=8, bodies=bodies, spread=0.9)
        colours = np.repeat(style.colours(bodies)[None], 8, axis=0)
        image = _drawn(style, (xy, radii, colours, half_width, offset), 16)
        assert (image.astype(float).std(axis=(0, 1, 2, 3)) > 1).all()


@by_style
@pytest.mark.parametrize("k", [1, 2, 3, 6, 8, 9, 20])
def test_colours_are_distinct_and_stand_out(style, k):
    colours = style.colours(k)
    assert colours.shape == (k, 3)
    assert colours.min() >= 0
    assert colours.max() <= 1
    apart = np.abs(colours[:, None] - colours[None]).max(axis=-1) + 10 * np.eye(k)
    assert apart.min() > 0.12  # 30 levels in some channel
    assert np.abs(colours - np.array(style.background)).max(axis=-1).min() > 0.5


@by_style
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_what_is_not_finite_is_not_drawn(style, value):
    image = _one_disc(style, value, 0, 0.3, 32)
    assert len(np.unique(image.reshape(-1, 3), axis=0)) == 1


@by_style
@pytest.mark.parametrize("resolution", [7, 1025])
def test_resolution_is_bounded(style, resolution):
    with pytest.raises(RecipeError, match=r"resolution: got .* 8–1024"):
        _drawn(style, _scene(0, n=1, frames=1), resolution)


@by_style
def test_shapes_are_checked(style):
    xy, radii, colours, half_width, offset = _scene(0)
    with pytest.raises(RecipeError, match="radii: got the shape"):
        _drawn(style, (xy, radii[:2], colours, half_width, offset), 32)
    with pytest.raises(RecipeError, match="half_width: got 0"):
        _drawn(style, (xy, radii, colours, 0.0, offset), 32)
    with pytest.raises(RecipeError, match="colours: "):
        _drawn(style, (xy, radii, colours + 1, half_width, offset), 32)


def test_an_unknown_style_is_refused_with_the_nearest():
    with pytest.raises(RecipeError, match="did you mean 'hgn'"):
        find("hgm")
