"""The page of studies in every state, on a real store in a folder of the test's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lmc_core import folders
from lmc_core.runs.store import Store
from lmc_core.studies.notes import Notes
from lmc_core.studies.store import Studies
from lmc_core.studies.study import Entry
from lmc_core.ui.pages import script
from tests.pages.reading import charts
from tests.pages.reading import parameters as parameter
from tests.studies.conftest import RESULTS, keep


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Assets without results; what is put there comes with the app."""
    real, folder = folders.assets(), tmp_path / "assets"
    folder.mkdir()
    (folder / "fonts").symlink_to(real / "fonts")
    monkeypatch.setattr(folders, "assets", lambda: folder)
    return folder


@pytest.fixture
def at(shipped: Path) -> AppTest:
    return AppTest.from_file(str(script("studies")), default_timeout=30)


@pytest.fixture
def keys(home: Path) -> list[str]:
    store = Store(home / "results", home / "none")
    return [keep(store, result) for result in (*RESULTS["vit"], *RESULTS["gpt2"])]


@pytest.fixture
def study(home: Path, keys: list[str]):
    entries = (
        Entry(keys=tuple(keys[:3]), title="Vision", note="**Not bold** $x$"),
        Entry(keys=tuple(keys[3:5])),
    )
    return Studies().create("Two pairs", "What is left", entries)


def words(at: AppTest) -> str:
    parts = [
        *at.markdown,
        *at.caption,
        *at.error,
        *at.info,
        *at.success,
        *at.warning,
        *at.header,
        *at.subheader,
    ]
    return "\n".join(str(part.value) for part in parts)


def labels(at: AppTest) -> list[str]:
    files = [each.label for each in at.get("download_button")]
    return [each.label for each in at.button] + files


def press(at: AppTest, label: str, number: int = 0) -> None:
    [each for each in at.button if each.label == label][number].click().run()
    assert not at.exception


def test_empty(at: AppTest):
    at.run()
    assert not at.exception and "Nothing is stored yet. Measure a barrier" in words(at)
    at.query_params["view"] = "studies"
    fresh = AppTest.from_file(str(script("studies")), default_timeout=30)
    fresh.query_params["view"] = "studies"
    fresh.run()
    assert "There is no study yet" in words(fresh)


def test_the_newest_pair_is_drawn_at_once_with_everything_behind_it(at: AppTest, keys: list[str]):
    at.run()
    assert not at.exception and "**3** chosen." in words(at)
    assert len(charts(at)) == 1 and "gpt2-plays-s0 \u2192 gpt2-plays-s1" in charts(at)[0]
    assert "The barrier is the largest excess" in words(at)
    assert list(at.table[0].value["Barrier"])[0] == "1.310\u00a0\u00b1\u00a00.008 nats"
    assert len(at.dataframe[0].value) == 6 and "**6** of your own" in words(at)
    assert parameter(at, "show") == [key[:12] for key in keys[3:]]


def test_the_address_holds_search_filters_and_choice(at: AppTest, keys: list[str]):
    at.query_params.update(
        {
            "q": "fashion plain",
            "task": "fashion-mnist",
            "show": [keys[0][:12], keys[4][:12], "0" * 12],
        }
    )
    at.run()
    assert list(at.dataframe[0].value["Setting"]) == ["Plain average"]
    assert "**2** chosen, 1 of them not in the table as filtered." in words(at)
    assert "2 pairs of models" in charts(at)[0]
    assert parameter(at, "q") == ["fashion plain"] and parameter(at, "task") == ["fashion-mnist"]
    assert parameter(at, "show") == [keys[0][:12], keys[4][:12]]


def test_what_an_address_may_not_hold_is_dropped(at: AppTest, keys: list[str]):
    at.query_params.update(
        {
            "what": "rm",
            "model": "x",
            "view": "secret",
            "show": ["../../x", ""],
            "study": "../../etc/passwd",
        }
    )
    at.run()
    assert not at.exception
    at = AppTest.from_file(str(script("studies")), default_timeout=30)
    at.query_params.update({"view": "studies", "study": "../../etc/passwd"})
    at.run()
    assert not at.exception and "no study of that name" in words(at)


