"""Barrier: pick two models and the symmetries that may be used, and see what is left between
them.
"""

import streamlit as st

from lmc_core.errors import LmcError
from lmc_core.figures.barrier import barrier_caption, legend_height
from lmc_core.figures.text import label_results
from lmc_core.ui import address, backend, cost, curves, layer_view, messages, page_header, status
from lmc_core.ui.controls import (
    BOTH,
    SPLITS,
    choose_accuracy,
    choose_kept,
    choose_pair,
    choose_task,
)
from lmc_core.ui.setting import PLAIN

KEY = "barrier"

known = page_header.begin("Loss barrier")

with st.sidebar:
    pair = choose_pair(known, KEY)
    setting, spaces = page_header.choose_setting(pair, KEY)
    task = choose_task(pair, known, KEY)
    split, examples, points = choose_accuracy(KEY, (*SPLITS, BOTH))
    kept = choose_kept(setting, spaces, KEY)

address.write(
    {
        **page_header.state_of(pair, setting),
        "task": task,
        "split": split,
        "examples": str(examples or "all"),
        "points": str(points),
        "with": [other.text for other in kept] or "none",
    }
)

try:
    largest = {kind: space["largest"] for kind, space in spaces.items()}
    wanted = list(dict.fromkeys([PLAIN, *kept, setting]))
    lines = []
    for each in wanted:
        for of_data in split.split(" and "):
            request = backend.request_of(pair, each, of_data, examples, points, task)
            label = each.label(largest) + (f", {of_data} split" if split == BOTH else "")
            lines.append(status.Curve(label, request, backend.stored(request)))
    missing = [line.request for line in lines if line.result is None]
    status.show_status(lines, KEY, cost.note(missing))
except LmcError as error:
    messages.refuse(error)
    st.stop()

results = [line.result for line in lines if line.result is not None]
labels = label_results(results)
height = (520 if len(lines) <= 3 else 600) + legend_height([line.label for line in lines])
curves.show_figure(results, labels, f"{KEY}_figure", height=height)
if not results:
    st.caption(
        "Nothing is computed yet for these models. **Run** measures the loss along the straight "
        "line between them."
    )
    st.stop()
st.caption(barrier_caption(results, labels))
curves.show_facts(results, labels)
curves.show_table(results, labels)
curves.show_downloads(results, labels, KEY)
if not backend.read_only() or any(
    backend.stored(backend.layers_of(line.request)) for line in lines
):
    st.header("Which part of the network costs what", anchor=False)
    layer_view.show_parts(lines, KEY)
with st.expander("What the matching maximised"):
    curves.show_objectives(results, labels, f"{KEY}_objective")
