import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from lmc_core.lecture.steps import STEPS
from lmc_core.models.zoo import zoo
from tests.browser.conftest import PAGE_LIMIT, settle

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        "vit-fashion-narrow-s0" not in zoo(), reason="the zoo's models are not trained yet"
    ),
]
WINDOWS = {
    "a laptop": {"width": 1280, "height": 800},
    "a projector": {"width": 1920, "height": 1080},
}


def at_place(page: Page, step: int, answered: bool) -> None:
    """Wait until a step is drawn, as a question or with its answer."""
    expect(page.get_by_role("heading", level=1)).to_have_text(
        STEPS[step].question, timeout=PAGE_LIMIT
    )
    page.wait_for_url(
        re.compile(rf"step={step + 1}(?!\d)" + ("&answer=1" if answered else r"(?!.*answer)"))
    )
    settle(page)


def scrolled(page: Page) -> list[int]:
    """By how many pixels the page is higher, and wider, than the window."""
    return page.evaluate(
        """() => {
        const main = document.querySelector("[data-testid=stMain]"), all = document.documentElement;
        return [main.scrollHeight - main.clientHeight, all.scrollHeight - innerHeight, all.scrollWidth - innerWidth];
        }"""
    )


def test_keys_lead_through_the_lecture(server, guarded, visit):
    page = visit(server + "/lecture?step=3")
    page.keyboard.press("ArrowRight")
    at_place(page, 2, True)
    page.keyboard.press("ArrowRight")
    at_place(page, 3, False)
    page.keyboard.press("ArrowLeft")
    at_place(page, 2, True)
    page.keyboard.press("PageUp")  # what the buttons of a pointer send
    at_place(page, 2, False)
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("ArrowRight")  # a slider that has the focus takes the arrows
    page.wait_for_url(re.compile("angle=10"))
    at_place(page, 2, False)
    box = page.locator("[data-testid=stSlider]").bounding_box()
    assert box is not None
    # one that was touched gives them back
    page.mouse.click(box["x"] + 0.5 * box["width"], slider.bounding_box()["y"] + 4)
    page.wait_for_url(re.compile("angle=90"))
    settle(page)
    page.keyboard.press("ArrowRight")
    at_place(page, 2, True)
    page.keyboard.press("PageDown")
    at_place(page, 3, False)
    page.reload()
    at_place(page, 3, False)


@pytest.mark.parametrize("window", WINDOWS)
def test_nothing_has_to_be_scrolled(window, server, guarded, visit):
    guarded.set_viewport_size(WINDOWS[window])
    page = visit(server + "/lecture")
    heights = set()
    for step in range(len(STEPS)):
        for answered in (False, True):
            at_place(page, step, answered)
            expect(page.locator("[data-testid=stPlotlyChart] .main-svg").first).to_be_visible()
            assert max(scrolled(page)) <= 0, (STEPS[step].key, answered)
            heights.add(round(page.locator("[data-testid=stPlotlyChart]").bounding_box()["height"]))
            if (step, answered) != (len(STEPS) - 1, True):
                page.keyboard.press("ArrowRight")
    assert len(heights) == 1  # the picture keeps its place
    assert heights.pop() > 0.5 * WINDOWS[window]["height"]
    page.get_by_text("Notes", exact=True).click()
    expect(page.get_by_text(STEPS[-1].notes[:40])).to_be_visible()
    settle(page)
    assert max(scrolled(page)) <= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(scheme, server, guarded, visit):
    guarded.emulate_media(color_scheme=scheme)
    for step in (1, 6, 8, 9, 11):
        page = visit(f"{server}/lecture?step={step}&answer=1&notes=1")
        at_place(page, step - 1, True)
        found = Axe().run(page).response["violations"]
        assert [
            f"{each['id']}: {[node['html'][:120] for node in each['nodes']][:3]}" for each in found
        ] == []
        fonts = page.evaluate(
            "document.fonts.ready.then(() => document.fonts.check('600 40px \"Source Serif 4\"'))"
        )
        assert fonts