def test_nothing_fits(at: AppTest, keys: list[str]):
    at.run()
    at.text_input(key="studies_q").set_value("resnet").run()
    assert "No result fits" in words(at) and "3 of them not in the table" in words(at)


def test_the_code_of_charts_starts_while_nothing_is_drawn(at: AppTest, keys: list[str]):
    at.query_params["show"] = "none"
    at.run()
    (dot,) = at.get("plotly_chart")
    assert not dot.proto.alt and "charts_started" in dot.proto.id


def test_a_page_with_a_figure_draws_nothing_else(at: AppTest, keys: list[str]):
    at.query_params["show"] = keys[0][:12]
    at.run()
    assert charts(at) and all(each.proto.alt for each in at.get("plotly_chart"))


def test_a_chosen_row_joins_those_chosen_under_another_filter(at: AppTest, keys: list[str]):
    at.query_params.update({"task": "fashion-mnist", "show": [keys[4][:12]]})
    at.run()
    press(at, "Choose none")
    assert (
        "Choose rows to draw them" in words(at)
        and not charts(at)
        and parameter(at, "show") == ["none"]
    )


def test_put_into_a_new_study_and_into_a_known_one(at: AppTest, keys: list[str]):
    at.run()
    at.text_input(key="studies_put_name").set_value("Mine")
    at.text_area(key="studies_put_note").set_value("why")
    press(at, "Put in")
    assert "Put into the study \u201cMine\u201d, which now has 1 picture." in words(at)
    at.selectbox(key="studies_put_into").set_value("mine")
    press(at, "Put in")
    found = Studies().get("mine")
    assert [entry.keys for entry in found.entries] == [tuple(keys[3:])] * 2 and found.entries[
        0
    ].note == "why"


def test_note_on_a_result_is_found_by_the_search(at: AppTest, keys: list[str]):
    at.query_params["show"] = [keys[1][:12]]
    at.run()
    at.text_area(key=f"studies_note_{keys[1][:12]}").set_value("look again")
    press(at, "Keep")
    assert Notes().get(keys[1]) == "look again"
    at.text_input(key="studies_q").set_value("again look").run()
    assert list(at.dataframe[0].value["Note"]) == ["look again"]


def test_a_result_is_named_in_table_search_figure_and_study(at: AppTest, keys: list[str]):
    at.query_params["show"] = [keys[1][:12]]
    at.run()
    at.text_input(key=f"studies_name_{keys[1][:12]}").set_value("  The  first ")
    press(at, "Keep")
    assert "The first" in charts(at)[0]
    at.text_input(key="studies_put_name").set_value("Mine")
    press(at, "Put in")
    assert Studies().get("mine").entries[0].labels == ("The first",)
    at.text_input(key="studies_q").set_value("the first").run()
    assert list(at.dataframe[0].value["Name"]) == ["The first"]


def test_rows_lead_to_their_page_where_their_models_are_here(at: AppTest, keys: list[str]):
    at.run()
    assert set(at.dataframe[0].value["Page"]) == {None}  # these models were made for this test


def test_delete_and_bring_back(at: AppTest, home: Path, keys: list[str], study):
    before = {path: path.read_bytes() for path in (home / "results" / keys[0]).iterdir()}
    at.query_params["show"] = [keys[0][:12]]
    at.run()
    assert "Shown in \u201cTwo pairs\u201d, which will lack them." in words(at)
    press(at, "Delete this result")
    assert "One result was deleted." in words(at) and Store().get(keys[0]) is None
    press(at, "Bring back")
    assert "One result was brought back." in words(at)
    assert {path: path.read_bytes() for path in (home / "results" / keys[0]).iterdir()} == before


def test_shipped_results_cannot_be_deleted(at: AppTest, shipped: Path):
    key = keep(Store(shipped / "results", shipped / "none"), RESULTS["vit"][0])
    at.run()
    assert "These came with the app and stay" in words(at) and "Delete this result" not in labels(
        at
    )
    assert Store().get(key) is not None


def test_cards_and_an_open_study(at: AppTest, study):
    at.query_params["view"] = "studies"
    at.run()
    assert "2 pictures, 5 results" in words(at) and len(charts(at)) == 1
    press(at, "Open")
    assert parameter(at, "study") == ["two-pairs"] and len(charts(at)) == 2
    assert {"Page", "For a paper", "Archive"} <= set(labels(at))
    assert r"\*\*Not bold\*\* \$x\$" in words(at)
    press(at, "All studies")
    assert "study" not in at.query_params


