"""How quick the app is in a real browser: what a person waits for, in seconds.

    python benchmarks/browser.py                 # prints a table; needs the extra `test` and a chromium
    python benchmarks/browser.py --repeats 9 --curves 40

- first page: from asking for the address of a warm server until the title can be read, the first
  figure can be seen (as a picture at its place, or drawn by Plotly, whichever is first), it answers
  to the pointer, and all of Start is drawn; by a visitor whose browser knows nothing of the app,
  and by one that has its files.
- a stored result: from a click until its figure is drawn. On the page Studies, on another view:
  after another figure was drawn there, and as the first figure of the visit, for which the browser
  has to start the code that draws. And from the page Start to the page Barrier.
- the picture of a page changes: on Barrier from all classes to permutations, on Landscape from the
  map to the surface; from the click until it is drawn.
- memory (`--visits 30`, alone): what server and helper occupy while page after page is visited.
- many curves: stored curves on one axis, likewise; then the pointer goes across them: gaps between
  the frames that the browser draws meanwhile (17 ms is every frame of a screen), and one step of
  panning in the exported page, until it is drawn.

Medians with range, by the clock of the page, until the frame after. "Busy" is the processor time of
the page's main thread until the last of what was waited for, which depends less on other work on
the machine. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from lmc_core.runs.requests.barrier import BarrierRequest
from lmc_core.runs.store import Store
from lmc_core.server.launch import serving
from lmc_core.studies.store import Studies
from lmc_core.studies.study import Entry
from lmc_core.ui.pages import PAGES

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-sync",
]
VIEW: Any = {"width": 1280, "height": 900}
Times = dict[str, float]  # what was waited for -> seconds
DONE = "[data-testid=stApp][data-test-script-state=notRunning] [data-testid=stElementContainer]"
LIMIT = 120_000  # milliseconds
# milliseconds after a visit, in which its tab and its session end, and before a click
PAUSE = 1_000
FIGURE = ".js-plotly-plot .main-svg .trace"
STILL = ".st-key-at_once_picture svg"  # the picture that stands for a figure until it is drawn
# Notes when what is waited for was drawn, counted from the start of the visit or from the last
# click.
NOTE = """
window.noted = {}; window.since = 0; window.wanted = 'FIGURE';
const written = () => [...document.querySelectorAll('.main-svg .infolayer')].map(each => each.textContent).join();
document.addEventListener('click', event => {
  window.since = event.timeStamp; window.noted = {}; window.before = written(); }, true);
const has = what => document.querySelector(what) !== null;
const there = {
  title: () => has('h1'),
  seen: () => has(window.wanted) || has('STILL'),
  figure: () => has(window.wanted),
  changed: () => window.before !== undefined && written() !== window.before,
  all: () => has('[data-testid=stApp][data-test-script-state=notRunning]') && has('h1') && has(window.wanted)
    && !has('[data-testid=stSkeleton]') && !has('[data-stale=true]'),
};
const look = () => { for (const name in there) if (!(name in window.noted) && there[name]()) {
  window.noted[name] = null; const noted = window.noted;
  requestAnimationFrame(() => setTimeout(() => { noted[name] = performance.now() - window.since; })); } };
new MutationObserver(look).observe(document, {childList: true, subtree: true, attributes: true});
""".replace("FIGURE", FIGURE).replace("STILL", STILL)
# Gaps between the frames that the browser draws, in milliseconds, while something moves.
WATCH = """() => { window.gaps = []; let last = performance.now(); window.watching = true;
  const tick = now => { window.gaps.push(now - last); last = now; if (window.watching) requestAnimationFrame(tick); };
  requestAnimationFrame(tick); }"""
SEEN = "() => { window.watching = false; return window.gaps.slice(2); }"
PAN = """async (steps) => {
  const chart = document.querySelector('.js-plotly-plot'), found = [];
  for (let k = 0; k < steps; k++) {
    const start = performance.now(), shift = 0.3 * k / steps;
    await Plotly.relayout(chart, {'xaxis.range': [shift, 1 + shift], 'xaxis2.range': [shift, 1 + shift]});
    await new Promise(requestAnimationFrame);
    found.push(performance.now() - start);
  }
  return found;
}"""
STEPS = 40  # of panning and of the pointer


def main() -> int:
    """Fill a folder, serve it, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--curves", type=int, default=40)
    parser.add_argument("--visits", type=int, help="only: memory after so many visits of pages")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), options.curves)
        with serving({"LMC_HOME": folder}, 8900) as address:
            if options.visits is None:
                measure(address, options.repeats, options.curves)
            else:
                weigh(address, options.visits)
    return 0


