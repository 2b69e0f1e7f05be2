"""The page of studies in a real browser: compare, keep, take away, take in; and an audience that
can only look.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lmc_core.figures.drawing import missing_tools
from lmc_core.runs.store import Store
from lmc_core.studies.html import study_html
from lmc_core.studies.store import Studies
from lmc_core.studies.study import Entry
from tests.browser.conftest import require_narrow, serving, settle
from tests.browser.test_app import require_accessible, violations
from tests.studies.conftest import RESULTS, keep

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def fill(home: Path) -> None:
    store = Store(home / "results", home / "none")
    keys = [keep(store, result) for result in (*RESULTS["gpt2"], *RESULTS["vit"])]
    Studies(home / "studies", home / "none").create(
        "Two pairs", "What is left", (Entry(keys=tuple(keys[:3])), Entry(keys=tuple(keys[3:])))
    )


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server with six results and a study, and its home."""
    home = tmp_path_factory.mktemp("stocked")
    fill(home)
    with serving(home) as address:
        yield address, home


def test_compare_keep_take_away_and_take_in(stocked, visit, tmp_path):
    address, home = stocked
    page = visit(f"{address}/studies?task=fashion-mnist&show=none")
    expect(page.get_by_text("Choose rows to draw them")).to_be_visible()
    table = page.get_by_test_id("stDataFrame").first
    box = table.bounding_box()
    assert box
    settle(page)
    for row in (1, 2, 3):
        for patience in (5_000, 10_000, 60_000):  # a busy machine draws the table's canvas late
            table.scroll_into_view_if_needed()  # a picture above it has moved it
            box = table.bounding_box()
            assert box
            page.mouse.click(box["x"] + 16, box["y"] + 35 * row + 18)
            with contextlib.suppress(AssertionError):
                expect(page.get_by_text(f"{row} chosen.")).to_be_visible(timeout=patience)
                break
        expect(page.get_by_text(f"{row} chosen.")).to_be_visible()
        settle(page)
    chart = page.get_by_role("figure", name=re.compile("^Barrier, vit-fashion-s0 . vit-fashion-s1"))
    expect(chart.first).to_be_visible()
    page.wait_for_url(re.compile("show=[0-9a-f]{12}&show=[0-9a-f]{12}&show="))

    page.get_by_role("button", name="Put into a study").click()
    page.get_by_label("Title of a new study").fill("From the browser")
    page.get_by_role("button", name="Put in", exact=True).click()
    expect(page.get_by_text("Put into the study \u201cFrom the browser\u201d")).to_be_visible()

    settle(visit(f"{address}/studies?study=from-the-browser"))
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Archive").click()
    archive = tmp_path / "study.zip"
    waiting.value.save_as(archive)
    with zipfile.ZipFile(archive) as packed:
        assert len(packed.namelist()) == 2 + 3 * 5

    with serving(tmp_path / "elsewhere") as other:
        settle(visit(f"{other}/studies"))
        take_in(page, archive)
        expect(page.get_by_text("Imported 3 new results. Every hash was right.")).to_be_visible()
        expect(page.get_by_role("heading", name="From the browser")).to_be_visible()
        bad = tmp_path / "bad.zip"
        bad.write_bytes(archive.read_bytes()[:-1])
        take_in(page, bad)
        expect(
            page.get_by_text("This is not an archive of a study, or not the whole of it")
        ).to_be_visible()
    there = {
        path.name: path.read_bytes()
        for path in (tmp_path / "elsewhere" / "results").glob("*/result.json")
    }
    assert there and len(list((tmp_path / "elsewhere" / "results").glob("*/result.json"))) == 3
    for path in (tmp_path / "elsewhere" / "results").glob("[0-9a-f]*/*"):
        original = home / "results" / path.parent.name / path.name
        if path.name == "manifest.json":  # which says besides where the result came from
            manifest = json.loads(path.read_bytes())
            assert manifest.pop("imported") is True and manifest == json.loads(
                original.read_bytes()
            )
        else:
            assert path.read_bytes() == original.read_bytes()


