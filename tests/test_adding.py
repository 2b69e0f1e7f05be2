"""A kind of computation with its page is added from outside the package, by public names alone: it
is listed, computed, stored, drawn, part of a study, and exported.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import plotly.graph_objects as go
import pytest
from streamlit.testing.v1 import AppTest

import lmc_core
from lmc_core.runs.computation import request_from_json
from lmc_core.runs.store import Store
from lmc_core.ui import pages
from lmc_core.ui.pages import PAGES, Entry, there
from tests.cli.conftest import Run, lmc
from tests.outside_kind import COMPUTATION, PAGE, DistanceRequest, make_distance_request

__all__ = ["lmc"]  # the fixture
Pair = tuple[Path, Path]


@pytest.fixture(autouse=True)
def kind() -> Iterator[None]:
    """The kind is there for one test."""
    lmc_core.COMPUTATIONS.add(COMPUTATION)
    yield
    lmc_core.COMPUTATIONS.remove("distance")


@pytest.fixture
def request_of_two(tiny_vit_pair: Pair) -> DistanceRequest:
    a, b = (str(folder) for folder in tiny_vit_pair)
    return make_distance_request(a, b)


def distance(pair: Pair) -> float:
    """As it is computed here."""
    a, b = (lmc_core.load(folder) for folder in pair)
    return sum(float((t - b.state[n]).norm()) ** 2 for n, t in a.state.items()) ** 0.5


def test_it_is_listed_and_its_name_is_its_own() -> None:
    assert "distance" in lmc_core.COMPUTATIONS and "distance" in list(lmc_core.COMPUTATIONS)
    assert lmc_core.COMPUTATIONS.title("distance") == "Distance"
    with pytest.raises(lmc_core.BadInput, match="distance"):
        lmc_core.COMPUTATIONS.add(COMPUTATION)


def test_it_is_computed_once_and_stored(
    request_of_two: DistanceRequest, tiny_vit_pair: Pair
) -> None:
    outcome = lmc_core.run(request_of_two)
    assert outcome.numbers["distance"] == pytest.approx(distance(tiny_vit_pair), rel=1e-5)
    assert lmc_core.run(request_of_two).numbers["cached"] is True  # type: ignore[typeddict-item]
    assert request_from_json(request_of_two.to_json()) == request_of_two
    assert make_distance_request(*request_of_two.models, scale=2.0).key != request_of_two.key
    assert Store().get(request_of_two.key) is not None


def test_it_is_drawn_with_others_of_its_kind(
    request_of_two: DistanceRequest, tiny_vit_pair: Pair
) -> None:
    outcome = lmc_core.run(request_of_two)
    assert isinstance(outcome.figure(), go.Figure)
    (panel,) = outcome.panels()
    assert panel.kind == "Distance" and "pairs of models" in panel.caption
    assert panel.summary.rows[0][1] == pytest.approx(distance(tiny_vit_pair), rel=1e-5)
    assert len(panel.numbers.rows) == len(outcome.numbers["parameters"])
    assert "distance" in outcome._repr_html_()


def test_it_is_part_of_a_study_and_exported(
    request_of_two: DistanceRequest, lmc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = lmc_core.run(request_of_two).key
    assert key in [entry["key"] for entry in lmc("results", "--json").json]
    page, archive = tmp_path / "page.html", tmp_path / "study.zip"
    done = lmc("report", "Distances", "--add", key, "--html", page, "--archive", archive)
    assert done.code == 0, done.err
    assert "Distance of 1 pairs of models" in page.read_text(encoding="utf-8")
    assert "distance" in lmc("report", "Distances").out
    monkeypatch.setenv("LMC_HOME", str(tmp_path / "elsewhere"))
    taken = lmc("report", "--import", archive, "--json")
    assert taken.code == 0, taken.err
    assert taken.json["added"] == [key]
    found = Store().get(key)
    assert found is not None and found.imported
    assert lmc_core.run(request_of_two).panels()[0].figure is not None


def test_it_has_a_page(
    request_of_two: DistanceRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "SCRIPTS", tmp_path)
    monkeypatch.setitem(PAGES, "distance", Entry("Distance", "How far two models are apart."))
    a, b = request_of_two.models
    (tmp_path / "distance.py").write_text(PAGE.format(a=a, b=b))
    assert there() == ["distance"]
    page = AppTest.from_file(str(pages.script("distance")), default_timeout=60).run()
    assert not page.exception and page.title[0].value == "How far two models are apart"
    assert [button.label for button in page.button] and not page.table
    lmc_core.run(request_of_two)
    page.run()
    assert not page.exception
    assert [table.value.index.name for table in page.table] == ["Models"]


def test_the_request_is_plain_json(request_of_two: DistanceRequest) -> None:
    content = json.loads(json.dumps(request_of_two.to_json()))
    assert content["what"] == "distance" and content["scale"] == 1.0
    assert request_from_json(content).key == request_of_two.key
