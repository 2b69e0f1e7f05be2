"""Figures of a narrow model inside a wide one, on small results made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lmc_core.figures.style import GROUNDS
from lmc_core.figures.widths import (
    against_caption,
    against_figure,
    curves_caption,
    curves_figure,
    curves_table,
    pair_name,
    setting_name,
)
from lmc_core.figures.widths_places import (
    CLOSER,
    NOBODY,
    Strip,
    closer_figure,
    map_figure,
    places_caption,
    places_table,
    shares_figure,
    space_name,
    strips,
)
from tests.figures.widths_result import widths_result

PAIRS = [(96, 96), (48, 96), (48, 144)]
MODELS = ["thin", "thick"]


def test_strips_hold_owners_shares_and_copies():
    units, heads = strips(widths_result())
    assert (units.name, units.units, units.empty, len(units.owner)) == ("units, layer 0", 3, 1, 7)
    # the largest share first; place 4 is no one's
    assert units.copies() == [[2], [0, 5], [3, 6, 1]]
    assert heads.name == "heads, layer 1" and heads.copies() == [[2, 0], [1]]
    assert strips(widths_result("none")) == []


def test_every_expert_has_a_strip_of_its_own():
    result = widths_result()
    result["places"] = {
        "units.0": {"owner": [[0, 1, 0], [1, 0, 1]], "shares": [[0.5, 1.0, 0.5], [0.2, 1.0, 0.8]]}
    }
    found = strips(result)
    assert [strip.name for strip in found] == ["units, layer 0, part 0", "units, layer 0, part 1"]
    assert found[1].owner == (1, 0, 1) and found[1].shares == (0.2, 1.0, 0.8)


def test_barriers_stand_in_the_column_of_their_pair():
    found = {
        (96, 96): [widths_result("none", 2.0), widths_result("weight", 0.3)],
        (48, 96): [widths_result("none", 1.9), widths_result("weight", 0.7)],
        (48, 144): [widths_result("weight", 0.5)],
    }
    figure = against_figure(found, PAIRS, found[96, 96][0])
    marks = {trace.name: trace for trace in figure.data}
    assert set(marks) == {"Padded with zeros", "By weights"}
    assert list(marks["By weights"].y) == [0.3, 0.7, 0.5] and [
        round(x) for x in marks["By weights"].x
    ] == [0, 1, 2]
    assert list(marks["Padded with zeros"].y) == [2.0, 1.9] and [
        round(x) for x in marks["Padded with zeros"].x
    ] == [0, 1]
    # side by side
    assert set(np.subtract(marks["By weights"].x[:2], marks["Padded with zeros"].x)) != {0.0}
    assert list(marks["By weights"].error_y.array) == [0.02] * 3
    assert [s.y0 for s in figure.layout.shapes] == [2.0]
    assert figure.layout.xaxis.ticktext[1].startswith("<b>48 in 96</b>")


def test_long_names_of_models_stand_inside_the_figure():
    result = widths_result(models=("a-narrow-model-with-a-long-name", "wide"))
    figure = curves_figure([result])
    names = {a.text: (a.x, a.xanchor) for a in figure.layout.annotations if a.name == "model"}
    assert names == {
        "<b>a-narrow-model-with-a-long-name</b>": (0, "left"),
        "<b>wide</b>": (1, "right"),
    }
    assert "narrow" not in "".join(figure.layout.xaxis2.ticktext)
    assert not curves_figure([]).data


def test_columns_keep_their_place_without_results():
    figure = against_figure({widths: [] for widths in PAIRS}, PAIRS)
    assert not figure.data and len(figure.layout.xaxis.tickvals) == 3
    assert against_caption([], None) == "No result yet."


def test_settings_of_one_method_are_told_apart():
    found = {
        (48, 96): [
            widths_result("learned", 0.1, steps=100),
            widths_result("learned", 0.05, steps=600),
        ]
    }
    assert {trace.name for trace in against_figure(found, [(48, 96)]).data} == {
        "Learned, 100 steps",
        "Learned, 600 steps",
    }


def test_the_map_has_every_place_once():
    strip = strips(widths_result())[0]
    held, empty = map_figure(strip, MODELS).data
    assert dict(zip(held.x, held.y, strict=True)) == {0: 1, 1: 2, 2: 0, 3: 2, 5: 1, 6: 2}
    assert list(held.marker.color) == [0.7, 0.2, 1.0, 0.5, 0.3, 0.3] and list(empty.x) == [4]
    # every place of the heads is read
    assert len(map_figure(strips(widths_result())[1], MODELS).data) == 1


def test_the_closer_view_draws_a_line_for_every_place_as_thick_as_its_share():
    strip = strips(widths_result())[0]
    figure = closer_figure(strip, MODELS)
    drawn = {(t.meta["unit"], t.meta["place"]): t for t in figure.data}
    assert set(drawn) == {(0, 2), (1, 0), (1, 5), (2, 3), (2, 6), (2, 1)}
    assert drawn[1, 0].line.width / drawn[1, 5].line.width == pytest.approx(0.7 / 0.3)
    ends = [trace.y[1] for trace in figure.data]
    assert sorted(ends) == list(range(6))  # no two places at one height
    assert [a.text for a in figure.layout.annotations if a.name == "empty"] == [
        "1 place is read by no one: 4"
    ]
    assert "place 5  ·  0.30" in [a.text for a in figure.layout.annotations if a.name == "place"]


def test_the_closer_view_starts_where_it_is_told():
    many = Strip("units, layer 0", tuple(range(40)), (1.0,) * 40, 40)
    assert [trace.meta["unit"] for trace in closer_figure(many, MODELS, 25).data] == list(
        range(25, 25 + CLOSER)
    )
    assert [trace.meta["unit"] for trace in closer_figure(many, MODELS, 35).data] == list(
        range(35, 40)
    )


def test_shares_are_stacked_to_one():
    found = strips(widths_result())
    figure = shares_figure(found)
    bars = [trace for trace in figure.data if trace.meta["strip"] == "units, layer 0"]
    assert [list(trace.y) for trace in bars] == [[1.0, 0.7, 0.5], [0.0, 0.3, 0.3], [0.0, 0.0, 0.2]]
    assert np.allclose(np.sum([trace.y for trace in bars], axis=0), 1.0)
    panels = [a.text for a in figure.layout.annotations if a.name == "panel"]
    assert panels == ["units, layer 0 (3 in 7, 1 unread)", "heads, layer 1 (2 in 3)"]
    assert len({(t.xaxis, t.yaxis) for t in figure.data}) == 2


@pytest.mark.parametrize("theme", ["light", "dark", "paper"])
def test_every_theme_draws(theme):
    strip = strips(widths_result())[0]
    figures = [
        map_figure(strip, MODELS, theme),
        closer_figure(strip, MODELS, 0, theme),
        shares_figure([strip], theme),
    ]
    figures.append(against_figure({(48, 96): [widths_result()]}, PAIRS, None, theme))
    for figure in figures:
        assert figure.layout.template.layout.paper_bgcolor == GROUNDS[theme].paper


def test_words_and_tables():
    rows = [
        {"name": "thin", "width": 48, "parameters": 117},
        {"name": "thick", "width": 96, "parameters": 455},
    ]
    caption = curves_caption([widths_result("none", 2.0), widths_result()], rows)
    assert (
        "from thin (width 48, 117 parameters), widened to the sizes of thick (width 96, 455 "
        "parameters)" in caption
    )
    assert (
        "Padded with zeros: 2.00 ± 0.02 nats at λ = 0.5" in caption
        and "relative difference 4.0 × 10⁻⁷" in caption
    )
    assert "relative difference" not in curves_caption([widths_result("none")], rows)
    strip = strips(widths_result())[0]
    assert "each at 1 to 3 places" in places_caption(widths_result(), strip)
    assert "1 place is read by no one" in places_caption(widths_result(), strip)
    full = replace(strip, owner=(0, 0, 1, 1), shares=(0.5,) * 4, units=2)
    assert "each at 2 places" in places_caption(
        widths_result(), full
    ) and "left over" in places_caption(widths_result(), full)
    assert "equal width: 2.00" in against_caption([widths_result()], widths_result("none", 2.0))
    assert (
        setting_name(widths_result("none"), equal=True) == "Plain average"
        and pair_name((96, 96)) == "96 and 96"
    )
    assert (
        space_name("units.3") == "units, layer 3"
        and space_name("units.shared.2") == "shared units, layer 2"
    )
    table = curves_table([((48, 96), widths_result())])
    assert table.rows[0][:4] == ("48 in 96", "thin → thick", "By weights", "0.50 ± 0.02")
    rows_of = places_table(strips(widths_result())).rows
    assert (
        len(rows_of) == 7 + 3
        and ("units, layer 0", 4, None, None) in rows_of
        and NOBODY not in {row[2] for row in rows_of}
    )
