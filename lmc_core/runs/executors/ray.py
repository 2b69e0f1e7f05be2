"""The executor that gives jobs to a Ray cluster, as tasks with the resources that they need.

Tasks belong to an actor of the cluster that outlives this process, so that jobs go on when the
process that asked for them ends, and processes that ask for the same results share it. Ray runs a
task again elsewhere when its node dies.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import socket
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from lmc_core.errors import LmcError
from lmc_core.format import PlainFormatter
from lmc_core.runs.executors.cluster import Cluster, read_number
from lmc_core.runs.executors.local import make_environment
from lmc_core.runs.executors.work import IMPORTS, Work, import_additions, log
from lmc_core.runs.jobs import RETRIES, Job

NAME = "ray"
NAMESPACE = "lmc-explorer"
ANSWER = 30.0  # seconds that the cluster may take
GB = 10**9


@dataclass(frozen=True)
class RaySettings:
    """What is asked of Ray.

    Attributes:
        address: of the cluster, or auto.
        cpus: cores of a task.
        gpus: of a task; None for one where the device is cuda.
        memory: of a task, in bytes; None for whatever it takes.
    """

    address: str = "auto"
    cpus: int = 1
    gpus: float | None = None
    memory: int | None = None


class Ray(Cluster):
    """Gives jobs to a Ray cluster; the folder of results must be one that its nodes see.

    Args:
        settings: the cluster, and what its tasks need.
        home: see `Queued`.
        cancel_on_interrupt: see `Queued`.

    Raises:
        LmcError: the package ray is missing, or no cluster answers.
    """

    name = NAME

    def __init__(
        self,
        settings: RaySettings | None = None,
        home: Path | None = None,
        *,
        cancel_on_interrupt: bool = False,
    ):
        super().__init__(home, cancel_on_interrupt=cancel_on_interrupt)
        self.home = self.home.resolve()
        self.settings = settings or RaySettings()
        self._ray = _connect(self.settings.address)

    def send(self, device: str, jobs: Sequence[Job]) -> Mapping[str, tuple[str, str]]:
        """See `Cluster.send`."""
        settings = self.settings
        gpus = settings.gpus if settings.gpus is not None else float(device == "cuda")
        needs = {"num_cpus": settings.cpus, "num_gpus": gpus, "memory": settings.memory}
        needs = {name: value for name, value in needs.items() if value}
        tasks = self._call("take", [job.key for job in jobs], device, needs)
        return {key: (task, "") for key, task in tasks.items()}

    def look(self) -> Mapping[str, str]:
        """See `Cluster.look`."""
        return dict.fromkeys(self._call("list_tasks"), "waiting for resources")

    def _call(self, method: str, *arguments: object) -> Any:
        """Ask the actor of this folder, which is begun where there is none."""
        ray = self._ray
        environment = make_environment(self.home)
        kept = ("LMC_HOME", "PYTHONPATH", IMPORTS)
        variables = {name: environment[name] for name in kept if name in environment}
        place = hashlib.sha256(str(self.home).encode()).hexdigest()[:16]
        try:
            actor = (
                ray.remote(Crew)
                .options(
                    name=f"crew-{place}",
                    namespace=NAMESPACE,
                    lifetime="detached",
                    get_if_exists=True,
                    num_cpus=0,
                    max_restarts=-1,
                    runtime_env={"env_vars": variables},
                )
                .remote(str(self.home))
            )
            return ray.get(getattr(actor, method).remote(*arguments), timeout=ANSWER)
        except Exception as error:  # of Ray, of whatever class
            said = " ".join(str(error).split())[:200]
            raise LmcError(f"The Ray cluster does not answer ({said}).") from error


class Crew:
    """The actor of a folder: it owns the tasks.

    Args:
        home: folder of results and jobs.
    """

    def __init__(self, home: str):
        self._home = home
        self._tasks: dict[str, Any] = {}  # number -> what Ray calls its result

    def take(self, keys: Sequence[str], device: str, needs: Mapping[str, Any]) -> dict[str, str]:
        """Begin a task for each key; returns key -> task."""
        import ray  # where this runs it is there

        run = ray.remote(compute_job).options(max_retries=RETRIES, **needs)
        given = {key: secrets.token_hex(4) for key in keys}
        for key, task in given.items():
            self._tasks[task] = run.remote(self._home, device, key, task)
        return given

    def list_tasks(self) -> list[str]:
        """Tasks that wait or run."""
        import ray  # where this runs it is there

        held = {reference: task for task, reference in self._tasks.items()}
        if held:
            ended, _ = ray.wait(list(held), num_returns=len(held), timeout=0, fetch_local=False)
            for reference in ended:
                del self._tasks[held[reference]]
        return list(self._tasks)


def compute_job(home: str, device: str, key: str, task: str) -> int:
    """Compute one job, as a task of Ray; returns 1 where nobody else had taken it, else 0."""
    os.environ["LMC_HOME"] = home
    if cores := _find_cores():
        os.environ["LMC_THREADS"] = cores
    mine = f"{device}:{NAME} {task} "
    path = Path(home) / "workers" / NAME / f"{task}.log"
    work = Work(
        mine + secrets.token_hex(4), device, Path(home), executor=NAME, log_file=path, task=task
    )
    work.jobs.release(mine)  # Ray runs a task again when the node of the one before has died
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    handler.setFormatter(PlainFormatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        import_additions()
        return work.serve(key)
    finally:
        log.removeHandler(handler)
        handler.close()


def _find_cores() -> str:
    """How many cores this task was promised, as text; "" for none."""
    import ray  # where this runs it is there

    cores = ray.get_runtime_context().get_assigned_resources().get("CPU", 0)
    return str(int(cores)) if cores >= 1 else ""


def _connect(address: str) -> ModuleType:
    """Join the cluster and return the package.

    Raises:
        LmcError: it is not there.
    """
    try:
        import ray  # an optional package of 240 MB
    except ImportError as error:
        raise LmcError(
            "Ray needs the package ray; install it with pip install 'lmc-explorer[ray]'."
        ) from error
    if ray.is_initialized():
        return ray
    host, _, port = address.rpartition(":")
    try:
        if host and port.isdigit():  # Ray itself tries for minutes
            socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER).close()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ray.init(
                address=address,
                namespace=NAMESPACE,
                ignore_reinit_error=True,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except Exception as error:  # of whatever class
        raise LmcError(
            f"No Ray cluster answers at {address!r}; start one with `ray start --head`, or name "
            "one as ray:address=HOST:PORT."
        ) from error
    return ray


def make(settings: Mapping[str, str]) -> Ray:
    """Return the executor with settings as text; see `EXECUTORS`."""
    address = settings.get("address") or os.environ.get("RAY_ADDRESS") or RaySettings.address
    memory = read_number(settings, "memory", 1.0, float) if "memory" in settings else None
    chosen = RaySettings(
        address=address,
        cpus=read_number(settings, "cpus", RaySettings.cpus, int),
        gpus=read_number(settings, "gpus", 1.0, float) if "gpus" in settings else None,
        memory=None if memory is None else int(memory * GB),
    )
    return Ray(chosen)
