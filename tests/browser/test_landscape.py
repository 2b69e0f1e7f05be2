import re

import pytest
from playwright.sync_api import expect

from lmc_core.models.zoo import zoo
from tests.browser.conftest import require_narrow, settle
from tests.browser.test_app import require_accessible, require_opened

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        not {"vit-fashion-s0", "vit-fashion-s1"} <= zoo().keys(),
        reason="the zoo's models are not trained yet",
    ),
]

SMALL = "/landscape?resolution=9&examples=100&curves=none&split=validation"


def test_a_map_grows_and_its_point_follows_a_click(server, visit):
    page = visit(server + SMALL)
    expect(page.get_by_text("Not computed yet: Plane.")).to_be_visible(timeout=60_000)
    chart = page.get_by_test_id("stPlotlyChart").first
    before = chart.bounding_box()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("progressbar")).to_be_visible(timeout=60_000)
    expect(
        page.get_by_role("figure", name=re.compile("^Map of the loss on a plane")).first
    ).to_be_visible(timeout=240_000)
    expect(page.get_by_text("The picture is stored")).to_be_visible(timeout=240_000)
    settle(page)
    after = chart.bounding_box()
    # nothing jumped
    assert before and after and (before["y"], before["height"]) == (after["y"], after["height"])
    assert "at=" in page.url
    at = page.url
    plot = chart.locator(".nsewdrag").first.bounding_box()
    assert plot
    place = plot["x"] + 0.9 * plot["width"], plot["y"] + 0.1 * plot["height"]
    page.mouse.move(*place)
    expect(chart.locator(".hovertext").first).to_be_visible(timeout=30_000)
    page.mouse.click(*place)
    page.wait_for_function("before => location.href !== before", arg=at)
    assert re.search(r"at=(0\.\d+|1)%2C(0\.\d+|1)", page.url)
    page.get_by_role("button", name="Surface").or_(
        page.get_by_role("radio", name="Surface")
    ).first.click()
    expect(
        page.get_by_role("figure", name=re.compile("^Surface of the loss on a plane")).first
    ).to_be_visible(timeout=60_000)


def test_the_ring_between_grid_points_is_evaluated_exactly(server, visit):
    page = visit(server + SMALL + "&at=0.3,0.55")
    if page.get_by_text("Not computed yet: Plane.").count():  # by itself, without the test above
        page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("The picture is stored")).to_be_visible(timeout=240_000)
    value = page.get_by_test_id("stMetricValue").first
    expect(value).to_contain_text("\u2248")
    page.get_by_role("button", name="Evaluate exactly here").click()
    expect(page.get_by_text("Evaluated exactly here, on 100 examples.")).to_be_visible(
        timeout=120_000
    )
    expect(value).to_contain_text("\u00b1")
    again = visit(page.url)
    expect(again.get_by_text("Evaluated exactly here, on 100 examples.")).to_be_visible(
        timeout=60_000
    )


def test_accessibility_and_a_phone(server, visit):
    page = visit(server + "/landscape")  # whose pictures came with the app
    require_opened(page, "landscape")
    expect(page.get_by_text("All 2 pictures are stored")).to_be_visible(timeout=60_000)
    page.get_by_text("Numbers", exact=True).click()
    require_accessible(page)
    require_narrow(page)
