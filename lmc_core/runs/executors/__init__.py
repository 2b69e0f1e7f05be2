"""Where requests are computed: in this process, by this machine's worker, or on a cluster.

Same requests, same store, same results. One text chooses an executor, `NAME[:SETTING=VALUE,...]`;
another package adds its own with `EXECUTORS.add`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lmc_core.errors import BadInput, UnknownName
from lmc_core.registry import Registry, import_later
from lmc_core.runs.executors.executor import Executor, Finished, obtain
from lmc_core.runs.executors.inline import Inline
from lmc_core.runs.executors.local import Local
from lmc_core.runs.executors.queued import Queued

VARIABLE = "LMC_EXECUTOR"


@dataclass(frozen=True)
class ExecutorKind:
    """A kind of executor.

    Attributes:
        name: by which it is asked for.
        sentence: what it does, after "NAME: ".
        make: settings by name, as text -> an executor.
        settings: name -> what it sets.
    """

    name: str
    sentence: str
    make: Callable[[Mapping[str, str]], Executor]
    settings: Mapping[str, str] = field(default_factory=dict)


EXECUTORS: Registry[ExecutorKind] = Registry(
    "executor",
    [
        ExecutorKind("inline", "in this process", lambda settings: Inline()),
        ExecutorKind("local", "in a worker process", lambda settings: Local()),
        ExecutorKind(
            "slurm",
            "as an array of Slurm jobs",
            import_later("lmc_core.runs.executors.slurm:make"),
            {
                "partition": "to run in",
                "minutes": "that a job may take before it is requeued (default: 60)",
                "cpus": "of a job (default: 2)",
                "gpus": "of a job (default: 1 where the device is cuda)",
                "memory": "of a job, such as 16G",
                "tasks": "of an array at most; each goes on with what waits (default: 64)",
                "account": "to charge",
                "qos": "quality of service",
                "constraint": "on the nodes",
            },
        ),
        ExecutorKind(
            "ray",
            "as tasks on a Ray cluster",
            import_later("lmc_core.runs.executors.ray:make"),
            {
                "address": "of the cluster, HOST:PORT or auto (default: RAY_ADDRESS, else auto)",
                "cpus": "of a task (default: 1)",
                "gpus": "of a task (default: 1 where the device is cuda)",
                "memory": "of a task in GB, for Ray to plan with",
            },
        ),
    ],
)


def get_executor(text: str) -> Executor:
    """Return a new executor.

    Args:
        text: its name, and behind a colon its settings: ``slurm:partition=gpu,minutes=240``.

    Raises:
        UnknownName: there is no such executor.
        BadInput: a setting is none of it or makes no sense.
        LmcError: its package or its cluster is not there.
    """
    name, _, words = text.partition(":")
    kind = EXECUTORS[name]
    settings: dict[str, str] = {}
    for word in filter(None, (word.strip() for word in words.split(","))):
        setting, equals, value = word.partition("=")
        if not (equals and value):
            raise BadInput(f"A setting of an executor is NAME=VALUE; {word!r} came.")
        if setting not in kind.settings:
            raise UnknownName.of(f"setting of the executor {name}", setting, kind.settings)
        settings[setting] = value
    return kind.make(settings)


def get_queue(text: str | None = None) -> Queued:
    """Return the executor with a queue that the app asks: that of a text, of `LMC_EXECUTOR`, or
    this machine's worker.

    Raises:
        BadInput: that executor has no queue.
    """
    text = text or os.environ.get(VARIABLE) or Local.name
    made = get_executor(text)
    if not isinstance(made, Queued):
        raise BadInput(
            f"The app needs an executor with a queue and {text!r} has none; take local or that of "
            "a cluster."
        )
    return made


__all__ = [
    "EXECUTORS",
    "Executor",
    "ExecutorKind",
    "Finished",
    "Inline",
    "Local",
    "Queued",
    "get_executor",
    "get_queue",
    "obtain",
]
