"""What is being computed: progress with words, cancel, and failures as one sentence. It polls only
while something runs.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar, cast

import streamlit as st

from lmc_core.errors import LmcError
from lmc_core.look import PRODUCT
from lmc_core.runs.jobs import Job
from lmc_core.runs.request import Request
from lmc_core.ui import backend, cost, messages
from lmc_core.ui.cost import LONG, Batch, describe_left

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

HEIGHT = 76  # pixels kept for it, three lines of text, so that nothing below moves
POLL = 0.5  # seconds


N = TypeVar("N", bound=Mapping[str, object])


@dataclass(frozen=True)
class Line(Generic[N]):
    """One thing that a page shows, with what computes it: a curve of the figure, a plane, a table
    of merges.

    Attributes:
        label: how it is called.
        request: what computes it.
        result: the numbers, None while they are not there.
    """

    label: str
    request: Request
    result: N | None

    @property
    def key(self) -> str:
        """The key of its request."""
        return self.request.key

    @classmethod
    def read(cls, label: str, request: Request) -> Line[N]:
        """Look into the store for what a request asks for."""
        return cls(label, request, cast("N | None", backend.stored(request)))


def find_missing(lines: Iterable[Line[N]]) -> list[Request]:
    """Return what is still to compute."""
    return [line.request for line in lines if line.result is None]


def find_results(lines: Iterable[Line[N]]) -> list[N]:
    """Return what is there."""
    return [line.result for line in lines if line.result is not None]


def show_status(
    lines: Sequence[Line[N]],
    key: str,
    note: str | None = None,
    noun: str = "curve",
    verbs: tuple[str, str] = ("Run", "Cancel"),
    narrow: bool = False,
    button: DeltaGenerator | None = None,
) -> None:
    """Show one line on the state of all lines with the button that fits, and rerun the page when
    one has arrived.

    The button belongs to the page and only the words are polled: a click on a button that is being
    redrawn would be lost.

    Args:
        lines: what the page should hold.
        key: prefix of the widgets' keys.
        note: what is said besides while something is not computed yet; default what it takes.
        noun: what one of them is called; its plural takes an s.
        verbs: on the buttons that start and stop; a page with two of these lines needs two pairs.
        narrow: whether the button stands below the words, where there is little room beside them.
        button: a part of the page for the button, apart from the words.
    """
    if refused := st.session_state.pop(f"{key}_refused", None):
        st.error(refused, icon=":material/error:")
    note = cost.note(find_missing(lines)) if note is None else note
    _say_end(key)
    jobs = backend.jobs([line.key for line in lines])
    active = [k for k, job in jobs.items() if job.active]
    missing = [line for line in lines if line.result is None]
    if any(_has_arrived(line, jobs) for line in missing):
        st.rerun()
    if not active:
        st.session_state.pop(f"{key}_batch", None)
        backend.expect([line.request for line in missing])
    failed = [line for line in missing if line.key in jobs and jobs[line.key].state == "failed"]

    height = "content" if narrow or failed and not active else HEIGHT
    with st.container(
        horizontal=not narrow, vertical_alignment="center", height=height, border=False
    ):
        with st.container(width="stretch"):
            if active:
                _poll(lines, key, active, noun)
            elif failed:
                _show_failure(failed[0], jobs)
            else:
                said = f" {note}" if missing and note else ""
                st.markdown(_rest(lines, missing, jobs, noun) + said)
        if backend.read_only():
            return
        width: Literal["stretch", "content"] = "content" if button is None else "stretch"
        with contextlib.nullcontext() if button is None else button:
            if active:
                act = (key, backend.cancel, active)
                st.button(verbs[1], key=f"{key}_cancel", on_click=_act, args=act, width=width)
            else:
                todo = [line.request for line in missing or lines]
                again = bool(failed or not missing)
                _show_start(todo, key, verbs[0], fresh=not missing, again=again, width=width)


def _show_failure(line: Line[N], jobs: Mapping[str, Job]) -> None:
    """Why a line was not computed."""
    reason = messages.sentence(jobs[line.key].error)
    st.error(f"{line.label} was not computed. {reason}", icon=":material/error:")


def _has_arrived(line: Line[N], jobs: Mapping[str, Job]) -> bool:
    """Whether a result that was missing when this run of the page read it is there now that its job
    is done; no later look at the jobs would find that anything has changed.
    """
    done = line.key in jobs and jobs[line.key].state == "done"
    return done and backend.stored(line.request) is not None


@st.fragment(run_every=POLL)
def _poll(lines: Sequence[Line[N]], key: str, active: Sequence[str], noun: str) -> None:
    """Show how far the jobs are; once others are active, run the page again."""
    all_jobs = backend.jobs([line.key for line in lines])
    now = {k: job for k, job in all_jobs.items() if job.active}
    if list(now) != list(active):
        _note_end(key, all_jobs)
        st.rerun()
    batch = cost.follow(st.session_state.get(f"{key}_batch"), now, cost.forecast_each)
    st.session_state[f"{key}_batch"] = batch
    _progress(lines, list(now.values()), batch, noun)


def _note_end(key: str, jobs: Mapping[str, Job]) -> None:
    """Remember for the next run of the page that a long run has ended, if all of it is done.

    Args:
        key: see `show_status`.
        jobs: of the page.
    """
    batch: Batch | None = st.session_state.get(f"{key}_batch")
    if batch is None or time.monotonic() - batch.begun <= LONG:
        return
    if all(each in jobs and jobs[each].state == "done" for each in batch.weights):
        st.session_state[f"{key}_ended"] = True


def _say_end(key: str) -> None:
    """Say in the title of the browser's tab that a long run has ended, until something is done on
    the page.
    """
    if st.session_state.pop(f"{key}_ended", False):
        st.set_page_config(page_title=f"\u2713 Done \u00b7 {PRODUCT}")


def _show_start(
    todo: list[Request],
    key: str,
    verb: str,
    fresh: bool,
    again: bool,
    width: Literal["stretch", "content"],
) -> None:
    """The button that starts.

    Args:
        todo: what it starts.
        key: prefix of the widgets' keys.
        verb: on the button.
        fresh: whether all of it is there, and is computed again.
        again: whether the button says so.
        width: of the button.
    """
    st.button(
        f"{verb} again" if again else verb,
        key=f"{key}_run",
        type="secondary" if fresh else messages.strong(),
        help="Everything is computed anew, alignments and what was learned too; the new results "
        "stay."
        if fresh
        else None,
        on_click=_act,
        args=(key, backend.submit, todo, fresh),
        width=width,
    )


def _progress(lines: Sequence[Line[N]], jobs: list[Job], batch: Batch, noun: str) -> None:
    """The progress of all runs together, with words on the one that is being computed; the number
    is that of the bar.
    """
    job = next((job for job in jobs if job.state == "running"), jobs[0])
    label = next(line.label for line in lines if line.key == job.key)
    said = "stopping" if job.cancel else (job.message or _waiting(job)).rstrip(".")
    percent = int(100 * batch.share)  # 100 % is said of what is done
    count = len(batch.weights)
    of = f" of {count} {noun}s" if count > 1 else ""
    left = "" if batch.left is None or job.cancel else f", {describe_left(batch.left)} left"
    place = describe_place(job)
    st.progress(percent, text=f"{percent}%{of}{left}. {label}: {said[0].lower()}{said[1:]}{place}")


def describe_place(job: Job) -> str:
    """Where a job runs that this machine's own worker does not have: ", on node7 (slurm 12_3)"."""
    if not job.remote or not job.node:
        return ""
    return f", on {job.node}" + (f" ({job.executor} {job.task})" if job.task else "")