def test_a_study_is_changed(at: AppTest, study):
    at.query_params["study"] = study.name
    at.run()
    press(at, "Later")
    assert [entry.title for entry in Studies().get(study.name).entries] == ["", "Vision"]
    press(at, "Take out", 1)
    assert [entry.title for entry in Studies().get(study.name).entries] == [""]
    name = next(
        each.key for each in at.text_input if each.key.endswith("_title") and "_0_" in each.key
    )
    at.text_input(key=name).set_value("Language")
    press(at, "Keep", 1)
    assert Studies().get(study.name).entries[0].title == "Language" and "Language" in words(at)


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(at: AppTest, study):
    at.query_params["study"] = study.name
    at.run()
    Studies().update(study.name, lambda now: now.without_entry(0))
    press(at, "Take out", 0)
    assert "Somebody else changed this picture meanwhile" in words(at)
    assert len(Studies().get(study.name).entries) == 1


def test_a_study_is_deleted_and_brought_back(at: AppTest, study):
    at.query_params["study"] = study.name
    at.run()
    press(at, "Delete this study")
    assert "was deleted; its results stay" in words(at) and Studies().list() == []
    press(at, "Bring back")
    assert Studies().list() == [study]


def test_results_that_are_gone_are_said(at: AppTest, study, keys: list[str]):
    Store().delete(keys[0])
    at.query_params["study"] = study.name
    at.run()
    assert (
        not at.exception
        and f"1 of its results is not stored here any more ({keys[0][:12]})" in words(at)
    )
    assert len(charts(at)) == 2


def test_a_store_that_cannot_be_read_is_one_sentence_without_its_place(
    at: AppTest, study, home: Path, monkeypatch
):
    from lmc_core.errors import StoreError

    def refuse(self, key):
        raise StoreError(
            f"The result in {home / 'results' / key} cannot be read; check the permissions of "
            "that folder."
        )

    monkeypatch.setattr(Store, "get", refuse)
    at.query_params["study"] = study.name
    at.run()
    assert (
        not at.exception
        and "cannot be read" in at.error[0].value
        and str(home) not in at.error[0].value
    )


def test_paths_of_the_server_are_never_shown(at: AppTest, home: Path):
    place = "/home/somebody/secret project"
    store = Store(home / "results", home / "none")
    models = (f"path:{place}/one", f"path:{place}/two")
    keep(
        store,
        {**RESULTS["gpt2"][1], "about": f"{place}/letters.txt"},
        models=models,
        task=f"text:{place}/l.txt",
        data="d" * 64,
    )
    at.run()
    assert not at.exception and "**1** chosen" in words(at)
    shown = json.dumps(
        [
            words(at),
            charts(at),
            [each.value.to_csv() for each in at.dataframe],
            dict(at.query_params.items()),
        ]
    )
    assert "somebody" not in shown and "secret" not in shown


@pytest.mark.parametrize("view", [{"view": "results"}, {"view": "studies"}, {"study": "two-pairs"}])
def test_an_audience_sees_everything_and_changes_nothing(view: dict, at: AppTest, study, audience):
    at.query_params.update(view)
    at.run()
    assert not at.exception and charts(at)
    writing = {
        "Put in",
        "Keep",
        "Begin",
        "Import",
        "Earlier",
        "Later",
        "Take out",
        "Run",
        "Run again",
        "Bring back",
    }
    assert not [label for label in labels(at) if label in writing or label.startswith("Delete")]
    assert not at.text_area and not at.get("file_uploader")
    if "study" in view:
        assert {"Page", "Archive"} <= set(labels(at))


def test_a_button_that_was_drawn_before_is_refused_for_an_audience(at: AppTest, study, monkeypatch):
    """A hidden button is no lock: the change itself is refused."""
    at.query_params["study"] = study.name
    at.run()
    monkeypatch.setenv("LMC_READ_ONLY", "1")
    press(at, "Delete this study")
    assert "only shows what is stored" in words(at) and Studies().list() == [study]
