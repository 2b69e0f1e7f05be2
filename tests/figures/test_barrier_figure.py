import copy
import math
from dataclasses import replace

import numpy as np
import pytest

from lmc_core.figures.barrier import HEIGHT, Axes, barrier_caption, barrier_figure, legend_height
from lmc_core.figures.barrier_lines import DIRECT
from lmc_core.figures.convergence import objective_figure
from lmc_core.figures.style import MEANINGS
from lmc_core.figures.text import label_results, setting_label


def scaled(result: dict, factor: float) -> dict:
    """The same result with its excess over the chord multiplied."""
    changed = copy.deepcopy(result)
    changed["loss"] = [
        c + factor * (v - c) for c, v in zip(result["chord"], result["loss"], strict=True)
    ]
    changed["barrier"] *= factor
    changed["barrier_stderr"] *= abs(factor)
    return changed


def named(figure, name: str) -> list:
    return [annotation for annotation in figure.layout.annotations if annotation.name == name]


def panel(figure, which: str) -> list:
    return [
        trace
        for trace in figure.data
        if isinstance(trace.meta, dict) and trace.meta["panel"] == which
    ]


def test_the_bracket_runs_from_chord_to_curve_at_the_maximum(vit):
    bracket = panel(barrier_figure(vit[:1]), "bracket")[0]
    heights = [value for value in bracket.y if value is not None]
    assert max(heights) - min(heights) == pytest.approx(vit[0]["barrier"], abs=1e-4)
    assert bracket.x[3] == pytest.approx(vit[0]["barrier_lam"])


def test_labels_name_the_setting_and_give_value_error_and_unit(vit):
    texts = [label.text for label in named(barrier_figure(vit), "label")]
    assert "<b>Plain average</b><br>1.83 ± 0.02 nats" in texts
    assert any("All classes" in text and "0.171 ± 0.009 nats" in text for text in texts)


AXES = Axes(("one", "other"), "nats per token", "perplexity", "test", (0.0, 4.8), (1.0, 65.0))


def test_axes_are_named_before_there_is_a_curve():
    """Both panels are drawn, with the names of this task and these models."""
    figure = barrier_figure([], axes=AXES)
    assert {trace.xaxis for trace in figure.data} == {"x", "x2"}
    said = str([each.text for each in figure.layout.annotations])
    assert all(word in said for word in ("nats per token", "Perplexity", "one", "other"))
    assert figure.layout.yaxis.range == (0.0, 4.8) and figure.layout.yaxis2.range == (1.0, 65.0)


def test_axes_of_a_growing_picture_only_become_wider(vit):
    own = barrier_figure(vit)
    low, high = own.layout.yaxis.range
    narrow = replace(AXES, loss=(low + 0.1, high - 0.1), scores=(0.4, 0.5))
    wide = replace(AXES, loss=(low - 1, high + 1), scores=(0.0, 1.0))
    assert barrier_figure(vit, axes=narrow).layout.yaxis.range == (low, high)
    assert barrier_figure(vit, axes=wide).layout.yaxis.range == (low - 1, high + 1)
    grown = barrier_figure(vit, axes=wide).layout.yaxis2.range
    assert grown[0] <= 0.0 and grown[1] >= 1.0


def test_colours_by_meaning(vit):
    lines = panel(barrier_figure(vit), "loss")
    assert [line.line.color for line in lines] == [
        MEANINGS[m].light for m in ("plain", "permutation", "orthogonal")
    ]
    lines = panel(barrier_figure(vit, "dark"), "loss")
    assert [line.line.color for line in lines] == [
        MEANINGS[m].dark for m in ("plain", "permutation", "orthogonal")
    ]


def test_ends_carry_the_names_and_losses_of_the_models(vit):
    figure = barrier_figure(vit)
    assert [end.text for end in named(figure, "model")] == [
        "<b>vit-fashion-s0</b>",
        "<b>vit-fashion-s1</b>",
    ]
    assert {"0.301", "0.295", "89.3%", "89.7%"} == {end.text for end in named(figure, "end")}


def test_the_chord_is_dashed_and_drawn_once(vit):
    chords = [trace for trace in barrier_figure(vit).data if trace.name == "chord"]
    assert len(chords) == 1 and chords[0].line.dash == "dash"


def test_units_of_text_models(gpt2):
    figure = barrier_figure(gpt2)
    headings = [heading.text for heading in named(figure, "heading")]
    assert headings == ["<b>Loss</b> (test, nats per character)", "<b>Perplexity</b>"]
    assert len(panel(figure, "score")) == 3


def test_long_names_of_many_curves_stand_in_a_legend_with_room_of_its_own(vit):
    long = [f"Orthogonal residual; permuted heads, units, learned for longer {i}" for i in range(8)]
    results = [scaled(vit[0], 1 - 0.1 * i) for i in range(8)]
    short = [str(i) for i in range(8)]
    one, other = barrier_figure(results, labels=short), barrier_figure(results, labels=long)
    assert not one.layout.showlegend and other.layout.showlegend
    more = other.layout.margin.b - one.layout.margin.b
    assert more == legend_height(long) > legend_height(short) == 0
    entries = [trace.name.replace("<br>", " ") for trace in other.data if trace.showlegend]
    assert entries == long


def test_brackets_stand_beside_each_other(vit):
    places = sorted(bracket.x[3] for bracket in panel(barrier_figure(vit), "bracket"))
    assert all(other - one > 0.02 for one, other in zip(places, places[1:], strict=False))


def test_a_path_below_the_chord(vit):
    figure = barrier_figure([scaled(vit[2], -1)])
    label = named(figure, "label")[0]
    assert "−0.171 ± 0.009 nats" in label.text
    low, high = figure.layout.yaxis.range
    assert low < min(scaled(vit[2], -1)["loss"]) and high > 0.3012


