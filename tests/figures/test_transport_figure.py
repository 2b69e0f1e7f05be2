"""The picture of a carried fine-tuning: both tasks, what is strong and what is grey, labels that
are clear of each other, and words that follow the numbers.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from lmc_core.figures.margin import narrowed
from lmc_core.figures.style import MEANINGS
from lmc_core.figures.transport import (
    find_shown,
    recovered_words,
    signed,
    transport_caption,
    transport_finding,
    transport_headline,
    transport_numbers,
    transport_table,
)
from lmc_core.figures.transport_drawing import transport_figure
from tests.figures.geometry import Canvas

SHARES = [0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0]
ERRORS = [0.0, 0.001, 0.001, 0.003, 0.004, 0.007, 0.009]


def curve(change: list[float]) -> dict[str, list[float]]:
    loss = [1.8 + value for value in change]
    errors = {"loss_stderr": [0.03] * 7, "change_stderr": ERRORS}
    return {"loss": loss, "change": change, **errors}


def task(name: str, moved: list[float], unmoved: list[float], tuned: float | None) -> Any:
    itself = {"loss": 1.8, "loss_stderr": 0.03, "change": tuned, "change_stderr": 0.02}
    return {
        **{"name": name, "unit": "nats per character", "about": "", "split": "test"},
        **{"examples": 96, "moved": curve(moved), "unmoved": curve(unmoved)},
        "tuned": None if tuned is None else itself,
    }


@pytest.fixture
def result() -> dict[str, Any]:
    austen = [0, -0.015, -0.026, -0.035, -0.044, -0.04, -0.014]
    plays = [0, 0.004, 0.01, 0.02, 0.05, 0.12, 0.2]
    beside = [0, 0.0, 0.0, 0.001, 0.004, 0.012, 0.03]
    return {
        "models": ["s0", "tuned", "s1", "itself"],
        **{"method": "weight", "classes": {"residual": "orthogonal"}, "largest": {}},
        **{"shares": SHARES, "best": 0.5, "recovered": 0.113, "recovered_stderr": 0.009},
        "choice": {"split": "validation", "examples": 80, "loss": [1.0] * 7},
        "tasks": [task("austen", austen, beside, -0.4), task("plays", plays, beside, 0.36)],
        **{"norm": 12.5, "cosine": 0.031, "function_error": 2e-6, "notes": ["A note."]},
    }


def test_both_tasks_are_drawn_with_bands_and_the_moved_line_is_strong(result: Any) -> None:
    figure = transport_figure(result)
    lines = [trace for trace in figure.data if (trace.meta or {}).get("panel") == "change"]
    upper, lower = ([t for t in lines if t.yaxis == axis] for axis in ("y", "y2"))
    assert [line.name for line in upper] == ["s1 fine-tuned itself", "Unmoved", "Moved"]
    assert [line.name for line in lower][1:] == ["Unmoved, on plays", "Moved, on plays"]
    assert upper[-1].line.color == MEANINGS["orthogonal"].light
    assert upper[1].line.color == MEANINGS["plain"].light
    assert upper[-1].line.width > lower[-1].line.width
    assert list(upper[-1].y) == result["tasks"][0]["moved"]["change"]
    bands = [trace for trace in figure.data if trace.name == "band"]
    assert len(bands) == len(lines) == 6
    assert max(bands[2].y) == pytest.approx(0.0) and len(bands[2].y) == 14
    sizes = list(upper[-1].marker.size)
    assert sizes.index(max(sizes)) == SHARES.index(0.5)
    heads = [note.text for note in figure.layout.annotations if note.name == "heading"]
    assert "austen" in heads[0] and "what is forgotten" in heads[1]


@pytest.mark.parametrize("theme", ["light", "dark", "paper"])
@pytest.mark.parametrize("height", [None, 520, 800])
def test_labels_are_clear_of_each_other(result: Any, theme: str, height: int | None) -> None:
    figure = transport_figure(result, theme, height)
    for axis in ("y", "y2"):
        notes = [n for n in figure.layout.annotations if n.name == "label" and n.yref == axis]
        assert len(notes) == 3
        span = getattr(figure.layout, axis.replace("y", "yaxis"))
        inner = figure.layout.height - figure.layout.margin.t - figure.layout.margin.b
        scale = (span.domain[1] - span.domain[0]) * inner / (span.range[1] - span.range[0])
        boxes = []
        for note in notes:
            middle = (note.y - span.range[0]) * scale - note.ay
            half = note.font.size * 1.25 * (note.text.count("<br>") + 1) / 2
            boxes.append((middle - half, middle + half))
        for one, other in combinations(boxes, 2):
            assert one[1] <= other[0] + 1 or other[1] <= one[0] + 1
    canvas = Canvas(figure, 760)
    assert all(box.right <= canvas.width + canvas.margin.r for box in canvas.labels())


def test_on_a_phone_a_legend_names_every_line(result: Any) -> None:
    narrow = narrowed(transport_figure(result))
    entries = [trace.name for trace in narrow.data if trace.showlegend]
    assert len(set(entries)) == 6 and "Moved: \u22120.044 ± 0.004 at 0.5" in entries


def test_one_task_and_no_target_fine_tuned_itself(result: Any) -> None:
    result["tasks"] = [task("plays", [0.0] * 7, [0.0] * 7, None)]
    result |= {"models": ["s0", "tuned", "s1"], "recovered": None, "recovered_stderr": None}
    figure = transport_figure(result)
    assert "yaxis2" not in figure.to_dict()["layout"]
    assert len([t for t in figure.data if (t.meta or {}).get("panel") == "change"]) == 2
    assert "Below" not in transport_caption(result) and "Dashed" not in transport_caption(result)
    assert [row[4:] for row in transport_table(result).rows] == [("\u2013", "\u2013")]


def test_words_follow_the_numbers(result: Any) -> None:
    assert transport_finding(result) == (
        "A share of 0.5 of the moved difference changes the loss of s1 on austen by "
        "\u22120.044 ± 0.004 nats (11.3 ± 0.9 % of what fine-tuning s1 itself gains), unmoved by "
        "+0.004 ± 0.004; on plays, its own task, by +0.050 ± 0.004."
    )
    said = transport_caption(result)
    for part in (
        "was chosen on 80 examples of the validation split",
        "Dashed: itself, which is s1 fine-tuned itself",
        "Bands: one standard error",
        "cosine 0.031",
        "A note.",
        "Ilharco et al. 2023",
    ):
        assert part in said, part
    assert transport_headline(result)[1] == -0.044 and recovered_words(result) == "11.3 ± 0.9 %"
    assert [row[0] for row in transport_table(result).rows] == ["austen", "plays"]
    assert len(transport_numbers(result).rows) == 2 * (2 * 7 + 1)
    result["choice"]["split"] = "test"
    assert "chosen on these same examples, which favours it" in transport_caption(result)
    result["best"] = 0.0
    assert find_shown(result) == 6
    assert transport_finding(result).startswith(
        "No share of the moved difference lowers the loss of s1 on austen: 1 of it changes it by "
        "\u22120.014 ± 0.009 nats, unmoved"
    )
    assert (signed(0.02, 0.01), signed(0, 0), signed(-0.02, 0.01)) == (
        *("+0.02 ± 0.01", "0"),
        "\u22120.02 ± 0.01",
    )
