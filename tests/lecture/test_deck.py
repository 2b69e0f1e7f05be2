"""The deck that page and file show: every word filled in, every setting measured, every act a
performance.
"""

import json
import re

import numpy as np
import pytest

from lmc_core.errors import StoreError
from lmc_core.lecture import networks, shipped
from lmc_core.lecture.controls import settings
from lmc_core.lecture.deck import PARTS, PLAYER, deck, lecture_html
from lmc_core.lecture.page import read_address
from lmc_core.lecture.rotation import turn_stream
from lmc_core.lecture.slides import slide_of
from lmc_core.lecture.steps import BY_KEY, STEPS

EACH = pytest.mark.parametrize("step", STEPS, ids=lambda step: step.key)
BROKEN = ("units", "stream", "heads", "planes", "ones", "experts")  # by the counterexample


def values(step, place: int) -> list[str]:
    return list(slide_of(step).values(step.setting(place)))


@EACH
def test_every_number_in_the_words_was_measured(step):
    numbers = slide_of(step).numbers
    for words in (*(act.said(numbers) for act in step.acts), step.spoken(numbers)):
        assert words and not re.search(r"[{}\u2013]|nan", words), words


@EACH
def test_every_setting_has_its_numbers(step):
    slide = slide_of(step)
    for setting in settings(step.controls):
        found = slide.values(setting)
        assert len(found) == len(slide.facts) and all(found), setting
    assert slide.table.rows and all(len(row) == len(slide.table.header) for row in slide.table.rows)


@EACH
def test_what_is_performed_can_be_set_by_hand(step):
    legal = {control.name: control.values for control in step.controls}
    for control in step.controls:
        assert control.start in control.values and len(control.labels) == len(control.values)
        assert not control.needs or control.needs in legal
    for act in step.acts:
        for beat in act.beats:
            assert all(value in legal[name] for name, value in beat.items())
    for place, act in enumerate(step.acts, 1):
        # with next alone something happens; in the step without controls to move, marks spread out
        assert step.setting(place) != step.setting(place - 1) or not act.beats


def test_only_one_answer_moves_no_control():
    assert [step.key for step in STEPS for act in step.acts if not act.beats] == ["remains"]


@pytest.mark.parametrize("key", BROKEN)
def test_the_answer_keeps_the_function_and_the_counterexample_breaks_it(key):
    step = BY_KEY[key]
    assert step.setting(1) != step.setting(0)
    assert re.search(r"10\u207b\u00b9[4-7]|10\u207b\u00b9[\u2074-\u2077]", values(step, 1)[-1])
    broken = values(step, 2)[-1]
    assert broken.endswith("%") and float(broken.removesuffix("%")) > 1
    assert broken in step.acts[1].said(slide_of(step).numbers)  # the words say the same number


def test_the_average_breaks_half_way():
    step = BY_KEY["average"]
    found = [float(values(step, place)[1].removesuffix("%")) for place in (0, 1, 2)]
    assert found[1] < 50 < 80 < min(found[0], found[2])


@pytest.mark.parametrize("name", [name for name in networks.MEASURES if name != "data"])
def test_the_shipped_numbers_are_measured_again(name):
    """Of networks that a test trains (`data`) test_positions.py speaks."""
    loose = 0.05 if name == "average" else 2e-3  # in single precision; else four digits

    def same(was: object, now: object) -> None:
        if isinstance(was, dict):
            assert isinstance(now, dict) and was.keys() == now.keys()
            for key in was:
                same(was[key], now[key])
        elif isinstance(was, str):
            assert was == now
        elif isinstance(was, list) and any(isinstance(each, list | dict | str) for each in was):
            assert isinstance(now, list) and len(was) == len(now)
            for one, other in zip(was, now, strict=True):
                same(one, other)
        else:
            scale = float(np.abs(np.asarray(was, float)).max(initial=0))
            np.testing.assert_allclose(now, was, rtol=loose, atol=1e-9 + 1e-3 * scale)

    same(shipped.networks()[name], networks.simplify(networks.MEASURES[name]()))


def test_one_formula_gives_the_stream_at_any_angle():
    data = shipped.networks()["stream"]["filters"]
    found = turn_stream(networks.images(True), 37.0).filters
    constant, cosine, sine = (np.array(data[name]) for name in ("constant", "cosine", "sine"))
    angle = np.deg2rad(37.0)
    said = constant + cosine * np.cos(angle) + sine * np.sin(angle)
    np.testing.assert_allclose(said, found, atol=2e-3 * np.abs(found).max())
    assert np.abs(found - (constant + cosine)).max() > 0.1  # and it is not the stream as trained


def test_the_file_holds_everything_and_names_no_address():
    text = lecture_html()
    assert len(text.encode()) < 1_000_000
    assert "://" not in text and "@import" not in text
    assert text.count("data:font/woff2;base64,") == 5
    content = re.search(r'<script type="application/json" id="deck">(.*?)</script>', text, re.S)
    assert content is not None and json.loads(content[1]) == json.loads(deck())
    assert [step["key"] for step in json.loads(content[1])["steps"]] == [s.key for s in STEPS]
    for part in PARTS:
        assert (PLAYER / part).read_text(encoding="utf-8") in text


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, {"step": "1", "answer": None, "notes": None, "a": "3", "b": "8"}),
        ({"step": "77"}, {"step": "11", "trained": "free"}),
        ({"step": "x", "answer": "y"}, {"step": "1", "answer": None}),
        ({"step": "-1"}, {"step": "1"}),
        ({"step": "\u00b2"}, {"step": "1"}),
        ({"step": "\u0663"}, {"step": "1"}),
        ({"step": "3", "angle": "41"}, {"angle": "0"}),
        ({"step": "3", "angle": "40", "answer": "1"}, {"angle": "40", "answer": "1"}),
        ({"step": "10", "answer": "2"}, {"answer": "1"}),  # which has one answer alone
        ({"step": "2", "notes": "1", "a": "3"}, {"notes": "1"}),
    ],
)
def test_what_an_address_says(asked, said):
    found = read_address(asked)
    assert {name: found[name] for name in said} == said
    assert "a" not in found or found["step"] in ("1", "4", "9")


@pytest.mark.parametrize("name", ["barriers", "networks"])
def test_a_damaged_file_is_one_sentence(name, monkeypatch, tmp_path):
    read = getattr(shipped, name)
    read.cache_clear()
    monkeypatch.setattr(shipped, "assets", lambda: tmp_path)
    try:
        with pytest.raises(StoreError, match=f"{name}.json of the lecture is missing or damaged"):
            read()
    finally:
        read.cache_clear()