def weigh(address: str, visits: int) -> None:
    """Print what the server and its helper occupy while page after page is visited."""
    from playwright.sync_api import sync_playwright

    (server,) = psutil.Process().children()
    names = list(PAGES)

    def held() -> str:
        helpers = server.children(recursive=True)
        mine, theirs = (
            sum(each.memory_info().rss for each in group) for group in ([server], helpers)
        )
        return f"server {mine / 1e6:.0f} MB, helper {theirs / 1e6:.0f} MB"

    with sync_playwright() as play:
        browser = play.chromium.launch(args=FLAGS, executable_path=shutil.which("chromium"))
        for number in range(visits):
            page = browser.new_page(viewport=VIEW)
            page.goto(f"{address}/{names[number % len(names)].removeprefix('start')}")
            page.wait_for_selector(DONE, state="attached", timeout=LIMIT)
            page.wait_for_timeout(PAUSE)
            page.close()
            if (number + 1) % len(names) == 0 or number + 1 == visits:
                print(f"after {number + 1} visits: {held()}", flush=True)
        browser.close()


def fill(home: Path, curves: int) -> None:
    """Store made-up curves with keys that fit, and put them into two studies."""
    store, studies = (
        Store(home / "results", home / "none"),
        Studies(home / "studies", home / "none"),
    )
    shipped = Store(Store().shipped, Store().shipped).list()
    model = next(
        found
        for found in shipped
        if found.request["what"] == "barrier" and found.result["method"] != "none"
    )
    keys = []
    for seed in range(curves):
        request = BarrierRequest.from_json({**model.request, "seed": 1000 + seed})
        share = 0.2 + 1.6 * seed / curves
        loss = [
            chord + share * (value - chord)
            for value, chord in zip(model.result["loss"], model.result["chord"], strict=True)
        ]
        barrier = share * model.result["barrier"]
        keys.append(
            store.put(
                request, {**model.result, "key": request.key, "loss": loss, "barrier": barrier}, {}
            ).key
        )
    studies.create("One", entries=(Entry(keys=(keys[0],)),))
    studies.create(
        "Many", entries=tuple(Entry(keys=tuple(keys[i : i + 60])) for i in range(0, len(keys), 60))
    )


def measure(address: str, repeats: int, curves: int) -> None:
    """Print the table."""
    from playwright.sync_api import sync_playwright

    load = f"; load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(
        f"{platform.platform()}, {os.cpu_count()} CPU cores{load}; {repeats} repeats, medians and "
        "range\n"
    )
    chromium: Any = {"executable_path": shutil.which("chromium"), "args": FLAGS}
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        browser = playwright.chromium.launch(**chromium)

        def anew(what: Callable[..., Times], *arguments: str) -> list[Times]:
            """Repeat with a browser that knows nothing of the app."""
            found = []
            for _ in range(repeats):
                context = browser.new_context(viewport=VIEW)
                found.append(what(context, *arguments))
                context.close()
            return found

        anew(visited, address)  # the first visitors of a server wait for its imports as well
        show_visits("no file in the cache", anew(visited, address))
        kept = playwright.chromium.launch_persistent_context(profile, viewport=VIEW, **chromium)
        # the first two fill the cache
        visits = [visited(kept, address) for _ in range(repeats + 2)]
        show_visits("files in the cache", visits[2:])
        kept.close()
        for name, words in (
            ("one", "a stored result"),
            ("many", f"{curves} stored curves on one axis"),
        ):
            for shown, before in (
                ("", "after another figure"),
                ("&show=none", "first figure of the visit"),
            ):
                start = f"{address}/studies?study={name}&view=results{shown}"
                show(f"{words}, {before}", anew(opened, start, name))
        show("from Start to Barrier, until its stored results are drawn", anew(turned, address))
        found = anew(reclassed, address)
        show("on Barrier from all classes to permutations", found, "changed")
        show("on Landscape from the map to the surface", anew(raised, address))
        moving(browser, address, curves)
        browser.close()


def visited(context: Any, address: str) -> Times:
    """Open an address; returns what was there when, in seconds, and how long the main thread was
    busy with it.
    """
    page = context.new_page()
    page.add_init_script(NOTE)
    busy = meter(page)
    page.goto(address, wait_until="commit")
    times = noted(page, "all")
    times["busy"] = busy()
    page.wait_for_timeout(PAUSE)
    page.close()
    return times


def opened(context: Any, address: str, study: str) -> Times:
    """Open a page that has the study under another view, then that view."""
    name = f"[class*='st-key-studies_{study}_0_0_figure'] .main-svg .trace"
    return clicked(
        context, address, "h1", name, lambda page: page.get_by_role("radio", name="Studies")
    )


