"""Alignment: what was matched with what, layer by layer."""

import streamlit as st

from lmc_core.runs.requests.alignment import AlignmentNumbers, AlignmentRequest
from lmc_core.ui import (
    address,
    alignment_controls,
    alignment_view,
    backend,
    controls,
    links,
    messages,
    symmetry_controls,
)
from lmc_core.ui.requests import make_barrier
from lmc_core.ui.status import Line, show_status

KEY = "alignment"
DETAIL = ("space", "layer", "copy", "view")

known = controls.begin("Alignment of two models")
places = controls.divide_sidebar()
with places.first:
    pair = controls.choose_pair(known, KEY)
    setting, spaces = symmetry_controls.choose_setting(pair, KEY, places.more)
with places.more:
    task = controls.choose_task(pair, known, KEY)
    examples = int(alignment_controls.EXAMPLES.show(KEY))
    split = alignment_controls.SPLIT.show(KEY)

state = {
    **controls.pair_address(pair, setting),
    "task": task,
    "split": split,
    "examples": str(examples),
}
kept = {name: st.query_params.get(name) for name in DETAIL}
if setting.method == "none":
    address.write(state | kept)
    st.info(
        "Without symmetries nothing is matched, so there is nothing to show. Choose some under "
        "**Symmetries that may be used**."
    )
    address.stop()

with messages.refusing():
    request = AlignmentRequest.of(make_barrier(pair, setting, split, examples, 25, task))
    largest = {kind: space["largest"] for kind, space in spaces.items()}
    line: Line[AlignmentNumbers] = Line.read(setting.label(largest), request)
    show_status([line], KEY, noun="alignment", button=places.run)
    arrays = backend.arrays(request.key) if line.result is not None else {}

result = line.result
if result is None:
    address.write(state | kept)
    st.caption(
        "Nothing is computed yet for these models. **Run** brings the second model into the "
        "coordinates of the first and shows "
        "what was matched: how alike every unit, head and direction of both models is before and "
        "after, which way the residual "
        "stream was turned, and how alike the streams are on real examples."
    )
    address.stop()

alignment_view.show_overview(result, KEY)
links.show_views(KEY, pair, setting, {"task": task, "split": split})
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
