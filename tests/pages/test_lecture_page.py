"""The lecture on the shipped models themselves: it has no job layer that could be replaced."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.lecture.steps import STEPS
from lmc_core.ui.pages import script

pytestmark = pytest.mark.timeout(300)


def page(**address: str) -> AppTest:
    at = AppTest.from_file(str(script("lecture")), default_timeout=120)
    for name, value in address.items():
        at.query_params[name] = value
    return at.run()


def said(at: AppTest) -> list[dict]:
    """What the components of the page were given: first the slide, then the facts."""
    return [json.loads(each.proto.json) for each in at.get("bidi_component")]


def slide(at: AppTest) -> dict:
    return said(at)[0]


def facts(at: AppTest) -> list[str]:
    return [each["value"] for each in said(at)[1:]]


def parameter(at: AppTest, name: str) -> str | None:
    value = at.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def press(at: AppTest, key: str) -> AppTest:
    return at.button(key=key).click().run()


def test_through_all_steps_forth_and_back():
    at = page()
    for number, step in enumerate(STEPS, 1):
        assert not at.exception
        assert slide(at)["question"] == step.question and slide(at)["answer"] == ""
        assert slide(at)["name"].startswith(f"{number} of {len(STEPS)}")
        assert set(facts(at)) == {"?"}
        assert len(at.get("plotly_chart")) == 1
        assert parameter(at, "step") == str(number) and parameter(at, "answer") is None
        assert at.button(key="lecture_next").label == "Show the answer"
        press(at, "lecture_next")
        assert not at.exception
        assert slide(at)["question"] == step.question
        answer = slide(at)["answer"]
        assert answer and "{" not in answer and "\u2013" not in answer  # every number was filled in
        assert "?" not in facts(at)
        assert parameter(at, "step") == str(number) and parameter(at, "answer") == "1"
        if number < len(STEPS):
            press(at, "lecture_next")
    assert at.button(key="lecture_next").disabled
    for step in reversed(STEPS):
        assert slide(at)["question"] == step.question and slide(at)["answer"]
        press(at, "lecture_back")
        assert slide(at)["question"] == step.question and not slide(at)["answer"]
        if step is not STEPS[0]:
            press(at, "lecture_back")
    assert at.button(key="lecture_back").disabled


def test_the_address_restores_step_answer_and_controls():
    at = page(step="3", answer="1", angle="40")
    assert slide(at)["question"] == STEPS[2].question and slide(at)["answer"]
    assert at.select_slider(key="lecture_stream_angle").value == 40
    # the cosine fell, the outputs changed by rounding alone
    assert facts(at)[0] != "1" and "10" in facts(at)[1]


@pytest.mark.parametrize(
    "address", [{"step": "77"}, {"step": "x", "answer": "y"}, {"step": "-1"}, {"step": "\u00b2"}]
)
def test_an_address_that_means_nothing_is_a_place_all_the_same(address):
    at = page(**address)
    assert not at.exception
    assert slide(at)["question"] == (STEPS[-1] if address["step"] == "77" else STEPS[0]).question


def test_a_control_that_the_address_names_wrongly_has_its_default():
    at = page(step="3", angle="41")
    assert at.select_slider(key="lecture_stream_angle").value == 0


def test_half_an_exchange_changes_the_outputs():
    at = page(step="1", answer="1")
    assert facts(at) == ["none"]
    at.toggle(key="lecture_units_rows").set_value(True).run()
    assert facts(at)[0].endswith("%")
    assert parameter(at, "rows") == "1"
    at.toggle(key="lecture_units_columns").set_value(True).run()
    assert "10\u207b\u00b9" in facts(at)[0]


def test_a_tilted_ones_direction_is_the_negative_control():
    at = page(step="6", answer="1", angle="60")
    assert "10\u207b\u00b9\u2075" in facts(at)[0] or "10\u207b\u00b9\u2076" in facts(at)[0]
    at = page(step="6", answer="1", angle="60", turn="tilts")
    assert facts(at)[0].endswith("%")


def test_a_new_step_begins_afresh_and_drops_what_the_address_said_of_the_old_one():
    at = page(step="1", answer="1", a="5", rows="1")
    press(at, "lecture_next")
    assert parameter(at, "a") is None and parameter(at, "rows") is None
    press(at, "lecture_back")
    assert at.selectbox(key="lecture_units_a").value == 3


def test_any_step_at_once():
    at = page(step="2")
    at.segmented_control(key="lecture_jump").set_value(10).run()
    assert slide(at)["question"] == STEPS[9].question


def test_notes_on_demand_and_in_the_address():
    at = page(step="4")
    assert STEPS[3].notes not in "".join(each.value for each in at.markdown)
    at.toggle(key="lecture_notes").set_value(True).run()
    assert STEPS[3].notes in "".join(each.value for each in at.markdown)
    assert parameter(at, "notes") == "1"
    press(at, "lecture_next")
    press(at, "lecture_next")
    assert STEPS[4].notes in "".join(each.value for each in at.markdown)  # they stay on
    assert STEPS[1].notes in "".join(each.value for each in page(step="2", notes="1").markdown)


def test_damaged_barriers_are_one_sentence(monkeypatch, tmp_path):
    from lmc_core.lecture import shipped

    shipped.barriers.cache_clear()
    monkeypatch.setattr(shipped, "assets", lambda: tmp_path)
    try:
        at = page(step="10")
        assert "missing or damaged" in at.error[0].value and not at.exception
        assert at.button(key="lecture_back") is not None  # one can go on from here
    finally:
        shipped.barriers.cache_clear()
