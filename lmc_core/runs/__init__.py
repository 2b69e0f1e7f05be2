"""Requests, stored results, jobs, and the executors that turn the first into the second."""

from lmc_core.runs.executors import (
    EXECUTORS,
    Executor,
    ExecutorKind,
    Inline,
    Local,
    Queued,
    get_executor,
)
from lmc_core.runs.jobs import Job, Jobs
from lmc_core.runs.request import Request
from lmc_core.runs.result import Result
from lmc_core.runs.store import Store, StoreWarning

__all__ = [
    "EXECUTORS",
    "Executor",
    "ExecutorKind",
    "Inline",
    "Job",
    "Jobs",
    "Local",
    "Queued",
    "Request",
    "Result",
    "Store",
    "StoreWarning",
    "get_executor",
]
