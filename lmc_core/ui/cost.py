"""What runs will take, said beside the button that starts them ("About 40 s and 600 MB of memory"),
and how far those of a page are together: one share of the whole, which never falls, and one time
that is left, which never rises.

Every run counts as much as it is expected to take. What is left is what is expected at first, and
more and more what the pace so far tells:

    left = w (1 - s) t / (s - s_0) + (1 - w) (1 - s) T,    w = min(1, (s - s_0) / `TRUSTED`)

with the share s, s_0 when this was first looked at t seconds ago, and T seconds expected in all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from lmc_core import elsewhere
from lmc_core.errors import LmcError
from lmc_core.numbers import size
from lmc_core.runs.expected import Expected, rounded
from lmc_core.runs.jobs import Job
from lmc_core.runs.request import ModelsRequest, Request
from lmc_core.ui import backend

TRUSTED = 0.25  # share after which the pace so far alone tells
LONG = 20.0  # seconds after which a run is long, so that its end is worth a word
# seconds that are said, in steps that nobody takes for exact
STEPS = (5, 10, 15, 20, 30, 40, 50, *(60 * n for n in (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45)))
UNKNOWN = 1.0  # weight of a run of which nobody knows how long it takes


def note(requests: Sequence[Request], what: str = "") -> str:
    """Say what some runs take before they start; nothing on a server for an audience, which starts
    none.

    Args:
        requests: that are still to compute.
        what: what is done, said first ("289 points"); empty for nothing.
    """
    asked = [request for request in requests if isinstance(request, ModelsRequest)]
    if not asked or backend.read_only():
        return ""
    found = elsewhere.call("lmc_core.runs.cost:forecast", asked)
    return sentence(*cast("tuple[Expected | None, int]", found), what)


def forecast_each(jobs: Sequence[Job]) -> list[float | None]:
    """Seconds that jobs are expected to take, each alone; None where nobody knows."""
    try:
        found = elsewhere.call("lmc_core.runs.cost:forecast_each", [job.request for job in jobs])
    except LmcError:
        return [None] * len(jobs)
    return cast("list[float | None]", found)


def sentence(expected: Expected | None, memory: int, what: str = "") -> str:
    """The same in words.

    Args:
        expected: how long it takes, None where nothing tells.
        memory: bytes at the most.
        what: what is done; empty for nothing.
    """
    begin = f"{what}: about" if what else "About"
    room = whole(size(memory))
    if expected is None:
        return (
            f"{begin} {room} of memory; how long it takes on this device is known after a "
            "first run."
        )
    told = (
        "as finished runs took here"
        if expected.measured
        else "estimated from examples × points × parameters"
    )
    return f"{begin} {whole(rounded(expected.seconds))} and {room} of memory, {told}."


def whole(amount: str) -> str:
    """Return a number and its unit that stay on one line."""
    return amount.replace(" ", "\u00a0")


@dataclass
class Batch:
    """Runs that were asked for together.

    Attributes:
        weights: key -> expected seconds.
        total: expected seconds of all; None where nobody knows.
        begun: when it was first looked at, in seconds of a clock.
        first: share done then.
        share: that was said last.
        left: seconds that were said last; None for none.
    """

    weights: dict[str, float] = field(default_factory=dict)
    total: float | None = None
    begun: float = 0.0
    first: float | None = None
    share: float = 0.0
    left: float | None = None

    def advance(self, jobs: Mapping[str, Job], now: float) -> None:
        """Take in how far the runs are.

        Args:
            jobs: those of them that wait or run; others have ended.
            now: by the clock of `begun`.
        """
        whole = sum(self.weights.values())
        done = sum(
            weight * (jobs[key].progress if key in jobs else 1.0)
            for key, weight in self.weights.items()
        )
        share = done / whole if whole else 0.0
        if self.first is None:
            self.begun, self.first = now, share
        self.share = max(self.share, min(share, 1.0))
        left = self._estimate(now)
        if left is not None:
            self.left = left if self.left is None else min(self.left, left)

    def _estimate(self, now: float) -> float | None:
        """Seconds that are left, rounded up; None where nothing tells."""
        gained = self.share - (self.first or 0.0)
        trust = min(1.0, gained / TRUSTED)
        if self.total is None:
            trust = 1.0 if gained >= TRUSTED / 2 else 0.0
        known = 0.0 if self.total is None else self.total
        if self.total is None and not trust:
            return None
        paced = (now - self.begun) / gained if gained > 0 else 0.0
        return round_up((1 - self.share) * (trust * paced + (1 - trust) * known))


def round_up(seconds: float) -> float:
    """The next larger duration that is said: 5, 10, 15, 20, 30 s, ..., 1, 2, 3 min, ..., hours."""
    return next((step for step in STEPS if seconds <= step), 3600.0 * math.ceil(seconds / 3600))


def describe_left(seconds: float) -> str:
    """How a rounded duration is said: "less than 5 s", "about 40 s", "about 3 min"."""
    if seconds <= STEPS[0]:
        return f"less than {STEPS[0]} s"
    if seconds < 60:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 3600 else f"about {seconds / 3600:.0f} h"


def follow(
    batch: Batch | None,
    jobs: Mapping[str, Job],
    forecast: Callable[[Sequence[Job]], Sequence[float | None]],
    now: float | None = None,
) -> Batch:
    """The runs of a page as they are now; new ones join those that were asked for before.

    Args:
        batch: as it was; None for none.
        jobs: that wait or run, by key.
        forecast: jobs -> seconds that each takes, None where nobody knows.
        now: in seconds of a clock; by default that of the process.
    """
    now = time.monotonic() if now is None else now
    batch = Batch() if batch is None else batch
    fresh = [job for key, job in jobs.items() if key not in batch.weights]
    if fresh:
        seconds = forecast(fresh)
        known = [each for each in seconds if each]
        usual = sum(known) / len(known) if known else UNKNOWN
        weights = [each or usual for each in seconds]
        added = dict(zip((job.key for job in fresh), weights, strict=True))
        whole = batch.total if batch.weights else 0.0
        total = whole + sum(weights) if whole is not None and len(known) == len(fresh) else None
        batch = Batch({**batch.weights, **added}, total)
    batch.advance(jobs, now)
    return batch
