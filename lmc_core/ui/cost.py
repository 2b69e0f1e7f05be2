"""What runs will take, said beside the button that starts them: "About 40 s and 600 MB of
memory".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from lmc_core import elsewhere
from lmc_core.errors import LmcError
from lmc_core.numbers import size
from lmc_core.runs.expected import Expected, rounded
from lmc_core.runs.jobs import Job
from lmc_core.runs.request import ModelsRequest, Request
from lmc_core.ui import backend


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
