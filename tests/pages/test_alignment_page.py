"""The page Alignment in every state, with a job layer in memory."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.errors import BadInput
from lmc_core.server.app import script
from lmc_core.ui import alignment_controls, alignment_view, backend, catalogue
from tests.figures.alignment_result import HEADS, alignment_arrays, alignment_result

KEY = "vit-fashion-s0|vit-fashion-s1|All classes|alignment"


@pytest.fixture
def at(layer, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(
        alignment_controls,
        "alignment_of",
        lambda request: SimpleNamespace(key=f"{request.key}|alignment"),
    )
    monkeypatch.setattr(backend, "arrays", lambda key: alignment_arrays())
    return AppTest.from_file(str(script("alignment")), default_timeout=30)


@pytest.fixture
def done(at, layer) -> AppTest:
    layer.results[KEY] = alignment_result()
    return at


def words(at: AppTest) -> str:
    return "\n".join(str(part.value) for part in [*at.markdown, *at.caption, *at.error, *at.info])


def parameter(at: AppTest, name: str) -> str:
    value = at.query_params[name]
    return value[0] if isinstance(value, list) else value


def button(at: AppTest, label: str):
    return next(each for each in at.button if each.label == label)


def box(at: AppTest, label: str):
    return next(each for each in at.selectbox if each.label == label)


def figures(at: AppTest) -> list[str]:
    return [chart.proto.id.rpartition("-")[2] for chart in at.get("plotly_chart")]


def test_empty_says_what_run_does(at, layer):
    at.query_params["space"] = "heads"
    at.run()
    assert not at.exception
    assert "Not computed yet: All classes." in words(
        at
    ) and "**Run** brings the second model" in words(at)
    assert not at.get("plotly_chart")
    # what a link asks for is not lost while there is nothing to show
    assert parameter(at, "space") == "heads"
    button(at, "Run").click().run()
    assert layer.submitted == [(KEY, False)] and layer.requests[-1][1:3] == ("test", 256)


def test_running_and_cancel(at, layer):
    layer.job(KEY, "running", 0.5, "comparing coordinates")
    at.run()
    assert at.get("progress")[0].proto.text == "All classes: comparing coordinates, 50%"
    button(at, "Cancel").click().run()
    assert layer.cancelled == [KEY] and "Cancelled. Still to compute" in words(at)


def test_failed(at, layer):
    layer.job(KEY, "failed", error="There was no room.")
    at.run()
    assert at.error[0].value == "All classes was not computed. There was no room."


def test_done_shows_everything(done):
    done.run()
    assert not done.exception
    assert "The alignment is stored" in words(done)
    values = {metric.label: metric.value for metric in done.metric}
    assert values["Function check"] == "2.4 × 10⁻⁷" and values["Cosine of the streams"] == "0.633"
    assert len(done.get("plotly_chart")) == 6  # overview, two matrices, circle, streams, CKA
    assert "Residual stream, all layers (6 coordinates)" in words(
        done
    ) and "As a rotation" in words(done)
    assert {each.label for each in done.get("download_button")} >= {
        "CSV",
        "Matrix",
        "JSON",
        "NPZ",
        "HTML",
    }
    table = done.table[0].value
    assert (
        list(table.index)[:2] == ["residual stream", "heads"]
        and table.iloc[1]["found"] == "3 moved"
    )
    assert [box(done, "Space").options[0], parameter(done, "space")] == [
        "Residual stream",
        "residual stream",
    ]


def test_each_kind_of_space_has_its_picture(done):
    expected = {
        "units": "As a permutation", "heads": "As a permutation", "query-key": "As a turn of every rotary " "pair",
        "value-output": "condition number 3.50",
    }  # fmt: skip
    done.run()
    for group, said in expected.items():
        box(done, "Space").set_value(group).run()
        assert not done.exception and said in words(done), group
    assert len(done.get("plotly_chart")) == 7  # the last has its singular values too


def test_layer_copy_and_view_are_in_the_address_and_come_back(done):
    done.query_params.update({"space": "query-key", "layer": "query-key.1", "copy": "2"})
    done.run()
    assert box(done, "Layer").value == "query-key.1" and box(done, "Within").value == 2
    assert "Query-key, block 1, head 2" in words(done)
    box(done, "Space").set_value("heads").run()
    assert parameter(done, "layer") == "heads.0" and "copy" not in done.query_params
    # few: the assignment at once
    assert "own order and the matched cells are marked" in words(done)
    box(done, "Space").set_value("units").run()  # many: as matched, until somebody asks
    assert "view" not in done.query_params and "own order and the matched" not in words(done)
    done.segmented_control(key="alignment_view_many").set_value("own").run()
    assert parameter(done, "view") == "own" and "own order and the matched" in words(done)


def test_what_an_address_may_not_hold_is_dropped(done):
    done.query_params.update(
        {"space": "souls", "layer": "blocks.9", "copy": "77", "view": "sideways", "examples": "3"}
    )
    done.run()
    assert not done.exception and box(done, "Space").value == "residual stream"
    assert parameter(done, "examples") == "256" and "copy" not in done.query_params


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


def test_without_a_method_there_is_nothing_to_match(at, layer):
    at.query_params["method"] = "none"
    at.run()
    assert "Without a method nothing is matched" in at.info[0].value and not layer.requests


def test_incompatible_models_are_one_sentence(at):
    at.query_params["b"] = "gpt2-plays-s0"
    at.run()
    assert [error.value.partition(";")[0] for error in at.error] == [
        "vit-fashion-s0 is a vit and gpt2-plays-s0 a gpt2"
    ]


def test_a_damaged_store_is_one_sentence(done, monkeypatch):
    def broken(key):
        raise BadInput("The arrays cannot be read; run it again.")

    monkeypatch.setattr(backend, "arrays", broken)
    done.run()
    assert [error.value for error in done.error] == ["The arrays cannot be read; run it again."]


def test_read_only_has_no_button(done, monkeypatch):
    monkeypatch.setattr(backend, "read_only", lambda: True)
    done.run()
    assert not done.exception and not [each for each in done.button if each.label.startswith("Run")]
    box(done, "Space").set_value("heads").run()
    assert not done.exception


def test_read_only_without_a_result_says_so(at, monkeypatch):
    monkeypatch.setattr(backend, "read_only", lambda: True)
    at.run()
    assert "only shows what is" in words(at) and not [
        each for each in at.button if each.label.startswith("Run")
    ]


def test_without_models(at, monkeypatch):
    monkeypatch.setattr(catalogue, "models", dict)
    at.run()
    assert "ships no models" in at.info[0].value


def test_files_hold_the_full_matrices():
    arrays, result = alignment_arrays(), alignment_result()
    heads = next(entry for entry in result["spaces"] if entry["name"] == "heads.1")
    detail = alignment_controls.Detail(heads, 0, True)
    drawn = alignment_view.matrices_of(result, arrays, detail)
    assert drawn.assignment is not None and drawn.assignment.tolist() == HEADS and not drawn.signed
    lines = alignment_view.matrix_csv(drawn.after).splitlines()
    assert lines[0] == "A \\ B,0,1,2,3" and float(lines[2].split(",")[2]) == pytest.approx(
        drawn.after[1, 1]
    )
    file = alignment_view.packed(arrays)
    import io

    with np.load(io.BytesIO(file)) as content:
        assert set(content.files) == set(arrays)
        assert np.array_equal(content["units.1/after"], arrays["units.1/after"])
