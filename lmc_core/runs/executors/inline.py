"""The executor that computes in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lmc_core import folders
from lmc_core.errors import Cancelled, LmcError
from lmc_core.models.handover import HANDOVER
from lmc_core.progress import Progress, ignore, part
from lmc_core.runs.executors.executor import Finished, obtain
from lmc_core.runs.jobs import Job
from lmc_core.runs.request import Request
from lmc_core.runs.result import Result
from lmc_core.runs.store import Store


class Inline:
    """Computes in this process: for tests, notebooks and scripts.

    Args:
        home: folder of results; default `folders.home()`.
    """

    name = "inline"

    def __init__(self, home: Path | None = None):
        self.store = Store((home if home is not None else folders.home()) / "results")

    def run(self, request: Request, report: Progress = ignore, *, fresh: bool = False) -> Result:
        """See `Executor.run`."""
        try:
            return obtain(request, report, self.store, fresh=fresh)
        finally:
            HANDOVER.clear()

    def submit(self, request: Request, *, fresh: bool = False) -> str:
        """Compute now, since there is nobody else to do it; returns the key."""
        return self.run(request, fresh=fresh).key

    def submit_all(self, requests: Sequence[Request], *, fresh: bool = False) -> list[str]:
        """Compute now, one after another; returns the keys."""
        return [self.submit(request, fresh=fresh) for request in requests]

    def run_all(
        self, requests: Sequence[Request], report: Progress = ignore, *, fresh: bool = False
    ) -> Iterator[Finished]:
        """See `Executor.run_all`; one after another."""
        left: dict[int, Request] = {}
        for place, request in enumerate(requests):
            if not fresh and (found := self.store.answer(request)) is not None:
                yield place, found
            else:
                left[place] = request
        done = len(requests) - len(left)
        for place, request in left.items():
            try:
                told = part(report, done / len(requests), (done + 1) / len(requests))
                yield place, self.run(request, told, fresh=fresh)
            except Cancelled:
                raise
            except LmcError as error:
                yield place, error
            done += 1

    def cancel(self, key: str) -> None:
        """Nothing: nobody else computes."""

    def states(self, keys: Iterable[str]) -> dict[str, Job]:
        """None: there are no jobs."""
        return {}
