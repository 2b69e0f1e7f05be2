"""Landscape: the loss on a plane through models, with straight and curved paths in it."""

import streamlit as st

from lmc_core.errors import LmcError
from lmc_core.ui import (
    address,
    backend,
    cost,
    landscape_controls,
    landscape_point,
    landscape_view,
    messages,
    page_header,
    status,
)
from lmc_core.ui.controls import choose_pair, choose_task
from lmc_core.ui.setting import PLAIN

KEY = "landscape"

known = page_header.begin("Loss landscape")

with st.sidebar:
    pair = choose_pair(known, KEY)
    kind = landscape_controls.choose_kind(KEY)
    third = landscape_controls.choose_third(pair, known, KEY) if kind == "three" else None
    setting = PLAIN
    if kind != "random":
        setting, _ = page_header.choose_setting(pair, KEY)
    task = choose_task(pair, known, KEY)
    choice = landscape_controls.choose_detail(kind, KEY)

address.write(
    {
        **page_header.state_of(pair, None if kind == "random" else setting),
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
    st.stop()

try:
    plane, curves = landscape_controls.requests_of(
        [*pair, *([third] if third else [])], setting, choice, task
    )
    wanted = [status.Curve("Plane", plane, backend.stored(plane))]
    if curves is not None:
        wanted.append(status.Curve("Curved paths", curves, backend.stored(curves)))
    missing = [each.request for each in wanted if each.result is None]
    note = cost.note(
        missing,
        landscape_controls.amount(choice, setting != PLAIN, plane in missing, curves in missing),
    )
    status.show_status(wanted, KEY, note, noun="picture")
except LmcError as error:
    messages.refuse(error)
    st.stop()

bend = wanted[1].result if curves is not None else None
running = any(job.active for job in backend.jobs([plane.key]).values())
scene = landscape_view.show_picture(plane, bend, running, KEY)
if scene is None and not running:
    landscape_view.show_empty(setting.method)
if bend is not None:
    st.header("Along the paths", anchor=False)
    landscape_view.show_paths(bend, KEY)
if scene is not None:
    with st.expander("Numbers"):
        landscape_view.show_numbers(scene)
    landscape_view.show_downloads(scene, bend, KEY)
