"""Merge: several models merged into one, by every method and in every reference frame."""

import streamlit as st

from lmc_core.figures.merge import merge_caption, merge_finding
from lmc_core.merging.frames import FRAMES
from lmc_core.runs.requests.merge import MergeNumbers
from lmc_core.ui import (
    address,
    backend,
    catalogue,
    controls,
    links,
    merge_controls,
    merge_save,
    merge_view,
    messages,
    transport_view,
)
from lmc_core.ui.options import capital
from lmc_core.ui.panels import show_caption
from lmc_core.ui.requests import make_merges
from lmc_core.ui.setting import only_permutations
from lmc_core.ui.status import Line, find_results, show_status

KEY = "merge"

known = catalogue.models()
st.title("Merging", anchor=False)
st.markdown(
    "Models of different seeds have to be aligned to one **reference frame** before they can be "
    "averaged. Left is better."
)
if not merge_controls.find_groups(known):
    st.info(
        "Merging needs two models of one family and size, and there are none. `lmc train --list` "
        "names the recipes that make "
        "them; a model of your own can be named on the command line, `lmc merge --help`."
    )
    address.stop()

places = controls.divide_sidebar()
with messages.refusing():
    chosen = merge_controls.choose(known, KEY, places)
if chosen is None:
    st.info(
        "Choose two to eight models on the left; they are merged in every frame and by every "
        "method that is chosen there."
    )
    address.stop()
merge_controls.write_address(chosen, transport_view.read_address(KEY))

with messages.refusing():
    classes = {}
    if chosen.symmetries == "permutations":
        largest = catalogue.find_largest(known[chosen.names[0]])
        classes = dict(only_permutations(largest).classes)
    titles = [capital(FRAMES[name].title) for name in chosen.frames]
    lines: list[Line[MergeNumbers]] = [
        Line.read(*each) for each in zip(titles, make_merges(chosen, classes), strict=True)
    ]
    show_status(lines, KEY, noun="reference frame", button=places.run)

results = find_results(lines)
if not results:
    st.caption(
        "Nothing is computed yet for these models. **Run** brings them into every frame, merges "
        "them there by every method, "
        "and measures loss, score and calibration of what comes out."
    )
    transport_view.show_transport(known, chosen, KEY)
    address.stop()
tasks = [task["name"] for task in results[0]["tasks"]]
task = tasks[0]
if len(tasks) > 1:
    task = str(
        st.segmented_control("Shown on", tasks, key=f"{KEY}_shown", default=tasks[0], required=True)
    )
merge_view.show_dots(results, task, KEY)
show_caption(merge_finding(results, task), merge_caption(results, task))
links.show_views(KEY, [known[name] for name in chosen.names], None, {"task": task})
merge_view.show_facts(results, task)
if all(result["simplex"] for result in results):
    st.header("Between three models", anchor=False)
    merge_view.show_triangles(results, KEY)
if len(chosen.names) > 2:
    st.header("Between every two models", anchor=False)
    merge_view.show_matrices(results, KEY)
with st.expander("Numbers"):
    merge_view.show_table(results, task)
merge_view.show_downloads(results, task, KEY)
if not backend.read_only():
    st.header("Save a merged model", anchor=False)
    merge_save.show_saving(lines, task, f"{KEY}_save")
transport_view.show_transport(known, chosen, KEY)
