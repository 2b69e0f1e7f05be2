import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.server.app import ROUTER
from lmc_core.studies.store import Studies
from lmc_core.studies.study import Entry
from lmc_core.ui import backend, welcome
from tests.pages.conftest import RESULTS


@pytest.fixture
def at(layer, monkeypatch) -> AppTest:
    monkeypatch.setattr(welcome, "device_sentence", lambda: "On this machine: **2 CPU cores**.")
    return AppTest.from_file(str(ROUTER), default_timeout=30)


def test_empty(at):
    at.run()
    assert not at.exception
    assert "ships no result yet" in at.info[0].value
    assert not at.get("plotly_chart")


def test_the_picture_is_there_at_once(at, layer):
    layer.fill()
    at.run()
    assert not at.exception
    assert len(at.get("plotly_chart")) == 1
    assert "from **1.83 ± 0.02 nats** to **0.171 ± 0.009 nats**" in at.markdown[0].value
    links = [link.proto.label for link in at.get("page_link")]
    assert "Computed on 2026-11-20 (CPU). Open or compute again" in links
    assert links[1:] == ["Measure a barrier", "Open the lecture", "Open the studies"]


def captions(at) -> str:
    return "\n".join(str(each.value) for each in at.caption)


def test_nothing_kept_and_nothing_running_say_what_to_do(at, layer):
    layer.fill()
    at.run()
    assert "put a result into one on the page Studies" in captions(at)
    assert "Nothing is being computed." in captions(at)
    assert any("Nothing of your own is stored yet" in str(each.value) for each in at.markdown)


def test_what_runs_is_shown_whoever_started_it(at, layer):
    layer.job("vit-fashion-s0|vit-fashion-s1|x", "running", 0.25, "matching")
    at.run()
    assert not at.exception
    assert [each.proto.text for each in at.get("progress")] == [
        "Barrier of vit-fashion-s0 and vit-fashion-s1, weight matching: matching, 25%"
    ]


def test_a_study_is_a_card_with_its_picture(at, monkeypatch):
    key = backend.Store().list()[0].key
    Studies().create("Two seeds", "What was found.", (Entry(keys=(key,)),))
    monkeypatch.setattr(backend, "studies", lambda: Studies().list())
    at.run()
    assert not at.exception
    assert "Two seeds" in [each.value for each in at.subheader]
    assert "What was found." in [each.value for each in at.markdown]
    assert len(at.get("plotly_chart")) == len(
        backend.studies()
    )  # the shipped picture is missing here
    assert [link.proto.label for link in at.get("page_link")].count("Open") == len(
        backend.studies()
    )


def test_an_audience_sees_no_machine(at, layer, monkeypatch):
    layer.fill()
    monkeypatch.setenv("LMC_READ_ONLY", "1")
    at.run()
    headers = [each.value for each in at.header]
    assert headers == ["Three ways in", "Studies"]


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


def test_device():
    assert "CPU cores" in welcome.device_sentence()
