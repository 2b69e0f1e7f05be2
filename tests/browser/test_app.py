import json
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from lmc_core.models.zoo import zoo
from lmc_core.ui.pages import PAGES
from tests.browser.conftest import PAGE_LIMIT, settle

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not {"vit-fashion-s0", "vit-fashion-s1"} <= zoo().keys(),
        reason="the zoo's models are not trained yet",
    ),
]

SMALL = "/barrier?a=vit-fashion-s0&b=vit-fashion-s1&examples=50&points=5"
SHIPPED = "/barrier?a=vit-fashion-s0&b=vit-fashion-s1"  # whose results came with the app
LARGE = (
    "/barrier?a=vit-fashion-s0&b=vit-fashion-s1&examples=all&points=51&split=validation&with=none"
)
# pages whose own test of accessibility opens them by a deep link
WITH_AXE = {
    "start", "barrier", "alignment", "landscape", "merge", "experts", "widths", "equivariance"
}  # fmt: skip
THEMES = {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 23, 29)"}  # and their grounds
HEADINGS = {
    "start": "How far apart are two trained transformers?",
    "barrier": "Loss barrier",
    "models": "Models",
}


# nothing is pale because it waits to be drawn again, no help floats above what the pointer passed,
# and no colour is on its way to another
STILL = """() => !document.querySelector('[data-stale=true]')
    && !document.querySelector('#stFloatingOverlayPortal')?.textContent
    && document.getAnimations().every(each => each.playState !== 'running'
        || each.effect.getComputedTiming().iterations === Infinity)"""


def violations(page: Page) -> list[str]:
    """What axe finds on a page that has come to rest, of the app or from a file."""
    if page.get_by_test_id("stApp").count():
        settle(page)
    size = page.viewport_size
    assert size
    page.mouse.move(1, size["height"] - 1)  # off everything that says something to a pointer
    page.wait_for_function(STILL, timeout=PAGE_LIMIT)
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {[node['html'][:120] for node in each['nodes']][:3]}" for each in found]


def require_accessible(page: Page) -> None:
    """Axe finds nothing on a page of the app, in light and in dark."""
    for scheme, ground in THEMES.items():
        page.emulate_media(color_scheme=scheme)
        expect(page.get_by_test_id("stApp")).to_have_css("background-color", ground)
        assert (scheme, violations(page)) == (scheme, [])


def run(page: Page) -> None:
    """Press Run and wait until the page that shows the run is drawn: nobody clicks on it while it
    is being drawn.
    """
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    settle(page)


def require_whole(page: Page, name: str) -> None:
    """A page is there with its heading, the navigation and the fonts."""
    expect(page.get_by_role("heading", level=1)).to_contain_text(HEADINGS.get(name, ""))
    assert not page.get_by_text("This page stopped at something").count()
    navigation = page.get_by_test_id("stTopNav")
    expect(navigation.get_by_role("link", name="Barrier", exact=True)).to_be_visible()
    fonts = page.evaluate(
        "document.fonts.ready.then(() => document.fonts.check('16px \"IBM Plex Sans\"'))"
    )
    assert fonts


# names, shown and whole, that do not fit where they are
CUT = """all => all.filter(each => each.clientWidth && each.scrollWidth > each.clientWidth)
    .map(each => each.value || each.textContent)"""


def require_readable(page: Page) -> None:
    """Nothing is cut off in the lists of the sidebar, whether they are closed or open."""
    lists = page.get_by_test_id("stSidebar").get_by_test_id("stSelectbox").locator("input")
    assert lists.evaluate_all(CUT) == []
    for each in lists.all():
        if each.is_visible():
            each.click()
            expect(page.get_by_role("option").first).to_be_visible()
            assert page.get_by_role("option").locator("*").evaluate_all(CUT) == []
            each.press("Escape")
            expect(page.get_by_role("option")).to_have_count(0)


def require_opened(page: Page, name: str) -> None:
    """A page that a deep link opened is there as a whole, with its title, and can be read."""
    require_whole(page, name)
    require_readable(page)
    if name != "start":
        expect(page).to_have_title(f"{PAGES[name].title} \u00b7 LMC Explorer")


@pytest.mark.parametrize("name", [name for name in PAGES if name not in WITH_AXE])
def test_every_page_opens_by_a_deep_link(name, server, visit):
    """Those that are opened for axe are looked at there, which saves a load each."""
    require_opened(visit(f"{server}/{name}"), name)


@pytest.mark.parametrize("name", ["barrier", "models"])
def test_a_deep_link_is_the_first_thing_that_a_server_is_asked_for(name, fresh_server, visit):
    """The script of a page must not run without the one that knows all pages."""
    require_whole(visit(f"{fresh_server}/{name}"), name)


def test_the_code_of_charts_comes_once_and_before_it_is_needed(server, visit):
    asked = visit(server).evaluate(
        "performance.getEntriesByType('resource').map(each => [each.name, each.startTime])"
    )
    charts = [start for name, start in asked if "PlotlyChart" in name]
    assert len(charts) == 1
    assert charts[0] < min(start for name, start in asked if name.endswith("/_stcore/health"))


