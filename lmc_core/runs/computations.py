"""Which function computes which request, and the one way to a result that all executors share.

Functions are named, not imported, until one is needed: a page that only reads results never loads
torch.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np

from lmc_core.errors import UnknownName
from lmc_core.runs.anew import anew
from lmc_core.runs.naming import renamed
from lmc_core.runs.result import Request, Result
from lmc_core.runs.store import Store

Report = Callable[[float, str], None]  # share done in [0, 1] and a few words; may raise Cancelled
Compute = Callable[[Any, Report], tuple[dict[str, Any], dict[str, np.ndarray]]]

COMPUTE: dict[str, str | Compute] = {
    **{
        what: f"lmc_core.runs.kinds.{what}:compute"
        for what in "barrier layers alignment plane point bend merge orders".split()
    },
    "group": "lmc_core.runs.kinds.many:compute",
    "equivariance": "lmc_core.equivariance.run:compute",
}
REQUESTS: dict[str, str | type] = {
    "barrier": "lmc_core.runs.kinds.barrier:BarrierRequest",
    "group": "lmc_core.runs.kinds.many:GroupRequest",
    "layers": "lmc_core.runs.kinds.layers:LayersRequest",
    "alignment": "lmc_core.runs.kinds.alignment:AlignmentRequest",
    "plane": "lmc_core.runs.kinds.plane:PlaneRequest",
    "point": "lmc_core.runs.kinds.point:PointRequest",
    "bend": "lmc_core.runs.kinds.bend:BendRequest",
    "merge": "lmc_core.runs.kinds.merge:MergeRequest",
    "orders": "lmc_core.runs.kinds.orders:OrdersRequest",
    "equivariance": "lmc_core.equivariance.run:EquivarianceRequest",
}


def compute_function(what: str) -> Compute:
    """Return the function that computes requests of a kind.

    Raises:
        UnknownName: there is no such kind.
    """
    return _resolve(COMPUTE, what)


def request_from_json(content: dict[str, Any]) -> Request:
    """Return the request that was written with `to_json`.

    Raises:
        UnknownName: it is of no known kind.
    """
    return _resolve(REQUESTS, str(content.get("what"))).from_json(content)


def obtain(request: Request, report: Report, store: Store, *, fresh: bool = False) -> Result:
    """Return the result of a request: from the store, or computed and then stored.

    Whoever asks for the same key meanwhile, in this process or another, waits and gets the same
    result. It has the names of the request, whatever whoever asked before called the models and the
    data.

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
        with anew(fresh):
            result, arrays = compute_function(request.what)(request, log)
        # an alignment that was kept names the models of whoever asked for it
        result = renamed(result, request.to_json())
        return store.put(request, result, arrays, log.text(), replace=fresh)


class _Log:
    """A report that also keeps what was said, with the seconds since the start."""

    def __init__(self, report: Report):
        self._report = report
        self._start = time.monotonic()
        self._lines: list[str] = []
        self._last = ""

    def __call__(self, share: float, words: str) -> None:
        if words != self._last:
            self._last = words
            self._lines.append(f"{time.monotonic() - self._start:9.2f} s  {share:4.0%}  {words}")
        self._report(share, words)

    def text(self) -> str:
        return "".join(f"{line}\n" for line in self._lines)


def _resolve(table: dict[str, Any], what: str) -> Any:
    if what not in table:
        raise UnknownName.of("computation", what, table)
    found = table[what]
    if isinstance(found, str):
        module, _, name = found.partition(":")
        found = getattr(importlib.import_module(module), name)
    return found