def turned(context: Any, address: str) -> Times:
    """Go from the page Start to the page Barrier."""
    name = ".st-key-barrier_figure"
    return clicked(
        context,
        address,
        FIGURE,
        f"{name} .main-svg .trace",
        lambda page: page.get_by_role("link", name="Barrier", exact=True),
    )


def reclassed(context: Any, address: str) -> Times:
    """On the page Barrier, choose permutations in place of all classes."""
    return clicked(
        context,
        f"{address}/barrier",
        FIGURE,
        FIGURE,
        lambda page: page.get_by_text("Permutations", exact=True),
        "changed",
    )


def raised(context: Any, address: str) -> Times:
    """On the page Landscape, turn the map into a surface."""
    return clicked(
        context,
        f"{address}/landscape",
        FIGURE,
        ".gl-container canvas",
        lambda page: page.get_by_text("Surface", exact=True),
    )


def clicked(
    context: Any,
    address: str,
    first: str,
    then: str,
    link: Callable[[Any], Any],
    what: str = "figure",
) -> Times:
    """Open an address until `first` is there, click, and return when `then` was there, or when the
    words in the figures had changed, in seconds since the click.
    """
    page = context.new_page()
    page.add_init_script(NOTE)
    page.goto(address)
    page.evaluate("wanted => { window.wanted = wanted; }", first)
    noted(page, "all")
    page.wait_for_timeout(PAUSE)
    page.evaluate("wanted => { window.wanted = wanted; }", then)
    busy = meter(page)
    link(page).first.click()
    times = noted(page, what)
    times["busy"] = busy()
    page.wait_for_timeout(PAUSE)
    return times


def noted(page: Any, what: str) -> Times:
    """Wait until the page has noted something; returns all that it noted, in seconds."""
    page.wait_for_function(f"window.noted && window.noted['{what}']", timeout=LIMIT)
    return {name: value / 1000 for name, value in page.evaluate("window.noted").items() if value}


def meter(page: Any) -> Callable[[], float]:
    """Return what says for how many seconds the page's main thread has been busy since now."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def now() -> float:
        values = {
            each["name"]: each["value"]
            for each in session.send("Performance.getMetrics")["metrics"]
        }
        return values["ThreadTime"]

    start = now()
    return lambda: now() - start


def moving(browser: Any, address: str, curves: int) -> None:
    """Print how the figure of many curves follows the pointer, and how it pans as an exported
    page.
    """
    page = browser.new_page(viewport=VIEW)
    page.add_init_script(NOTE)
    page.goto(f"{address}/studies?study=many")
    noted(page, "all")
    row(f"frame while the pointer crosses {curves} curves", "ms", hovered(page))
    with page.expect_download(timeout=LIMIT) as waiting:
        page.get_by_role("button", name="Page", exact=True).click()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "many.html"
        waiting.value.save_as(file)
        page.goto(file.as_uri())
        page.wait_for_selector(FIGURE)
        row(f"one step of panning {curves} curves", "ms", page.evaluate(PAN, STEPS))


def hovered(page: Any) -> list[float]:
    """Gaps between frames in milliseconds while the pointer crosses the figure."""
    box = page.locator(".js-plotly-plot").first.bounding_box()
    page.evaluate(WATCH)
    for step in range(STEPS):
        page.mouse.move(
            box["x"] + box["width"] * (0.1 + 0.8 * step / STEPS),
            box["y"] + box["height"] * (0.2 + 0.3 * step / STEPS),
        )
        page.wait_for_timeout(30)
    return page.evaluate(SEEN)


def show_visits(cache: str, visits: list[Times]) -> None:
    """Print the rows of visits of the first page."""
    for name, words in (
        ("title", "title to read"),
        ("seen", "first figure seen, maybe still"),
        ("figure", "first figure answers"),
        ("all", "all drawn"),
    ):
        show(f"first page, {cache}: {words}", visits, name, name == "all")


def show(what: str, found: list[Times], name: str = "figure", last: bool = True) -> None:
    """Print a row of what visits or clicks took, the last of each with how busy the main thread
    was.
    """
    busy = f"   busy {statistics.median(each['busy'] for each in found):.2f} s" if last else ""
    row(what, "s", [each[name] for each in found], busy)


def row(what: str, unit: str, values: list[float], more: str = "") -> None:
    """Print one row."""
    digits = 2 if unit == "s" else 0
    middle, low, high = (
        f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values))
    )
    print(f"{what:<62} {middle:>5} {unit:<2}  [{low}, {high}]{more}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
