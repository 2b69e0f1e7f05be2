"""Options take whole numbers from an address that they do not offer, where they say which."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

SCRIPT = """
import streamlit as st
from lmc_core.ui.options import Option

points = Option("points", "Points", (5, 11, 25), 25, numbers=range(3, 102)).show("barrier")
st.text(str(points))
"""


def opened(points: str) -> AppTest:
    at = AppTest.from_string(SCRIPT)
    at.query_params["points"] = points
    return at.run()


def test_a_number_between_the_choices_stays_until_another_is_chosen() -> None:
    at = opened("7")
    assert at.text[0].value == "7" and at.select_slider[0].options == ["5", "7", "11", "25"]
    at.run()
    assert at.text[0].value == "7"
    at.select_slider[0].set_value(11).run()
    assert at.text[0].value == "11" and at.select_slider[0].options == ["5", "11", "25"]
    at.run()
    assert at.text[0].value == "11"


@pytest.mark.parametrize("text", ["2", "102", "1e1", "-7", "\u0667", "9" * 30, "", "seven"])
def test_what_is_no_such_number_is_dropped(text: str) -> None:
    at = opened(text)
    assert at.text[0].value == "25" and at.select_slider[0].options == ["5", "11", "25"]
