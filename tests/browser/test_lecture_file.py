"""The lecture as one file, opened from disk in a browser without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from lmc_core.lecture.deck import lecture_html
from lmc_core.lecture.steps import STEPS
from tests.browser.conftest import PAGE_LIMIT
from tests.browser.lecture_slides import begin, controls

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
WINDOWS = {
    "a laptop": {"width": 1280, "height": 800},
    "a projector": {"width": 1920, "height": 1080},
    "a phone": {"width": 390, "height": 844},
}
# letters that touch, or leave the picture
CLASHES = """() => {
  const svg = document.querySelector(".figure svg"), around = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll("text")].filter((each) => each.textContent.trim());
  const boxes = texts.map((each) => [each.textContent, each.getBoundingClientRect()]);
  const found = [];
  boxes.forEach(([one, a], k) => {
    if (a.left < around.left - 2 || a.right > around.right + 2 || a.bottom > around.bottom + 2) found.push(one + " leaves");
    for (const [other, b] of boxes.slice(k + 1)) {
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 2 && high > 0.3 * Math.min(a.height, b.height)) found.push(`${one} on ${other}`);
    }
  });
  return found;
}"""
SCROLLED = """() => [document.documentElement.scrollHeight - innerHeight,
  document.documentElement.scrollWidth - innerWidth]"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lecture") / "lecture.html"
    path.write_text(lecture_html(), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: Browser, file: Path) -> Iterator[Callable[..., Page]]:
    """Open the file at an address in a context without a network; nothing may be asked for, and
    nothing may be complained of.
    """
    contexts, requests, complaints = [], [], []

    def open_file(hash: str = "", window: str = "a laptop", **more: str) -> Page:
        context = browser.new_context(viewport=WINDOWS[window], offline=True, **more)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(file.as_uri() + hash)
        return page

    yield open_file
    asked = [url for url in requests if not url.startswith(("file:", "data:", "blob:", "about:"))]
    for context in contexts:
        context.close()
    assert asked == [] and complaints == []


def still(page: Page) -> None:
    """Wait until nothing moves."""
    expect(page.locator(".lecture:not([data-moving])")).to_be_visible()


def turn(page: Page, key: str = "PageDown") -> None:
    page.keyboard.press(key)
    still(page)


@pytest.mark.parametrize("window", WINDOWS)
def test_a_clicker_leads_through_every_slide(window, opened):
    page = opened(window=window, reduced_motion="reduce")
    for number, step in enumerate(STEPS, 1):
        for place in range(len(step.acts) + 1):
            expect(page.get_by_role("heading", level=1)).to_have_text(step.question)
            said = page.locator(".answer").inner_text()
            assert bool(said) == bool(place)
            assert ("?" in page.locator(".value").all_inner_texts()) == (not place)
            assert f"step={number}" in page.url and (f"answer={place}" in page.url) == bool(place)
            assert page.evaluate(CLASHES) == [], (step.key, place)
            high, wide = page.evaluate(SCROLLED)
            assert wide <= 0 and (window == "a phone" or high <= 0), (step.key, place)
            turn(page)
    expect(page.get_by_role("button", name="The end")).to_be_disabled()
    for step in reversed(STEPS):
        for _ in range(len(step.acts) + 1):
            expect(page.get_by_role("heading", level=1)).to_have_text(step.question)
            turn(page, "PageUp")
    expect(page.get_by_role("button", name="Back")).to_be_disabled()


def performed(page: Page, name: str, attribute: str) -> list[str]:
    """What an element of the picture was in each frame, from a press of next until nothing moves."""
    return page.evaluate(
        """([name, attribute]) => new Promise((resolve) => {
          const seen = [], lecture = document.querySelector(".lecture");
          const look = () => {
            seen.push(document.querySelector(`[data-name="${name}"]`).getAttribute(attribute));
            if (lecture.dataset.moving) requestAnimationFrame(look); else resolve(seen);
          };
          lecture.dispatchEvent(new KeyboardEvent("keydown", { key: "PageDown", bubbles: true }));
          requestAnimationFrame(look);
        })""",
        [name, attribute],
    )


