"""Widths: a narrow model inside a wide one, what the barrier is against width, and which unit went
where.
"""

import streamlit as st

from lmc_core.errors import LmcError
from lmc_core.figures.widths import curves_table, label_method, pair_name
from lmc_core.figures.widths_places import places_table, strips
from lmc_core.runs.requests.barrier import BarrierNumbers
from lmc_core.ui import address, catalogue, controls, links, messages, widths_controls, widths_view
from lmc_core.ui.panels import show_table
from lmc_core.ui.requests import make_barrier
from lmc_core.ui.setting import Setting
from lmc_core.ui.status import Line, find_results, show_status

KEY = "widths"

known = catalogue.models()
st.title("Models of unequal width", anchor=False)
st.markdown(
    "A narrow network can be embedded in a wider one without changing its function. **Matching "
    "the units removes most of the barrier** that padding with zeros leaves."
)
if not widths_controls.narrow_models(known):
    st.info(
        "This page needs two models of one family and different widths, and there are none. `lmc "
        "train --list` names the "
        "recipes that make them; models of equal width belong on the page Barrier."
    )
    address.stop()


def name_setting(setting: Setting, equal: bool = False) -> str:
    """How a setting is called here."""
    name = label_method(setting.method, equal)
    return f"{name}, {setting.steps:,} steps" if setting.steps else name


places = controls.divide_sidebar()
with places.first:
    pair = widths_controls.choose_widths(known, KEY)
    with messages.refusing():
        settings = widths_controls.choose_ways(pair, KEY, places.more)
with places.more:
    task = controls.choose_task(pair, known, KEY)
    split, examples, points = controls.choose_accuracy(
        KEY, widths_controls.EXAMPLES, widths_controls.POINTS, widths_controls.SPLIT
    )

with messages.refusing():
    lines: list[Line[BarrierNumbers]] = [
        Line.read(name_setting(each), make_barrier(pair, each, split, examples, points, task))
        for each in settings
    ]
    show_status(lines, KEY, button=places.run)

results = find_results(lines)
widths_view.show_curves(results, pair, KEY)
if results:
    widths_view.show_facts(results, pair)
    links.show_views(KEY, pair, settings[-1], {"task": task, "split": split})

st.header("Barrier against width", anchor=False)
pairs = widths_controls.all_pairs(known, pair)
many: list[tuple[tuple[int, int], Line[BarrierNumbers]]] = []
try:
    for one, other in pairs:
        widths = one["width"], other["width"]
        for setting in settings:
            request = make_barrier((one, other), setting, split, examples, points, task)
            name = name_setting(setting, widths[0] == widths[1]).lower()
            many.append((widths, Line.read(f"{pair_name(widths)}, {name}", request)))
    chosen = {line.key for line in lines}
    if others := [line for _, line in many if line.key not in chosen]:
        verbs = ("Run the other pairs", "Cancel the other pairs")
        show_status(others, f"{KEY}_pairs", verbs=verbs)
except LmcError as error:
    messages.refuse(error)
    many = []
found = widths_view.show_against(many, KEY)

matched = next((result for result in reversed(results) if result.get("places")), None)
st.header("Placement of the units", anchor=False)
if matched is None:
    st.caption("Once the pair is matched, the placement of every narrow unit is drawn here.")
else:
    widths_view.show_places(matched, KEY)
if found or results:
    with st.expander("Numbers"):
        widths = pair[0]["width"], pair[1]["width"]
        show_table(curves_table(found or [(widths, result) for result in results]))
if results:
    places = places_table(strips(matched)) if matched is not None else None
    widths_view.show_downloads(results, found, pair, places, KEY)

address.write(
    {
        "a": pair[0]["name"],
        "b": pair[1]["name"],
        "ways": [setting.method for setting in settings[1:]] or "none",
        "steps": str(st.session_state[f"{KEY}_steps"]) if any(s.steps for s in settings) else None,
        "task": task,
        "split": split,
        "examples": str(examples or "all"),
        "points": str(points),
        "space": st.session_state.get(f"{KEY}_space") or st.query_params.get("space"),
        "view": st.session_state.get(f"{KEY}_view") or st.query_params.get("view"),
    }
)
