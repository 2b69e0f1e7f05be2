"""Models: those that are shipped, families of independently trained models for people who are
online, and what is supported.
"""

import streamlit as st

from lmc_core.models.catalogue import public_rows
from lmc_core.ui import catalogue
from lmc_core.ui.panels import show_names, start_charts

st.title("Models", anchor=False)
st.header("Shipped", anchor=False)
st.markdown(
    "Small models of several seeds and widths, trained for this program. Each folder in "
    "`assets/zoo` is an ordinary checkpoint "
    "with a card that says how it came to be."
)
show_names(catalogue.zoo_table(), "zoo")

st.header("Public families of independently trained models", anchor=False)
st.markdown(
    "Nothing here is fetched by the app. `lmc barrier` takes the references and fetches a model "
    "once, into the hub's own "
    "cache; no code of a repository is ever run."
)
st.table(catalogue.public_table(), border="horizontal")
with st.expander("How to write their names"):
    for row in public_rows():
        seen = "" if row["verified"] else "; the models' own files could not be compared here"
        st.markdown(
            f"**{row['name']}**. {row['sentence']} {row['source']}. Measure on {row['data']}. "
            f"Configuration: {row['config_source']}{seen}."
        )
        st.code("\n".join(row["references"]), language=None)

st.header("Architectures that can be aligned", anchor=False)
st.markdown(
    "What may be done to a model follows from its configuration, not from its name; `lmc show "
    "MODEL` says it with reasons. "
    "`docs/families.md` has what was measured of each."
)
st.table(catalogue.families_table(), border="horizontal")
start_charts()
