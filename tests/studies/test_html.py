"""The page of a study holds everything once, escapes what people wrote, and says what is
missing.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from lmc_core.runs.store import Store
from lmc_core.studies.html import study_html
from lmc_core.studies.paper import study_files
from lmc_core.studies.store import Studies
from lmc_core.studies.study import Entry, Study
from tests.studies.conftest import RESULTS, keep

EVIL = "</script><script>alert(1)</script><!--<script>"


def data_of(text: str) -> dict:
    found = re.search(
        r'<script type="application/json" id="results">(.*?)</script>', text, re.DOTALL
    )
    assert found
    return json.loads(found[1])


def test_plotly_is_there_once_and_every_figure_with_its_caption_and_table(
    study: Study, store: Store
):
    text, missing = study_html(study, store)
    assert missing == [] and text.count("plotly.js v") == 1 and len(text) < 8e6
    assert (
        text.count("<figcaption>") == 2
        and text.count("<details>") == 2
        and text.count("Plotly.newPlot(") == 2
    )
    assert text.index("plotly.js v") < text.index("Plotly.newPlot(")
    assert "default-src 'none'" in text and '"showSendToCloud": false' in text
    assert not re.search(r'<(script|link|img|iframe)[^>]+(src|href)="', text)
    data = data_of(text)
    assert Study.from_json(data["study"]) == study
    for key in study.keys:
        stored = store.get(key)
        assert stored and data["results"][key] == {
            "request": stored.request,
            "result": stored.result,
        }


def test_what_people_wrote_is_text(studies: Studies, store: Store):
    key = keep(store, {**RESULTS["vit"][0], "models": ["<img src=x onerror=alert(1)>", "b"]})
    entries = (Entry(keys=(key,), title=EVIL, note=EVIL, labels=(EVIL,)),)
    study = studies.create(EVIL, EVIL, entries)
    text, _ = study_html(study, store)
    assert EVIL not in text and "<img" not in text and "&lt;script&gt;" in text
    assert data_of(text)["study"]["title"] == EVIL
    plain, _ = study_html(replace(study, title="T", note="", entries=(Entry(keys=(key,)),)), store)
    # nothing that was written became an element
    assert text.count("<script") == plain.count("<script")


def test_what_is_gone_is_said(study: Study, store: Store):
    store.delete(study.keys[0])
    text, missing = study_html(study, store)
    assert (
        missing == [study.keys[0]]
        and f"Not stored where this page was made: {study.keys[0][:12]}." in text
    )
    files = dict(study_files(study, store, draw=False))
    assert study.keys[0][:12] in files["captions.md"].decode() and "01-barrier-vision.csv" in files


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_paths_of_this_machine_are_not_in_it(theme, studies: Studies, store: Store):
    place = "/home/somebody/secret project"
    key = keep(
        store,
        {**RESULTS["vit"][1], "about": f"{place}/x"},
        models=(f"path:{place}/a", f"path:{place}/b"),
    )
    text, _ = study_html(studies.create("Private", entries=(Entry(keys=(key,)),)), store, theme)
    files = b"".join(data for _, data in study_files(studies.get("private"), store, draw=False))
    assert "secret" not in text and b"secret" not in files and "path:a" in text


def test_an_empty_study_is_a_page(studies: Studies, store: Store):
    text, missing = study_html(studies.create("Empty"), store)
    assert missing == [] and "<h1>Empty</h1>" in text
