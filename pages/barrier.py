"""Barrier: pick two models and the symmetries that may be used, and see what is left between
them.
"""

from typing import cast

import streamlit as st

from lmc_core.figures.barrier import barrier_caption, legend_height
from lmc_core.figures.findings import barrier_finding
from lmc_core.figures.text import label_results
from lmc_core.runs.requests.barrier import BarrierNumbers, BarrierRequest
from lmc_core.runs.requests.layers import LayersNumbers, LayersRequest
from lmc_core.ui import (
    address,
    along_view,
    backend,
    barrier_view,
    controls,
    links,
    messages,
    symmetry_controls,
)
from lmc_core.ui.panels import show_caption
from lmc_core.ui.requests import make_barrier
from lmc_core.ui.setting import PLAIN, name_settings
from lmc_core.ui.status import Line, find_results, show_status

KEY = "barrier"

known = controls.begin("Loss barrier")
places = controls.divide_sidebar()
with places.first:
    pair = controls.choose_pair(known, KEY)
    setting, spaces = symmetry_controls.choose_setting(pair, KEY, places.more)
with places.more:
    task = controls.choose_task(pair, known, KEY)
    split, examples, points = controls.choose_accuracy(
        KEY, controls.EXAMPLES, controls.POINTS, controls.SPLIT
    )
    setting = symmetry_controls.choose_bend(setting, KEY)
    kept = symmetry_controls.choose_kept(setting, spaces, KEY)

address.write(
    {
        **controls.pair_address(pair, setting),
        "task": task,
        "split": split,
        "examples": str(examples or "all"),
        "points": str(points),
        "with": [other.text for other in kept] or "none",
    }
)
with messages.refusing():
    largest = {kind: space["largest"] for kind, space in spaces.items()}
    settings = list(dict.fromkeys([PLAIN, *kept, setting]))
    names = name_settings(settings, largest)
    lines: list[Line[BarrierNumbers]] = [
        Line.read(
            name + (f", {part} split" if split == controls.BOTH else ""),
            make_barrier(pair, each, part, examples, points, task),
        )
        for name, each in zip(names, settings, strict=True)
        for part in split.split(" and ")
    ]
    show_status(lines, KEY, button=places.run)

results = find_results(lines)
labels = label_results(results)
height = 500 + legend_height([line.label for line in lines])
begun = barrier_view.show_growing(lines, results, labels, f"{KEY}_figure", height)
if not results:
    if not begun:
        st.caption(
            "Nothing is computed yet for these models. **Run** measures the loss along the "
            "straight line between them; the first points are there within seconds."
        )
    address.stop()
show_caption(barrier_finding(results, labels), barrier_caption(results, labels))
links.show_views(KEY, pair, setting, {"task": task, "split": split.split(" and ")[0]})
barrier_view.show_facts(results, labels)
barrier_view.show_table(results, labels)
barrier_view.show_downloads(results, labels, KEY)
parts: list[Line[LayersNumbers]] = [
    Line.read(line.label, LayersRequest.of(cast(BarrierRequest, line.request))) for line in lines
]
if not backend.read_only() or find_results(parts):
    st.header("Barrier by part of the network", anchor=False)
    verbs = ("Measure the parts", "Stop measuring")
    show_status(parts, f"{KEY}_parts", noun="setting", verbs=verbs)
    measured = [line.label for line in parts if line.result is not None]
    barrier_view.show_parts(find_results(parts), measured, KEY)
along_view.show_along(lines, controls.find_tasks(pair, known), KEY)
with st.expander("Objective of the matching"):
    barrier_view.show_objectives(results, labels, f"{KEY}_objective")
