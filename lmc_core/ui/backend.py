"""Where pages meet the store, the jobs and the studies; it starts without torch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from lmc_core import folders
from lmc_core.errors import BadInput, LmcError
from lmc_core.runs.computation import rename
from lmc_core.runs.executors import get_queue
from lmc_core.runs.jobs import Job
from lmc_core.runs.partial import Unfinished
from lmc_core.runs.request import ModelsRequest, Request
from lmc_core.runs.store import Store
from lmc_core.studies.gather import Shown, gather
from lmc_core.studies.index import measure_size
from lmc_core.studies.store import Studies
from lmc_core.studies.study import Study
from lmc_core.ui.drawn import draw_once
from lmc_core.ui.panels import thumbnail

if TYPE_CHECKING:
    import numpy as np

    from lmc_core.figures.panel import Panel
    from lmc_core.figures.style import Theme
    from lmc_core.runs.requests.barrier import BarrierNumbers


LOG_END = 2000  # bytes of a log that are shown


def unfinished(key: str) -> tuple[Mapping[str, object], dict[str, np.ndarray]] | None:
    """Return what a run has so far, facts and arrays; None before its first record, and for runs
    that keep nothing.
    """
    return Unfinished(key).read()


def begun(request: Request) -> Mapping[str, object] | None:
    """Return the facts that a request has so far; what came with the app may be of another
    device, and says so.
    """
    found = Unfinished(request.key).read()
    if found is None and isinstance(request, ModelsRequest) and request.device != "cpu":
        found = Unfinished(replace(request, device="cpu").key).read()
    return None if found is None else rename(found[0], request.to_json())


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
    found = [entry for key in _find_shipped(store.shipped) if (entry := store.get(key)) is not None]
    found.sort(key=lambda entry: entry.written, reverse=True)
    return [cast("BarrierNumbers", entry.result) for entry in found]


@lru_cache(maxsize=4)
def _find_shipped(root: Path) -> tuple[str, ...]:
    """Keys of the barriers that came with the app, which stay what they are."""
    came = Store(root, root).list()
    return tuple(entry.key for entry in came if entry.request["what"] == "barrier")


def jobs(keys: Iterable[str]) -> dict[str, Job]:
    """Return the jobs of these keys, after a look after the worker; none on a server for an
    audience.
    """
    if read_only():
        return {}
    queue = get_queue()
    queue.tend()
    return {key: job for key in keys if (job := queue.jobs.get(key)) is not None}


def submit(requests: Iterable[Request], fresh: bool = False) -> None:
    """Ask for results; nothing is done for those that exist, unless `fresh`."""
    require_writable()
    queue = get_queue()
    for request in requests:
        queue.submit(request, fresh=fresh)


def expect(requests: Sequence[Request]) -> None:
    """Let the worker get ready for requests that are shown and not computed; nothing on a server
    for an audience.
    """
    models = [each for each in requests if isinstance(each, ModelsRequest)]
    if models and not read_only():
        get_queue().expect(models[0].models, models[0].device)


def position(key: str) -> int:
    """Return how many jobs come before a waiting one."""
    return get_queue().jobs.position(key) or 0


def running() -> list[Job]:
    """Return every job that runs or waits, of any page and any person; none on a server for an
    audience.
    """
    if read_only():
        return []
    queue = get_queue()
    queue.tend()
    return queue.jobs.active()


def read_log(job: Job) -> str:
    """Return the end of what the worker of a job on another machine or a cluster wrote; empty for
    this machine's own worker, and before it wrote anything.
    """
    if not job.remote or not job.log:
        return ""
    try:
        with open(job.log, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(file.tell() - LOG_END, 0))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def store_size() -> tuple[int, int]:
    """Return how many results of this person's own there are, and the bytes they take."""
    store = Store()
    own = Store(store.root, store.root / "none")  # without what came with the app
    return len(own.list()), measure_size(store)


def studies() -> list[Study]:
    """Return every study, the one changed last first."""
    return Studies().list()


def first_panel(name: str, theme: Theme) -> Panel | None:
    """Return the first picture of a study, small enough for a card, or None when it has none or its
    results cannot be read.
    """
    try:
        study = Studies().get(name)
        for entry in study.entries:  # one by one: nothing is read for the pictures behind the first
            (shown,) = gather(replace(study, entries=(entry,)), Store())
            about = [each.result for each in shown.found], shown.labels, theme
            if panel := draw_once(partial(_draw_card, shown, theme), "card", *about):
                return panel
    except LmcError:
        pass
    return None


def _draw_card(shown: Shown, theme: Theme) -> Panel | None:
    """The first picture of an entry of a study, as that of a card."""
    panels = shown.panels(theme)
    if not panels or panels[0].figure is None:
        return panels[0] if panels else None
    return replace(panels[0], figure=thumbnail(panels[0].figure))


def cancel(keys: Iterable[str]) -> None:
    """Ask for jobs to stop."""
    require_writable()
    queue = get_queue()
    for key in keys:
        queue.cancel(key)
