"""Shards made by a Dask cluster are those of a local run, bit for bit, even if a worker dies."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from unittest.mock import MagicMock

import pytest

import physim
from physim import cluster, schedulers
from physim.errors import RecipeError, ShardError
from physim.recipe import Recipe
from physim.shards import manifest
from physim.shards.journal import Journal
from physim.verification import verify

distributed = pytest.importorskip("distributed", reason="the extra physim[dask] is not installed")

SETTINGS = {"system": "pendulum", "n": 6000, "n_test": 300, "shard_size": 300}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def dask(tmp_path, monkeypatch):
    """A scheduler and two workers as processes of their own; yields address and workers."""
    monkeypatch.setattr(cluster, "SCHEDULER_SECONDS", 120)  # on a busy machine it starts late
    address = f"tcp://127.0.0.1:{_free_port()}"
    cli = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    host, port = address.removeprefix("tcp://").split(":")
    log = (tmp_path / "dask.log").open("w")
    common = {"stdout": log, "stderr": log, "cwd": tmp_path, "env": os.environ}
    processes = [
        subprocess.Popen([*cli, "--host", host, "--port", port, "--no-dashboard"], **common)
    ]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1"]
    for _ in range(2):
        processes.append(
            subprocess.Popen([*worker, "--no-nanny", "--no-dashboard", "--host", host], **common)
        )
    yield address, processes[1:]
    for process in processes:
        process.kill()
        process.wait()
    log.close()


def _files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*.h5"))
    }


def test_a_cluster_that_loses_a_worker_makes_the_same_bytes(tmp_path, dask):
    address, workers = dask
    physim.render(**SETTINGS, out=tmp_path / "local")
    killed = threading.Event()

    def kill_one(written: int) -> None:
        if written > 600 and not killed.is_set():
            workers[0].send_signal(signal.SIGKILL)
            killed.set()

    summary = physim.render(
        **SETTINGS, out=tmp_path / "cluster", scheduler=address, progress=kill_one
    )
    assert killed.is_set()
    assert workers[0].wait(timeout=10) == -signal.SIGKILL
    assert summary.made == 6300
    assert _files(tmp_path / "local") == _files(tmp_path / "cluster")
    manifests = [(tmp_path / name / "manifest.json").read_text() for name in ("local", "cluster")]
    assert manifests[0] == manifests[1]
    assert not list((tmp_path / "cluster").rglob("*.part"))


def test_a_worker_of_other_versions_adds_nothing(tmp_path):
    recipe = Recipe.of({"system": "pendulum", "n": 4, "n_test": 0, "frames": 2, "resolution": 8})
    (tmp_path / "train").mkdir()
    Journal(tmp_path).begin(json.loads(recipe.to_json()), manifest.versions() | {"numpy": "0"})
    with pytest.raises(ShardError, match="is made with numpy 0, but this worker has"):
        schedulers.make_shard(recipe.to_json(), str(tmp_path), next(schedulers.jobs(recipe)))
    assert list((tmp_path / "train").iterdir()) == []


@pytest.mark.parametrize("when", ["before it begins", "while it draws"])
def test_a_task_that_is_late_leaves_another_data_set_alone(tmp_path, monkeypatch, when):
    """As one that runs on when `physim render` was stopped and begun anew with other settings."""
    small = {"system": "pendulum", "n": 4, "n_test": 0, "frames": 2, "resolution": 8}
    late, other = Recipe.of(small), Recipe.of(small | {"seed": 1})
    job = next(schedulers.jobs(late))
    made = physim.render(late, tmp_path)
    before = _files(tmp_path)
    Journal(tmp_path).begin(json.loads(late.to_json()), {})
    assert schedulers.make_shard(late.to_json(), str(tmp_path), job) == made.shards[0]
    assert _files(tmp_path) == before
    draw, renewed = schedulers._block, []

    def overwrite() -> None:
        if not renewed:
            renewed.append(True)
            physim.render(other, tmp_path, overwrite=True)

    def block(*arguments):
        overwrite()
        return draw(*arguments)

    if when == "while it draws":
        monkeypatch.setattr(schedulers, "_block", block)
    else:
        overwrite()
    with pytest.raises(ShardError, match=r"not being made into this|cannot be written"):
        schedulers.make_shard(late.to_json(), str(tmp_path), job)
    assert renewed
    assert verify(tmp_path).ok
    assert physim.open(tmp_path).recipe == other
    assert not list(tmp_path.rglob("*.part"))


def test_no_scheduler_at_the_address(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "SCHEDULER_SECONDS", 2)
    began = time.monotonic()
    with pytest.raises(RecipeError, match=r"scheduler: got 'tcp://127.0.0.1:9'"):
        physim.render(**SETTINGS, out=tmp_path / "s", scheduler="tcp://127.0.0.1:9")
    assert time.monotonic() - began < 30
    with pytest.raises(RecipeError, match="scheduler: got 'nowhere'"):
        physim.render(**SETTINGS, out=tmp_path / "s", scheduler="nowhere")
    assert not (tmp_path / "s").exists()


def test_workers_are_those_of_the_scheduler_unless_it_is_local(tmp_path, monkeypatch):
    with pytest.raises(RecipeError, match=r"workers: got 2, but those of .*//h:1 make"):
        physim.render(**SETTINGS, out=tmp_path / "s", scheduler="tcp://h:1", workers=2)
    client = MagicMock()
    monkeypatch.setattr("dask.distributed.Client", client)
    with cluster.dask_client("local", 2):
        assert client.call_args.kwargs["n_workers"] == 2


@pytest.mark.parametrize(
    ("address", "reason"),
    [("", "ValueError"), ("tls://h:1", "no certificate in Dask's settings")],
)
def test_an_address_that_cannot_be_one(tmp_path, address, reason):
    with pytest.raises(RecipeError, match=rf"scheduler: got '{address}', .*\({reason}.*\)$"):
        physim.render(**SETTINGS, out=tmp_path / "s", scheduler=address)
    assert not (tmp_path / "s").exists()


@contextmanager
def _stranger(banner: bytes):
    """A port that says `banner`, then listens for 20 s; yields address and whether it was left."""
    left = threading.Event()

    def answer() -> None:
        connection, _ = port.accept()
        with connection, suppress(TimeoutError):
            connection.settimeout(20)
            connection.sendall(banner)
            with suppress(ConnectionError):
                while connection.recv(2**16):
                    pass
            left.set()

    with socket.create_server(("127.0.0.1", 0)) as port:
        threading.Thread(target=answer, daemon=True).start()
        yield f"tcp://127.0.0.1:{port.getsockname()[1]}", left


@pytest.mark.parametrize("banner", [b"", b"SSH-2.0-OpenSSH_9.2\r\n"], ids=["silent", "ssh"])
def test_a_port_that_is_no_scheduler(tmp_path, monkeypatch, banner):
    monkeypatch.setattr(cluster, "SCHEDULER_SECONDS", 1)
    with _stranger(banner) as (address, left):
        with pytest.raises(RecipeError, match=rf"scheduler: got '{address}'"):
            physim.render(**SETTINGS, out=tmp_path / "s", scheduler=address)
        assert left.wait(5)
    assert not (tmp_path / "s").exists()


def test_a_worker_is_no_scheduler(tmp_path, dask):
    with distributed.Client(dask[0]) as client:
        client.wait_for_workers(1, timeout=60)
        worker = next(iter(client.scheduler_info()["workers"]))

    async def notebook() -> None:
        """Calls where an event loop runs, as in a notebook."""
        physim.render(**SETTINGS, out=tmp_path / "s", scheduler=worker)

    with pytest.raises(RecipeError, match=rf"scheduler: got '{worker}', .*\(a Worker is there\)"):
        asyncio.run(notebook())


@pytest.mark.slow
def test_local_cluster(tmp_path):
    """In a script of its own: worker processes import the main module."""
    script = tmp_path / "script.py"
    script.write_text(
        "import physim\n"
        "if __name__ == '__main__':\n"
        f"    physim.render(**{SETTINGS!r}, out='cluster', scheduler='local')\n"
    )
    subprocess.run([sys.executable, script], check=True, cwd=tmp_path, timeout=120)
    physim.render(**SETTINGS, out=tmp_path / "local")
    assert _files(tmp_path / "local") == _files(tmp_path / "cluster")
