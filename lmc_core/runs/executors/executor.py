"""What an executor is, and the one way from a request to its result that all of them share."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Protocol

from lmc_core.errors import LmcError
from lmc_core.progress import Progress, ignore, offer_pause
from lmc_core.runs.computation import COMPUTATIONS, rename
from lmc_core.runs.jobs import Job
from lmc_core.runs.request import Request
from lmc_core.runs.result import Result
from lmc_core.runs.store import Store

Finished = tuple[int, Result | LmcError]  # place of a request, and what came of it


class Executor(Protocol):
    """Turns requests into stored results.

    Attributes:
        name: in `executors.EXECUTORS`.
        store: where results lie.
    """

    name: str
    store: Store

    def run(self, request: Request, report: Progress = ignore, *, fresh: bool = False) -> Result:
        """Return the result, from the store or computed now; `result["cached"]` says which.

        Args:
            request: what is asked for.
            report: called with the share done and a few words; may raise `Cancelled`.
            fresh: compute although there is a result, and put the new one in its place.

        Raises:
            LmcError: it cannot be computed, with the reason.
            Cancelled: somebody asked for it to stop.
        """
        ...

    def submit(self, request: Request, *, fresh: bool = False) -> str:
        """Ask for a result without waiting, where that is possible; returns its key."""
        ...

    def submit_all(self, requests: Sequence[Request], *, fresh: bool = False) -> list[str]:
        """Ask for many results at once; returns their keys."""
        ...

    def run_all(
        self, requests: Sequence[Request], report: Progress = ignore, *, fresh: bool = False
    ) -> Iterator[Finished]:
        """Yield what came of each request as soon as it is there, stored results first.

        Args:
            requests: what is asked for.
            report: called with the share of all that is done and a few words; may raise
                `Cancelled`, which cancels what is not done.
            fresh: as in `run`.

        Yields:
            The place of a request, and its result or the reason why there is none.
        """
        ...

    def cancel(self, key: str) -> None:
        """Ask for a job to stop."""
        ...

    def states(self, keys: Iterable[str]) -> dict[str, Job]:
        """Return the jobs of keys, of those that there are."""
        ...


def obtain(request: Request, report: Progress, store: Store, *, fresh: bool = False) -> Result:
    """Return the result of a request: from the store, or computed and then stored.

    This is the one way to a result that all executors share. Whoever asks for the same key
    meanwhile, in this process or another, waits and gets the same result. It has the names of the
    request, whatever whoever asked before called the models and the data.

    Args:
        request: what is asked for.
        report: called with the progress; may raise `Cancelled`.
        store: where results lie.
        fresh: compute even if there is a result, and put the new one in its place; alignments,
            frames and bends that earlier runs left on disk are made anew too.
    """
    asked = datetime.now(UTC).isoformat(timespec="microseconds")

    def stored() -> Result | None:
        found = store.answer(request)
        return found if found is not None and (not fresh or found.written >= asked) else None

    if (found := stored()) is not None:
        return found
    with store.lock(
        request.key,
        waiting=lambda: report(0.0, "Waiting for another process that computes the same"),
    ):
        if (found := stored()) is not None:
            return found
        log = _Log(report)
        numbers, arrays = COMPUTATIONS[request.what].compute(request, log, fresh)
        # an alignment that was kept names the models of whoever asked for it
        numbers = rename(numbers, request.to_json())
        return store.put(request, numbers, arrays, log.text(), replace=fresh)


class _Log:
    """A report that also keeps what was said, with the seconds since the start."""

    def __init__(self, report: Progress):
        self._report = report
        self._start = time.monotonic()
        self._lines: list[str] = []
        self._last = ""

    def __call__(self, share: float, words: str) -> None:
        if words != self._last:
            self._last = words
            self._lines.append(f"{time.monotonic() - self._start:9.2f} s  {share:4.0%}  {words}")
        self._report(share, words)

    def pause(self) -> None:
        """Pass on that the run may stop here for a while."""
        offer_pause(self._report)

    def text(self) -> str:
        return "".join(f"{line}\n" for line in self._lines)