def test_equal_values_give_a_range(vit):
    flat = copy.deepcopy(vit[0])
    n = len(flat["lam"])
    flat |= {"loss": [0.3] * n, "chord": [0.3] * n, "accuracy": [0.9] * n, "loss_stderr": [0.0] * n}
    flat |= {"barrier": 0.0, "barrier_stderr": 0.0}
    figure = barrier_figure([flat])
    low, high = figure.layout.yaxis.range
    assert low < 0.3 < high and math.isfinite(low) and math.isfinite(high)


def test_very_large_and_infinite_losses(vit):
    large = scaled(vit[0], 1e8)
    assert "× 10⁸ nats" in named(barrier_figure([large]), "label")[0].text
    broken = copy.deepcopy(vit[0])
    broken["loss"][14] = math.inf
    broken["loss"][15] = None
    figure = barrier_figure([broken, vit[2]])
    assert np.isfinite(figure.layout.yaxis.range).all()


def test_more_lines_than_the_margin_holds_get_a_legend(vit):
    many = [scaled(vit[0], 1 - 0.1 * i) for i in range(DIRECT + 1)]
    figure = barrier_figure(many)
    assert figure.layout.showlegend and not named(figure, "label")
    assert sum(bool(trace.showlegend) for trace in figure.data) == DIRECT + 1


def test_no_result_gives_empty_axes():
    figure = barrier_figure([])
    assert not figure.data and figure.layout.height == HEIGHT


def test_objective(vit):
    figure = objective_figure(vit[2])
    assert list(figure.data[0].y) == vit[2]["objective"]
    assert any(
        "nothing moved: 0.0213" in annotation.text for annotation in figure.layout.annotations
    )
    objective_figure({**vit[0]})  # nothing to show is no error


def test_labels():
    assert setting_label("none", {}) == "Plain average"
    assert setting_label(
        "weight", {"units": "permutation", "residual": "orthogonal", "heads": "none"}
    ) == ("Permuted units; orthogonal residual")
    assert setting_label("weight", {"units": "none"}) == "Nothing may move"


def test_labels_tell_equal_settings_apart(vit):
    other = {**vit[0], "examples": 50}
    assert label_results([vit[0], other]) == [
        "Plain average, examples 2000",
        "Plain average, examples 50",
    ]


def with_band(result: dict, half: float, at_zero: bool = False) -> dict:
    """The same result with the entries that newer ones have."""
    n = len(result["lam"])
    excess = [v - c for v, c in zip(result["loss"], result["chord"], strict=True)]
    inside = [0.0, *[half] * (n - 2), 0.0]
    return {
        **result, "excess": excess, "at_zero": at_zero, "midpoint_excess": 0.0021, "midpoint_excess_stderr": 0.005,
        "excess_low": [e - h for e, h in zip(excess, inside, strict=True)],
        "excess_high": [e + h for e, h in zip(excess, inside, strict=True)],
        "barrier_crossfit": 0.163, "barrier_crossfit_stderr": 0.0091,
    }  # fmt: skip


def test_the_band_is_that_of_the_whole_curve_around_the_line(vit):
    result = with_band(vit[2], 0.05)
    band = next(trace for trace in barrier_figure([result]).data if trace.fill == "toself")
    n = len(result["lam"])
    assert np.array(band.y[:n]) - result["loss"] == pytest.approx([0, *[0.05] * (n - 2), 0])
    assert np.array(band.y[n:])[::-1] - result["loss"] == pytest.approx([0, *[-0.05] * (n - 2), 0])
    assert "95 %" in band.name
    wide = barrier_figure([with_band(vit[2], 0.7)])
    low, high = wide.layout.yaxis.range
    # nothing of it is cut off
    assert low < min(result["loss"]) - 0.5 and high > max(result["loss"]) + 0.7
    older = next(trace for trace in barrier_figure([vit[2]]).data if trace.fill == "toself")
    assert (
        np.array(older.y[:n]) - result["loss"] == pytest.approx(vit[2]["loss_stderr"])
        and "standard error" in older.name
    )


def test_a_barrier_at_zero_is_called_so(vit):
    result = with_band(vit[2], 0.4, at_zero=True)
    assert "at zero" in named(barrier_figure([result]), "label")[0].text
    caption = barrier_caption([result])
    assert ": at zero (midpoint 0.002 ± 0.005 nats), the largest value 0.171 at λ = " in caption
    assert (
        "cross-fitted 0.163 ± 0.009, the 95 % band there from \u22120.23 to 0.57 nats." in caption
    )


def test_a_barrier_that_is_not_at_zero_has_midpoint_and_band_beside_it(vit):
    caption = barrier_caption([with_band(vit[2], 0.05)])
    assert "0.171 ± 0.009 nats at λ = " in caption
    assert "; midpoint 0.002 ± 0.005, cross-fitted 0.163 ± 0.009, the 95 % band there" in caption
    assert (
        "hold a whole curve with 95 % confidence" in caption
        and "bands show one standard error" not in caption
    )
    assert "midpoint" not in barrier_caption([vit[2]])  # an older result says what it knows


def test_caption_says_what_a_paper_must(vit):
    caption = barrier_caption(vit)
    for part in (
        "from vit-fashion-s0 to vit-fashion-s1",
        "462,346 parameters",
        "test split of fashion-mnist",
        "2,000 examples",
        "29 values of λ",
        "one standard error over examples",
        "Plain average (no alignment): 1.83 ± 0.02 nats",
        "residual: orthogonal",
        "weight matching",
        "largest relative difference 2.4 × 10⁻⁷",
        "LMC Explorer 0.1.0",
    ):
        assert part in caption, part