def stands(page: Page, name: str, axis: str) -> float:
    """Where an image of the picture stands."""
    return float(page.locator(f"[data-name='{name}']").get_attribute(axis) or "nan")


def test_next_alone_performs_and_then_breaks_the_function(opened):
    page = opened()
    begins, goal = stands(page, "row 2", "y"), stands(page, "row 7", "y")
    seen = [float(each) for each in performed(page, "row 2", "y")]
    tenth = 0.1 * (goal - begins)
    assert any(begins + tenth < each < goal - tenth for each in seen)  # it is seen on its way
    assert seen[-1] == pytest.approx(goal, abs=0.2)
    assert stands(page, "column 7", "x") < stands(page, "column 2", "x")
    assert "10\u207b\u00b9" in page.locator(".value").inner_text()
    turn(page)
    assert page.locator(".value").inner_text().endswith("%")
    # the columns went back, the rows stayed
    assert stands(page, "row 7", "y") == pytest.approx(begins, abs=0.2)
    assert stands(page, "column 2", "x") < stands(page, "column 7", "x")


@pytest.mark.parametrize(
    ("step", "name", "attribute"),
    [(3, "filters", "href"), (4, "head 0", "x"), (5, "queries", "d"), (9, "expert 0", "y")],
)
def test_every_symmetry_is_seen_to_move(step, name, attribute, opened):
    page = opened(f"#step={step}")
    # how it began, how it ends, and something between
    assert len(set(performed(page, name, attribute))) > 2


def test_where_motion_is_not_wanted_the_end_is_shown_at_once(opened):
    page = opened(reduced_motion="reduce")
    page.keyboard.press("PageDown")
    assert page.evaluate("document.querySelector('.lecture').dataset.moving") is None
    assert "rows=1" in page.url and "10\u207b\u00b9" in page.locator(".value").inner_text()


def test_an_answer_that_a_link_leads_to_is_performed_unless_it_says_how_it_stands(opened):
    page = opened("#step=4&answer=1")
    still(page)
    assert "exchange=1" in page.url
    page = opened("#step=3&answer=1&angle=40&follow=0")
    still(page)
    assert "angle=40" in page.url and page.locator(".value").last.inner_text().endswith("%")


def test_keys_turn_slides_whatever_was_touched(opened):
    page = opened("#step=3&answer=1&angle=30", reduced_motion="reduce")
    slider = page.get_by_role("slider")
    box = slider.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + box["height"] / 2)
    assert "angle=90" in page.url
    turn(page, "ArrowLeft")
    assert "answer" not in page.url and "step=3" in page.url
    page.get_by_text("Reading weights follow").click()
    for key, place in (("Space", 1), ("ArrowRight", 2), ("Shift+Space", 1), ("PageUp", 0)):
        turn(page, key)
        assert (f"answer={place}" in page.url) == bool(place), key
    slider.focus()  # also one that was reached with Tab
    turn(page, "ArrowRight")
    assert "answer=1" in page.url
    turn(page, "ArrowDown")  # which alone moves it
    assert "answer=1" in page.url and "angle=80" in page.url
    page.get_by_role("switch").focus()
    turn(page, "Enter")
    assert "follow=0" in page.url and "answer=1" in page.url
    turn(page, "End")
    assert f"step={len(STEPS)}" in page.url
    turn(page, "Home")
    assert "step=1" in page.url


