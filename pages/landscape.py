"""Landscape: the loss on a plane through models, with straight and curved paths in it."""

import streamlit as st

from lmc_core.runs.requests.bend import BendNumbers
from lmc_core.runs.requests.plane import PlaneNumbers
from lmc_core.ui import (
    address,
    backend,
    controls,
    cost,
    landscape_controls,
    landscape_point,
    landscape_view,
    links,
    messages,
    symmetry_controls,
)
from lmc_core.ui.setting import PLAIN
from lmc_core.ui.status import Line, find_missing, show_status

KEY = "landscape"

known = controls.begin("Loss landscape")
places = controls.divide_sidebar()
with places.first:
    pair = controls.choose_pair(known, KEY)
    kind = landscape_controls.PLANE.show(KEY)
    third = landscape_controls.choose_third(pair, known, KEY) if kind == "three" else None
    setting = PLAIN
    if kind != "random":
        setting, _ = symmetry_controls.choose_setting(pair, KEY, places.more)
with places.more:
    task = controls.choose_task(pair, known, KEY)
    choice = landscape_controls.choose_detail(kind, KEY)

address.write(
    {
        **controls.pair_address(pair, None if kind == "random" else setting),
        "c": third["name"] if third else None,
        "task": task,
        **choice.address,
        "view": st.session_state.get(f"{KEY}_view", st.query_params.get("view")),
        "at": landscape_point.text(KEY) or st.query_params.get("at"),
    }
)
if kind == "three" and third is None:
    st.info(
        "A plane through three models needs a third of the same family and size; choose other "
        "models, or another plane."
    )
    address.stop()

with messages.refusing():
    models = [*pair, *([third] if third else [])]
    plane, curves = landscape_controls.make_requests(models, setting, choice, task)
    drawn: Line[PlaneNumbers] = Line.read("Plane", plane)
    curved: Line[BendNumbers] | None = Line.read("Curved paths", curves) if curves else None
    wanted = [drawn, *([curved] if curved else [])]
    missing = find_missing(wanted)
    what = landscape_controls.amount(choice, setting != PLAIN, plane in missing, curves in missing)
    show_status(wanted, KEY, cost.note(missing, what), noun="picture", button=places.run)

bend = curved.result if curved else None
running = any(job.active for job in backend.jobs([plane.key]).values())
scene = landscape_view.show_picture(plane, bend, running, KEY)
if scene is None and not running:
    landscape_view.show_empty(setting.method)
else:
    links.show_views(
        KEY, models, setting if kind != "random" else None, {"task": task, "split": choice.split}
    )
if bend is not None:
    st.header("Along the paths", anchor=False)
    landscape_view.show_paths(bend, KEY)
if scene is not None:
    with st.expander("Numbers"):
        landscape_view.show_numbers(scene)
    landscape_view.show_downloads(scene, bend, KEY)
