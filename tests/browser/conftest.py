"""A real server and a real browser, with guards: nothing leaves the machine, nothing is written to
the console as an error.

Without chromium these tests are skipped; where CI is set they fail instead.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, ViewportSize, expect

from lmc_core.server.launch import ADDRESS, answers, command, free_port
from lmc_core.server.place import Place

CHROMIUM = next(
    (
        path
        # the first without the windows and menus that a person sees, which take a tenth of a load
        for name in ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
        if (path := shutil.which(name))
    ),
    None,
)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WINDOW: ViewportSize = {"width": 1280, "height": 720}
START_LIMIT = 60.0  # seconds
PAGE_LIMIT = 90_000  # milliseconds until a page has run; the first one imports torch
expect.set_options(timeout=60_000)  # a busy machine draws late; what is there is seen at once


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict) -> dict:
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail(
                "Chromium is missing; browser tests are not skipped in continuous integration."
            )
        pytest.skip("chromium is not installed")
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": FLAGS}


@pytest.fixture(scope="session")
def base_url() -> None:
    """Every server has an address of its own; the plugin's fixture of this name is deprecated by
    pytest 9, a warning.
    """


@contextlib.contextmanager
def serving(
    home: Path, place: Place | None = None, more: Mapping[str, str] | None = None
) -> Iterator[str]:
    """A fresh server with a home of its own on a free port; yields its address and ends it with its
    worker.

    Args:
        home: folder of its results.
        place: where it listens.
        more: variables.
    """
    home.mkdir(parents=True, exist_ok=True)
    place = place or Place()
    port = free_port(20000 + os.getpid() % 20000)
    environment = {**os.environ, "LMC_HOME": str(home), "OMP_NUM_THREADS": "1", **(more or {})}
    line = command(port, place)
    with open(home / "server.log", "wb") as log:
        server = subprocess.Popen(line, cwd=home, env=environment, stdout=log, stderr=log)
    address = place.url(port)
    try:
        end = time.monotonic() + START_LIMIT
        while not answers(address):
            assert server.poll() is None and time.monotonic() < end, (
                home / "server.log"
            ).read_text()
            time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=20)
        stop_workers(home)


def stop_workers(home: Path) -> None:
    """End the detached workers of a home."""
    from lmc_core.locks import holder

    for lock in home.glob("workers/*.lock"):
        note = holder(lock)  # "<device>:<process>-<unique>"
        if note:
            with contextlib.suppress(ProcessLookupError, ValueError, IndexError):
                os.kill(int(note.split(":")[1].split("-")[0]), signal.SIGTERM)


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[str]:
    """A server nobody has talked to yet."""
    with serving(tmp_path / "fresh") as address:
        yield address


@pytest.fixture(scope="session")
def server_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Home of `server`, for tests that put results into it."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="session")
def server(server_home: Path) -> Iterator[str]:
    """One server for all tests of this process, which share its worker and its results; each module
    asks for pages of its own.
    """
    with serving(server_home) as address:
        yield address


@pytest.fixture(scope="session")
def pages(browser: Browser) -> Iterator[list[Page]]:
    """The page that tests of this process share, once there is one. What it has compiled of
    Streamlit and Plotly serves the next test, which halves the processor time of a load.
    """
    shared: list[Page] = []
    yield shared
    for page in shared:
        page.context.close()


@pytest.fixture
def blank(browser: Browser, pages: list[Page]) -> Iterator[Page]:
    """A page as a new one is: nothing is open or stored, and no setting of another test is left."""
    if not pages:
        pages.append(browser.new_context(viewport=WINDOW).new_page())
    (page,) = pages
    yield page
    try:
        clear(page)
    except Error:  # it was closed or has crashed
        pages.clear()
        page.context.close()


def clear(page: Page) -> None:
    """Take away what a test has opened, stored and set in a page."""
    for other in page.context.pages:
        if other is not page:
            other.close()
    if page.url.startswith("http"):  # other origins have no storage
        page.evaluate("localStorage.clear(); sessionStorage.clear()")
    page.goto("about:blank")
    page.context.clear_cookies()
    page.emulate_media(color_scheme="light", reduced_motion="no-preference", media="null")
    page.set_viewport_size(WINDOW)
    page.mouse.move(WINDOW["width"] / 2, 0)  # over nothing that shows more when it is pointed at


@pytest.fixture
def guarded(blank: Page) -> Iterator[Page]:
    """A page that may only talk to its own server and must not complain."""
    page, strangers, complaints = blank, [], []

    def asked(request) -> None:
        if not request.url.startswith((f"http://{ADDRESS}:", f"ws://{ADDRESS}:", "data:", "blob:")):
            strangers.append(request.url)

    def said(message) -> None:
        if message.type == "error":
            complaints.append(message.text)

    def answered(response) -> None:
        if response.status >= 400:
            complaints.append(f"{response.status} for {response.url}")

    def failed(error) -> None:
        complaints.append(str(error))

    listeners = {"request": asked, "response": answered, "console": said, "pageerror": failed}
    for event, listener in listeners.items():
        page.on(event, listener)
    page.set_default_timeout(PAGE_LIMIT)
    yield page
    for event, listener in listeners.items():
        page.remove_listener(event, listener)
    assert not strangers
    assert not complaints


def require_narrow(page: Page) -> None:
    """The page fits a phone: nothing has to be scrolled sideways."""
    page.set_viewport_size({"width": 390, "height": 844})
    settle(page)
    page.wait_for_function("document.documentElement.scrollWidth <= 390")


@pytest.fixture
def visit(guarded: Page) -> Callable[[str], Page]:
    """Open an address and wait until its script has run and everything is drawn."""

    def open_page(address: str) -> Page:
        guarded.goto(address)
        settle(guarded)
        return guarded

    return open_page


def settle(page: Page) -> None:
    """Wait until Streamlit's script has run and nothing is a placeholder any more."""
    page.wait_for_selector(
        "[data-testid=stApp][data-test-script-state=notRunning]", timeout=PAGE_LIMIT
    )
    page.wait_for_selector("h1", timeout=PAGE_LIMIT)
    page.wait_for_function(
        "!document.querySelector('[data-testid=stSkeleton]')", timeout=PAGE_LIMIT
    )
    # where a picture stands for a chart, the chart is sent when the picture has been seen
    page.wait_for_function(
        "!document.querySelector('.st-key-at_once:not(:has(.main-svg .trace))')", timeout=PAGE_LIMIT
    )
