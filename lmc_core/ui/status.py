"""What is being computed: progress with words, cancel, and failures as one sentence. It polls only
while something runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from lmc_core.errors import LmcError
from lmc_core.numbers import seconds
from lmc_core.runs.jobs import Job
from lmc_core.runs.result import Request
from lmc_core.ui import backend, messages

HEIGHT = 76  # pixels kept for it, three lines of text, so that nothing below moves
POLL = 0.5  # seconds


@dataclass(frozen=True)
class Curve:
    """One thing that a page shows, with what computes it: a curve of the figure, a plane, a table
    of merges.

    Attributes:
        label: how it is called.
        request: what computes it.
        result: the numbers, None while they are not there.
    """

    label: str
    request: Request
    result: Mapping | None

    @property
    def key(self) -> str:
        """The key of its request."""
        return self.request.key


def show_status(
    curves: Sequence[Curve],
    key: str,
    note: str = "",
    noun: str = "curve",
    verbs: tuple[str, str] = ("Run", "Cancel"),
    narrow: bool = False,
) -> None:
    """Show one line on the state of all curves with the button that fits, and rerun the page when
    one has arrived.

    The button belongs to the page and only the words are polled: a click on a button that is being
    redrawn would be lost.

    Args:
        curves: those that the figure should hold.
        key: prefix of the widgets' keys.
        note: what is said besides while something is not computed yet.
        noun: what one of them is called; its plural takes an s.
        verbs: on the buttons that start and stop; a page with two of these lines needs two pairs.
        narrow: whether the button stands below the words, where there is little room beside them.
    """
    refused = st.session_state.pop(f"{key}_refused", None)
    if refused:
        st.error(refused, icon=":material/error:")
    keys = [curve.key for curve in curves]
    jobs = backend.jobs(keys)
    active = [k for k, job in jobs.items() if job.active]
    missing = [curve for curve in curves if curve.result is None]
    failed = [curve for curve in missing if curve.key in jobs and jobs[curve.key].state == "failed"]

    @st.fragment(run_every=POLL)
    def poll() -> None:
        now = backend.jobs(keys)
        if [k for k, job in now.items() if job.active] != active:
            st.rerun()
        _progress(curves, [now[k] for k in active])

    height = "content" if narrow or failed and not active else HEIGHT
    with st.container(
        horizontal=not narrow, vertical_alignment="center", height=height, border=False
    ):
        with st.container(width="stretch"):
            if active:
                poll()
            elif failed:
                reason = messages.sentence(jobs[failed[0].key].error)
                st.error(f"{failed[0].label} was not computed. {reason}", icon=":material/error:")
            else:
                st.markdown(
                    _rest(curves, missing, jobs, noun) + (f" {note}" if missing and note else "")
                )
        if backend.read_only():
            return
        if active:
            st.button(
                verbs[1], key=f"{key}_cancel", on_click=_act, args=(key, backend.cancel, active)
            )
            return
        todo = [curve.request for curve in missing or curves]
        label = f"{verbs[0]} again" if failed or not missing else verbs[0]
        kind = messages.strong() if missing else "secondary"
        again = (
            None
            if missing
            else "Everything is computed anew, alignments and what was learned too; the new "
            "results stay."
        )
        st.button(
            label,
            key=f"{key}_run",
            type=kind,
            help=again,
            on_click=_act,
            args=(key, backend.submit, todo, not missing),
        )


def _progress(curves: Sequence[Curve], jobs: list[Job]) -> None:
    """The progress of all curves together, with words on the one that is being computed."""
    job = next((job for job in jobs if job.state == "running"), jobs[0])
    label = next(curve.label for curve in curves if curve.key == job.key)
    said = "stopping" if job.cancel else (job.message or _waiting(job)).rstrip(".")
    more = f"; {len(jobs) - 1} more to go" if len(jobs) > 1 else ""
    done = len(curves) - len(jobs) + sum(job.progress for job in jobs)
    text = f"{label}: {said[0].lower()}{said[1:]}, {job.progress:.0%}{_left(job)}{more}"
    st.progress(min(done / len(curves), 1.0), text=text)


def _waiting(job: Job) -> str:
    before = backend.position(job.key) if job.state == "queued" else 0
    return f"waiting, {before} before this one" if before else "waiting for the worker"


def _left(job: Job) -> str:
    """How long a job still takes, once enough of it is done to tell."""
    spent = time.time() - job.started if job.started else 0.0
    if job.cancel or job.progress < 0.1 or spent < 5:
        return ""
    return f", about {seconds(spent * (1 - job.progress) / job.progress)} left"


def _rest(
    curves: Sequence[Curve], missing: Sequence[Curve], jobs: Mapping[str, Job], noun: str
) -> str:
    """What there is to say while nothing runs."""
    if not missing:
        newest = max(str(curve.result["date"]) for curve in curves if curve.result)
        stored = f"The {noun} is" if len(curves) == 1 else f"All {len(curves)} {noun}s are"
        return f"{stored} stored; the newest was computed on {newest[:10]}.{_imported(curves)}"
    names = ", ".join(curve.label for curve in missing)
    if backend.read_only():
        return f"Not stored on this server, which only shows what is: {names}."
    stopped = any(curve.key in jobs and jobs[curve.key].state == "cancelled" for curve in missing)
    return f"{'Cancelled. Still to compute' if stopped else 'Not computed yet'}: {names}."


def _imported(curves: Sequence[Curve]) -> str:
    """Which of them somebody else says were computed."""
    names = ", ".join(
        curve.label for curve in curves if curve.result and curve.result.get("imported")
    )
    return f" Imported from an archive, not computed here: {names}." if names else ""


def _act(key: str, action: Callable[..., None], *arguments: Any) -> None:
    """Do something with jobs; a refusal is said above the line. As a callback it comes before
    anything that reruns the page.
    """
    try:
        action(*arguments)
    except LmcError as error:
        st.session_state[f"{key}_refused"] = messages.sentence(error)
