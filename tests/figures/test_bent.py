"""A curve with a bend is drawn with the straight line between its ends, once, and named in the
caption.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lmc_core.figures.barrier import barrier_caption, barrier_figure
from lmc_core.figures.barrier_lines import straight_line, with_straight_lines
from lmc_core.figures.text import label_results
from lmc_core.runs.kinds.barrier import compute, make_request

WORDS = {"task": "plays", "examples": 12, "points": 5, "refine": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def results(tiny_gpt2_pair: tuple[Path, Path]) -> list[dict]:
    pair = [str(path) for path in tiny_gpt2_pair]
    asked = (
        make_request(*pair, **WORDS, bend=8, learn=64),
        make_request(*pair, **WORDS),
        make_request(*pair, **WORDS, method="none"),
    )
    return [dict(compute(request)[0]) for request in asked]


def test_the_straight_line_stands_beside_it_once(results: list[dict]) -> None:
    bent, straight, plain = results
    assert label_results([bent, plain]) == ["All classes, bent", "Plain average"]
    found, names = with_straight_lines([bent, plain], ["All classes, bent", "Plain average"])
    assert names == ["All classes, bent", "All classes, straight", "Plain average"]
    assert found[1]["loss"] == pytest.approx(straight["loss"], abs=1e-6)
    assert found[1]["chord"] == pytest.approx(straight["chord"], abs=1e-6)
    assert found[1]["perplexity"] == pytest.approx(straight["perplexity"], rel=1e-6)
    assert len(with_straight_lines(results, ["a", "b", "c"])[0]) == 3
    assert straight_line(bent, bent["bent"]["straight"])["barrier"] == pytest.approx(
        straight["barrier"], abs=1e-6
    )


def test_it_is_drawn_and_told(results: list[dict]) -> None:
    bent = results[0]
    figure = barrier_figure([bent])
    lines = [t for t in figure.data if t.mode == "lines+markers" and t.yaxis == "y"]
    assert [line.name for line in lines] == ["All classes, bent", "All classes, straight"]
    assert lines[0].line.color == lines[1].line.color and lines[0].line.dash != lines[1].line.dash
    said = barrier_caption([bent])
    assert "whose bend was trained for 8 steps" in said
    assert "times as long as the straight line" in said
    assert "bend" not in barrier_caption(results[1:])
