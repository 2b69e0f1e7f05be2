"""The app behind a proxy that passes on the whole path, and one that removes its own, with a token:
asked for once, and nothing is missing below the path.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from lmc_core.server.place import Place
from tests.browser.conftest import serving, settle
from tests.browser.proxy import Proxy, proxying

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

TOKEN = "open-sesame-0123456789"
BASE = "/lab/lmc"
DEEP = "/barrier?a=vit-fashion-s0&b=vit-fashion-s1&examples=50&points=5"


@pytest.fixture(scope="module", params=["whole", "stripped"])
def proxy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """A proxy before a server that asks for a token; the server knows the path where the proxy
    passes it on.
    """
    whole = request.param == "whole"
    home = tmp_path_factory.mktemp("behind")
    with proxying() as made:
        more = {"LMC_TOKEN": TOKEN, "LMC_HOSTS": f"127.0.0.1:{made.port}"}
        with serving(home, Place(base=BASE if whole else ""), more) as address:
            made.target = urlsplit(address).port or 0
            made.strip = "" if whole else BASE
            yield made
        assert TOKEN not in (home / "server.log").read_text()


def enter(page: Page, token: str = TOKEN) -> None:
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Open").click()


def test_the_token_is_asked_for_once_and_everything_lies_below_the_path(
    proxy: Proxy, guarded: Page, tmp_path: Path
) -> None:
    root = f"http://127.0.0.1:{proxy.port}{BASE}"
    page = guarded
    proxy.paths.clear()
    page.goto(root + DEEP)
    expect(page.get_by_role("heading", name="Token")).to_be_visible()
    assert all(path.startswith(BASE) for path in proxy.paths) and len(proxy.paths) == 1
    enter(page)
    settle(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Loss barrier")
    expect(page.get_by_text("Not computed yet")).to_be_visible()
    assert page.url.startswith(f"{root}/barrier?") and "a=vit-fashion-s0" in page.url

    page.get_by_role("link", name="Start", exact=True).click()
    page.get_by_role("link", name=re.compile("Open or compute again")).click()
    page.wait_for_url(re.compile(f"{BASE}/barrier.*method=learned"))
    settle(page)
    expect(page.get_by_text("All 4 curves are stored")).to_be_visible()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV").click()
    waiting.value.save_as(tmp_path / "curves.csv")
    assert (tmp_path / "curves.csv").read_text().startswith("setting,model_a")

    page.goto(f"{root}/lecture?step=3")  # another deep link, and without a token
    settle(page)
    # the slash behind the path is added by whoever knows of the path
    page.goto(f"{root}/" if proxy.strip else root)
    settle(page)
    assert page.url == f"{root}/"
    page.get_by_role("link", name="Models", exact=True).click()
    page.wait_for_url(f"{root}/models*")
    fonts = [path for path in proxy.paths if "/fonts/ibm-plex" in path]
    assert fonts and {path.rpartition("/")[0] for path in fonts} == {f"{BASE}/fonts"}
    assert all(path.startswith(BASE) for path in proxy.paths)
    (ticket,) = (each for each in page.context.cookies() if each["name"].startswith("lmc-"))
    assert ticket["path"] == BASE and ticket["httpOnly"] and ticket["sameSite"] == "Strict"
    assert TOKEN not in ticket["value"] and not ticket["secure"]


def test_a_token_in_the_address_is_taken_once_and_removed(proxy: Proxy, guarded: Page) -> None:
    root = f"http://127.0.0.1:{proxy.port}{BASE}"
    guarded.goto(f"{root}/models?token={TOKEN}&family=vit")
    settle(guarded)
    assert "token" not in guarded.url and guarded.url.startswith(f"{root}/models?family=vit")
    assert TOKEN not in guarded.evaluate("JSON.stringify(history.state) + document.referrer")


def test_a_link_on_a_page_of_another_site_opens_without_asking_again(
    proxy: Proxy, guarded: Page
) -> None:
    """The browser keeps the cookie back from the first request, which another site led to."""
    root = f"http://127.0.0.1:{proxy.port}{BASE}"
    guarded.goto(root + "/models")
    enter(guarded)
    settle(guarded)
    guarded.goto("data:text/html,<a href='" + root + "/lecture'>there</a>")
    guarded.get_by_role("link").click()
    settle(guarded)
    expect(guarded.get_by_role("heading", name="Token")).to_have_count(0)


def test_a_wrong_token_is_answered_in_words_after_a_second(proxy: Proxy, page: Page) -> None:
    page.goto(f"http://127.0.0.1:{proxy.port}{BASE}/models?family=vit")
    before = time.monotonic()
    enter(page, "open-sesame-0123456780")
    expect(page.get_by_role("alert")).to_contain_text("not the token of this server")
    assert time.monotonic() - before >= 1
    enter(page)
    page.wait_for_url(re.compile("models.family=vit"))
    settle(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_the_token_is_accessible(
    proxy: Proxy, context: BrowserContext, scheme: str
) -> None:
    page = context.new_page()
    page.emulate_media(color_scheme=scheme)
    page.goto(f"http://127.0.0.1:{proxy.port}{BASE}/")
    assert page.get_by_label("Token").evaluate("each => each === document.activeElement")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 23, 29)"}[scheme]
    assert page.evaluate("document.fonts.size") == 2
    assert not Axe().run(page).response["violations"]
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
