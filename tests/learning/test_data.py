"""Batches: every trajectory once an epoch, the same after a resume, and never another
process's."""

import numpy as np
import pytest
import torch

import physim
from hgn_train import data, memory
from hgn_train.data import Batches, TrajectoryWindows
from hgn_train.images import Images
from hgn_train.points import Points
from hgn_train.states import States
from physim.errors import PhysimError


@pytest.fixture
def split(tiny_data):
    return physim.open(tiny_data).train


def batches(split, **settings):
    given = {
        "names": ("image", "index"),
        "device": torch.device("cpu"),
        "batch_size": 16,
        "seed": 1,
    }
    return Batches(split, **(given | settings))


def test_an_epoch_shows_every_trajectory_once(split):
    found = batches(split)
    seen = torch.cat([found.batch(step)["index"] for step in range(found.steps_per_epoch)])
    assert sorted(seen.tolist()) == list(range(512))
    again = torch.cat([found.batch(step)["index"] for step in range(32, 64)])
    assert sorted(again.tolist()) == list(range(512))
    assert again.tolist() != seen.tolist()


def test_trainings_at_once_hold_one_copy(tiny_data):
    """Of the same rows of the same files; what nobody holds is let go."""
    first, second = (batches(physim.open(tiny_data).train) for _ in range(2))
    fewer = batches(physim.open(tiny_data).train, trajectories=100)
    assert first.resident["image"] is second.resident["image"]
    assert len(fewer.resident["image"]) == 100
    assert not memory._reading  # nobody reads any more
    held = len(memory._held)
    del first, second
    assert len(memory._held) == held - 2  # images and indices


@pytest.mark.parametrize("free", [0.0, 1e12], ids=["streamed", "resident"])
def test_the_last_rows_are_those(split, free, monkeypatch):
    monkeypatch.setattr(data, "free_memory", lambda device: free)
    found = batches(split, trajectories=32, first=480)
    assert found.rows(torch.arange(32))["index"].tolist() == list(range(480, 512))
    seen = torch.cat([found.batch(step)["index"] for step in range(found.steps_per_epoch)])
    assert sorted(seen.tolist()) == list(range(480, 512))
    with pytest.raises(PhysimError, match="expected at most the 32"):
        batches(split, trajectories=33, first=480)


@pytest.mark.parametrize("n", [0, 16, 1000])
def test_held_out_are_the_last_of_the_test_split(tiny_data, n):
    """So that those which choose the weights are others than those which judge them."""
    source = data.open_source(tiny_data)
    device, test = torch.device("cpu"), source.dataset.test
    expected = test.q[-n:] if 0 < n < len(test) else test.q[:]
    windows = Images(source, 12).held_out(("q",), device, 0, n)
    assert np.array_equal(windows.rows(torch.arange(windows.n))["q"], expected.astype("f4"))
    states = States(source, noisy=False).held_out((), device, 0, n)
    assert np.allclose(states.rows(torch.arange(states.n))["q"], expected.reshape(-1, 1))
    points = torch.arange(64.0)[:, None]
    rest = Points("numbers", points, points).held_out((), device, 0, n)
    numbers = rest.rows(torch.arange(rest.n))["points"]
    assert torch.equal(numbers, points[64 - len(expected) :])


def test_images_are_those_of_the_shards(split):
    found = batches(split).batch(3)
    truth = split.image[found["index"].numpy()]
    assert found["image"].dtype == torch.uint8
    np.testing.assert_array_equal(found["image"].numpy(), truth)


def test_a_batch_follows_from_its_step_alone(split):
    first, second = batches(split), batches(split)
    first.batch(40)
    assert torch.equal(first.batch(5)["index"], second.batch(5)["index"])


def test_processes_share_a_batch(split):
    whole = batches(split, batch_size=16).batch(2)["index"]
    parts = [batches(split, batch_size=8, rank=r, world_size=2).batch(2)["index"] for r in (0, 1)]
    assert torch.equal(torch.stack(parts, 1).flatten(), whole)  # one row each, in turn


