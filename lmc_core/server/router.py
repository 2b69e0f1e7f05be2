"""The script that Streamlit runs for every address: it knows the pages, and runs the one that was
asked for.
"""

import streamlit as st

from lmc_core.server.app import ICON
from lmc_core.ui import address
from lmc_core.ui.pages import PAGES, script, there

st.set_page_config(
    page_title="LMC Explorer", page_icon=str(ICON), layout="wide", initial_sidebar_state=430
)
names = there()
pages = {
    name: st.Page(
        script(name),
        title=PAGES[name].title,
        url_path="" if name == "start" else name,
        default=name == "start",
    )
    for name in names
}
page = st.navigation(list(pages.values()), position="top")
current = page.url_path or "start"
# A page's state lives in its address; what it left in the session would win over the link that
# leads back to it.
for key in list(st.session_state):
    owner = str(key).partition("_")[0]
    if owner in PAGES and owner != current:
        del st.session_state[key]
if too_much := address.excess():
    st.error(too_much, icon=":material/link_off:")
    st.stop()
page.run()
