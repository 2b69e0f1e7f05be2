"""Equivariance: the symmetry of the data, and the straight path in weight space from a free network to an equivariant one."""

import streamlit as st

from lmc_core.errors import LmcError
from lmc_core.figures.equivariance_data import labels_of_runs
from lmc_core.ui import equivariance_controls, equivariance_cost, equivariance_files, says, status, work
from lmc_core.ui import equivariance_view as view
from lmc_core.ui.equivariance_pictures import Picture, show
from lmc_core.ui.equivariance_presets import OWN

KEY = "equivariance"

st.title("Free, equivariant, and the way between", anchor=False)
with st.sidebar:
    choice = equivariance_controls.choose(KEY)
if choice.preset == OWN:
    st.markdown(
        "Symmetries of weights leave the function alone; symmetries of data leave the **loss** alone. Every layer is the mean "
        "of its weights over a group plus γ times the rest: a straight line from an equivariant network to a free one."
    )
else:
    st.markdown(f"**{choice.lesson.title}.** {choice.lesson.look}")
if choice.changed:
    st.caption(f"Changed against the lesson: {', '.join(choice.changed)}.")

try:
    words = choice.wanted()
    requests = list({request.key: request for request in map(work.equivariance_of, words)}.values())
    labels = labels_of_runs([request.to_json() for request in requests])
    lines = [status.Curve(label, r, work.stored(r.key)) for label, r in zip(labels, requests, strict=True)]
    if lines:
        missing = [request for line, request in zip(lines, requests, strict=True) if line.result is None]
        status.show_status(lines, KEY, equivariance_cost.note(missing), noun="network")
except LmcError as error:
    says.refuse(error)
    equivariance_controls.write_address(choice, KEY)
    st.stop()
if not lines:
    st.info("Choose on the left what is compared: at least one kind of data, one form, and a value of each setting of its own.")
    equivariance_controls.write_address(choice, KEY)
    st.stop()

scene = view.Scene.of(lines)
early = choice.lesson.picture == "gammas"  # the picture of one layer
layer = view.choose_layer(scene, KEY) if early else 0
view.show_lesson(scene, choice.lesson, layer, KEY)
chosen = None
if scene.runs or scene.running:
    st.header("While it trained", anchor=False)
    chosen = view.choose_run(scene, choice.lesson, KEY)
    layer = layer if early else view.choose_layer(scene, KEY)
    view.show_training(scene, chosen, layer, KEY)
run = scene.runs.get(chosen or "")
if run is not None:
    pictures = [view.lesson_picture(scene, choice.lesson, layer), *view.training_pictures(run, layer)]
    st.header("The way to the projection", anchor=False)
    pictures += (way := view.way_pictures(scene, run, choice.lesson))
    for picture in way:
        show(picture, KEY)
    st.header("What symmetry costs", anchor=False)
    pictures += (price := view.price_pictures(view.choose_kind(scene, KEY), choice.lesson))
    for picture in price:
        show(picture, KEY)
    st.header("One input in all positions", anchor=False)
    pictures.append(strip := Picture("strip", (run, view.choose_example(run, KEY))))
    show(strip, KEY)
    st.header("A merge of moved copies", anchor=False)
    view.show_copies(run, KEY)
    pictures += [Picture("copies", (run,))] * (run.copies is not None)
    st.header("To take away", anchor=False)
    equivariance_files.show_files(scene.finished, pictures, KEY)
    equivariance_files.show_network(run, KEY)
    with st.expander("Numbers"):
        equivariance_files.show_tables(pictures, KEY)
equivariance_controls.write_address(choice, KEY, chosen)
