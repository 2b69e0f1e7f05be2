"""How quick the app is in a real browser: what a person waits for, in seconds.

    python benchmarks/browser.py                 # prints a table; needs the extra `test` and a chromium
    python benchmarks/browser.py --repeats 9 --curves 40

- first page: from asking for the address of a warm server until Start has run, is drawn, and answers; a fresh browser context,
  so that nothing is cached.
- stored result: from a click on another view of the page Studies, whose result is stored, until its figure is drawn.
- many curves: stored curves on one axis, likewise; then the pointer goes across them: gaps between the frames that the browser
  draws meanwhile (17 ms is every frame of a screen), and one step of panning in the exported page, until it is drawn.

Medians with range. Nothing is asserted: other work on the machine changes these numbers.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lmc_core.runs.request import BarrierRequest
from lmc_core.runs.store import Store
from lmc_core.studies.store import Studies
from lmc_core.studies.study import Entry
from lmc_core.ui.launch import ADDRESS, answers, command, free_port

RUN = "[data-testid=stApp][data-test-script-state=notRunning]"
DRAWN = "!document.querySelector('[data-testid=stSkeleton]') && document.querySelector('h1')"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
LIMIT = 120_000  # milliseconds
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
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        fill(home, options.curves)
        port = free_port(8900)
        server = subprocess.Popen(
            command(port), env={**os.environ, "LMC_HOME": folder}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            while not answers(f"http://{ADDRESS}:{port}"):
                if server.poll() is not None:
                    print("The server ended before it answered.", file=sys.stderr)
                    return 1
                time.sleep(0.1)
            measure(f"http://{ADDRESS}:{port}", options.repeats, options.curves)
        finally:
            server.terminate()
            server.wait()
    return 0


def fill(home: Path, curves: int) -> None:
    """Store made-up curves with keys that fit, and put them into two studies."""
    store, studies = Store(home / "results", home / "none"), Studies(home / "studies", home / "none")
    shipped = Store(Store().shipped, Store().shipped).list()
    model = next(found for found in shipped if found.request["what"] == "barrier" and found.result["method"] != "none")
    keys = []
    for seed in range(curves):
        request = BarrierRequest.from_json({**model.request, "seed": 1000 + seed})
        share = 0.2 + 1.6 * seed / curves
        loss = [
            chord + share * (value - chord) for value, chord in zip(model.result["loss"], model.result["chord"], strict=True)
        ]
        barrier = share * model.result["barrier"]
        keys.append(store.put(request, {**model.result, "key": request.key, "loss": loss, "barrier": barrier}, {}).key)
    studies.create("One", entries=(Entry(keys=(keys[0],)),))
    studies.create("Many", entries=tuple(Entry(keys=tuple(keys[i : i + 60])) for i in range(0, len(keys), 60)))


def measure(address: str, repeats: int, curves: int) -> None:
    """Print the table."""
    from playwright.sync_api import sync_playwright

    load = f"; load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{platform.platform()}, {os.cpu_count()} CPU cores{load}; {repeats} repeats, medians and range\n")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        first(browser, address)  # the first visitor of a server waits for its imports as well
        show("first page of a warm server, interactive", "s", [first(browser, address) for _ in range(repeats)])
        for name, words in (("one", "a stored result, drawn"), ("many", f"{curves} stored curves on one axis, drawn")):
            show(words, "s", [opened(browser, f"{address}/studies?study={name}") for _ in range(repeats)])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        visit(page, f"{address}/studies?study=many", ".js-plotly-plot .main-svg")
        show(f"frame while the pointer crosses {curves} curves", "ms", hovered(page))
        with page.expect_download(timeout=LIMIT) as waiting:
            page.get_by_role("button", name="Page", exact=True).click()
        file = Path(waiting.value.path()).rename(Path(tempfile.gettempdir()) / f"many-{os.getpid()}.html")
        page.goto(file.as_uri())
        page.wait_for_selector(".js-plotly-plot .main-svg")
        show(f"one step of panning {curves} curves", "ms", page.evaluate(PAN, STEPS))
        file.unlink()
        browser.close()


def show(what: str, unit: str, values: list[float]) -> None:
    """Print one row."""
    digits = 2 if unit == "s" else 0
    middle, low, high = (f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    print(f"{what:<52} {middle:>7} {unit:<2}  [{low}, {high}]", flush=True)


def visit(page: Any, address: str, sign: str) -> float:
    """Open an address; returns the seconds until its script has run and `sign` is drawn."""
    start = time.perf_counter()
    page.goto(address)
    page.wait_for_selector(RUN, timeout=LIMIT)
    page.wait_for_function(DRAWN, timeout=LIMIT)
    page.wait_for_selector(sign, timeout=LIMIT)
    return time.perf_counter() - start


def first(browser: Any, address: str) -> float:
    """Seconds until the first page is there, for a visitor whose browser knows nothing of it."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        return visit(context.new_page(), address, "h1")
    finally:
        context.close()


def opened(browser: Any, address: str) -> float:
    """Seconds from a click on another view until what is stored is drawn."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        page = context.new_page()
        visit(page, f"{address}&view=results&show=none", "h1")
        start = time.perf_counter()
        page.get_by_role("radio", name="Studies").or_(page.get_by_role("button", name="Studies", exact=True)).first.click()
        page.wait_for_selector(".js-plotly-plot .main-svg .trace, .js-plotly-plot .main-svg .scatterlayer path", timeout=LIMIT)
        return time.perf_counter() - start
    finally:
        context.close()


def hovered(page: Any) -> list[float]:
    """Gaps between frames in milliseconds while the pointer crosses the figure."""
    box = page.locator(".js-plotly-plot").first.bounding_box()
    page.evaluate(WATCH)
    for step in range(STEPS):
        page.mouse.move(
            box["x"] + box["width"] * (0.1 + 0.8 * step / STEPS), box["y"] + box["height"] * (0.2 + 0.3 * step / STEPS)
        )
        page.wait_for_timeout(30)
    return page.evaluate(SEEN)


if __name__ == "__main__":
    raise SystemExit(main())
