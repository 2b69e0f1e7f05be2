"""Start: what a loss barrier is in one picture, three ways in, studies, what runs now, and where it
is computed.
"""

import streamlit as st

from lmc_core import elsewhere
from lmc_core.figures.barrier import barrier_caption
from lmc_core.figures.findings import barrier_finding
from lmc_core.figures.text import label_results
from lmc_core.ui import backend, welcome
from lmc_core.ui.barrier_view import show_curves
from lmc_core.ui.pages import script
from lmc_core.ui.panels import show_caption, theme

KEY = "start"

results = welcome.one_pair(backend.shipped())
labels = label_results(results)

st.title("How far apart are two trained transformers?", anchor=False)
st.markdown(welcome.lead(results))
if results:
    show_curves(results, labels, f"{KEY}_figure", at_once=True)
    show_caption(barrier_finding(results, labels), barrier_caption(results, labels))
    st.page_link(
        script("barrier"),
        label=f"Computed on {results[0]['date'][:10]} ({results[0]['device'].upper()}). Open or "
        "compute again",
        icon=":material/refresh:",
        query_params=welcome.address_of(results),
    )
else:
    st.info(
        "This installation ships no result yet. Measure the first barrier between two models; it "
        "takes a minute or two."
    )
    st.page_link(script("barrier"), label="Measure a barrier", icon=":material/play_arrow:")

st.header("Three ways in", anchor=False)
for column, way in zip(st.columns(3), welcome.WAYS, strict=True):
    with column.container(border=True, height="stretch"):
        st.subheader(way.name, anchor=False)
        st.markdown(way.sentence)
        st.page_link(script(way.page), label=way.link, icon=way.icon, query_params=way.address)

st.header("Studies", anchor=False)
welcome.show_studies(theme())

if not backend.read_only():
    st.header("Running now", anchor=False)
    welcome.show_running()

    st.header("Device", anchor=False)
    st.markdown(welcome.device_sentence())
    st.markdown(welcome.store_sentence())

elsewhere.wake()  # most people go on to a page that asks something of models