@pytest.fixture
def streamed(split, monkeypatch):
    """Batches of a split for which there is no memory, in pools of 64 trajectories."""
    monkeypatch.setattr(data, "free_memory", lambda device: 0.0)
    monkeypatch.setattr(data, "GROUPS", 6)
    found = batches(split, names=("image", "index", "q"))
    assert found.resident is None
    return found


def test_a_streamed_epoch_shows_every_trajectory_once_with_its_own_images(split, streamed):
    seen = []
    for step in range(streamed.steps_per_epoch):
        batch = streamed.batch(step)
        truth = split.read(batch["index"].numpy(), ["image", "q"])
        assert np.array_equal(batch["image"].numpy(), truth["image"])
        assert np.allclose(batch["q"].numpy(), truth["q"], atol=1e-6)  # float32
        seen.append(batch["index"])
    order = torch.cat(seen)
    assert sorted(order.tolist()) == list(range(512))
    # shuffled within and across chunks: neither runs of neighbours nor the order of the file
    assert ((order[1:] - order[:-1]) == 1).float().mean() < 0.1
    assert abs(np.corrcoef(order.numpy(), np.arange(512))[0, 1]) < 0.5


def test_order_is_the_same_in_memory_and_from_files(split, streamed, monkeypatch):
    monkeypatch.setattr(data, "free_memory", lambda device: 1e12)
    resident = batches(split)
    assert resident.resident is not None
    for step in (0, 7, 40):
        assert torch.equal(resident.batch(step)["index"], streamed.batch(step)["index"])


def test_streaming_follows_from_the_step_alone_and_reads_ahead(split, streamed, monkeypatch):
    again = batches(split, names=("image", "index", "q"))
    again.batch(40)
    assert torch.equal(again.batch(5)["image"], streamed.batch(5)["image"])
    assert torch.equal(again.batch(33)["index"], streamed.batch(33)["index"])
    fresh = batches(split, names=("image", "index", "q"))
    fresh.batch(0)
    assert list(fresh._pools) == [(0, 0), (0, 1)]  # the next pool is on its way
    read = fresh._read
    called = []
    monkeypatch.setattr(fresh, "_read", lambda *key: called.append(key) or read(*key))
    for step in range(fresh.steps_per_epoch):
        fresh.batch(step)
    fresh._pools[1, 0].result()
    assert called == [(0, number) for number in range(2, 11)] + [(1, 0)]  # each pool once


