"""The script that Streamlit runs for every address: it knows the pages, and runs the one that was
asked for.
"""

import streamlit as st

from lmc_core.look import PRODUCT
from lmc_core.server.app import ICON
from lmc_core.ui import address
from lmc_core.ui.every_page import follow_theme, listen_for_projector, show_mark
from lmc_core.ui.pages import PAGES, script, there

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
shown = page.url_path or "start"
title = PRODUCT if shown == "start" else f"{PAGES[shown].title} \u00b7 {PRODUCT}"
st.set_page_config(page_title=title, page_icon=str(ICON), layout="wide", initial_sidebar_state=320)
show_mark()
if too_much := address.excess():
    st.error(too_much, icon=":material/link_off:")
    st.stop()
address.enter(shown, PAGES, PAGES[shown].models)
body = st.container()
listen_for_projector()
follow_theme()  # both below the page, and there also where the page stops early
try:
    with body:
        page.run()
    if shown in ("start", "models"):  # which write no address of their own
        address.carry()
finally:
    address.leave(shown)
