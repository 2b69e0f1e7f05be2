"""The app, for `lmc` or `streamlit run app.py`."""

import streamlit as st

from lmc_core.ui.server import ROUTER, routes, say_error

app = st.App(ROUTER, routes=routes(), on_script_error=say_error)
