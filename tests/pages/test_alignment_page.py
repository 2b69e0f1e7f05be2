"""The page Alignment in every state."""

from __future__ import annotations

import io

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.figures.alignment import average
from lmc_core.numbers import number
from lmc_core.ui import alignment_controls, alignment_view, panels
from tests.figures.alignment_result import HEADS, alignment_arrays, alignment_result
from tests.pages.conftest import Installation
from tests.pages.reading import (
    box,
    buttons,
    charts,
    errors,
    files,
    headers,
    metrics,
    page,
    parameter,
    press,
    progress,
    words,
)


@pytest.fixture
def at(app: Installation) -> AppTest:
    return page("alignment", examples="64")


@pytest.fixture
def done(at: AppTest, app: Installation) -> AppTest:
    app.finish(at)
    return at


def test_empty_says_what_run_does(at, app):
    at.query_params["space"] = "heads"
    at.run()
    assert not at.exception and "Not computed yet: All classes." in words(at) and not charts(at)
    # what a link asks for is not lost while there is nothing to show
    assert parameter(at, "space") == "heads"
    press(at, "Run")
    (request,) = app.requests()
    assert (request.what, request.split, request.examples) == ("alignment", "test", 64)


def test_running_cancel_and_failure(at, app):
    press(at.run(), "Run")
    app.begin(0.5, "comparing coordinates")
    at.run()
    assert progress(at).startswith("50%") and "All classes: comparing coordinates" in progress(at)
    press(at, "Cancel")
    app.fail_running("There was no room.")
    at.run()
    assert errors(at) == ["All classes was not computed. There was no room."]


def test_done_shows_everything(done, app):
    done.run()
    assert not done.exception and "The alignment is stored" in words(done)
    (found,) = app.store.list(limit=1)
    result = found.result
    stream = next(iter(result["streams"].values()))
    values = metrics(done)
    assert values["Function check"] == number(result["function_error"], digits=2)
    assert values["Cosine of the streams"] == number(average(stream["after"]))
    # overview, two matrices, the circle (and what stretches), streams, CKA
    assert len(charts(done)) in (6, 7)
    assert "(16 coordinates)" in words(done) and "As a rotation" in words(done)
    assert files(done) >= {"CSV", "Matrix", "JSON", "NPZ", "HTML"}
    table = done.table[0].value
    assert table.index[0] == "residual stream" and "heads" in table.index
    assert [box(done, "Space").options[0], parameter(done, "space")] == [
        "Residual stream",
        "residual stream",
    ]
    assert headers(done) == ["One space in detail", "The residual streams on real examples"]


def test_each_kind_of_space_has_its_picture(done):
    done.run()
    for group in ("units", "heads", "query-key", "value-output"):
        box(done, "Space").set_value(group).run()
        assert not done.exception and parameter(done, "space") == group
        assert ("As a permutation" in words(done)) == (group in ("units", "heads")), group
    # the last has its singular values too, where it stretches
    assert len(charts(done)) == 6 + ("condition number" in words(done))


def test_layer_copy_and_view_are_in_the_address_and_come_back(done):
    done.query_params.update({"space": "query-key", "layer": "query-key.1", "copy": "1"})
    done.run()
    assert box(done, "Layer").value == "query-key.1" and box(done, "Within").value == 1
    assert "Query-key, block 1, head 1" in words(done)
    box(done, "Space").set_value("heads").run()
    assert parameter(done, "layer") == "heads.0" and parameter(done, "copy") is None
    box(done, "Space").set_value("units").run()  # many: as matched, until somebody asks
    assert parameter(done, "view") is None and "own order and the matched" not in words(done)
    done.segmented_control(key="alignment_view_many").set_value("own").run()
    assert parameter(done, "view") == "own" and "own order and the matched" in words(done)


def test_few_coordinates_show_the_assignment_at_once():
    heads = next(e for e in alignment_result()["spaces"] if e["name"] == "heads.1")
    units = next(e for e in alignment_result()["spaces"] if e["name"] == "units.1")
    assert alignment_controls.Detail(heads, 0, True).drawn_in
    assert not alignment_controls.Detail(units, 0, True).drawn_in
    assert alignment_controls.Detail(heads, 0, True).state["view"] is None
    assert alignment_controls.Detail(units, 0, True).state["view"] == "own"


def test_what_an_address_may_not_hold_is_dropped(app):
    done = page("alignment", examples="3", split="validation", space="souls", layer="blocks.9")
    done.query_params.update({"copy": "77", "view": "sideways"})
    app.finish(done)
    done.run()
    assert not done.exception and box(done, "Space").value == "residual stream"
    assert parameter(done, "examples") == "256" and parameter(done, "copy") is None


def test_a_click_on_the_overview_chooses_the_space(monkeypatch: pytest.MonkeyPatch):
    state: dict = {}
    monkeypatch.setattr(alignment_controls.st, "session_state", state)
    event = {"selection": {"points": [{"customdata": ["units.1", "blocks.1"]}]}}
    alignment_controls.follow_click(event, alignment_result(), "alignment")
    assert state == {"alignment_space": "units", "alignment_layer": "units.1"}
    for nothing in (
        {},
        {"selection": {"points": []}},
        {"selection": {"points": [{"customdata": ["nobody"]}]}},
    ):
        alignment_controls.follow_click(nothing, alignment_result(), "alignment")
    assert state == {"alignment_space": "units", "alignment_layer": "units.1"}


def test_without_a_method_there_is_nothing_to_match(at, app):
    at.query_params["method"] = "none"
    at.run()
    assert "Without symmetries nothing is matched" in at.info[0].value
    assert "Run" not in buttons(at) and not charts(at)


def test_incompatible_models_are_one_sentence(at):
    at.query_params["b"] = "gpt2-plays-s0"
    at.run()
    assert not at.exception and len(at.error) == 1
    assert "vit-fashion-s0" in errors(at)[0] and "gpt2-plays-s0" in errors(at)[0]


def test_a_damaged_store_is_computed_again(done, app):
    (found,) = app.store.list(limit=1)
    (found.folder / "arrays.npz").unlink()
    with pytest.warns(UserWarning, match="damaged"):
        done.run()
    assert not done.exception and "Not computed yet: All classes." in words(done)


def test_an_audience_sees_what_is_stored_and_starts_nothing(done, app, audience):
    done.run()
    assert not done.exception and len(charts(done)) in (6, 7)
    assert not [label for label in buttons(done) if label.startswith("Run")]
    box(done, "Space").set_value("heads").run()
    assert not done.exception
    other = page("alignment", examples="1000").run()
    assert "only shows what is" in words(other)
    assert not [label for label in buttons(other) if label.startswith("Run")]


def test_without_models(at, no_models):
    at.run()
    assert "ships no models" in at.info[0].value


def test_files_hold_the_full_matrices():
    arrays, result = alignment_arrays(), alignment_result()
    heads = next(entry for entry in result["spaces"] if entry["name"] == "heads.1")
    detail = alignment_controls.Detail(heads, 0, True)
    drawn = alignment_view.make_matrices(result, arrays, detail)
    assert drawn.assignment is not None and drawn.assignment.tolist() == HEADS and not drawn.signed
    lines = alignment_view.matrix_csv(drawn.after).splitlines()
    assert lines[0] == "A \\ B,0,1,2,3" and float(lines[2].split(",")[2]) == pytest.approx(
        drawn.after[1, 1]
    )
    file = panels.pack(arrays)
    with np.load(io.BytesIO(file)) as content:
        assert set(content.files) == set(arrays)
        assert np.array_equal(content["units.1/after"], arrays["units.1/after"])
