"""Every name that the pins import from inside of the package; nothing else here knows where things
lie.
"""

from __future__ import annotations

from lmc_core.runs.computations import REQUESTS, request_from_json

__all__ = ["kinds_of_computation", "request_from_json"]


def kinds_of_computation() -> set[str]:
    """Return the names of all kinds of computation that ship."""
    return set(REQUESTS) - {"fake"}
