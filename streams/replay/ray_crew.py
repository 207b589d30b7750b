"""Workers as Ray actors, on this machine or on a cluster. The only home of Ray.

A Ray that we start listens on loopback alone, asks every caller for a token of its own, shows no dashboard, sends no
usage statistics, and is gone with the run. What is there already, at ``--ray-address``, is used as it is.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from threading import Event, Thread
from types import TracebackType
from typing import Any, Final, Self

from streams.core.errors import EbbtideError, WorkersError
from streams.garbage import collect_seldom
from streams.replay.crew import WorkerLostError
from streams.replay.run_options import RunOptions
from streams.replay.shard_worker import ShardWorker

STORE_BYTES: Final = 256 << 20
"""Room for turns and results on their way; what does not fit goes to disk."""
STARTS: Final = 3
"""Ray gives its processes 30 s to start, which a busy machine may not keep."""
_LONGEST_FOLDER: Final = 40
"""Ray puts sockets in it, whose paths have a limit."""


def require_ray(why: str) -> None:
    """See that Ray is installed.

    Raises
    ------
    WorkersError
        It is not.
    """
    if find_spec("ray") is None:
        raise WorkersError(
            f"{why} needs Ray, which is not installed.",
            "Install it: pip install 'ebbtide[ray]'; or leave it to one worker, which needs none.",
        )


class RayCrew:
    """Workers from Ray. A context manager: leaving it ends them, and the Ray that was started for them.

    Ray starts beside the caller, who may go on until the first worker is hired.

    Parameters
    ----------
    workers
        How many there will be, each on a CPU of its own.
    options
        Of the run.
    address
        Of a running Ray cluster; None for one of our own on this machine.
    """

    def __init__(self, workers: int, options: RunOptions, address: str | None = None) -> None:
        require_ray("A backfill with several workers" if address is None else f"A backfill on {address}")
        self._workers = workers
        self._options = options
        self._address = address
        self._folder: str | None = None
        self._failed: BaseException | None = None
        self._started, self._over = Event(), Event()
        self._thread = Thread(target=self._keep, name="ray", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._started.wait()
        import ray

        ray.shutdown()
        self._over.set()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def hire(self, number: int, partitions: Sequence[int]) -> RayWorker:
        """A new actor.

        Raises
        ------
        WorkersError
            Ray could not be started or reached, or has too few CPUs.
        """
        self._started.wait()
        if self._failed is not None:
            raise self._failed
        import ray

        actor = ray.remote(BackfillWorker).options(num_cpus=1, max_restarts=0, name=None)
        return RayWorker(actor.remote(self._options, list(partitions)))

    def _keep(self) -> None:
        """Start Ray, and stay: the kernel ends its processes with the thread that began them."""
        self._start()
        self._started.set()
        self._over.wait()

    def _start(self) -> None:
        try:
            if self._address is None:
                self._start_own()
            else:
                self._connect(self._address)
        except EbbtideError as error:
            self._failed = error
        except Exception as error:  # noqa: BLE001 - whatever Ray raises: it is told where the first worker is wanted
            where = "started on this machine" if self._address is None else f"reached at {self._address}"
            self._failed = WorkersError(
                f"Ray could not be {where}: {_first_line(error)}.",
                "Try one worker, which needs no Ray." if self._address is None else "See that the cluster runs there.",
            )

    def _start_own(self) -> None:
        private = {
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            # Its name speaks of two systems; what it does, on any, is to make the address of this node 127.0.0.1.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        }
        for name, value in private.items():
            os.environ.setdefault(name, value)
        import ray

        self._folder = tempfile.mkdtemp(prefix="ebbtide-ray-")
        for left in reversed(range(STARTS)):
            try:
                ray.init(
                    address="local",
                    num_cpus=self._workers,
                    num_gpus=0,
                    include_dashboard=False,
                    object_store_memory=STORE_BYTES,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    _temp_dir=self._folder if len(self._folder) <= _LONGEST_FOLDER else None,
                )
            except Exception:
                ray.shutdown()
                if not left:
                    raise
            else:
                return

    def _connect(self, address: str) -> None:
        import ray

        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        resources: dict[str, float] = ray.cluster_resources()
        cpus = resources.get("CPU", 0)
        if cpus < self._workers:
            raise WorkersError(
                f"The Ray cluster at {address} has {cpus:.0f} CPUs, and {self._workers} workers want one each.",
                "Ask for fewer --workers, or add nodes.",
            )


class BackfillWorker(ShardWorker):
    """A shard worker that has a process to itself, which `ps` shows under this name."""

    def __init__(self, options: RunOptions, partitions: Sequence[int]) -> None:
        collect_seldom()
        super().__init__(options, partitions)


class RayWorker:
    """One actor."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def call(self, method: str, *arguments: Any) -> RayAnswer:
        """As :class:`~streams.replay.crew.Worker` has it."""
        return RayAnswer(getattr(self._actor, method).remote(*arguments))

    def end(self) -> None:
        """As :class:`~streams.replay.crew.Worker` has it."""
        import ray

        ray.kill(self._actor)


class RayAnswer:
    """What an actor will say."""

    def __init__(self, reference: Any) -> None:
        self._reference = reference

    def ready(self) -> bool:
        """As :class:`~streams.replay.crew.Answer` has it."""
        import ray

        done, _ = ray.wait([self._reference], timeout=0, fetch_local=False)
        return bool(done)

    def get(self) -> Any:
        """As :class:`~streams.replay.crew.Answer` has it."""
        import ray
        from ray import exceptions as of

        try:
            return ray.get(self._reference)
        except of.RayTaskError as error:
            # It was raised in the actor: ours is told as ours, anything else is a bug, with its traceback.
            if isinstance(error.cause, EbbtideError):
                raise error.cause from None
            raise
        except of.ActorDiedError as error:
            if "creation task" in str(error):  # its constructor: it would fail each time
                raise WorkersError(
                    f"A Ray worker could not be begun: {str(error).strip().splitlines()[-1]}.",
                    "Every node needs the same Ebbtide and Python as this one.",
                ) from error
            raise WorkerLostError(_first_line(error)) from error
        except (of.RayActorError, of.WorkerCrashedError, of.ObjectLostError, of.OutOfMemoryError) as error:
            raise WorkerLostError(_first_line(error)) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
