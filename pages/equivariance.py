"""Equivariance: the symmetry of the data, and the straight path in weight space from a free network
to an equivariant one.
"""

import streamlit as st

from lmc_core.equivariance.figures.data import label_runs
from lmc_core.equivariance.numbers import EquivarianceNumbers
from lmc_core.equivariance.page import controls, cost, files, sections, view
from lmc_core.equivariance.page.presets import OWN
from lmc_core.errors import LmcError
from lmc_core.ui import address, messages
from lmc_core.ui.requests import make_equivariance
from lmc_core.ui.status import Line, show_status

KEY = "equivariance"

st.title("From unconstrained to equivariant networks", anchor=False)
with st.sidebar:
    choice = controls.choose(KEY)
if choice.preset == OWN:
    st.markdown(
        "Symmetries of weights leave the function alone; symmetries of data leave the **loss** "
        "alone. Every layer is the mean "
        "of its weights over a group plus γ times the rest: a straight line from an equivariant "
        "network to a free one."
    )
else:
    st.markdown(f"**{choice.lesson.title}.** {choice.lesson.look}")
if choice.changed:
    st.caption(f"Changed against the lesson: {', '.join(choice.changed)}.")

try:
    found = map(make_equivariance, choice.wanted())
    requests = list({request.key: request for request in found}.values())
    labels = label_runs([request.to_json() for request in requests])
    lines: list[Line[EquivarianceNumbers]] = [
        Line.read(*each) for each in zip(labels, requests, strict=True)
    ]
    if lines:
        missing = [
            request for line, request in zip(lines, requests, strict=True) if line.result is None
        ]
        show_status(lines, KEY, cost.note(missing), noun="network")
except LmcError as error:
    messages.refuse(error)
    controls.write_address(choice, KEY)
    address.stop()
if not lines:
    st.info(
        "Choose on the left what is compared: at least one kind of data, one form, and a value of "
        "each setting of its own."
    )
    controls.write_address(choice, KEY)
    address.stop()

scene = view.Scene.read(lines)
layer = view.choose_layer(scene, KEY) if choice.lesson.picture == "gammas" else None
view.show_lesson(scene, choice.lesson, layer or 0, KEY)
chosen = None
if scene.runs or scene.running:
    chosen = sections.show_section(scene, choice.lesson, layer, KEY)
if scene.runs:
    st.header("Downloads", anchor=False)
    run = view.looked_at(scene, choice.lesson, KEY)
    pictures = sections.all_pictures(scene, run, choice.lesson, layer or 0)
    files.show_downloads(scene.finished, pictures, KEY)
    files.show_network(run, KEY)
    with st.expander("Numbers"):
        files.show_tables(pictures, KEY)
controls.write_address(choice, KEY, chosen if chosen in scene.runs else None)
