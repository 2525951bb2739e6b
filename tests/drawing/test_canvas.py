"""Who leaves the picture, where bodies are, and `physim.draw`."""

from __future__ import annotations

import numpy as np
import pytest

import physim
from physim import systems
from physim.drawing import STYLES
from physim.drawing.canvas import outside
from physim.errors import RecipeError
from physim.systems.positions import positions


def test_outside_is_the_disc_or_the_centre():
    random = np.random.default_rng(0)
    xy = random.uniform(-1.2, 1.2, (400, 2, 4))
    radii = random.uniform(0.05, 0.5, (400, 2))
    offset = random.uniform(-0.2, 0.2, (400, 2))
    away = np.abs(xy.reshape(400, 2, 2, 2) - offset[:, None, None])
    for margin in (0.0, 1.0):
        truth = (away + margin * radii[:, None, :, None] > 1).any(axis=(1, 2, 3))
        assert 0 < truth.sum() < 400
        assert np.array_equal(outside(xy, radii, 1.0, margin, offset), truth)


def test_what_touches_the_edge_is_inside():
    radii = np.array([[0.25]])
    for place in np.array([[0.75, 0], [-0.75, 0], [0, 0.75], [0, -0.75]]):
        for scale, leaves in ((1, False), (1 + 2**-50, True)):
            assert outside(scale * place[None, None], radii, 1.0, 1.0)[0] == leaves


def test_outside_sees_the_last_frame_and_what_is_not_finite():
    xy = np.zeros((3, 5, 2))
    xy[1, 4, 1] = -1.01
    xy[2, 2, 0] = np.nan
    assert outside(xy, np.full((3, 1), 0.1), 1.0, 0.0).tolist() == [False, True, True]


def test_hgn_discs_outside_are_exactly_those_that_lose_area():
    """A disc that counts as inside is drawn whole: the same pixels as away from the edge."""
    style = STYLES["hgn"]
    for x, inside in ((0.7, True), (0.75, False)):
        scene = np.array([[[x, 0.0]]]), np.array([[0.275]])
        assert outside(*scene, 1.0, style.margin)[0] == (not inside)
        areas = []
        for half_width, resolution in ((1.0, 64), (2.0, 128)):
            image = np.empty((1, 1, resolution, resolution, 3), dtype=np.uint8)
            style.draw(*scene, np.ones((1, 1, 3)), half_width, np.zeros((1, 2)), image)
            areas.append((image.astype(int) - image[0, 0, 0, 0]).sum())
        assert (areas[0] == areas[1]) == inside


