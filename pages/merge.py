"""Merge: several models made one, by every method and in every frame side by side."""

import streamlit as st

from lmc_core.errors import LmcError
from lmc_core.figures.merge import merge_caption
from lmc_core.ui import (
    backend,
    catalogue,
    cost,
    merge_controls,
    merge_save,
    merge_triangle,
    merge_view,
    merge_work,
    messages,
    status,
)
from lmc_core.ui.setting import only_permutations

KEY = "merge"

known = catalogue.models()
st.title("Several models made one", anchor=False)
st.markdown(
    "The mean of models of different seeds is a broken model, because their coordinates differ. "
    "Brought into one **frame** "
    "first, the same mean works. Further to the left is better; the band is what the single "
    "models reach."
)
if not merge_controls.groups(known):
    st.info(
        "Merging needs two models of one family and size, and there are none. `lmc train --list` "
        "names the recipes that make "
        "them; a model of your own can be named on the command line, `lmc merge --help`."
    )
    st.stop()

with st.sidebar:
    try:
        chosen = merge_controls.choose(known, KEY)
    except LmcError as error:
        messages.refuse(error)
        st.stop()
if chosen is None:
    st.info(
        "Choose two to eight models on the left; they are merged in every frame and by every "
        "method that is chosen there."
    )
    st.stop()
merge_controls.write_address(chosen, known)

try:
    largest = {
        kind: space["largest"]
        for kind, space in merge_controls.spaces_of(known, chosen.names[0]).items()
    }
    classes = (
        dict(only_permutations(largest).classes) if chosen.symmetries == "permutations" else {}
    )
    requests = merge_work.requests_of(chosen, classes)
    titles = [merge_controls.frame_title(name) for name in chosen.frames]
    lines = [
        status.Curve(t, request, backend.stored(request))
        for t, request in zip(titles, requests, strict=True)
    ]
    missing = [line.request for line in lines if line.result is None]
    status.show_status(lines, KEY, cost.note(missing), noun="frame")
except LmcError as error:
    messages.refuse(error)
    st.stop()

results = [line.result for line in lines if line.result is not None]
if not results:
    st.caption(
        "Nothing is computed yet for these models. **Run** brings them into every frame, merges "
        "them there by every method, "
        "and measures loss, score and calibration of what comes out."
    )
    st.stop()
tasks = [task["name"] for task in results[0]["tasks"]]
task = tasks[0]
if len(tasks) > 1:
    task = str(
        st.segmented_control("Shown on", tasks, key=f"{KEY}_shown", default=tasks[0], required=True)
    )
merge_view.show_dots(results, task, KEY)
st.caption(merge_caption(results, task))
merge_view.show_facts(results, task)
if all(result["simplex"] for result in results):
    st.header("Between three models", anchor=False)
    merge_triangle.show_triangles(results, KEY)
if len(chosen.names) > 2:
    st.header("Between every two models", anchor=False)
    merge_view.show_matrices(results, KEY)
st.header("Numbers", anchor=False)
merge_view.show_table(results, task)
merge_view.show_downloads(results, task, KEY)
if not backend.read_only():
    st.header("Keep one", anchor=False)
    merge_save.show_saving(lines, task, f"{KEY}_save")