def _waiting(job: Job) -> str:
    before = backend.position(job.key) if job.state == "queued" else 0
    return f"waiting, {before} before this one" if before else "waiting for the worker"


def _rest(
    lines: Sequence[Line[N]], missing: Sequence[Line[N]], jobs: Mapping[str, Job], noun: str
) -> str:
    """What there is to say while nothing runs."""
    if not missing:
        newest = max(str(line.result["date"]) for line in lines if line.result)
        one = len(lines) == 1
        stored = f"The {noun} is" if one else f"All {len(lines)} {noun}s are"
        which = "it" if one else "the newest"
        return f"{stored} stored; {which} was computed on {newest[:10]}.{_imported(lines)}"
    names = ", ".join(line.label for line in missing)
    if backend.read_only():
        return f"Not stored on this server, which only shows what is: {names}."
    stopped = any(line.key in jobs and jobs[line.key].state == "cancelled" for line in missing)
    return f"{'Cancelled. Still to compute' if stopped else 'Not computed yet'}: {names}."


def _imported(lines: Sequence[Line[N]]) -> str:
    """Which of them somebody else says were computed."""
    names = ", ".join(line.label for line in lines if line.result and line.result.get("imported"))
    return f" Imported from an archive, not computed here: {names}." if names else ""


def _act(key: str, action: Callable[..., None], *arguments: object) -> None:
    """Do something with jobs; a refusal is said above the line. As a callback it comes before
    anything that reruns the page.
    """
    try:
        action(*arguments)
    except LmcError as error:
        st.session_state[f"{key}_refused"] = messages.sentence(error)
