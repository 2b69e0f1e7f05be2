"""The page Start in every state."""

import json
import os
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.figures.text import barrier_words
from lmc_core.server.app import ROUTER
from lmc_core.studies.store import Studies
from lmc_core.studies.study import Entry
from lmc_core.ui import welcome
from tests.pages.conftest import Installation
from tests.pages.reading import charts, headers, page, press, progress, words

RESULTS = json.loads((Path(__file__).parents[1] / "fixtures" / "results.json").read_text())


@pytest.fixture
def at(app: Installation) -> AppTest:
    return AppTest.from_file(str(ROUTER), default_timeout=30)


@pytest.fixture
def keys(app: Installation) -> list[str]:
    """Of results that came with the app."""
    found = app.finish(page("barrier", examples="50", points="5"))
    app.ship(found)
    return found


def links(at: AppTest) -> list[str]:
    return [link.proto.label for link in at.get("page_link")]


def test_empty(at):
    at.run()
    assert not at.exception and not charts(at)
    assert "ships no result yet" in at.info[0].value and "Measure a barrier" in links(at)
    assert "Nothing is being computed." in words(at)
    assert "Nothing of your own is stored yet" in words(at) and "CPU cores" in words(at)


def test_the_picture_is_there_at_once(at, app, keys):
    at.run()
    assert not at.exception and len(charts(at)) == 1
    plain, *_, last = (barrier_words(app.store.get(key).result) for key in keys)
    assert f"from **{plain}** to **{last}**" in at.markdown[0].value
    assert links(at)[0].startswith("Computed on ") and "(CPU)" in links(at)[0]
    assert links(at)[1:] == ["Measure a barrier", "Open the lecture", "Open the studies"]


def test_what_runs_is_shown_whoever_started_it(at, app):
    press(page("barrier", examples="50", points="5").run(), "Run")
    app.jobs.cancel(app.waiting()[0].key)
    app.begin(0.25, "matching")
    at.run()
    assert not at.exception
    assert progress(at) == (
        "Barrier of vit-fashion-s0 and vit-fashion-s1, weight matching: matching, 25%"
    )
    assert len(at.get("progress")) == 2  # the other waits


def test_a_run_on_a_cluster_says_where_and_shows_its_log(at, app, tmp_path):
    press(page("barrier", examples="50", points="5").run(), "Run")
    log = tmp_path / "12_3.log"
    log.write_text("job begins on 4 threads")
    job = app.jobs.claim(
        "cpu:slurm 12_3 x",
        "cpu",
        os.getpid(),
        executor="slurm",
        key=app.waiting()[0].key,
        log=str(log),
        task="12_3",
    )
    app.jobs.report(job.key, job.worker, 0.25, "matching")
    at.run()
    assert not at.exception
    assert progress(at).endswith(f"matching, 25%, on {job.node} (slurm 12_3)") and job.node
    (shown,) = at.expander
    assert shown.label == "Log of slurm 12_3" and shown.code[0].value == log.read_text()
    line = progress(page("barrier", examples="50", points="5").run())
    assert f"matching, on {job.node} (slurm 12_3)" in line


def test_a_study_is_a_card_with_its_picture(at, keys):
    Studies().create("Two seeds", "What was found.", (Entry(keys=(keys[0],)),))
    at.run()
    assert not at.exception and "Two seeds" in [each.value for each in at.subheader]
    assert "What was found." in [each.value for each in at.markdown]
    assert len(charts(at)) == 2 and links(at).count("Open") == 1


def test_an_audience_sees_no_machine(at, keys, audience):
    at.run()
    assert not at.exception and headers(at) == ["Three ways in", "Studies"]


def test_one_pair_in_order():
    mixed = [*RESULTS["gpt2"][:2], *reversed(RESULTS["vit"])]
    assert [result["key"] for result in welcome.one_pair(mixed)] == [
        result["key"] for result in RESULTS["vit"]
    ]
    assert welcome.one_pair([]) == []


def test_other_settings_are_not_in_the_first_picture():
    other = {
        **RESULTS["vit"][2],
        "classes": {**RESULTS["vit"][2]["classes"], "query-key": "none"},
        "barrier": 1.0,
    }
    fewer = {**RESULTS["vit"][0], "examples": 50}
    found = welcome.one_pair([other, fewer, *RESULTS["vit"]])
    assert found == RESULTS["vit"]


def test_the_link_leads_to_the_same_numbers():
    address = welcome.address_of(RESULTS["vit"])
    assert address["a"] == "vit-fashion-s0" and address["residual"] == "orthogonal"
    assert address["with"] == [
        "weight.residual-permutation.units-permutation.heads-permutation.query-key-none.value-output-none"
    ]
