"""What runs will take, said beside the button that starts them: "About 40 s and 600 MB of
memory".
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from lmc_core.numbers import size
from lmc_core.runs.cost import (
    Expected,
    Finished,
    estimate_memory,
    expected_seconds,
    finished_runs,
    rounded,
)
from lmc_core.runs.request import ModelsRequest, Request
from lmc_core.runs.store import Store
from lmc_core.ui import backend

NEWEST = 200  # results that are looked through for finished runs
KEPT = 30.0  # seconds for which what was found there is good enough


@st.cache_resource(max_entries=4, ttl=KEPT, show_spinner=False)
def _finished(root: str) -> list[Finished]:
    return finished_runs(Store().list(limit=NEWEST))


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
    return sentence(
        expected_seconds(asked, _finished(str(Store().root))),
        max(estimate_memory(each).peak for each in asked),
        what,
    )


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
