"""`physim.open` on what `physim render` makes: recipe, system, parameters, derivatives."""

from __future__ import annotations

import os
import pickle

import h5py
import numpy as np
import pytest

import physim
from physim import processors, truth
from physim.errors import RecipeError, ShardError, SimulationError
from physim.shards import index


@pytest.fixture(scope="module", params=[True, False], ids=["stored", "computed"])
def opened(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("open") / "set"
    store = ["derivatives"] if request.param else []
    settings = {"n": 12, "n_test": 0, "frames": 5, "resolution": 8, "store": store}
    physim.render(system="pendulum", friction=0.2, noise=0.1, out=folder, **settings)
    return physim.open(folder)


@pytest.mark.parametrize(
    "key", [slice(None), slice(3, 5), [7, 2, 2], 4, -1, np.int64(3), np.array(5)]
)
def test_derivatives_are_those_of_the_clean_states(opened, key):
    found = opened.derivatives("train", key)
    shard = opened.train[:]
    q, p = shard["q"][..., 0], shard["p"][..., 0]
    m, length, g = (shard[name][:, None] for name in ("m", "l", "g"))
    dq = p / (m * length**2)
    dp = -m * g * length * np.sin(q) - 0.2 * dq
    # rounding of a few operations
    assert np.allclose(found["dq_dt"][..., 0], dq[key], rtol=1e-13, atol=1e-15)
    assert np.allclose(found["dp_dt"][..., 0], dp[key], rtol=1e-12, atol=1e-14)


def test_parameters_are_in_the_order_of_the_system(opened):
    assert opened.parameters == tuple(opened.system.columns) == ("m", "l", "g")
    shard = opened.train[:]
    expected = np.column_stack([shard["m"], shard["l"], shard["g"]])
    assert np.array_equal(opened.params("train"), expected)
    assert np.array_equal(opened.params("train", [5, 1]), expected[[5, 1]])
    assert np.array_equal(opened.params("train", -2), expected[-2])
    assert np.array_equal(opened.params("train", np.array(3)), expected[3])
    with pytest.raises(IndexError, match="a single truth value"):
        opened.states("train", True, [0.0])
    q, _ = opened.states("train", [], [0.0, 1.0])
    assert q.shape == (0, 2, 1)
    assert opened.draw("train", [], q).shape == (0, 2, 8, 8, 3)
    with pytest.raises(physim.RecipeError, match=r"times: got shape \(2, 1\), expected \(T,\)"):
        opened.states("train", 0, [[0.0], [1.0]])


def test_recipe_system_and_times(opened):
    assert opened.recipe.friction == 0.2
    assert opened.settings["friction"] == 0.2
    assert opened.system.name == "pendulum"
    assert np.array_equal(opened.times, 0.125 * np.arange(5))
    assert len(opened.test) == 0
    assert opened.train.attributes["split"] == "train"


def test_a_split_that_is_not_there(opened):
    q = np.zeros((1, 1, 1))
    for asked in (
        lambda: opened.split("valid"),
        lambda: opened.params("valid"),
        lambda: opened.derivatives("valid"),
        lambda: opened.states("valid", 0, [0.0]),
        lambda: opened.draw("valid", 0, q),
    ):
        with pytest.raises(RecipeError, match=r"split: got 'valid'; known: train, test"):
            asked()


@pytest.mark.parametrize("key", [slice(None), [], np.zeros(0, dtype=bool)])
def test_an_empty_split_has_the_arrays_of_the_other(opened, key):
    """The settings have no test trajectories."""
    clone = pickle.loads(pickle.dumps(opened))  # noqa: S301
    for data in (opened, clone):
        assert data.test.names == data.train.names
        for name, array in data.test.read(key).items():
            lazy = data.train.array(name)
            assert (array.shape, array.dtype) == ((0, *lazy.shape[1:]), lazy.dtype), name
        assert data.params("test", key).shape == (0, 3)
        assert data.derivatives("test", key)["dq_dt"].shape == (0, 5, 1)
        assert data.test.attributes == data.train.attributes | {"split": "test"}
        assert data.test.starts.shape == (0,)
        assert list(data.test) == []
        with pytest.raises(IndexError, match="trajectory 0 of 0"):
            _ = data.test.q[0]


def test_without_a_list_of_processors(opened, monkeypatch):
    """As on macOS and Windows."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert processors.available() == os.cpu_count()
    assert len(physim.open(opened.path).train[:]["q"]) == 12


def test_the_folder_above_names_what_is_below(opened):
    with pytest.raises(ShardError, match=r"not a data set, but the folder of set$"):
        physim.open(opened.path.parent)


def test_a_single_shard_is_no_data_set(opened):
    with pytest.raises(ShardError, match=r"00000\.h5: is a file, expected the folder"):
        physim.open(opened.path / "train" / "00000.h5")


def test_one_split_does_without_the_other(tmp_path):
    """As in a copy of some of the files."""
    made = physim.render(system="pendulum", n=3, n_test=2, frames=4, resolution=8, out=tmp_path)
    (made.path / "train" / "00000.h5").unlink()
    found = physim.open(tmp_path)
    assert len(found.times) == 4
    assert found.test.image.shape == (2, 4, 8, 8, 3)
    assert found.params("test").shape == (2, 3)


@pytest.mark.parametrize("locking", [None, True, False])
def test_a_shard_that_h5py_has_open(opened, locking):
    with h5py.File(opened.path / "train" / "00000.h5", locking=locking) as shard:
        again = physim.open(opened.path).train
        assert np.array_equal(again.image[:2], shard["image"][:2])


@pytest.mark.parametrize("locking", [None, True, False])
def test_h5py_opens_a_shard_while_its_index_is_read(opened, locking, monkeypatch):
    """As another thread would."""
    read, found = index._arrays, []

    def meanwhile(hdf5, path, *rest):
        with h5py.File(path, locking=locking) as shard:
            found.append(shard["image"][:2])
        return read(hdf5, path, *rest)

    monkeypatch.setattr(index, "_arrays", meanwhile)
    again = physim.open(opened.path).train
    assert np.array_equal(again.image[:2], found[0])


LONG = {"n": 6, "n_test": 5, "resolution": 8, "dt": 0.2, "seed": 3}


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("integrator", "settings"),
    [
        ("leapfrog", {}),
        ("yoshida4", {"substeps": 3}),
        ("rk4", {"friction": 0.2}),
        ("dop853", {}),
        ("gauss_radau", {"friction": 0.1}),
        ("closed_form", {}),
    ],
)
def test_states_are_the_motion_of_the_data_whichever_are_asked_for(
    tmp_path, integrator, settings, sign
):
    """A longer rendering is the same motion, and tells what lies beyond a shorter one."""
    common = LONG | settings | {"dt": sign * LONG["dt"], "integrator": integrator}
    physim.render(system="pendulum", out=tmp_path / "short", frames=8, **common)
    physim.render(system="pendulum", out=tmp_path / "long", frames=20, **common)
    short, whole = (physim.open(tmp_path / name) for name in ("short", "long"))
    dt = short.recipe.dt
    assert np.array_equal(short.test.q[:], whole.test.q[:, :8])
    for frames in (np.arange(8, 20), np.array([17, 3, 11]), np.array([19])):
        q, p = short.states("test", slice(None), dt * frames)
        assert np.array_equal(q, whole.test.q[:, frames])
        assert np.array_equal(p, whole.test.p[:, frames])
    between = dt * np.array([12.25, 12.0, -3.5])
    q, p = short.states("test", slice(None), between)
    assert np.array_equal(q[:, 1], whole.test.q[:, 12])
    found = physim.simulate(
        "pendulum", whole.test.q[:, 12], whole.test.p[:, 12], short.params("test", slice(None)),
        [0.25 * dt], integrator, short.recipe.friction, short.recipe.substeps,
    )  # fmt: skip
    assert q[:, 0] == pytest.approx(found[0][:, 0], rel=1e-11, abs=1e-11)
    assert p[:, 0] == pytest.approx(found[1][:, 0], rel=1e-11, abs=1e-11)


def test_times_that_are_too_far_are_refused(tmp_path):
    physim.render(system="pendulum", out=tmp_path, frames=2, integrator="leapfrog", **LONG)
    with pytest.raises(SimulationError, match="5e\\+08 frames from time 0, expected at most"):
        physim.open(tmp_path).states("test", 0, [1e8])


def test_states_far_away_are_reached_piece_by_piece(tmp_path, monkeypatch):
    physim.render(system="pendulum", out=tmp_path, frames=2, integrator="leapfrog", **LONG)
    data = physim.open(tmp_path)
    at = data.recipe.dt * np.array([50, -7, 31])
    whole = data.states("test", slice(None), at)
    monkeypatch.setattr(truth, "_ROOM", 4 * 5)  # four frames of five trajectories
    pieces = data.states("test", slice(None), at)
    assert np.allclose(whole, pieces, rtol=1e-12, atol=1e-12)