def test_keys_are_shown_and_full_screen_fills(opened):
    page = opened()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    expect(page.get_by_text("presenter's window")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    page.keyboard.press("f")
    expect(page.locator(".lecture:fullscreen")).to_be_visible()
    page.keyboard.press("f")
    expect(page.locator(".lecture:not(:fullscreen)")).to_be_visible()
    page.keyboard.press("n")
    expect(page.get_by_text(STEPS[0].notes[:40])).to_be_visible()
    assert "notes=1" in page.url and max(page.evaluate(SCROLLED)) <= 0


def test_the_presenter_follows_and_leads(opened):
    page = opened(reduced_motion="reduce")
    with page.expect_popup() as found:
        page.keyboard.press("p")
    presenter = found.value
    expect(presenter.locator(".notes")).to_have_text(STEPS[0].notes)
    expect(presenter.locator(".next h1")).to_contain_text("Their outgoing weights")
    expect(presenter.locator(".clock")).not_to_be_empty()
    for _ in range(3):
        turn(page)
    expect(presenter.locator(".question")).to_have_text(STEPS[1].question)
    expect(presenter.locator(".notes")).to_have_text(STEPS[1].notes)
    presenter.keyboard.press("ArrowRight")
    still(page)
    assert "step=2" in page.url and "answer=1" in page.url
    presenter.get_by_role("button", name="Back").click()
    still(page)
    assert "answer" not in page.url


def test_numbers_behind_the_picture(opened):
    page = opened("#step=8")
    page.get_by_role("button", name="Numbers").click()
    dialog = page.get_by_role("dialog", name="Numbers")
    expect(dialog.get_by_role("row")).to_have_count(8)
    with page.expect_download() as download:
        dialog.get_by_role("link", name="CSV").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert text.startswith("switched on,") and len(text.splitlines()) == 8


def swipe(page: Page, start: int, end: int) -> None:
    """Draw a finger over the question, between two places from the left."""
    page.evaluate(
        """([start, end]) => {
          const target = document.querySelector("h1");
          const touch = (clientX) => new Touch({ identifier: 1, target, clientX, clientY: 50 });
          const fire = (name, touches, changedTouches) =>
            target.dispatchEvent(new TouchEvent(name, { bubbles: true, touches, changedTouches }));
          fire("touchstart", [touch(start)], [touch(start)]);
          fire("touchend", [], [touch(end)]);
        }""",
        [start, end],
    )


def test_touch(opened):
    page = opened("#step=8&answer=1&units=1", window="a phone", reduced_motion="reduce")
    page.get_by_text("rotated", exact=True).click()
    assert "residual=orthogonal" in page.url
    assert page.locator(".value").inner_text() != "100.0%"
    page.get_by_text("Heads", exact=True).click()
    assert "heads=1" in page.url
    swipe(page, 300, 60)
    still(page)
    assert "answer=2" in page.url and page.evaluate("scrollY") < 40  # the picture is seen again
    swipe(page, 60, 300)
    assert "answer=1" in page.url
    swipe(page, 200, 230)  # no more than a tap
    assert "answer=1" in page.url


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_load_of_a_slide_shows_what_its_address_says(opened):
    page = opened(reduced_motion="reduce", window="a projector")
    address, wrong = page.url.split("#")[0], []
    for load in range(8):
        for number, step in enumerate(STEPS, 1):
            page.goto(f"{address}?load={load}.{number}#step={number}")
            question = page.get_by_role("heading", level=1)
            expect(question).to_have_text(step.question, timeout=PAGE_LIMIT)
            if controls(page) != begin(number):
                wrong.append((load, number, controls(page)))
    assert wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility_and_type(scheme, opened):
    page = opened(color_scheme=scheme, reduced_motion="reduce")
    for step in range(1, len(STEPS) + 1):
        page.goto(page.url.split("#")[0] + f"#step={step}&answer=2&notes=1")
        still(page)
        found = Axe().run(page).response["violations"]
        assert [
            (each["id"], [node["html"][:120] for node in each["nodes"]]) for each in found
        ] == []
    for font in ("600 40px 'Source Serif 4'", "400 16px 'IBM Plex Sans'"):
        assert page.evaluate(f'document.fonts.check("{font}")')
    ground = page.evaluate("getComputedStyle(document.querySelector('.lecture')).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(17, 23, 29)")
    page.get_by_role("button", name="Light or dark").click()
    assert ground != page.evaluate(
        "getComputedStyle(document.querySelector('.lecture')).backgroundColor"
    )