def test_pools_hold_whole_groups_of_neighbours_and_an_epoch_is_drawn_once(split, monkeypatch):
    monkeypatch.setattr(data, "free_memory", lambda device: 0.0)
    monkeypatch.setattr(data, "GROUPS", 6)
    some = batches(split, names=("index",), trajectories=509)  # the last group is not whole
    drawn, called = some._drawn, []
    monkeypatch.setattr(some, "_drawn", lambda epoch: called.append(epoch) or drawn(epoch))
    for step in range(3 * some.steps_per_epoch):
        some.batch(step)
    some._pools[3, 0].result()
    assert called == [0, 1, 2, 3]
    order, _ = drawn(0)
    assert sorted(order.tolist()) == list(range(509))
    groups = [set((pool // data.NEIGHBOURS).tolist()) for pool in order.split(some._pool_size)]
    torn = sum(map(len, groups)) - len(set.union(*groups))
    assert torn <= len(groups) - 1  # at most one group is cut where a pool ends


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_windows_shuffle_in_the_workers_of_a_loader(split, context):
    windows = TrajectoryWindows(split, frames=8, names=("index",))
    loader = torch.utils.data.DataLoader(
        windows,
        batch_size=32,
        shuffle=True,
        num_workers=2,
        multiprocessing_context=context,
        generator=torch.Generator().manual_seed(0),
    )
    seen = torch.cat([batch["index"] for batch in loader])
    assert len(seen) == len(windows)
    assert sorted(set(seen.tolist())) == list(range(512))
    assert seen.tolist() != sorted(seen.tolist())


def test_windows_start_at_random(split):
    found = batches(split, frames=8).batch(0)
    truth = split.image[found["index"].numpy()]
    starts = []
    for window, whole in zip(found["image"].numpy(), truth, strict=True):
        starts += [s for s in range(5) if np.array_equal(window, whole[s : s + 8])][:1]
    assert len(starts) == 16
    assert len(set(starts)) > 1


def test_windows_work_with_a_data_loader(split):
    windows = TrajectoryWindows(split, frames=5, stride=7, names=("image", "q"))
    assert len(windows) == 512 * 2
    loader = torch.utils.data.DataLoader(windows, batch_size=4)
    batch = next(iter(loader))
    assert batch["image"].shape == (4, 5, 16, 16, 3)
    assert batch["q"].dtype == torch.float32
    np.testing.assert_array_equal(windows[1]["image"].numpy(), split.image[0][7:12])


def test_windows_of_a_batch_are_those_alone(split):
    """In any order, twice, and counted from the end."""
    windows = TrajectoryWindows(split, frames=5, stride=7, names=("image", "q", "m", "index"))
    numbers = [700, 3, 3, -1, 1023, 0]
    for example, number in zip(windows.__getitems__(numbers), numbers, strict=True):
        row, second = divmod(number % 1024, 2)
        seen = slice(7 * second, 7 * second + 5)
        np.testing.assert_array_equal(example["image"].numpy(), split.image[row][seen])
        np.testing.assert_array_equal(example["q"].numpy(), np.float32(split.q[row][seen]))
        assert example["index"] == row
        assert example["m"] == pytest.approx(split.m[row])
    assert TrajectoryWindows(split, names="index")[511]["index"] == 511
    for outside in (1024, -1025):
        with pytest.raises(IndexError, match=f"window {outside} of 1024"):
            windows[outside]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trajectories": 513}, "trajectories: got 513"),
        ({"batch_size": 513}, "batch_size: got 513"),
    ],
)
def test_too_much_is_refused(split, settings, message):
    with pytest.raises(PhysimError, match=message):
        batches(split, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": 13}, "frames: got 13, expected from 1 to 12"),
        ({"frames": -1}, "frames: got -1"),
        ({"stride": 0}, "stride: got 0"),
        ({"names": ("imag",)}, "did you mean 'image'"),
    ],
)
def test_windows_that_there_are_not_are_refused(split, settings, message):
    with pytest.raises(PhysimError, match=message):
        TrajectoryWindows(split, **settings)


def test_only_what_has_an_entry_a_frame_is_cut(tmp_path):
    """Here the masses are as many as the frames."""
    physim.render("hgn/two_body", tmp_path / "pair", n=10, n_test=1, frames=2, resolution=16)
    split = physim.open(tmp_path / "pair").train
    names = ("q", "m")
    one = TrajectoryWindows(split, frames=1, names=names)[1]
    some = batches(split, names=names, batch_size=5, frames=1).batch(0)
    for name, shape in (("q", (1, 4)), ("m", (2,))):
        assert one[name].shape == shape
        assert some[name].shape == (5, *shape)


MEMINFO = "MemTotal: 900 kB\nMemFree: 100 kB\nMemAvailable: 500 kB\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"proc/meminfo": MEMINFO}, 500 * 1024),
        (
            {
                "proc/meminfo": MEMINFO,
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/b/memory.max": "max\n",
                "sys/fs/cgroup/a/b/memory.current": "9000\n",
                "sys/fs/cgroup/a/memory.max": "10000\n",
                "sys/fs/cgroup/a/memory.current": "9000\n",
                "sys/fs/cgroup/a/memory.stat": "file 4000\ninactive_file 2500\n",
            },
            3500,
        ),
        (
            {
                "proc/meminfo": MEMINFO,
                "proc/self/cgroup": "3:cpu,cpuacct:/x\n2:memory:/docker/1\n0::/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "8000\n",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": "3000\n",
            },
            5000,
        ),
    ],
    ids=["no limit", "version 2", "version 1"],
)
def test_free_memory_is_what_machine_and_container_leave(files, expected, tmp_path, monkeypatch):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(memory, "ROOT", tmp_path)
    assert memory.free_memory(torch.device("cpu")) == expected


def test_free_memory_where_nothing_tells(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "ROOT", tmp_path)
    assert memory.free_memory(torch.device("cpu")) > 2**20
