"""Lecture: eleven steps for a hall, one idea each, a question before the answer, a picture that can
be touched.
"""

import streamlit as st

from lmc_core.errors import LmcError
from lmc_core.lecture.deck import deck
from lmc_core.lecture.page import read_address, show_lecture
from lmc_core.ui import address, messages
from lmc_core.ui.panels import theme

address.write(read_address(st.query_params))
try:
    show_lecture(deck(), theme())
except LmcError as error:
    st.error(messages.sentence(error), icon=":material/error:")
