"""The one place where pages meet requests, the store and the jobs; tests put something else in its
place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from lmc_core.equivariance.run import EquivarianceRequest
from lmc_core.errors import BadInput, LmcError
from lmc_core.runs.elsewhere import shown
from lmc_core.runs.executors import Local
from lmc_core.runs.jobs import Job
from lmc_core.runs.kinds.barrier import BarrierRequest
from lmc_core.runs.kinds.layers import LayersRequest
from lmc_core.runs.partial import Unfinished
from lmc_core.runs.result import Request
from lmc_core.runs.store import Store
from lmc_core.ui.setting import Setting

if TYPE_CHECKING:
    from lmc_core.figures.panel import Panel
    from lmc_core.figures.style import Theme
    from lmc_core.studies.study import Study


@st.cache_data(max_entries=512, show_spinner="Reading the models")
def _request(
    a: str,
    b: str,
    setting: str,
    split: str,
    examples: int | None,
    points: int,
    task: str,
    digests: tuple[str, str],
) -> str:
    from lmc_core.runs.kinds.barrier import make_request

    chosen = Setting.parse(setting)
    request = make_request(
        a,
        b,
        task=task,
        split=split,
        examples=examples,
        points=points,
        method=chosen.method,
        classes=dict(chosen.classes) or None,
        settings=chosen.settings,
    )
    return json.dumps(request.to_json())


def request_of(
    pair: Sequence[dict[str, Any]],
    setting: Setting,
    split: str,
    examples: int | None,
    points: int,
    task: str,
) -> BarrierRequest:
    """Return the request of a pair of catalogue rows and a setting.

    Raises:
        BadInput: with the reason, when these cannot be compared.
    """
    a, b = pair
    text = _request(
        a["reference"],
        b["reference"],
        setting.text,
        split,
        examples,
        points,
        task,
        (a["digest"], b["digest"]),
    )
    return BarrierRequest.from_json(json.loads(text))


@st.cache_data(max_entries=512, show_spinner="Checking the settings")
def _equivariance(words: str) -> str:
    from lmc_core.equivariance.request import make_equivariance_request

    return json.dumps(make_equivariance_request(**json.loads(words)).to_json())


def equivariance_of(words: Mapping[str, Any]) -> EquivarianceRequest:
    """Return the request of a training towards equivariance, from the words of
    `make_equivariance_request`.

    Raises:
        BadInput: with the reason, when it cannot be done.
    """
    return EquivarianceRequest.from_json(
        json.loads(_equivariance(json.dumps(dict(words), sort_keys=True)))
    )


def unfinished(key: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return what a run has so far, facts and arrays; None before its first record, and for runs
    that keep nothing.
    """
    return Unfinished(key).read()


def layers_of(request: Request) -> LayersRequest:
    """Return the request for what each part of the network costs in the setting of a barrier's
    request.
    """
    assert isinstance(request, BarrierRequest)
    return LayersRequest.of(request)


def stored(request: Request) -> dict[str, Any] | None:
    """Return the result of a request under its names, or None; a shipped one may be of another
    device, and says so.
    """
    store = Store()
    found = shown(request.key, store)
    return store.name(found, request, keep=not read_only()).result if found else None


def arrays(key: str) -> dict[str, Any]:
    """Return the arrays of a stored result, by name; empty when it is not stored."""
    found = shown(key, Store())
    return found.arrays() if found else {}


def read_only() -> bool:
    """Whether this server is for an audience: it shows what is stored, starts nothing and changes
    nothing.
    """
    return os.environ.get("LMC_READ_ONLY", "") not in ("", "0")


def require_writable() -> None:
    """Raise `BadInput` on a server for an audience; hidden buttons are not enough, since a page's
    address can be made up.
    """
    if read_only():
        raise BadInput(
            "This server only shows what is stored; start `lmc` without --read-only to compute or "
            "to change things."
        )


def shipped() -> list[dict[str, Any]]:
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
    return [entry.result for entry in sorted(found, key=lambda entry: entry.written, reverse=True)]


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
    from lmc_core.studies.index import size_of

    store = Store()
    return sum(not entry.shipped for entry in store.list()), size_of(store)


def studies() -> list[Study]:
    """Return every study, the one changed last first."""
    from lmc_core.studies.store import Studies

    return Studies().list()


def first_panel(name: str, theme: Theme) -> Panel | None:
    """Return the first picture of a study, or None when it has none or its results cannot be
    read.
    """
    from lmc_core.studies.gather import gather
    from lmc_core.studies.store import Studies

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