@pytest.mark.parametrize("name", systems.SYSTEMS)
def test_positions_of_a_block_are_those_of_each_state(name):
    system = systems.find(name)
    random = np.random.default_rng(1)
    q = random.normal(size=(3, 4, system.dimension))
    params = random.uniform(0.5, 2, (3, system.n_params))
    xy = positions(system, q, params)
    assert xy.shape == (3, 4, 2 * system.bodies)
    one = np.empty(2 * system.bodies)
    for i in range(3):
        for t in range(4):
            system.positions.python(q[i, t], params[i], one)
            assert np.allclose(xy[i, t], one, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", systems.SYSTEMS)
def test_draw_shows_every_body_of_every_system(name, style):
    system = systems.find(name)
    q = np.zeros(system.dimension)
    if system.dimension == 2 * system.bodies:
        angle = 2 * np.pi * np.arange(system.bodies) / system.bodies
        q = np.stack([np.cos(angle), np.sin(angle)], axis=-1).ravel()
    image = physim.draw(system, q, style=style, resolution=64)
    assert image.shape == (64, 64, 3)
    for colour in STYLES[style].colours(system.bodies):
        near = np.abs(image / 255 - colour).max(axis=-1) < 0.02
        assert near.sum() >= 4


def test_a_pendulum_hangs_down_and_swings_to_the_right():
    hanging, right = physim.draw("pendulum", np.array([[0.0], [np.pi / 2]])).astype(int)
    away = np.abs(hanging - hanging[0, 0]).sum(-1)
    assert away[:16].sum() == 0
    assert away[16:].sum() > 0
    away = np.abs(right - right[0, 0]).sum(-1)
    assert away[:, :16].sum() == 0
    assert away[:, 16:].sum() > 0


def test_draw_takes_parameters_by_name():
    q = np.array([[0.3], [0.4]])
    row = physim.draw("pendulum", q, np.array([0.5, 1.5, 3.0]), resolution=16)
    named = physim.draw("pendulum", q, {"l": 1.5}, resolution=16)
    assert row.shape == (2, 16, 16, 3)
    assert np.array_equal(row, named)
    assert not np.array_equal(row, physim.draw("pendulum", q, resolution=16))


def test_draw_takes_parameters_of_each_trajectory():
    """And takes the largest of them for the width of the canvas."""
    q = np.random.default_rng(0).normal(size=(3, 4, 1))
    lengths, look = [0.5, 1.0, 1.5], {"style": "dm", "resolution": 16}
    by_itself = physim.draw("pendulum", q, {"l": lengths}, **look)
    fixed = physim.draw("pendulum", q, {"l": lengths}, **look, half_width=2.5)
    for i, length in enumerate(lengths):
        alone = physim.draw("pendulum", q[i], {"l": length}, **look)
        assert np.array_equal(by_itself[i], alone) == (length == 1.5)
        alone = physim.draw("pendulum", q[i], {"l": length}, **look, half_width=2.5)
        assert np.array_equal(fixed[i], alone)


@pytest.mark.parametrize("style", STYLES)
def test_draw_takes_sizes_in_the_world_colours_and_a_background(style):
    """A disc is as large in the world at any resolution and width of the canvas."""
    look = {"colors": np.zeros((2, 3)), "background": (1.0, 0.5, 0.0), "radii": (0.5, 0.9)}
    q = [-1.5, 0.2, 1.4, -0.3]
    for resolution, half_width in ((128, 3.0), (256, 3.0), (256, 4.0)):
        image = physim.draw(
            "two_body", q, **look, style=style, resolution=resolution, half_width=half_width
        )
        assert image[0, 0].tolist() in ([255, 128, 0], [255, 127, 0])  # rounded, truncated
        covered = (image[..., 0] < 128) * (2 * half_width / resolution) ** 2
        middle = resolution // 2
        for half, radius in ((covered[:, :middle], 0.5), (covered[:, middle:], 0.9)):
            assert half.sum() == pytest.approx(np.pi * radius**2, rel=0.05)
    own = STYLES[style].radii(systems.find("two_body"), np.ones((1, 2)))[0]
    same = physim.draw("two_body", q, style=style, radii=own)
    assert np.array_equal(same, physim.draw("two_body", q, style=style))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"system": "pendulun"}, "did you mean 'pendulum'"),
        ({"style": "oil"}, "style: got 'oil'"),
        ({"params": {"k": 1.0}}, "params: got 'k'; known: m, l, g"),
        ({"params": np.zeros(2)}, r"params: got shape \(2,\)"),
        ({"q": np.zeros((2, 3))}, r"q: got shape \(2, 3\), expected \(..., 1\)"),
        ({"resolution": 4}, "resolution: got 4, expected a whole number, 8–1024"),
        ({"resolution": -3}, "resolution: got -3"),
        ({"resolution": 32.5}, "resolution: got 32.5"),
        ({"resolution": "a"}, "resolution: got 'a'"),
        ({"resolution": 10**6}, "resolution: got 1000000"),
        ({"params": {"m": "a"}}, "params.m: got 'a', expected numbers"),
        ({"params": {"m": [1, 2]}}, "params: got 2 rows for q of shape"),
        ({"params": {"m": -1}}, r"params.m: got -1, expected a number above 0 \(mass\)"),
        ({"q": [np.nan]}, "q: got a value that is not finite"),
        ({"q": "a"}, "q: got 'a', expected numbers"),
        ({"colors": "red"}, "colors: got 'red', expected numbers"),
        ({"colors": np.zeros((2, 3))}, r"colors: got shape \(2, 3\), expected \(1, 3\)"),
        ({"colors": [[0, 0, 255]]}, "colors: got 0 … 255, expected values in 0 … 1"),
        ({"background": "white"}, "background: got 'white', expected numbers"),
        ({"background": 1.0}, r"background: got shape \(\), expected \(3,\)"),
        ({"background": [0, 0, -0.1]}, "background: got -0.1 … 0, expected values in 0 … 1"),
        ({"radii": [1, 2]}, r"radii: got shape \(2,\), expected a number or \(1,\)"),
        ({"radii": 0}, "radii: got 0, expected numbers above 0"),
        ({"half_width": "a"}, "half_width: got 'a', expected a finite number above 0"),
        ({"system": 3}, "system: got '3'"),
        ({"style": 3}, "style: got '3'"),
    ],
)
def test_draw_names_what_is_wrong(change, sentence):
    arguments = {"system": "pendulum", "q": np.zeros(1)} | change
    with pytest.raises(RecipeError, match=sentence):
        physim.draw(**arguments)
