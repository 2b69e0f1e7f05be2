"""Sweeps: all pairs or groups of a set of models by several methods, side by side."""

import streamlit as st

from lmc_core.sweeps.record import list_sweeps
from lmc_core.ui import address, sweeps_view
from lmc_core.ui.options import Option

KEY = "sweeps"

st.title("Sweeps", anchor=False)
known = {each.name: each for each in list_sweeps() if each.cells}
if not known:
    sweeps_view.explain_start()
    address.stop()
with st.sidebar:
    name = Option(
        "sweep",
        "Sweep",
        list(known),
        next(iter(known)),
        shape="list",
        shown=lambda each: known[each].title,
        help="Sweeps that `lmc sweep` ran with this folder of results, the newest first, then "
        "those that come with the app.",
    ).show(KEY)
    st.markdown(sweeps_view.describe_state(known[name]))
address.write({"sweep": name})
sweeps_view.show_sweep(known[name], KEY)
with st.expander("A sweep of your own", icon=":material/add:"):
    sweeps_view.explain_start()
