"""The app, for `lmc` or `streamlit run app.py`."""

import streamlit as st

from lmc_core.elsewhere import use_helper
from lmc_core.server.app import ROUTER, middleware, routes, say_error
from lmc_core.threads import use_threads

use_threads()
use_helper()  # torch, and what it takes, stays out of the server
app = st.App(ROUTER, routes=routes(), middleware=middleware(), on_script_error=say_error)
