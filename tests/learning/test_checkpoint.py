"""Checkpoints: damage is found, nothing is unpickled, a failed write leaves the old file."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from hgn_train import checkpoint, files, log, resume, settings
from hgn_train.checkpoint import Checkpoint
from hgn_train.evaluation import results
from hgn_train.settings import TrainSettings
from physim.errors import PhysimError


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "a.safetensors"
    checkpoint.write(path, Checkpoint({"model.w": torch.arange(100.0)}, 7, {"best": 0.5}))
    return path


def test_comes_back_as_it_was(saved):
    found = checkpoint.read(saved)
    assert found.step == 7
    assert found.facts == {"best": 0.5}
    assert torch.equal(found.part("model")["w"], torch.arange(100.0))


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "pickle", "text", "header"])
def test_damage_is_one_sentence(saved, damage):
    content = saved.read_bytes()
    changed = {
        "flip": content[:-40] + bytes([content[-40] ^ 1]) + content[-39:],
        "truncate": content[:-8],
        "empty": b"",
        "pickle": pickle.dumps({"model.w": 1}),
        "text": b"weights",
        "header": b"\xff" * 8 + content[8:],
    }[damage]
    saved.write_bytes(changed)
    with pytest.raises(PhysimError, match="damaged") as caught:
        checkpoint.read(saved)
    assert str(saved) in str(caught.value)


def test_a_checksum_is_of_names_shapes_types_and_bytes():
    x = torch.arange(6.0)
    same = {"b": x[::2], "a": x}
    others = [
        {"c": x[::2], "a": x},
        {"b": x[:3], "a": x},
        {"b": x[::2], "a": x.reshape(2, 3)},
        {"b": x[::2], "a": x.view(torch.int32)},
        {"a": x},
    ]
    sums = [checkpoint.checksum(tensors) for tensors in (same, *others)]
    assert len(set(sums)) == len(sums)
    assert checkpoint.checksum({"a": x.clone(), "b": x[::2].clone()}) == sums[0]


def trained():
    """A model, its average and its optimiser after two updates; weights in another order too."""
    model = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    average = torch.nn.Conv2d(3, 4, 3)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.randn(2, 3, 5, 5)).square().mean().backward()
        optimizer.step()
    return model, average, optimizer


def test_a_training_is_restored_with_all_it_had(tmp_path):
    torch.manual_seed(0)
    model, average, optimizer = trained()
    tensors = resume.snapshot(model, average, optimizer, {"loss": torch.tensor(3.0)})
    path = tmp_path / "last.safetensors"
    checkpoint.write(path, Checkpoint(tensors, 2))
    others = trained()
    saved, sums = resume.restore(path, *others)
    assert saved.step == 2
    assert sums == {"loss": torch.tensor(3.0)}
    for one, other in zip((model, average), others[:2], strict=True):
        assert all(map(torch.equal, one.parameters(), other.parameters()))
    for weight, same in zip(model.parameters(), others[0].parameters(), strict=True):
        before, after = optimizer.state[weight], others[2].state[same]
        assert before.keys() == after.keys() == {"step", "exp_avg", "exp_avg_sq"}
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert after["exp_avg"].stride() == same.stride()  # as a fused optimiser walks


def test_what_is_judged_is_the_average_where_there_is_one():
    torch.manual_seed(0)
    model, average, _ = trained()
    for kept, expected in ((average, average), (None, model)):
        tensors = resume.snapshot(model, kept, None, {"loss": torch.tensor(3.0)})
        assert tensors.keys() == {"model.weight", "model.bias"}
        assert torch.equal(tensors["model.weight"], expected.weight)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PhysimError, match="there is no such checkpoint"):
        checkpoint.read(tmp_path / "none.safetensors")


def test_a_failed_write_leaves_the_old_one(saved, monkeypatch):
    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(PhysimError, match="No space left"):
        checkpoint.write(saved, Checkpoint({"model.w": torch.zeros(3)}, 8))
    monkeypatch.undo()
    assert checkpoint.read(saved).step == 7
    assert [entry.name for entry in saved.parent.iterdir()] == [saved.name]


def test_every_result_is_whole_or_the_one_before(tmp_path, monkeypatch):
    """`evaluation.json` comes last: where it is new, so are the arrays."""
    results.keep(tmp_path, {"system": "a"}, {"q": np.zeros(3)})
    replace = Path.replace

    def fail(path, target):
        if Path(target).suffix == ".json":
            raise OSError(28, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(PhysimError, match=r"evaluation.json: cannot be written \(No space left"):
        results.keep(tmp_path, {"system": "b"}, {"q": np.ones(3)})
    assert json.loads((tmp_path / "evaluation.json").read_text()) == {"system": "a"}
    with np.load(tmp_path / "evaluation.npz") as arrays:
        assert arrays["q"].tolist() == [1, 1, 1]
    assert {entry.name for entry in tmp_path.iterdir()} == {"evaluation.json", "evaluation.npz"}


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    taken = tmp_path / "metrics.jsonl"
    taken.mkdir()
    with pytest.raises(PhysimError, match=f"{taken}: cannot be written"):
        log.Log(tmp_path, TrainSettings(), 0, 0, None, progress=False)
    (tmp_path / "out").write_text("")
    with pytest.raises(PhysimError, match=r"out/a\.json: cannot be written \(Not a directory"):
        files.write(tmp_path / "out" / "a.json", "")


def test_weights_of_another_model_are_refused(tiny_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    path = run / "config.json"
    path.write_text(path.read_text().replace('"state_size": 4', '"state_size": 5'))
    with pytest.raises(PhysimError, match="has shape"):
        checkpoint.load_model(run, torch.device("cpu"))


def test_a_setting_of_another_version_is_named_with_its_file(tiny_run, tmp_path):
    text = (tiny_run / "config.json").read_text()
    path = tmp_path / "config.json"
    path.write_text(text.replace('"state_size": 4', '"state_sizes": 4'))
    with pytest.raises(PhysimError, match=f"{path}: setting: got 'state_sizes' "):
        settings.load(tmp_path)
