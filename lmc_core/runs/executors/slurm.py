"""The executor that gives jobs to Slurm, as an array whose tasks take them from the table.

A task computes the job that it was made for, unless another has taken it, and goes on with what
waits while less than half of its time is over; so many small jobs cost few starts. Where Slurm
stops a task, at its time limit or for a job of more urgency, the job waits again and the task is
requeued; what a method has learned so far lies in the shared folder, and whoever takes the job next
goes on from there.
"""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmc_core.errors import LmcError
from lmc_core.format import PlainFormatter
from lmc_core.runs.executors.cluster import Cluster, group, read_number
from lmc_core.runs.executors.local import make_environment
from lmc_core.runs.executors.work import IMPORTS, Work, import_additions, log
from lmc_core.runs.jobs import Job

if TYPE_CHECKING:
    from submitit.core.utils import DelayedSubmission

NAME = "slurm"
REQUEUES = 100  # times that a task may reach its time limit
WARNING = 60  # seconds before the time limit at which a task is told
PATIENCE = 30.0  # seconds that a command of Slurm may take


@dataclass(frozen=True)
class SlurmSettings:
    """What is asked of Slurm for each task.

    Attributes:
        minutes: that a task may take before it is requeued.
        cpus: cores.
        gpus: None for one where the device is cuda.
        tasks: of an array at most.
        more: partition, mem, account, qos and constraint, where they were named.
    """

    minutes: int = 60
    cpus: int = 2
    gpus: int | None = None
    tasks: int = 64
    more: tuple[tuple[str, str], ...] = ()


class Slurm(Cluster):
    """Gives jobs to Slurm; the folder of results must be one that its nodes see.

    Args:
        settings: of its tasks.
        home: see `Queued`.
        cancel_on_interrupt: see `Queued`.

    Raises:
        LmcError: the package submitit or the commands of Slurm are missing.
    """

    name = NAME

    def __init__(
        self,
        settings: SlurmSettings | None = None,
        home: Path | None = None,
        *,
        cancel_on_interrupt: bool = False,
    ):
        super().__init__(home, cancel_on_interrupt=cancel_on_interrupt)
        self.home = self.home.resolve()
        self.settings = settings or SlurmSettings()
        try:
            import submitit  # an optional package
        except ImportError as error:
            raise LmcError(
                "Slurm needs the package submitit; install it with pip install "
                "'lmc-explorer[slurm]'."
            ) from error
        if shutil.which("sbatch") is None:
            raise LmcError(
                "There is no Slurm here: the command sbatch is not found. Log in to a machine of "
                "the cluster, or choose another executor."
            )
        self._submitit = submitit

    def send(self, device: str, jobs: Sequence[Job]) -> Mapping[str, tuple[str, str]]:
        """See `Cluster.send`."""
        from submitit.core.utils import FailedJobError  # an optional package

        settings = self.settings
        folder = self.home / "workers" / NAME
        parts = group([job.key for job in jobs], settings.tasks)
        tasks = [Task(str(self.home), device, part[0], settings) for part in parts]
        gpus = settings.gpus if settings.gpus is not None else int(device == "cuda")
        environment = make_environment(self.home)
        kept = ("LMC_HOME", "PYTHONPATH", IMPORTS)
        parameters: dict[str, Any] = {
            "job_name": "lmc",
            "time": settings.minutes,
            "cpus_per_task": settings.cpus,
            "signal_delay_s": min(WARNING, settings.minutes * 20),
            "stderr_to_stdout": True,
            "setup": [
                f"export {name}={shlex.quote(environment[name])}"
                for name in kept
                if name in environment
            ],
            "additional_parameters": {"requeue": True},
            **dict(settings.more),
            **({"gpus_per_node": gpus} if gpus else {}),
        }
        try:
            executor = self._submitit.SlurmExecutor(folder, max_num_timeout=REQUEUES)
            executor.update_parameters(**parameters)
            with executor.batch():
                given = [executor.submit(task) for task in tasks]
        except (OSError, RuntimeError, ValueError, FailedJobError) as error:
            raise LmcError(f"Slurm refused the jobs ({_last_words(error)}).") from error
        return {
            key: (job.job_id, str(job.paths.stdout))
            for part, job in zip(parts, given, strict=True)
            for key in part
        }

    def look(self) -> Mapping[str, str]:
        """See `Cluster.look`."""
        command = ["squeue", "-h", "-r", "-u", getpass.getuser(), "-o", "%i|%T|%r|%N"]
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LmcError(f"Slurm does not answer ({error}).") from error
        if said.returncode:
            raise LmcError(f"Slurm does not answer ({said.stderr.strip()}).")
        rows = [line.split("|") for line in said.stdout.splitlines() if line.count("|") == 3]
        return {task: _describe(state, reason, node) for task, state, reason, node in rows}

    def cancel(self, key: str) -> None:
        """Ask for a job to stop; a task of Slurm that waits for nothing else goes too."""
        job = self.jobs.get(key)
        self.jobs.cancel(key)
        if job is not None and job.state == "queued" and job.task:
            alone = all(other.task != job.task for other in self.jobs.active())
            if alone and (self._look() or {}).get(job.task, "").startswith("pending"):
                subprocess.run(["scancel", job.task], capture_output=True, timeout=PATIENCE)


