"""The way through the page Widths in a real browser, computed for real on few examples."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from lmc_core.models.zoo import zoo
from tests.browser.conftest import require_narrow, settle
from tests.browser.test_app import require_accessible, require_opened

NAMES = {"vit-fashion-narrow-s0", "vit-fashion-s0"}
PAGE = "/widths?a=vit-fashion-narrow-s0&b=vit-fashion-s0&ways=weight&examples=50&points=5"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not zoo().keys() >= NAMES, reason="the zoo's models are not trained yet"),
]


def test_run_look_closer_and_take_away(server, visit, tmp_path):
    page = visit(server + PAGE)
    expect(page.get_by_text("Not computed yet: Padded with zeros, By weights.")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("progressbar")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("All 2 curves are stored")).to_be_visible(timeout=200_000)
    settle(page)
    expect(page.get_by_text("rounding level, so it is the same function")).to_be_visible()
    expect(page.get_by_role("figure", name=re.compile("Narrow units 0 to 11")).first).to_be_visible(
        timeout=60_000
    )
    page.get_by_role("radio", name="All units").click()
    expect(
        page.get_by_role("figure", name=re.compile("Places of 192 narrow units among 384")).first
    ).to_be_visible(timeout=60_000)
    page.wait_for_url(re.compile("view=all"))
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Places").click()
    waiting.value.save_as(tmp_path / "places.csv")
    assert len((tmp_path / "places.csv").read_text().splitlines()) == 1 + 4 * 384


def test_accessibility_and_a_phone(server, visit):
    page = visit(server + "/widths")  # whose curves came with the app
    require_opened(page, "widths")
    expect(page.get_by_text("All 3 curves are stored")).to_be_visible(timeout=60_000)
    page.get_by_text("Numbers", exact=True).click()
    expect(page.get_by_role("table").first).to_be_visible(timeout=60_000)
    require_accessible(page)
    require_narrow(page)
