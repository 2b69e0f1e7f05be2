"""The way through the page Alignment in a real browser: run, click a layer, look at its detail,
take the matrix away.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from lmc_core.models.zoo import zoo
from tests.browser.conftest import require_narrow, settle
from tests.browser.test_app import require_accessible, require_opened

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        not {"vit-fashion-s0", "vit-fashion-s1"} <= zoo().keys(),
        reason="the zoo's models are not there",
    ),
]

SMALL = "/alignment?a=vit-fashion-s0&b=vit-fashion-s1&examples=64&split=validation"


def chart(page: Page, name: str):
    return page.get_by_role("figure", name=re.compile(name)).first


def test_run_click_look_and_take_away(server, visit, tmp_path):
    page = visit(server + SMALL)
    expect(page.get_by_text("Not computed yet: All classes.")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("The alignment is stored")).to_be_visible(timeout=240_000)
    settle(page)
    overview = chart(page, "^Mean cosine of matched coordinates")
    expect(overview).to_be_visible()
    expect(chart(page, "angles on a circle")).to_be_visible()
    # the method is folded below the finding
    expect(page.get_by_text(re.compile("^Residual stream, all layers")).first).to_be_attached()

    overview.scroll_into_view_if_needed()
    overview.locator("g.trace.scatter").filter(has=page.locator("path.point")).nth(5).locator(
        "path.point"
    ).nth(1).click(force=True)
    page.wait_for_url(re.compile("space=heads"))
    settle(page)
    expect(
        page.get_by_text(re.compile("^Heads, block 1 .4 heads.*the matched cells are marked")).first
    ).to_be_attached()
    expect(chart(page, "^The permutation as rings|^Mean cosine")).to_be_visible()
    page.reload()  # the link holds what was clicked
    settle(page)
    expect(page.get_by_text(re.compile("^Heads, block 1")).first).to_be_attached()

    with page.expect_download() as waiting:
        page.get_by_role("button", name="Matrix").click()
    waiting.value.save_as(tmp_path / "matrix.csv")
    assert len((tmp_path / "matrix.csv").read_text().splitlines()) == 5


def test_accessibility_and_a_phone(server, visit):
    page = visit(server + "/alignment?space=heads")  # whose result came with the app
    require_opened(page, "alignment")
    expect(page.get_by_text("The alignment is stored")).to_be_visible()
    expect(chart(page, "^Linear CKA of every layer")).to_be_visible()
    page.get_by_text("Numbers", exact=True).click()
    settle(page)
    require_accessible(page)
    require_narrow(page)
