"""Studies: every stored result to compare, keep and take away; studies to show, export and
import.
"""

import streamlit as st

from lmc_core.errors import UnknownName
from lmc_core.ui import address
from lmc_core.ui.options import Option
from lmc_core.ui.studies_actions import show_import
from lmc_core.ui.studies_data import KEY, rows, say, store_sentence, studies
from lmc_core.ui.studies_results import choose_rows, show_results, state
from lmc_core.ui.studies_view import show_cards, show_study

VIEWS = {"results": "All results", "studies": "Studies"}

table = rows()
if f"{KEY}_study" not in st.session_state:
    st.session_state[f"{KEY}_study"] = st.query_params.get("study")
opened = st.session_state[f"{KEY}_study"]

st.title("Studies", anchor=False)
say()
view = Option(
    "view",
    "View",
    list(VIEWS),
    "studies" if opened else "results",
    shape="buttons",
    shown=VIEWS.__getitem__,
    hidden=True,
).show(KEY, width="content")
fitting = table
with st.sidebar:
    if view == "results":
        st.subheader("Find", anchor=False)
        fitting = choose_rows(table)
    st.markdown(store_sentence(table))
    show_import()

if view == "results":
    show_results(table, fitting)
    address.write({"view": view, **state()})
else:
    study = None
    if opened:
        try:
            study = studies().get(opened)
        except UnknownName:
            st.info("There is no study of that name; it may have been deleted.")
            st.session_state[f"{KEY}_study"] = None
    address.write({"view": view, "study": study.name if study else None})
    if study is None:
        show_cards()
    else:
        show_study(study)
