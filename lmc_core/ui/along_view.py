"""What the page Barrier shows of the path besides the loss: sharpness, spectra, calibration, the
loss on another task.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from lmc_core.figures.along import NAMES
from lmc_core.figures.panel import panels
from lmc_core.runs.requests.along import QUANTITIES, AlongNumbers, make_along_request
from lmc_core.runs.requests.barrier import BarrierNumbers, BarrierRequest
from lmc_core.ui import backend, messages
from lmc_core.ui.drawn import WithoutArrays, draw_once
from lmc_core.ui.panels import show_panel, theme
from lmc_core.ui.status import Line, find_results, show_status

SENTENCES = {
    "sharpness": "The largest eigenvalue and the trace of the Hessian of the loss, with both ends "
    "in one kind of coordinates.",
    "spectra": "Effective rank and norm of every weight matrix: averages of what does not match "
    "lose norm and gain rank.",
    "calibration": "How far the probabilities that the network gives are from how often it is "
    "right.",
    "other-task": "What the same path does to the loss on another task of the same alphabet.",
}


def show_along(lines: Sequence[Line[BarrierNumbers]], tasks: Sequence[str], key: str) -> None:
    """Show a quantity along the paths of some curves, folded, with a button that measures it.

    Args:
        lines: the curves of the page.
        tasks: that models of this kind of input were trained on.
        key: prefix of the widgets' keys.
    """
    name = f"{key}_along"
    st.header("Along the path", anchor=False)
    words = "Sharpness, spectra, calibration, and the loss on another task"
    if not st.toggle(words, key=name, help="Besides the loss, at points of the same paths."):
        return
    requests = [line.request for line in lines if isinstance(line.request, BarrierRequest)]
    own = {request.task for request in requests}
    others = [task for task in tasks if task not in own]
    quantity, other = _choose(others, name)
    with messages.refusing():
        found: list[Line[AlongNumbers]] = [
            Line.read(line.label, make_along_request(request, quantity, other=other))
            for line, request in zip(lines, requests, strict=True)
        ]
    if not backend.read_only() or find_results(found):
        verbs = ("Measure along the path", "Stop measuring the path")
        show_status(found, name, noun="setting", verbs=verbs)
    else:
        st.caption("Not stored on this server, which only shows what is.")
    _show_panels(found, f"{name}_{quantity}")


def _choose(others: Sequence[str], name: str) -> tuple[str, str | None]:
    """A quantity, and another task where it needs one.

    Args:
        others: tasks besides that of the curves.
        name: prefix of the widgets' keys.
    """
    quantities = [each for each in QUANTITIES if each != "other-task" or others]
    if st.session_state.get(f"{name}_quantity") not in (None, *quantities):
        del st.session_state[f"{name}_quantity"]  # of models for which there was another task
    st.segmented_control(
        "Quantity",
        quantities,
        format_func=NAMES.__getitem__,
        default=quantities[0],
        required=True,
        key=f"{name}_quantity",
    )
    quantity = str(st.session_state[f"{name}_quantity"])
    other = None
    if quantity == "other-task":
        other = st.selectbox("Other task", others, key=f"{name}_task")
    st.caption(SENTENCES[quantity])
    return quantity, other


def _show_panels(lines: Sequence[Line[AlongNumbers]], key: str) -> None:
    """Draw what is there."""
    there = [(line, line.result) for line in lines if line.result is not None]
    if not there:
        return
    stored = [WithoutArrays(line.request.to_json(), result) for line, result in there]
    labels = [line.label for line, _ in there]
    look = theme()
    about = ("along", [each.result for each in stored], labels, look)
    for panel in draw_once(lambda: panels(stored, labels, look), *about):
        show_panel(panel, key)
