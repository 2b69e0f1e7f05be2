"""A method that is made outside of the package, by public names alone: it is listed, run, stored,
drawn and exported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import lmc_core
from lmc_core.figures.barrier import barrier_caption, barrier_figure
from lmc_core.figures.export import results_csv, standalone_html
from lmc_core.figures.panel import panels
from lmc_core.matching.matcher_input import MatcherInput
from lmc_core.matching.trace import Trace
from lmc_core.runs.executors import Inline
from lmc_core.settings import choice
from tests.cli.conftest import Run, lmc

__all__ = ["lmc"]

WORDS = ("--task", "fashion-mnist", "--examples", "8", "--points", "3", "--refine", "0")


@dataclass(frozen=True)
class ToySettings:
    """How the toy matches.

    Attributes:
        way: it has two, which do the same.
        effort: without effect.
    """

    way: str = choice("short", ("short", "long"), "way of the toy")
    effort: int = 1


def stay(given: MatcherInput, settings: ToySettings) -> tuple[lmc_core.Alignment, Trace]:
    """Leave B where it is."""
    given.progress(1.0, "staying")
    about = {"way": settings.way}
    return lmc_core.Alignment.of(given.layout.spaces), Trace((0.5,), 0.5, "toy", {}, 0, about)


TOY = lmc_core.Method(
    name="toy",
    title="toy matching",
    sentence="Leaves B where it is.",
    source="nobody",
    settings=ToySettings,
    match=stay,
    look=lmc_core.Look("toy matching", "#123456", "#abcdef", "1px,9px", "hexagram"),
)


@pytest.fixture
def toy() -> Iterator[None]:
    lmc_core.METHODS.add(TOY)
    yield
    lmc_core.METHODS.remove("toy")


@pytest.mark.usefixtures("toy")
def test_it_is_listed_with_its_settings(lmc: Run) -> None:
    row = next(row for row in lmc("methods", "--json").json if row["name"] == "toy")
    assert row["title"] == "toy matching" and not row["several"]
    assert [each["name"] for each in row["settings"]] == ["way", "effort"]
    assert row["settings"][0]["help"] == "it has two, which do the same."


@pytest.mark.usefixtures("toy")
def test_it_is_run_stored_drawn_and_exported(
    lmc: Run, tiny_vit_pair: tuple[Path, Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = map(str, tiny_vit_pair)
    monkeypatch.setattr("lmc_core.cli.computing.get_executor", lambda name: Inline())
    done = lmc("barrier", a, b, *WORDS, "--method", "toy", "--set", "way=long", "--json")
    result: dict[str, Any] = done.json
    assert (result["method"], result["settings"]["way"]) == ("toy", "long")
    stored = [each for each in Inline().store.list() if each.result["method"] == "toy"]
    assert len(stored) == 1
    figure = barrier_figure([result])
    lines = [trace["line"].to_plotly_json() for trace in figure.select_traces()]
    assert {"#123456"} == {line["color"] for line in lines if line.get("dash") == "1px,9px"}
    assert "toy matching" in barrier_caption([result])
    panel, *_ = panels(stored)
    assert panel.caption
    assert "toy matching" in results_csv([result], ["toy matching"]).splitlines()[1]
    assert "toy matching" in standalone_html(figure, barrier_caption([result]), [result])


@pytest.mark.usefixtures("toy")
def test_its_settings_are_checked_by_its_own_types(
    lmc: Run, tiny_vit_pair: tuple[Path, Path]
) -> None:
    a, b = map(str, tiny_vit_pair)
    lmc("barrier", a, b, "--method", "toy", "--set", "way=no").refused(
        "There is no way of the toy 'no'; expected one of: long, short."
    )


@pytest.mark.usefixtures("toy")
def test_the_library_aligns_by_it(tiny_vit_pair: tuple[Path, Path]) -> None:
    a, b = (lmc_core.load(str(folder)) for folder in tiny_vit_pair)
    pair = lmc_core.align(a, b, method="toy", settings={"way": "long"})
    assert pair.trace.about == {"way": "long"} and pair.function_error < 1e-5