@dataclass(frozen=True)
class Task:
    """What one task of Slurm does; it is pickled, and unpickled where it runs.

    Attributes:
        home: folder of results and jobs.
        device: kind of device.
        key: of the job that it was made for.
        settings: of the executor.
    """

    home: str
    device: str
    key: str
    settings: SlurmSettings

    def __call__(self) -> int:
        """Compute jobs; returns how many."""
        import submitit  # where this runs it is there

        os.environ["LMC_HOME"] = self.home
        if cores := os.environ.get("SLURM_CPUS_PER_TASK"):
            os.environ.setdefault("LMC_THREADS", cores)
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(PlainFormatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        environment = submitit.JobEnvironment()
        mine = f"{self.device}:{NAME} {environment.job_id} "
        work = Work(
            mine + secrets.token_hex(4),
            self.device,
            Path(self.home),
            executor=NAME,
            log_file=environment.paths.stdout,
            task=environment.job_id,
        )
        work.jobs.release(mine)  # Slurm starts a task again when the one before has ended
        import_additions()
        end = time.monotonic() + 30.0 * self.settings.minutes
        count = work.serve(self.key, goes_on=lambda: time.monotonic() < end)
        self._pass_on(work)
        return count

    def _pass_on(self, work: Work) -> None:
        """Give what still waits for this task to another one."""
        left = [job for job in work.jobs.active() if (job.state, job.task) == ("queued", work.task)]
        for job in left:
            work.jobs.note(job.key, "", "")
        if left:
            # where a node may not submit, whoever waits for these jobs does
            with contextlib.suppress(LmcError):
                Slurm(self.settings, Path(self.home)).tend()

    def checkpoint(self) -> DelayedSubmission:
        """What is run when Slurm stops this task and requeues it: the same."""
        from submitit.helpers import DelayedSubmission  # where this runs it is there

        return DelayedSubmission(self)


def _describe(state: str, reason: str, node: str) -> str:
    """The state of a task in words: "pending (Resources)", "running on node7"."""
    more = f" ({reason})" if reason not in ("None", "") else f" on {node}" if node else ""
    return state.lower() + more


def _last_words(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if line.startswith("sbatch:")] or lines
    return said[0] if said else type(error).__name__


def make(settings: Mapping[str, str]) -> Slurm:
    """Return the executor with settings as text; see `EXECUTORS`."""
    named = {"partition": "partition", "memory": "mem"}
    named |= {name: name for name in ("account", "qos", "constraint")}
    more = tuple((to, settings[name]) for name, to in named.items() if name in settings)
    chosen = SlurmSettings(
        minutes=read_number(settings, "minutes", SlurmSettings.minutes, int),
        cpus=read_number(settings, "cpus", SlurmSettings.cpus, int),
        gpus=read_number(settings, "gpus", 1, int) if "gpus" in settings else None,
        tasks=read_number(settings, "tasks", SlurmSettings.tasks, int),
        more=more,
    )
    return Slurm(chosen)
