"""The first figure of Start is seen before the code that draws figures is there, and nothing moves
when that has drawn it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import plotly
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from lmc_core.figures.still_parts import tick_labels
from lmc_core.models.zoo import zoo
from tests.browser.conftest import settle

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not {"vit-fashion-s0", "vit-fashion-s1"} <= zoo().keys(),
        reason="the zoo's models are not trained yet",
    ),
]

PICTURE, CHART = ".st-key-at_once_picture", ".st-key-start_figure"
PHONE = "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36"
SCREENS = {
    "laptop": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "hall": {"viewport": {"width": 1920, "height": 1080}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "user_agent": PHONE, "is_mobile": True},
}
# Words with the place of their middle, from the upper left corner of what they stand in.
WORDS = """root => {
  const from = root.getBoundingClientRect();
  return [...root.querySelectorAll("text")].filter(each => each.textContent.trim()).map(each => {
    const box = each.getBoundingClientRect();
    return [each.textContent, box.x + box.width / 2 - from.x, box.y + box.height / 2 - from.y];
  });
}"""
PLACES = """() => [...document.querySelectorAll(
  "h1, h2, h3, [data-testid=stExpander], .st-key-at_once, [data-testid=stPageLink]"
)].map(each => { const box = each.getBoundingClientRect(); return [box.x, box.y, box.width, box.height]; })"""
NEAR = 1.5  # pixels: Plotly rounds boxes of words to whole ones


class Held:
    """The code that draws charts, kept back until it is released."""

    def __init__(self, page: Page):
        self.waiting: list[Route] | None = []
        page.route("**/PlotlyChart*", self._ask)

    def _ask(self, route: Route) -> None:
        if self.waiting is None:
            route.continue_()
        else:
            self.waiting.append(route)

    def release(self) -> None:
        waiting, self.waiting = self.waiting, None
        for route in waiting or ():
            route.continue_()


@pytest.fixture(params=SCREENS)
def screen(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(**SCREENS[request.param])
    yield context.new_page()
    context.close()


def sorted_words(page: Page, where: str) -> list[list]:
    return sorted(
        page.locator(where).evaluate(WORDS), key=lambda each: [each[0], *map(round, each[1:])]
    )


def test_the_picture_comes_first_and_nothing_moves(server, screen):
    held = Held(screen)
    screen.goto(server)
    expect(screen.locator(f"{PICTURE} svg").first).to_be_visible()
    expect(screen.get_by_text("Running now")).to_be_visible()
    assert screen.locator(".main-svg").count() == 0
    before, seen = screen.evaluate(PLACES), sorted_words(screen, PICTURE)
    violations = Axe().run(screen).response["violations"]
    assert not [each["id"] for each in violations]
    held.release()
    expect(screen.locator(f"{CHART} .main-svg .trace").first).to_be_attached()
    expect(screen.locator(PICTURE)).to_be_hidden()
    assert screen.evaluate(PLACES) == before
    drawn = sorted_words(screen, CHART)
    assert len(seen) == len(drawn) > 20
    for mine, plotly_has in zip(seen, drawn, strict=True):
        assert mine == [plotly_has[0], *(pytest.approx(at, abs=NEAR) for at in plotly_has[1:])]


def test_the_chart_has_the_name_and_the_picture_has_none(server, visit):
    page = visit(server)
    expect(page.get_by_role("figure", name="Loss and score between two models")).to_be_visible()
    assert page.locator(f"{PICTURE} [aria-hidden=true]").count() == 1
    card = page.locator("[class*=st-key-start_study_]").get_by_role("img")
    expect(card.first).to_have_accessible_name(re.compile("Plain average: "))
    assert page.locator("[class*=st-key-start_study_] .js-plotly-plot").count() == 0


def test_the_picture_stays_away_when_the_theme_changes_or_one_comes_back(server, visit):
    page = visit(server)
    page.emulate_media(color_scheme="dark")
    expect(page.locator(f"{CHART} .main-svg").first).to_have_css(
        "background-color", "rgb(17, 23, 29)"
    )
    expect(page.locator(PICTURE)).to_be_hidden()
    page.get_by_role("link", name="Models", exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Models")
    page.get_by_role("link", name="Start", exact=True).first.click()
    settle(page)
    expect(page.locator(f"{CHART} .main-svg .trace").first).to_be_attached()
    expect(page.locator(PICTURE)).to_be_hidden()


RANGES = [(-0.1, 3.7), (0, 1.06), (0.2, 0.31), (0, 12), (0, 60), (0, 30), (-0.3, 0.6), (3, 900)]


def test_ticks_are_those_of_plotly_itself(page: Page):
    """Plotly draws axes of many ranges, and the picture writes the same numbers."""
    page.set_content("<div id='chart'></div>", wait_until="load")
    page.add_script_tag(path=Path(plotly.__file__).parent / "package_data" / "plotly.min.js")
    for limits in RANGES:
        axis = {"range": list(limits), "nticks": 6, "exponentformat": "power"}
        for form in (None, ".0%"):
            axis["tickformat"] = form
            written = page.evaluate(
                """async axis => {
                  const chart = document.getElementById("chart");
                  const layout = {yaxis: axis, width: 600, height: 400};
                  await Plotly.newPlot(chart, [{x: [0], y: [0]}], layout);
                  return [...chart.querySelectorAll(".ytick text")].map(each => each.textContent);
                }""",
                axis,
            )
            assert [text for _, text in tick_labels(axis)] == written
