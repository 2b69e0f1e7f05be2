"""The way through the page Experts in a real browser; its numbers are put into the store, as real
ones take minutes.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from lmc_core.models.zoo import zoo
from lmc_core.runs.kinds.barrier import make_request
from lmc_core.runs.requests.orders import OrdersRequest
from lmc_core.runs.store import Store
from tests.browser.conftest import require_narrow, settle
from tests.browser.test_app import require_accessible, require_opened
from tests.figures.experts_result import experts_result

NAMES = ("mixtral-plays-s0", "mixtral-plays-s1")
PAGE = "/experts?a=mixtral-plays-s0&b=mixtral-plays-s1&examples=16&points=5"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not set(NAMES) <= zoo().keys(), reason="the zoo's mixtures are not trained yet"
    ),
]


@pytest.fixture(scope="module")
def filled(server: str, server_home: Path) -> str:
    """A server whose store holds one fan."""
    asked = make_request(*(f"zoo:{name}" for name in NAMES), examples=16, points=5)
    request = OrdersRequest.of(asked, points=5)
    result = {**experts_result(), "key": request.key, "models": list(NAMES)}
    Store(server_home / "results").put(
        request, result, {"losses.all": np.zeros((4, 5, 16), dtype=np.float32)}
    )
    return server


def test_layers_orders_and_files(filled, visit, tmp_path):
    page = visit(filled + PAGE)
    expect(page.get_by_text("The result is stored")).to_be_visible(timeout=60_000)
    expect(
        page.get_by_role("figure", name=re.compile("6 orders of experts, layer 0")).first
    ).to_be_visible(timeout=60_000)
    page.get_by_role("radio", name="All layers").click()
    expect(
        page.get_by_role("figure", name=re.compile("4 orders of experts, all layers")).first
    ).to_be_visible(timeout=60_000)
    page.wait_for_url(re.compile("layer=all"))
    page.get_by_role("radio", name="router", exact=True).click()
    page.wait_for_url(re.compile("order=router"))
    settle(visit(page.url))
    expect(page.get_by_role("figure", name=re.compile("all layers")).first).to_be_visible(
        timeout=60_000
    )
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV").click()
    waiting.value.save_as(tmp_path / "orders.csv")
    assert (tmp_path / "orders.csv").read_text().startswith("mixture,order,named,barrier")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="NPZ").click()
    waiting.value.save_as(tmp_path / "losses.npz")
    assert np.load(tmp_path / "losses.npz")["losses.all"].shape == (4, 5, 16)


def test_run_and_cancel(filled, visit):
    page = visit(filled + PAGE.replace("points=5", "points=25"))
    expect(page.get_by_text("Nothing is computed yet for these models")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("progressbar")).to_be_visible(timeout=60_000)
    settle(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled. Still to compute: All orders.")).to_be_visible(
        timeout=120_000
    )


def test_accessibility_and_a_phone(server, visit):
    page = visit(server + "/experts")  # whose result came with the app
    require_opened(page, "experts")
    expect(page.get_by_text("The result is stored")).to_be_visible(timeout=60_000)
    page.get_by_text("Numbers", exact=True).click()
    expect(page.get_by_role("table").first).to_be_visible(timeout=60_000)
    require_accessible(page)
    require_narrow(page)