def take_in(page: Page, file: Path) -> None:
    title = page.get_by_text("Import a study")
    expect(title).to_have_count(1)  # an older page's may still be there for a moment
    if not page.get_by_test_id("stFileUploader").first.is_visible():
        title.click()
    page.locator("input[type=file]").set_input_files(file)
    settle(page)
    page.get_by_role("button", name="Import", exact=True).click()
    settle(page)


def test_the_page_of_a_study_opens_from_disk_without_a_server_or_any_request(
    stocked, page, tmp_path
):
    _, home = stocked
    text, missing = study_html(Studies(home / "studies").get("two-pairs"), Store(home / "results"))
    assert missing == [] and text.count("plotly.js v") == 1
    (tmp_path / "study.html").write_text(text)
    alone = page.context.browser.new_context(offline=True)
    sheet = alone.new_page()
    asked, complaints = [], []
    sheet.on("request", lambda request: asked.append(request.url))
    sheet.on(
        "console",
        lambda message: (
            complaints.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    sheet.on("pageerror", lambda error: complaints.append(str(error)))
    sheet.goto((tmp_path / "study.html").as_uri())
    assert sheet.locator(".js-plotly-plot .main-svg").count() >= 2
    expect(sheet.get_by_text("Permutations only").first).to_be_visible()
    chart = sheet.locator(".js-plotly-plot").first
    box = chart.bounding_box()
    assert box
    sheet.mouse.move(box["x"] + box["width"] / 2, box["y"] + 150)
    # it is alive
    expect(sheet.locator(".hoverlayer .legend, .hoverlayer .hovertext").first).to_be_visible()
    titles = sheet.locator(".modebar-btn").evaluate_all(
        "all => all.map(each => each.dataset.title || '')"
    )
    assert titles and not [
        title for title in titles if re.search("share|cloud|edit|upload", title, re.IGNORECASE)
    ]
    assert len(json.loads(sheet.locator("#results").text_content() or "")["results"]) == 6
    sheet.get_by_text("Every number of the figure").first.click()
    expect(sheet.get_by_role("cell", name="plays", exact=True).first).to_be_visible()
    assert violations(sheet) == []
    assert [
        url for url in asked if not url.startswith(("file:", "data:", "blob:"))
    ] == [] and complaints == []
    alone.close()


@pytest.mark.skipif(bool(missing_tools()), reason="kaleido or a browser is missing")
def test_files_for_a_paper(stocked):
    from lmc_core.studies.paper import zipped

    _, home = stocked
    study = Studies(home / "studies").get("two-pairs").without_entry(1)
    with zipfile.ZipFile(io.BytesIO(zipped(study, Store(home / "results")))) as packed:
        files = {
            name.rpartition(".")[2]: packed.read(name)
            for name in packed.namelist()
            if "summary" not in name
        }
    assert (
        files["svg"].startswith(b"<svg")
        and b"@font-face" in files["svg"]
        and b'width="643"' in files["svg"]
    )
    assert files["pdf"].startswith(b"%PDF") and b"IBMPlexSans" in files["pdf"]
    # 170 mm at 300 to the inch
    assert files["png"][:4] == b"\x89PNG" and int.from_bytes(files["png"][16:20], "big") == 2009
    assert b"Figure 1." in files["md"] and files["csv"].startswith(b"setting,model_a")


@pytest.mark.parametrize("path", ["/studies", "/studies?view=studies", "/studies?study=two-pairs"])
def test_accessibility_and_a_phone(path, stocked, visit):
    page = visit(stocked[0] + path)
    expect(page.get_by_role("figure").first).to_be_visible()
    require_accessible(page)
    require_narrow(page)


def test_an_audience_can_only_look(visit, tmp_path, monkeypatch):
    monkeypatch.setenv("LMC_READ_ONLY", "1")
    home = tmp_path / "audience"
    fill(home)
    with serving(home) as address:
        for path in ("/studies", "/studies?study=two-pairs"):
            page = visit(address + path)
            expect(page.get_by_role("figure").first).to_be_visible()
            for name in (
                "Put into a study",
                "Delete",
                "Edit",
                "Change this picture",
                "Import",
                "Run",
            ):
                expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)
            expect(page.locator("input[type=file]")).to_have_count(0)
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Page", exact=True).click()
        assert Path(waiting.value.path()).stat().st_size > 10**6
    assert not (home / "jobs").exists() and not (home / "workers").exists()
