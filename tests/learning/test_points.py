"""Points of files, densities and shards: what is read, how it is dealt out, what is refused."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hgn_train import densities, points
from hgn_train.models.nhf import NHFSettings
from hgn_train.rows import Rows
from physim.errors import PhysimError


def table(path, n=100, columns=3, head="", between=","):
    values = np.random.default_rng(1).normal(size=(n, columns))
    rows = [between.join(f"{value:.9g}" for value in row) + "\n" for row in values]
    path.write_text(head + "".join(rows))
    return values


@pytest.mark.parametrize("columns", [1, 2, 3])
@pytest.mark.parametrize(
    ("head", "between"), [("", ","), ("x,y,z\n", ","), ("\ufeff\nx; y\n\n", ";"), ("x\n", "\t")]
)
def test_table_of_any_dimension(tmp_path, columns, head, between):
    values = table(tmp_path / "some.csv", columns=columns, head=head, between=between)
    found = points.read(str(tmp_path / "some.csv"))
    assert torch.equal(found.first, points.read(str(tmp_path / "some.csv")).first)
    assert found.system == "some"
    assert (found.dimension, len(found.first), len(found.rest)) == (columns, 90, 10)
    together = torch.cat([found.first, found.rest]).numpy()
    assert not np.allclose(together, values)
    together, values = (rows[rows[:, 0].argsort()] for rows in (together, values))
    assert np.allclose(together, values, rtol=1e-6)
    assert found.density is None


def test_held_out_points_of_a_file_come_from_all_of_it(tmp_path):
    """Files are often in some order: a tenth of it at one end is another distribution."""
    np.save(tmp_path / "some.npy", np.arange(1000.0))
    rest = points.read(str(tmp_path / "some.npy")).rest.flatten()
    counts, _ = np.histogram(rest, 4, (0, 1000))
    assert counts.sum() == 100
    assert counts.min() > 10  # 25 are expected, with a deviation of 4


def test_a_tab_behind_a_line_separates_nothing(tmp_path):
    (tmp_path / "some.csv").write_text("".join(f"{i},{i * i}\t\n" for i in range(30)))
    assert points.read(str(tmp_path / "some.csv")).dimension == 2


def test_the_last_points_are_held_out():
    found = points.Points("some", torch.zeros(30, 1), torch.arange(10.0)[:, None])
    for n, expected in ((3, [7, 8, 9]), (0, list(range(10))), (99, list(range(10)))):
        rows = found.held_out(("points",), CPU, 0, n)
        assert rows.rows(torch.arange(rows.n))["points"].flatten().tolist() == expected


def test_a_fingerprint_is_of_both_parts_and_their_shapes():
    x, y = torch.arange(8.0), torch.arange(4.0)
    parts = [
        (x.reshape(4, 2), y.reshape(2, 2)),
        (x.reshape(4, 2), y.reshape(2, 2) + 1),
        (x.reshape(4, 2) + 1, y.reshape(2, 2)),
        (x.reshape(8, 1), y.reshape(4, 1)),
    ]
    found = [points.Points("some", *each).fingerprint for each in parts]
    assert len(set(found)) == 4
    assert points.Points("other", *(part.clone() for part in parts[0])).fingerprint == found[0]


@pytest.mark.parametrize("shape", [(100,), (100, 1), (100, 5)])
def test_array_of_any_dimension(tmp_path, shape):
    np.save(tmp_path / "some.npy", np.random.default_rng(0).normal(size=shape))
    found = points.read(str(tmp_path / "some.npy"))
    assert found.dimension == (shape[1] if len(shape) > 1 else 1)
    assert found.first.dtype == torch.float32


def test_parts_of_a_density_are_two_samples():
    found = points.read("moons")
    assert found.density is not None
    assert (len(found.first), len(found.rest)) == (points.TRAIN, points.TEST)
    assert not torch.equal(found.first[: points.TEST], found.rest)
    assert torch.equal(found.first, points.read("moons").first)


def test_each_density_and_part_is_drawn_by_numbers_of_its_own(monkeypatch):
    """Though both densities make the same of them here."""
    plain = SimpleNamespace(sample=lambda n, random: torch.rand(n, 2, generator=random))
    monkeypatch.setattr(densities, "find", lambda name: plain)
    monkeypatch.setattr(points, "TRAIN", 50)
    monkeypatch.setattr(points, "TEST", 50)
    read = [points.read(name) for name in ("moons", "circle")]
    drawn = torch.cat([part for found in read for part in (found.first, found.rest)])
    assert len(drawn.unique(dim=0)) == 200


def test_initial_states_of_shards(tiny_data, monkeypatch):
    import physim

    found = points.read(str(tiny_data))
    assert (found.dimension, len(found.first), len(found.rest)) == (2, 512, 64)
    split = physim.open(tiny_data).test
    expected = np.concatenate([split.q[:, 0], split.p[:, 0]], 1)
    assert np.allclose(found.rest, expected, atol=1e-6)
    monkeypatch.chdir(tiny_data)
    assert points.read(".").system == found.system == "tiny"


def save(name, content):
    def write(folder):
        path = folder / name
        if isinstance(content, str):
            path.write_text(content)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            np.save(path, content, allow_pickle=True)
        return str(path)

    return write


def archive():
    """What `numpy.savez` writes."""
    file = io.BytesIO()
    np.savez(file, np.zeros((30, 2)))
    return file.getvalue()


WRONG = {
    "text": (save("a.csv", "1,2\nx,y\n3,4\n"), "line 2, column 1: got 'x', expected a finite"),
    "text after a gap": (save("a.csv", "1,2\n\nx,y\n"), "line 3, column 1: got 'x'"),
    "half a head": (save("a.csv", "1,y\n3,4\n"), "line 1, column 2: got 'y', expected a finite"),
    "nan": (save("a.csv", "1,2\n3,nan\n"), "line 2, column 2: got 'nan', expected a finite"),
    "ragged": (save("a.csv", "1,2\n3\n"), "line 2: got 1 numbers, expected 2"),
    "hole": (save("a.csv", "1,2\n3,\n"), "line 2, column 2: got ''"),
    "decimal comma": (
        save("a.csv", "0.5;1\n1,5;2\n"),
        "line 2, column 1: got '1,5', expected a finite number",
    ),
    "empty": (save("a.csv", ""), "holds no points"),
    "head only": (save("a.csv", "x,y\n"), "holds no points"),
    "bytes": (save("a.csv", b"\xff\xfe\x00"), "not a text file"),
    "two heads": (save("a.csv", "x,y\nu,v\n1,2\n"), "line 2, column 1: got 'u'"),
    "few": (save("a.csv", 21 * "1,2\n"), "got 19 points to train on, expected at least 20"),
    "just enough, but constant": (save("a.csv", 22 * "1,2\n"), "column 1 is the same"),
    "constant": (save("a.csv", "".join(f"{i},2\n" for i in range(50))), "column 2 is the same"),
    "empty array": (save("a.npy", b""), "not an array of numbers"),
    "no array": (save("a.npy", b"hello"), "not an array of numbers"),
    "strings": (save("a.npy", np.array(["a", "b"])), "expected floats or integers"),
    "truths": (save("a.npy", np.array([[True, False]])), "expected floats or integers"),
    "complex": (save("a.npy", np.array([[1j, 2.0]])), "expected floats or integers"),
    "archive": (save("a.npy", archive()), "a.npy: not an array of numbers"),
    "objects": (save("a.npy", np.array([{}, 1], object)), "not an array of numbers"),
    "cube": (save("a.npy", np.zeros((5, 4, 3))), r"shape \(5, 4, 3\), expected \(points"),
    "nan in array": (save("a.npy", np.array([[1.0, 2], [np.nan, 0]])), "row 2, column 1: got nan"),
    "infinite": (save("a.npy", np.array([[1.0, np.inf]])), "row 1, column 2: got inf"),
    "huge": (save("a.npy", np.full((50, 2), -1e200)), "expected less than 1e30"),
    "large": (save("a.npy", np.full((50, 2), 1e33)), "numbers up to 1e\\+33, expected less"),
    "absent": (lambda folder: str(folder / "none.csv"), "there is no file"),
    "name": (lambda folder: "cirle", r"did you mean 'circle'\?.*, a .npy or .csv file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_target_is_one_sentence(tmp_path, case):
    write, sentence = WRONG[case]
    with pytest.raises(PhysimError, match=sentence):
        points.read(write(tmp_path))


def test_dimension_is_taken_from_the_points(tmp_path):
    table(tmp_path / "some.csv", columns=3)
    network = {}
    assert points.adapt(network, str(tmp_path / "some.csv")) == "some"
    assert network == {"dimension": 3}
    given = {"dimension": 2}
    points.adapt(given, str(tmp_path / "some.csv"))
    assert given == {"dimension": 2}  # and is refused where the points are opened
    with pytest.raises(PhysimError, match="points of 3 numbers, but the model is made for 2"):
        points.open_points(str(tmp_path / "some.csv"), NHFSettings())


CPU = torch.device("cpu")


def test_an_epoch_shows_each_row_once():
    rows = Rows({"points": torch.arange(12)[:, None]}, CPU, 4, seed=0)
    seen = torch.cat([rows.batch(step)["points"] for step in range(3)])
    assert sorted(seen.flatten().tolist()) == list(range(12))
    again = torch.cat([rows.batch(step)["points"] for step in range(3, 6)])
    assert not torch.equal(seen, again)
    assert torch.equal(rows.batch(0)["points"], seen[:4])


def test_processes_share_a_batch():
    whole = Rows({"points": torch.arange(40)}, CPU, 8, seed=3).batch(2)["points"]
    parts = [Rows({"points": torch.arange(40)}, CPU, 4, 3, 0, rank, 2) for rank in range(2)]
    for rank, part in enumerate(parts):
        assert torch.equal(part.batch(2)["points"], whole[rank::2])


def test_too_many_rows_are_refused():
    with pytest.raises(PhysimError, match="trajectories: got 9, expected at most the 5 rows"):
        Rows({"points": torch.arange(5)}, CPU, 1, 0, 9)
    with pytest.raises(PhysimError, match="batch_size: got 8, expected at most 5"):
        Rows({"points": torch.arange(5)}, CPU, 8, 0)
