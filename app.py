"""The app, for `lmc` or `streamlit run app.py`."""

import streamlit as st

from lmc_core.runs.cores import use_threads
from lmc_core.ui.server import ROUTER, middleware, routes, say_error

use_threads()
app = st.App(ROUTER, routes=routes(), middleware=middleware(), on_script_error=say_error)
