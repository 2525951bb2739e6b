"""Checkpoints: damage is found, nothing is unpickled, a failed write leaves the old file."""

import pickle
import shutil

import pytest
import torch

from hgn_train import checkpoint
from hgn_train.checkpoint import Checkpoint
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


def test_weights_of_another_model_are_refused(tiny_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    path = run / "config.json"
    path.write_text(path.read_text().replace('"state_size": 4', '"state_size": 5'))
    with pytest.raises(PhysimError, match="has shape"):
        checkpoint.load_model(run, torch.device("cpu"))
