"""From page to page: the models stay, Back undoes a setting, the theme follows, and keys suffice."""

import re

import pytest
from playwright.sync_api import Page, expect

from lmc_core.models.zoo import zoo
from tests.browser.conftest import settle
from tests.browser.test_app import THEMES

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not {"vit-fashion-s0", "vit-fashion-s1"} <= zoo().keys(),
        reason="the zoo's models are not trained yet",
    ),
]

PAIR = "/barrier?a=vit-fashion-s2&b=vit-fashion-s1&examples=50&points=5"
SMALL = "/barrier?a=vit-fashion-s0&b=vit-fashion-s1&examples=50&points=5&with=none"
SIDEBAR = 320  # pixels at the most, of 1280
STOPS = 3  # presses of Tab until Run, at the most
LIGHT, DARK = THEMES["light"], THEMES["dark"]


def go(page: Page, title: str) -> None:
    """Follow a link of the navigation, whose links come before those of the page."""
    page.get_by_role("link", name=title, exact=True).first.click()
    page.wait_for_url(re.compile(r"/(\?|$)" if title == "Start" else f"/{title.lower()}"))
    settle(page)


def focused(page: Page) -> str:
    """The words of the link, button or field that has the focus; none where a part of the page
    has it that can be scrolled.
    """
    return page.evaluate(
        "(each => each.matches('a, button, input') ? (each.innerText || each.ariaLabel || '').trim()"
        " : '')(document.activeElement)"
    )


def test_the_pair_stays_when_the_page_changes(server, visit):
    page = visit(server + PAIR)
    for title in ("Alignment", "Start", "Landscape", "Barrier"):
        go(page, title)
        if title != "Start":
            page.wait_for_url(re.compile("a=vit-fashion-s2&b=vit-fashion-s1"))
    expect(page).to_have_title("Barrier \u00b7 LMC Explorer")


def test_a_reload_of_a_page_without_models_keeps_the_pair(server, visit):
    page = visit(server + PAIR)
    go(page, "Start")
    page.wait_for_url(re.compile("current=vit-fashion-s2"))
    page.reload()
    settle(page)
    go(page, "Alignment")
    page.wait_for_url(re.compile("a=vit-fashion-s2&b=vit-fashion-s1"))


def test_back_undoes_a_setting_and_forward_does_it_again(server, visit):
    page = visit(server + SMALL)
    symmetries = page.get_by_role("radiogroup", name="Symmetries that may be used")
    symmetries.get_by_text("Permutations").click()
    page.wait_for_url(re.compile("query-key=none"))
    settle(page)
    page.go_back()
    page.wait_for_url(re.compile("query-key=invertible"))
    settle(page)
    expect(symmetries.get_by_role("radio", name="All")).to_be_checked()
    page.go_forward()
    page.wait_for_url(re.compile("query-key=none"))
    settle(page)
    expect(symmetries.get_by_role("radio", name="Permutations")).to_be_checked()
    for pause in (0, 20, 40, 80):  # milliseconds; the run of Back is interrupted by that of Forward
        page.go_back()
        page.wait_for_url(re.compile("query-key=invertible"))
        page.wait_for_timeout(pause)
        page.go_forward()
        page.wait_for_url(re.compile("query-key=none"))
        settle(page)
        expect(symmetries.get_by_role("radio", name="Permutations")).to_be_checked()


def test_the_sidebar_is_narrow_and_run_is_reached_by_few_keys(server, guarded, visit):
    guarded.set_viewport_size({"width": 1280, "height": 800})
    page = visit(server + SMALL.replace("points=5", "points=11"))
    box = page.get_by_test_id("stSidebar").bounding_box()
    assert box and box["width"] <= SIDEBAR
    page.mouse.move(900, 400)  # over the sidebar, a pointer shows one more button
    said = []
    for _ in range(STOPS):
        page.keyboard.press("Tab")
        said.append(focused(page))
    assert said[-1].startswith("Run"), said


def test_figures_follow_the_theme_of_the_system_at_once(server, guarded, visit):
    guarded.emulate_media(color_scheme="light")
    page = visit(server)
    ground = page.locator(".js-plotly-plot .main-svg").first
    app = page.get_by_test_id("stApp")
    for scheme, colour in (("dark", DARK), ("light", LIGHT)):
        guarded.emulate_media(color_scheme=scheme)
        expect(app).to_have_css("background-color", colour)
        expect(ground).to_have_css("background-color", colour, timeout=10_000)


def test_the_theme_can_be_chosen(server, guarded, visit):
    guarded.emulate_media(color_scheme="light")
    page = visit(server)
    page.get_by_test_id("stMainMenu").get_by_role("button").click()
    page.get_by_role("menuitemradio", name="Dark").click()
    expect(page.get_by_test_id("stApp")).to_have_css("background-color", DARK)
    ground = page.locator(".js-plotly-plot .main-svg").first
    expect(ground).to_have_css("background-color", DARK, timeout=10_000)


def test_keys_alone_lead_from_the_start_to_a_downloaded_barrier(server, visit):
    page = visit(server)

    def reach(words: str, most: int = 120) -> None:
        for _ in range(most):
            page.keyboard.press("Tab")
            if words in focused(page):
                return
        raise AssertionError(f"{words} is not reached by {most} presses of Tab")

    reach("Measure a barrier")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/barrier"))
    settle(page)
    expect(page.get_by_text("curves are stored")).to_be_visible()
    reach("CSV")
    with page.expect_download() as taken:
        page.keyboard.press("Enter")
    assert taken.value.suggested_filename.endswith(".csv")