def test_run_reload_and_take_away(server, visit, tmp_path):
    page = visit(server + SMALL)
    expect(page.get_by_text("Not computed yet")).to_be_visible()
    run(page)
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    page.reload()  # the run goes on, and its progress is there again
    settle(page)
    expect(
        page.get_by_text(
            re.compile("more to go|All 3 curves are stored|Permutations only: |All classes: ")
        ).first
    ).to_be_visible()
    expect(page.get_by_text("All 3 curves are stored")).to_be_visible(timeout=120_000)
    settle(page)
    chart = page.get_by_role(
        "figure", name=re.compile("Loss and score between two models. Barriers: Plain average")
    )
    expect(chart.first).to_be_visible()
    expect(page.get_by_text("Function check", exact=True).first).to_be_visible()

    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV").click()
    waiting.value.save_as(tmp_path / "curves.csv")
    assert (tmp_path / "curves.csv").read_text().startswith("setting,model_a")

    with page.expect_download() as waiting:
        page.get_by_role("button", name="HTML").click()
    waiting.value.save_as(tmp_path / "barrier.html")
    opens_offline(page, tmp_path / "barrier.html")


def opens_offline(page: Page, file: Path) -> None:
    """The file shows its figure with the network off, asks nobody, and holds its data."""
    alone = page.context.browser.new_context(offline=True)
    sheet = alone.new_page()
    asked: list[str] = []
    sheet.on("request", lambda request: asked.append(request.url))
    sheet.goto(file.as_uri())
    expect(sheet.locator(".main-svg").first).to_be_visible()
    expect(sheet.get_by_text("Plain average").first).to_be_visible()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert len(json.loads(sheet.locator("#results").text_content() or "")) == 3
    titles = sheet.locator(".modebar-btn").evaluate_all(
        "all => all.map(each => each.dataset.title || '')"
    )
    assert titles and not [
        title for title in titles if re.search("share|cloud|edit", title, re.IGNORECASE)
    ]
    alone.close()


def test_results_in_the_store_appear_at_once_and_the_address_holds_the_state(server, visit):
    page = visit(server + SHIPPED)
    expect(page.get_by_text("All 3 curves are stored")).to_be_visible()
    page.get_by_text("More settings").click()
    page.wait_for_function(STILL)  # it opens for half a second, and what it holds moves
    page.get_by_role("button", name="Remove Permutations only from the figure").click()
    expect(page.get_by_text("All 2 curves are stored")).to_be_visible()
    page.wait_for_url(re.compile("with=none"))
    settle(visit(page.url))
    expect(page.get_by_text("All 2 curves are stored")).to_be_visible()


def test_a_link_of_the_start_page_wins_over_what_was_chosen_before(server, visit):
    page = visit(server + SMALL)
    page.get_by_role("link", name="Start", exact=True).click()
    page.get_by_role("link", name=re.compile("Open or compute again")).click()
    page.wait_for_url(re.compile("/barrier.*method=learned"))
    settle(page)
    expect(page.get_by_text("All 4 curves are stored")).to_be_visible()
    expect(page.get_by_role("combobox", name="Method")).to_have_value("Learned")


def test_cancel(server, visit):
    page = visit(server + LARGE)
    run(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled. Still to compute")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_visible()


def test_nothing_jumps_while_running(server, visit):
    page = visit(server + SMALL.replace("points=5", "points=11"))
    figure = page.locator("[data-testid=stPlotlyChart]").first
    before = figure.bounding_box()
    run(page)
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(figure).to_be_visible()  # it is put up anew where it was
    during = figure.bounding_box()
    expect(page.get_by_text("All 3 curves are stored")).to_be_visible(timeout=120_000)
    settle(page)
    after = figure.bounding_box()
    assert before and during and after
    assert before["y"] == during["y"] == after["y"] and before["height"] == after["height"]


@pytest.mark.parametrize(("name", "path"), [("start", "/"), ("barrier", SHIPPED)])
def test_accessibility(name, path, server, visit):
    page = visit(server + path)
    require_opened(page, name)
    if name == "barrier":
        expect(page.get_by_text("All 3 curves are stored")).to_be_visible()
        page.get_by_text("Objective of the matching").click()
        expect(
            page.get_by_role("figure", name=re.compile("^Objective of All classes")).first
        ).to_be_visible()
    require_accessible(page)


def test_a_phone_from_the_start(server, guarded, visit):
    guarded.set_viewport_size({"width": 390, "height": 800})
    page = visit(server + SHIPPED)
    expect(page.get_by_text("All 3 curves are stored")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_key_enlarges_all_type_on_every_page(visit, server):
    """The projector mode stays on over pages; in a field the key is a letter."""
    page = visit(server)
    before = page.locator("h1").bounding_box()["height"]
    page.keyboard.press("z")
    page.wait_for_function("document.documentElement.style.zoom === '1.4'")
    assert page.locator("h1").bounding_box()["height"] > 1.2 * before
    page = visit(f"{server}/studies")
    page.wait_for_function("document.documentElement.style.zoom === '1.4'")
    page.get_by_role("textbox", name="Search").press("z")
    assert page.evaluate("document.documentElement.style.zoom") == "1.4"
    page.locator("h1").click()
    page.keyboard.press("z")
    page.wait_for_function("document.documentElement.style.zoom === ''")
