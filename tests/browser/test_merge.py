"""The way through the page Merge in a real browser: run, look, move the weights, keep a model."""

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
        not {f"vit-fashion-s{k}" for k in range(3)} <= zoo().keys(),
        reason="the zoo's models are not there",
    ),
]

MODELS = "&".join(f"models=vit-fashion-s{k}" for k in range(3))
SMALL = f"/merge?{MODELS}&frame=none&merge=average&merge=ties&merge=ensemble&examples=50"


def chart(page: Page, name: str):
    return page.get_by_role("figure", name=re.compile(name)).first


def test_run_look_move_and_keep(server, visit):
    page = visit(server + SMALL)
    expect(page.get_by_text("Not computed yet: As they are.")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("The reference frame is stored")).to_be_visible(timeout=180_000)
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
    # a click before that would be lost
    expect(page.get_by_text("Not computed yet: kept-one.")).to_be_visible()
    settle(page)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("an ordinary checkpoint with a card")).to_be_visible(timeout=180_000)


def click_on(page: Page, row: int) -> None:
    """Click on one of the 28 measured points of the triangle, in the order of the grid."""
    triangle = chart(page, "^Loss over the triangle")
    triangle.scroll_into_view_if_needed()
    points = (
        triangle.locator(".scatterlayer .trace")
        .filter(has=page.locator("path.point").nth(27))
        .locator("path.point")
    )
    expect(points).to_have_count(28)
    box = points.nth(row).bounding_box()
    assert box
    place = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*place)
    expect(triangle.locator(".hovertext").first).to_be_visible()
    page.mouse.click(*place)


def test_a_click_on_the_triangle_sets_the_weights(server, visit):
    from lmc_core.paths.simplex import grid

    page = visit(server + SMALL)
    expect(page.get_by_text("The reference frame is stored")).to_be_visible(timeout=180_000)
    settle(page)
    points = [[round(w, 2) for w in row] for row in grid(6).tolist()]
    first, second = points.index([0.5, 0.5, 0.0]), points.index([0.0, 0.0, 1.0])
    cells = (
        page.get_by_role("table").filter(has_text="Nearest measured weights").get_by_role("cell")
    )
    sliders = page.get_by_role("slider", name=re.compile("^Weight of"))

    def shown(row: int) -> str:
        expect(
            page.get_by_role("cell", name=", ".join(f"{w:.2f}" for w in points[row]))
        ).to_be_visible(timeout=60_000)
        for number, value in enumerate(points[row]):
            expect(sliders.nth(number)).to_have_value(f"{value:g}")
        settle(page)
        losses = cells.nth(0).inner_text(), cells.nth(3).inner_text()
        assert losses[0] == losses[1]  # at a measured point nothing is interpolated
        return losses[0]

    click_on(page, first)
    middle = shown(first)
    click_on(page, second)
    assert float(shown(second)) < float(middle)  # a model by itself, after a mean of two
    sliders.nth(0).focus()
    sliders.nth(0).press("End")
    expect(page.get_by_role("cell", name="1.00, 0.00, 0.00")).to_be_visible(timeout=60_000)
    settle(page)
    click_on(page, second)  # where the last click was too
    assert float(shown(second)) < float(middle)


def test_accessibility_and_a_phone(server, visit):
    page = visit(server + "/merge")  # whose results came with the app
    require_opened(page, "merge")
    expect(page.get_by_text("All 4 reference frames are stored")).to_be_visible()
    require_accessible(page)
    require_narrow(page)
