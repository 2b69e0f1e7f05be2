"""The way through the page Merge in a real browser: run, look, move the weights, keep a model."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from lmc_core.models.load import zoo
from tests.browser.conftest import settle
from tests.browser.test_app import violations

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not {f"vit-fashion-s{k}" for k in range(3)} <= zoo().keys(), reason="the zoo's models are not there"),
]

MODELS = "&".join(f"models=vit-fashion-s{k}" for k in range(3))
SMALL = f"/merge?{MODELS}&frame=none&merge=average&merge=ties&merge=ensemble&examples=50"


def chart(page: Page, name: str):
    return page.get_by_role("figure", name=re.compile(name)).first


def test_run_look_move_and_keep(server, visit):
    page = visit(server + SMALL)
    expect(page.get_by_text("Not computed yet: As they are.")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("The frame is stored")).to_be_visible(timeout=180_000)
    settle(page)
    expect(chart(page, "^Loss of every way to merge")).to_be_visible()
    expect(chart(page, "^Barriers between every two models")).to_be_visible()

    slider = page.get_by_role("slider", name=re.compile("^Weight of 1"))
    slider.focus()
    slider.press("End")
    expect(slider).to_have_value("1")
    expect(page.get_by_role("cell", name="1.00, 0.00, 0.00")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("slider", name=re.compile("^Weight of 2"))).to_have_value("0")

    page.get_by_label("Name", exact=True).fill("kept-one")
    page.get_by_label("Name", exact=True).press("Enter")
    expect(page.get_by_text("Not computed yet: kept-one.")).to_be_visible()  # a click before that would be lost
    settle(page)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("an ordinary checkpoint with a card")).to_be_visible(timeout=180_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility_and_a_phone(scheme, server, guarded, visit):
    guarded.emulate_media(color_scheme=scheme)
    page = visit(server + SMALL)
    expect(page.get_by_text("The frame is stored")).to_be_visible()
    assert violations(page) == []
    page.set_viewport_size({"width": 390, "height": 800})
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
