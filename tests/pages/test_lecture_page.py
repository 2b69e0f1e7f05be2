"""The page of the lecture: it hands the deck over once, and writes what the address leaves out."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.lecture import deck, shipped
from lmc_core.lecture.steps import STEPS
from lmc_core.ui.pages import script


def page(**address: str) -> AppTest:
    at = AppTest.from_file(str(script("lecture")), default_timeout=60)
    for name, value in address.items():
        at.query_params[name] = value
    return at.run()


def said(at: AppTest) -> dict:
    """What the player was given."""
    (component,) = at.get("bidi_component")
    return json.loads(component.proto.json)


def test_the_player_is_given_the_deck_and_no_file():
    at = page()
    assert not at.exception
    given = said(at)
    assert json.loads(given["deck"])["steps"][0]["question"] == STEPS[0].question
    assert given["file"] is None and given["theme"] in ("light", "dark")


@pytest.mark.parametrize("answer", ["0", "1", "2"])
def test_the_address_is_written_and_leads_back(answer):
    at = page(step="3", answer=answer, angle="40")
    written = {name: "".join(at.query_params[name]) for name in at.query_params}
    assert written == {"step": "3", "angle": "40", "follow": "1"} | (
        {} if answer == "0" else {"answer": answer}
    )


def test_damaged_numbers_are_one_sentence(monkeypatch, tmp_path):
    for cached in (shipped.barriers, shipped.networks, deck.deck):
        cached.cache_clear()
    monkeypatch.setattr(shipped, "assets", lambda: tmp_path)
    try:
        at = page(step="10")
        assert "missing or damaged" in at.error[0].value and not at.exception
    finally:
        for cached in (shipped.barriers, shipped.networks, deck.deck):
            cached.cache_clear()
