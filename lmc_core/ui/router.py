"""The script that Streamlit runs for every address: it knows the pages, and runs the one that was asked for."""

import streamlit as st

from lmc_core.ui.server import BARRIER, ICON, MODELS, START

st.set_page_config(page_title="LMC Explorer", page_icon=str(ICON), layout="wide", initial_sidebar_state=430)
page = st.navigation(
    [
        st.Page(START, title="Start", default=True),
        st.Page(BARRIER, title="Barrier", url_path="barrier"),
        st.Page(MODELS, title="Models", url_path="models"),
    ],
    position="top",
)
# A page's state lives in its address; what it left in the session would win over the link that leads back to it.
for key in list(st.session_state):
    if str(key).startswith("barrier_") and page.url_path != "barrier":
        del st.session_state[key]
page.run()
