"""Foreign pages in a real browser: one whose name was made to mean this machine, and one of another
server of this machine.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Playwright, expect

from tests.browser.conftest import CHROMIUM, FLAGS, PAGE_LIMIT, settle

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
SOCKET = """address => new Promise(done => {
    const socket = new WebSocket(address, "streamlit");
    socket.onopen = () => done("open");
    socket.onerror = () => done("refused");
})"""
FETCH = """address => fetch(address).then(answer => answer.text(), () => "refused")"""
SCRIPT = """address => new Promise(done => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => done("loaded");
    script.onerror = () => done("refused");
    document.head.append(script);
})"""
PICTURE = """address => new Promise(done => {
    const picture = new Image();
    picture.onload = () => done("loaded");
    picture.onerror = () => done("refused");
    picture.src = address;
})"""
FRAME = """address => new Promise(done => {
    const frame = document.createElement("iframe");
    frame.onload = () => done("answered");
    frame.src = address;
    document.body.append(frame);
})"""


@pytest.fixture(scope="module")
def rebound(playwright: Playwright, browser_type_launch_args: dict) -> Iterator[Browser]:
    """A browser for which foreign names mean this machine."""
    flags = [*FLAGS, "--host-resolver-rules=MAP *.example 127.0.0.1"]
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
    yield browser
    browser.close()


ASKED: list[str] = []


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of another server of this machine, with a page of its own; `ASKED` has what it was
    asked for.
    """

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            ASKED.append(self.path)

    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "index.html").write_text("<!doctype html><title>elsewhere</title><h1>Elsewhere</h1>")
    other = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=other.serve_forever, daemon=True).start()
    yield other.server_port
    other.shutdown()
    other.server_close()


def test_a_foreign_name_for_this_machine_is_refused(server, rebound):
    port = server.rpartition(":")[2]
    page = rebound.new_page()
    for path in ("", "/barrier"):
        answer = page.goto(f"http://evil.example:{port}{path}")
        assert answer is not None and answer.status == 403
        expect(page.get_by_text("This server answers at 127.0.0.1")).to_be_visible()
    # Scripts of such a page have the origin of the address, so that the browser itself would let
    # them read everything.
    assert page.evaluate(SOCKET, f"ws://evil.example:{port}/_stcore/stream") == "refused"
    assert page.evaluate(FETCH, f"http://evil.example:{port}/_stcore/health").startswith(
        "This server answers"
    )
    page.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "evil.example"])
def test_a_page_of_another_server_gets_no_way_in(server, rebound, elsewhere, host):
    port = server.rpartition(":")[2]
    page = rebound.new_page()
    page.goto(f"http://{host}:{elsewhere}/")
    for target in ("127.0.0.1", "localhost"):
        assert page.evaluate(SOCKET, f"ws://{target}:{port}/_stcore/stream") == "refused"
        assert page.evaluate(FETCH, f"http://{target}:{port}/_stcore/health") == "refused"
        assert page.evaluate(SCRIPT, f"http://{target}:{port}/_stcore/health") == "refused"
        page.evaluate(FRAME, f"http://{target}:{port}/")
        frame = page.frames[-1]
        # the frame says that it has loaded before it says what; the test's own limit ends this
        while not frame.url:
            page.wait_for_timeout(50)
        assert (
            frame.url.startswith("chrome-error:")
            and frame.locator("[data-testid=stApp]").count() == 0
        )
    page.close()


def test_its_own_page_works_and_may_frame_itself(server, rebound):
    page = rebound.new_page()
    for address in (server, server.replace("127.0.0.1", "localhost")):
        page.goto(address)
        settle(page)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.evaluate(SOCKET, f"{address.replace('http', 'ws')}/_stcore/stream") == "open"
    page.evaluate(FRAME, address)
    page.frames[-1].wait_for_selector("[data-testid=stApp]", timeout=PAGE_LIMIT)
    page.close()


def test_our_pages_ask_nobody_else_for_anything(server, rebound, elsewhere):
    """Whatever a title or a note holds: a picture from elsewhere would tell that it is read, and by
    whom.
    """
    page = rebound.new_page()
    page.goto(server)
    settle(page)
    ASKED.clear()
    for host in ("127.0.0.1", "evil.example"):
        there = f"http://{host}:{elsewhere}/index.html"
        assert page.evaluate(PICTURE, there) == "refused"
        assert page.evaluate(FETCH, there) == "refused"
        assert page.evaluate(SOCKET, there.replace("http", "ws")) == "refused"
        page.evaluate(FRAME, there)
    assert ASKED == []
    page.close()
