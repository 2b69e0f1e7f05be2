"""What trainings towards equivariance will take, said before they start."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from statistics import median

import streamlit as st

from lmc_core.equivariance.groups import group
from lmc_core.equivariance.numbers import EquivarianceRequest
from lmc_core.runs.expected import Expected, rounded
from lmc_core.runs.store import Store
from lmc_core.ui import backend

NEWEST = 200  # results that are looked through for finished runs
KEPT = 30.0  # seconds for which what was found there is good enough
START = 3.0  # seconds until a worker has loaded what it needs
# seconds, of 400 examples on one core
STEP = {"perceptron": 2.5e-3, "convolution": 1.5e-2, "transformer": 5.5e-2}
MEMORY = "800\u00a0MB"  # nearly all of it libraries

Pace = dict[tuple[str, str, str, bool], float]  # what a step depends on -> seconds


def note(requests: Sequence[EquivarianceRequest]) -> str:
    """Say what some runs take; nothing where none is left, and on a server for an audience, which
    starts none.
    """
    if not requests or backend.read_only():
        return ""
    found = expected(requests, _paces(str(Store().root)))
    told = "as finished runs took here" if found.measured else "estimated from the steps"
    networks = (
        f"{len(requests)} networks are trained" if len(requests) > 1 else "One network is trained"
    )
    took = rounded(found.seconds).replace(" ", "\u00a0")
    return f"{networks}: about {took} and {MEMORY} of memory, {told}."


def expected(requests: Sequence[EquivarianceRequest], paces: Pace) -> Expected:
    """How long some requests take one after the other, the start of the worker included."""
    spans = []
    for request in requests:
        own = paces.get(_kind(request))
        spans.append(
            (request.steps * (own if own is not None else _counted(request)), own is not None)
        )
    return Expected(START + sum(span for span, _ in spans), all(measured for _, measured in spans))


def _counted(request: EquivarianceRequest) -> float:
    """Seconds of a step; perceptrons learn from all examples at once, the others from batches but
    are measured on all.
    """
    times = request.examples / 400 * (group(request.group).order if request.kind == "orbit" else 1)
    step = STEP.get(request.network, max(STEP.values()))
    return step * (0.5 + 0.5 * times if request.network == "perceptron" else 0.75 + 0.25 * times)


def _kind(request: EquivarianceRequest) -> tuple[str, str, str, bool]:
    return request.network, request.source, request.group, request.kind == "orbit"


@st.cache_resource(max_entries=4, ttl=KEPT, show_spinner=False)
def _paces(root: str) -> Pace:
    """Seconds of a step, measuring included, by what it depends on; what came with the app was
    computed elsewhere.
    """
    found: dict[tuple[str, str, str, bool], list[float]] = {}
    for entry in Store().list(limit=NEWEST):
        if entry.shipped or entry.request.get("what") != "equivariance":
            continue
        with contextlib.suppress(LookupError, TypeError, AttributeError):  # of a newer version
            request = EquivarianceRequest.from_json(entry.request)
            found.setdefault(_kind(request), []).append(
                sum(entry.result["seconds"].values()) / request.steps
            )
    return {kind: median(values) for kind, values in found.items()}
