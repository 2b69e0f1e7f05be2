"""The script that Streamlit runs for every address: it knows the pages, and runs the one that was asked for."""

import streamlit as st

from lmc_core.ui.server import BARRIER, ICON, START

st.set_page_config(page_title="LMC Explorer", page_icon=str(ICON), layout="wide", initial_sidebar_state=430)
st.navigation(
    [
        st.Page(START, title="Start", default=True),
        st.Page(BARRIER, title="Barrier", url_path="barrier"),
    ],
    position="top",
).run()
