"""Where pages meet the store, the jobs and the studies; it starts without torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from lmc_core import folders
from lmc_core.errors import BadInput, LmcError
from lmc_core.runs.executors import Local
from lmc_core.runs.jobs import Job
from lmc_core.runs.partial import Unfinished
from lmc_core.runs.request import Request
from lmc_core.runs.store import Store
from lmc_core.studies.gather import gather
from lmc_core.studies.index import measure_size
from lmc_core.studies.store import Studies
from lmc_core.studies.study import Study

if TYPE_CHECKING:
    import numpy as np

    from lmc_core.figures.panel import Panel
    from lmc_core.figures.style import Theme
    from lmc_core.runs.requests.barrier import BarrierNumbers


def unfinished(key: str) -> tuple[Mapping[str, object], dict[str, np.ndarray]] | None:
    """Return what a run has so far, facts and arrays; None before its first record, and for runs
    that keep nothing.
    """
    return Unfinished(key).read()


def stored(request: Request) -> Mapping[str, object] | None:
    """Return the result of a request under its names, or None; a shipped one may be of another
    device, and says so.
    """
    store = Store()
    found = store.find_on_any_device(request.key)
    return store.name(found, request, keep=not read_only()).result if found else None


def arrays(key: str) -> dict[str, np.ndarray]:
    """Return the arrays of a stored result, by name; empty when it is not stored."""
    found = Store().find_on_any_device(key)
    return found.arrays() if found else {}


def read_only() -> bool:
    """Whether this server is for an audience: it shows what is stored, starts nothing and changes
    nothing.
    """
    return folders.read_only()


def require_writable() -> None:
    """Raise `BadInput` on a server for an audience; hidden buttons are not enough, since a page's
    address can be made up.
    """
    if read_only():
        raise BadInput(
            "This server only shows what is stored; start `lmc` without --read-only to compute or "
            "to change things."
        )


def shipped() -> list[BarrierNumbers]:
    """Return the barriers that came with the app, each replaced by a newer computation of this
    person's own.
    """
    store = Store()
    came = [
        entry.key
        for entry in Store(store.shipped, store.shipped).list()
        if entry.request["what"] == "barrier"
    ]
    found = [entry for key in came if (entry := store.get(key)) is not None]
    found.sort(key=lambda entry: entry.written, reverse=True)
    return [cast("BarrierNumbers", entry.result) for entry in found]


def jobs(keys: Iterable[str]) -> dict[str, Job]:
    """Return the jobs of these keys, after a look after the worker; none on a server for an
    audience.
    """
    if read_only():
        return {}
    local = Local()
    local.tend()
    return {key: job for key in keys if (job := local.jobs.get(key)) is not None}


def submit(requests: Iterable[Request], fresh: bool = False) -> None:
    """Ask for results; nothing is done for those that exist, unless `fresh`."""
    require_writable()
    local = Local()
    for request in requests:
        local.submit(request, fresh=fresh)


def position(key: str) -> int:
    """Return how many jobs come before a waiting one."""
    return Local().jobs.position(key) or 0


def running() -> list[Job]:
    """Return every job that runs or waits, of any page and any person; none on a server for an
    audience.
    """
    if read_only():
        return []
    local = Local()
    local.tend()
    return local.jobs.active()


def store_size() -> tuple[int, int]:
    """Return how many results of this person's own there are, and the bytes they take."""
    store = Store()
    return sum(not entry.shipped for entry in store.list()), measure_size(store)


def studies() -> list[Study]:
    """Return every study, the one changed last first."""
    return Studies().list()


def first_panel(name: str, theme: Theme) -> Panel | None:
    """Return the first picture of a study, or None when it has none or its results cannot be
    read.
    """
    try:
        study = Studies().get(name)
        for entry in study.entries:  # one by one: nothing is read for the pictures behind the first
            (shown,) = gather(replace(study, entries=(entry,)), Store())
            if panels := shown.panels(theme):
                return panels[0]
    except LmcError:
        pass
    return None


def cancel(keys: Iterable[str]) -> None:
    """Ask for jobs to stop."""
    require_writable()
    local = Local()
    for key in keys:
        local.cancel(key)
