"""A Dask cluster that makes the shards: each worker makes whole ones, in one thread each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from physim import processors
from physim.errors import RecipeError, ShardError
from physim.recipe import Recipe
from physim.schedulers import Job, make_shard
from physim.shards.manifest import Shard

if TYPE_CHECKING:
    from dask.distributed import Client

SCHEDULER_SECONDS = 10
"""How long a Dask scheduler may take to answer."""


@contextmanager
def dask_client(address: str, workers: int | None = None) -> Iterator[Client]:
    """A Dask client that is closed on exit.

    Arguments:
        address: Of its scheduler, `tcp://host:8786`; or `local` for processes of this machine.
        workers: How many processes of this machine; one per processor if None.

    Raises:
        RecipeError: Dask is not installed, there is no scheduler at the address, or it has workers
            of its own.
    """
    if workers is not None and address != "local":
        raise RecipeError(
            f"workers: got {workers}, but those of the scheduler at {address} make the shards; "
            "leave it out"
        )
    try:
        from dask.distributed import Client
    except ImportError:
        raise RecipeError("scheduler: Dask is not installed; pip install 'physim[dask]'") from None
    if address != "local":
        _greet(address)
    try:
        client = (
            Client(
                n_workers=workers or processors.available(),
                threads_per_worker=1,
                dashboard_address=None,
            )
            if address == "local"
            else Client(address, timeout=SCHEDULER_SECONDS)
        )
    except (OSError, TimeoutError, ValueError) as error:
        raise _no_scheduler(address, type(error).__name__) from None
    with client:
        yield client
        if address == "local":
            client.shutdown()


def _greet(address: str) -> None:
    """Ask what is at the address: Dask's client would wait without end for a silent one.

    Raises:
        RecipeError: It is no scheduler, or one for which Dask has no certificate.
    """
    from distributed.core import rpc
    from distributed.security import Security

    async def kind(connection: dict[str, Any]) -> str:
        async with (
            asyncio.timeout(SCHEDULER_SECONDS),
            rpc(address, connection_args=connection) as there,
        ):
            return str((await there.identity())["type"])

    try:
        connection = Security().get_connection_args("client")
        if address.startswith("tls://") and not connection.get("ssl_context"):
            raise _no_scheduler(address, "no certificate in Dask's settings distributed.comm.tls")
        # in a thread of its own, since the caller's may run an event loop, as in a notebook
        with ThreadPoolExecutor(1, "physim-greet") as pool:
            found = pool.submit(lambda: asyncio.run(kind(connection))).result()
        if found != "Scheduler":
            raise _no_scheduler(address, f"a {found} is there")
    except RecipeError:
        raise
    except Exception as error:  # what Dask makes of an answer that is not its own is of many types
        raise _no_scheduler(address, type(error).__name__) from None


def _no_scheduler(address: str, reason: str) -> RecipeError:
    return RecipeError(
        f"scheduler: got '{address}', expected 'local' or the address of a Dask scheduler such as "
        f"tcp://host:8786 ({reason})"
    )


def make_shards(
    client: Client,
    recipe: Recipe,
    path: Path,
    todo: list[Job],
    progress: Callable[[int], None],
    finished: Callable[[Shard], None],
) -> None:
    """Make shards on a Dask cluster whose workers see the same folder.

    The shards of a worker that is lost are made by others, as often as Dask's setting
    `distributed.scheduler.allowed-failures` says; an error of a worker's own ends the run.

    Arguments:
        client: From `dask_client`.
        recipe: What to make.
        path: Folder of the data set, on a file system that all workers share.
        todo: Shards to make.
        progress: Called with the number of trajectories that have just been written.
        finished: Called with each shard when it is on the disk, as they come.

    Raises:
        ShardError: A worker could not write, or too many were lost.
    """
    from dask.distributed import as_completed
    from distributed.scheduler import KilledWorker

    folder = str(path.absolute())
    text = recipe.to_json()
    futures = [client.submit(make_shard, text, folder, job, pure=False) for job in todo]
    try:
        for future in as_completed(futures):
            shard = future.result()
            finished(shard)
            progress(shard.trajectories)
    except KilledWorker as error:
        raise ShardError(f"scheduler: a shard lost too many workers ({error})") from None
    finally:
        client.cancel(futures)
