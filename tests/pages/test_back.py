"""Back and Forward of the browser: the address wins over what the session holds."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from tests.pages.reading import parameter

SCRIPT = """
import streamlit as st
from lmc_core.ui import address
from lmc_core.ui.options import Option

address.enter(st.session_state.get("page", "barrier"), ("barrier", "merge"), True)
points = Option("points", "Points", (5, 11, 25), 25).show("barrier")
with_all = st.checkbox("All", key="barrier_all")
st.button("Run", key="barrier_run")
st.session_state.setdefault("merge_state", 1)
st.session_state["barrier_axes"] = ((0.0, object()), 1)  # other than what widgets have
if st.session_state.get("interrupt"):
    st.stop()  # as another run does that takes this one's place: nothing is remembered
address.write({"points": str(points)})
address.leave(st.session_state.get("page", "barrier"))
"""


def opened() -> AppTest:
    at = AppTest.from_string(SCRIPT)
    at.query_params["points"] = "11"
    return at.run()


def test_back_undoes_a_setting() -> None:
    at = opened()
    at.select_slider[0].set_value(5).run()
    assert parameter(at, "points") == "5"
    at.query_params["points"] = "11"  # what the browser sends when it goes back
    at.run()
    assert at.select_slider[0].value == 11 and parameter(at, "points") == "11"
    at.query_params["points"] = "5"
    at.run()
    assert at.select_slider[0].value == 5


def test_a_choice_wins_over_an_address_that_comes_late() -> None:
    """Two quick choices: the second is sent with the address from before the first."""
    at = opened()
    at.select_slider[0].set_value(5).run()
    at.query_params["points"] = "11"
    at.checkbox[0].check().run()
    assert at.select_slider[0].value == 5 and at.checkbox[0].value
    assert parameter(at, "points") == "5"


def test_back_after_a_button() -> None:
    at = opened()
    at.select_slider[0].set_value(5).run()
    at.button[0].click().run()
    at.query_params["points"] = "11"
    at.run()
    assert at.select_slider[0].value == 11


def test_forward_wins_over_a_back_whose_run_was_interrupted() -> None:
    at = opened()
    at.select_slider[0].set_value(5).run()
    at.session_state["interrupt"] = True
    at.query_params["points"] = "11"
    at.run()
    at.session_state["interrupt"] = False
    at.query_params["points"] = "5"
    at.run()
    assert at.select_slider[0].value == 5 and parameter(at, "points") == "5"


def test_a_choice_wins_over_a_back_whose_run_was_interrupted() -> None:
    at = opened()
    at.select_slider[0].set_value(5).run()
    at.session_state["interrupt"] = True
    at.query_params["points"] = "11"
    at.run()
    at.session_state["interrupt"] = False
    at.query_params["points"] = "5"  # the browser has not yet heard of anything
    at.select_slider[0].set_value(25).run()
    assert at.select_slider[0].value == 25 and parameter(at, "points") == "25"


def test_what_another_page_left_is_forgotten() -> None:
    at = opened()
    at.session_state["merge_other"] = 2
    at.run()
    assert "merge_other" not in at.session_state
