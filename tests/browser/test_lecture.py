"""The page of the lecture; what its player does is tested on the file (test_lecture_file.py)."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from lmc_core.lecture.deck import lecture_html
from lmc_core.lecture.steps import STEPS
from tests.browser.conftest import PAGE_LIMIT, settle
from tests.browser.lecture_slides import begin, controls

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
WINDOWS = {
    "a laptop": {"width": 1280, "height": 800},
    "a projector": {"width": 1920, "height": 1080},
}
LOADS = 20  # of the slides that were wrong; of the others one


def at_place(page: Page, step: int, place: int) -> None:
    """Wait until a step is shown at a place, and nothing moves."""
    expect(page.get_by_role("heading", level=1)).to_have_text(
        STEPS[step].question, timeout=PAGE_LIMIT
    )
    answer = f"&answer={place}" if place else r"(?!.*answer)"
    page.wait_for_url(re.compile(rf"step={step + 1}(?!\d){answer}"))
    expect(page.locator(".lecture:not([data-moving])")).to_be_visible()


def scrolled(page: Page) -> list[int]:
    """By how many pixels the page is higher, and wider, than the window."""
    return page.evaluate(
        """() => {
        const main = document.querySelector("[data-testid=stMain]"), all = document.documentElement;
        return [main.scrollHeight - main.clientHeight, all.scrollHeight - innerHeight, all.scrollWidth - innerWidth];
        }"""
    )


def test_keys_lead_through_the_lecture_and_the_address_follows(server, guarded, visit):
    guarded.emulate_media(reduced_motion="reduce")
    page = visit(server + "/lecture?step=3")
    at_place(page, 2, 0)
    for key, step, place in (
        ("ArrowRight", 2, 1), ("Space", 2, 2), ("PageDown", 3, 0), ("ArrowLeft", 2, 2), ("PageUp", 2, 1),
    ):  # fmt: skip
        page.keyboard.press(key)
        at_place(page, step, place)
    page.get_by_text("Reading weights follow").click()
    page.wait_for_url(re.compile("follow=0"))
    page.keyboard.press("ArrowRight")  # also after a switch was touched
    at_place(page, 2, 2)
    page.reload()
    settle(page)
    at_place(page, 2, 2)
    assert controls(page) == {"angle": "90\u00b0", "follow": "0"}


def test_the_answer_performs(server, guarded, visit):
    page = visit(server + "/lecture?step=4")
    at_place(page, 3, 0)
    before = page.locator("[data-name='head 0']").get_attribute("x")
    page.keyboard.press("PageDown")
    page.wait_for_selector(".lecture[data-moving]")
    at_place(page, 3, 1)
    assert page.locator("[data-name='head 0']").get_attribute("x") != before
    assert "10\u207b\u00b9" in page.locator(".value").inner_text()


def test_the_presenter_finds_the_audience_again(server, guarded, visit):
    guarded.emulate_media(reduced_motion="reduce")
    page = visit(server + "/lecture?step=2")
    at_place(page, 1, 0)
    with page.expect_popup() as found:
        page.keyboard.press("p")
    presenter = found.value
    expect(presenter.locator(".notes")).to_have_text(STEPS[1].notes)
    presenter.evaluate("began = Date.now() - 754_000")
    for _ in range(2):
        page.reload()
        settle(page)
        at_place(page, 1, 0)
        expect(presenter.locator(".notes")).to_have_text(STEPS[1].notes)
    expect(presenter.locator(".elapsed")).to_contain_text("12:")
    page.keyboard.press("PageDown")
    at_place(page, 1, 1)
    words = STEPS[1].acts[0].words.partition("{")[0]
    expect(presenter.locator(".said")).to_contain_text(words)
    presenter.keyboard.press("ArrowLeft")  # one step for one press, whoever has listened before
    at_place(page, 1, 0)
    presenter.keyboard.press("ArrowLeft")
    at_place(page, 0, len(STEPS[0].acts))
    page.get_by_role("link", name="Start", exact=True).click()
    expect(presenter.locator(".notes")).to_contain_text("press p there")
    page.go_back()  # the same page, a new lecture
    at_place(page, 0, len(STEPS[0].acts))
    expect(presenter.locator(".notes")).to_have_text(STEPS[0].notes)


@pytest.mark.parametrize("window", WINDOWS)
def test_nothing_has_to_be_scrolled(window, server, guarded, visit):
    guarded.set_viewport_size(WINDOWS[window])
    guarded.emulate_media(reduced_motion="reduce")
    page = visit(server + "/lecture")
    heights = set()
    for step, each in enumerate(STEPS):
        for place in range(len(each.acts) + 1):
            at_place(page, step, place)
            assert max(scrolled(page)) <= 0, (each.key, place)
            heights.add(round(page.locator(".figure svg").bounding_box()["height"]))
            page.keyboard.press("ArrowRight")
    assert max(heights) - min(heights) <= 60  # an answer of three lines takes one from the picture
    assert min(heights) > 0.45 * WINDOWS[window]["height"]
    page.keyboard.press("n")
    expect(page.get_by_text(STEPS[-1].notes[:40])).to_be_visible()
    assert max(scrolled(page)) <= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(scheme, server, guarded, visit):
    guarded.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    for step in (1, 8, 11):
        page = visit(f"{server}/lecture?step={step}&answer=1&notes=1")
        at_place(page, step - 1, 1)
        found = Axe().run(page).response["violations"]
        assert [
            f"{each['id']}: {[node['html'][:120] for node in each['nodes']][:3]}" for each in found
        ] == []
    assert page.evaluate("document.fonts.check('600 40px \"Source Serif 4\"')")


def test_the_theme_changes_and_the_lecture_stays_where_it_is(server, guarded, visit):
    guarded.emulate_media(color_scheme="light", reduced_motion="reduce")
    page = visit(server + "/lecture?step=2")
    page.keyboard.press("ArrowRight")
    at_place(page, 1, 1)
    guarded.emulate_media(color_scheme="dark")
    expect(page.locator(".lecture")).to_have_css("background-color", "rgb(17, 23, 29)")
    at_place(page, 1, 1)


def test_the_whole_lecture_as_a_file(server, visit):
    page = visit(server + "/lecture?step=5")
    at_place(page, 4, 0)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as a file").click()
    assert download.value.suggested_filename == "lecture.html"
    assert Path(download.value.path()).read_text(encoding="utf-8") == lecture_html()
    at_place(page, 4, 0)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_load_of_a_slide_shows_what_its_address_says(server, browser: Browser):
    """A page whose script ran again while it was being read used to show first options in place of
    those of the address, on a seventh to a third of the loads.
    """
    context = browser.new_context(viewport=WINDOWS["a projector"], reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(PAGE_LIMIT)
    wrong = []
    for load in range(LOADS):
        for number in (1, 9) if load else range(1, len(STEPS) + 1):
            page.goto(f"{server}/lecture?step={number}")
            at_place(page, number - 1, 0)
            wanted = begin(number)
            if controls(page) != wanted:
                wrong.append((load, number, controls(page)))
    context.close()
    assert wrong == []
