import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import require_narrow, settle
from tests.browser.test_app import require_accessible, require_opened

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

# a little shorter than the lesson, seed and data its own
LESSON = "/equivariance?preset=rings&steps=400"
STORED = "All 3 networks are stored"


def test_a_lesson_is_trained_watched_and_looked_at(server, visit, tmp_path):
    page = visit(server + LESSON)
    expect(
        page.get_by_text("Not computed yet: Equality, c = 0, Equality, c = 0.5, Equality, c = 2.")
    ).to_be_visible()
    chart = page.get_by_test_id("stPlotlyChart").first
    expect(chart).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("progressbar")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("heading", name="Training")).to_be_visible(timeout=60_000)
    looked_at = page.get_by_role("combobox", name="Network that is looked at")
    expect(looked_at).to_have_value("The one that is being trained", timeout=60_000)
    growing = page.get_by_role("figure", name=re.compile("^Lines of the constraint by layer"))
    expect(growing.first).to_be_visible(timeout=120_000)
    expect(page.get_by_text(STORED)).to_be_visible(timeout=240_000)
    settle(page)
    expect(page.get_by_role("radio", name="Moved copies")).to_be_visible()
    page.get_by_role("radio", name="One input").click()
    expect(page.get_by_role("heading", name="One input in all positions")).to_be_visible()
    page.get_by_role("radio", name="Moved copies").click()
    expect(page.get_by_text("The projection is the uniform merge of all copies")).to_be_visible()
    page.wait_for_function("location.search.includes('view=copies')")
    assert re.search(r"run=[0-9a-f]{8}", page.url)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Network", exact=True).click()
    waiting.value.save_as(tmp_path / "network.safetensors")
    from safetensors.numpy import load_file

    assert load_file(tmp_path / "network.safetensors")["first.weight"].shape == (64, 64)
    again = visit(page.url)
    expect(again.get_by_role("heading", name="A merge of moved copies")).to_be_visible()


def test_a_lesson_sets_the_controls(server, visit):
    page = visit(server + "/equivariance")
    page.get_by_role("combobox", name="Lesson", exact=True).click()
    page.get_by_role("option", name="The best price is in between").click()
    expect(
        page.get_by_text("A finite price ρ of asymmetry has a lower held-out loss")
    ).to_be_visible()
    page.wait_for_function("location.search.includes('preset=price')")
    assert "kind=broken" in page.url and page.url.count("rho=") == 5


def test_accessibility_and_a_phone(server, visit):
    page = visit(server + "/equivariance")  # whose networks came with the app
    require_opened(page, "equivariance")
    expect(page.get_by_text("All 4 networks are stored")).to_be_visible(timeout=60_000)
    require_accessible(page)
    for section in ("Way to the projection", "Price of symmetry", "One input", "Moved copies"):
        page.get_by_role("radio", name=section).click()
        settle(page)
    page.get_by_text("Numbers", exact=True).click()
    require_accessible(page)
    require_narrow(page)
