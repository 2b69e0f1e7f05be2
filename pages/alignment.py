"""Alignment: what was matched with what, layer by layer."""

import streamlit as st

from lmc_core.errors import LmcError
from lmc_core.ui import (
    address,
    alignment_controls,
    alignment_view,
    backend,
    cost,
    messages,
    page_header,
    status,
)
from lmc_core.ui.controls import choose_pair, choose_task

KEY = "alignment"
DETAIL = ("space", "layer", "copy", "view")

known = page_header.begin("What was matched with what")

with st.sidebar:
    pair = choose_pair(known, KEY)
    setting, spaces = page_header.choose_setting(pair, KEY)
    st.subheader("Where the streams are compared", anchor=False)
    task = choose_task(pair, known, KEY)
    split, examples = alignment_controls.choose_data(KEY)

state = {
    **page_header.state_of(pair, setting),
    "task": task,
    "split": split,
    "examples": str(examples),
}
kept = {name: st.query_params.get(name) for name in DETAIL}
if setting.method == "none":
    address.write(state | kept)
    st.info(
        "Without a method nothing is matched, so there is nothing to show. Choose one under "
        "**Method**."
    )
    st.stop()

try:
    largest = {kind: space["largest"] for kind, space in spaces.items()}
    request = alignment_controls.alignment_of(
        backend.request_of(pair, setting, split, examples, 25, task)
    )
    result = backend.stored(request)
    line = status.Curve(setting.label(largest), request, result)
    status.show_status(
        [line], KEY, cost.note([request] if result is None else []), noun="alignment"
    )
    arrays = backend.arrays(request.key) if result is not None else {}
except LmcError as error:
    messages.refuse(error)
    st.stop()

if result is None:
    address.write(state | kept)
    st.caption(
        "Nothing is computed yet for these models. **Run** brings the second model into the "
        "coordinates of the first and shows "
        "what was matched: how alike every unit, head and direction of both models is before and "
        "after, which way the residual "
        "stream was turned, and how alike the streams are on real examples."
    )
    st.stop()

alignment_view.show_overview(result, KEY)
alignment_view.show_facts(result)
st.header("One space in detail", anchor=False)
detail = alignment_controls.choose_detail(result, KEY)
alignment_view.show_detail(result, arrays, detail, KEY)
st.header("The residual streams on real examples", anchor=False)
alignment_view.show_streams(result, arrays, KEY)
with st.expander("Numbers"):
    alignment_view.show_tables(result)
alignment_view.show_downloads(result, arrays, detail, KEY)
address.write(state | detail.state)
