"""What is being computed: progress with words, cancel, and failures as one sentence. It polls only while something runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from lmc_core.errors import LmcError
from lmc_core.runs.jobs import Job
from lmc_core.runs.request import BarrierRequest
from lmc_core.ui import work

HEIGHT = 64  # pixels kept for it, so that nothing below moves
POLL = 0.5  # seconds


@dataclass(frozen=True)
class Curve:
    """One curve of the figure.

    Attributes:
        label: how it is called.
        request: what computes it.
        result: the numbers, None while they are not there.
    """

    label: str
    request: BarrierRequest
    result: Mapping | None

    @property
    def key(self) -> str:
        """The key of its request."""
        return self.request.key


def show_status(curves: list[Curve], key: str) -> None:
    """Show one line on the state of all curves with the button that fits, and rerun the page when one has arrived.

    Args:
        curves: those that the figure should hold.
        key: prefix of the widgets' keys.
    """
    refused = st.session_state.pop(f"{key}_refused", None)
    if refused:
        st.error(refused, icon=":material/error:")
    keys = [curve.key for curve in curves]
    active = [k for k, job in work.jobs(keys).items() if job.active]

    @st.fragment(run_every=POLL if active else None)
    def line() -> None:
        jobs = work.jobs(keys)
        if {k for k, job in jobs.items() if job.active} != set(active) or f"{key}_refused" in st.session_state:
            st.rerun()
        _line(curves, jobs, key)

    line()


def _line(curves: list[Curve], jobs: Mapping[str, Job], key: str) -> None:
    missing = [curve for curve in curves if curve.result is None]

    def those(*states: str) -> list[Curve]:
        return [curve for curve in curves if curve.key in jobs and jobs[curve.key].state in states]

    failed = [curve for curve in those("failed") if curve in missing]
    running = those("running") + those("queued")
    height = "content" if failed and not running else HEIGHT
    with st.container(horizontal=True, vertical_alignment="center", height=height, border=False):
        words = st.container(width="stretch")
        if running:
            done = len(curves) - len(running) + sum(jobs[curve.key].progress for curve in running)
            words.progress(min(done / len(curves), 1.0), text=_progress_words(running, jobs))
            st.button("Cancel", key=f"{key}_cancel", on_click=_act, args=(key, work.cancel, [curve.key for curve in running]))
            return
        if failed:
            words.error(f"{failed[0].label} was not computed. {jobs[failed[0].key].error}", icon=":material/error:")
        elif missing:
            names = ", ".join(curve.label for curve in missing)
            stopped = [curve for curve in those("cancelled") if curve in missing]
            words.markdown(f"{'Cancelled. Still to compute' if stopped else 'Not computed yet'}: {names}.")
        else:
            newest = max(str(curve.result["date"]) for curve in curves if curve.result)
            words.markdown(f"{_count(len(curves))} stored; the newest was computed on {newest[:10]}.")
        label = "Run again" if failed or not missing else "Run"
        todo = [curve.request for curve in missing or curves]
        st.button(
            label, key=f"{key}_run", type="primary" if missing else "secondary", on_click=_act,
            args=(key, work.submit, todo, not missing),
        )  # fmt: skip


def _progress_words(running: list[Curve], jobs: Mapping[str, Job]) -> str:
    job = jobs[running[0].key]
    said = (job.message or "waiting for the worker").rstrip(".")
    more = f"; {len(running) - 1} more to go" if len(running) > 1 else ""
    return f"{running[0].label}: {said[0].lower()}{said[1:]}, {job.progress:.0%}{more}"


def _count(number: int) -> str:
    return "The curve is" if number == 1 else f"All {number} curves are"


def _act(key: str, action: Callable[..., None], *arguments: Any) -> None:
    """Do something with jobs; a refusal is said above the line. As a callback it comes before anything that reruns the page."""
    try:
        action(*arguments)
    except LmcError as error:
        st.session_state[f"{key}_refused"] = str(error)
