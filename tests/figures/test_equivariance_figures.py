"""Figures, captions and tables of trainings towards equivariance: on made-up runs, on unfinished
ones, and on a real one.
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from lmc_core.equivariance.figures import (
    axes,
    copies,
    gauge,
    levels,
    losses,
    paths,
    phase,
    plane,
    price,
    strip,
    trace,
)
from lmc_core.equivariance.figures.copies import LOOKS
from lmc_core.equivariance.figures.data import (
    BRANCHES,
    FORMS,
    Run,
    label_runs,
    layer_strokes,
    layer_title,
    make_runs,
    run_strokes,
)
from lmc_core.equivariance.figures.levels import price_loss_caption
from lmc_core.equivariance.figures.losses import losses_figure, losses_table
from lmc_core.equivariance.figures.paths import (
    MANY,
    checkpoints_figure,
    checkpoints_table,
    find_lines,
    paths_caption,
    paths_figure,
    paths_table,
)
from lmc_core.equivariance.figures.phase import phase_figure
from lmc_core.equivariance.figures.strip import strip_caption, strip_figure, written_on
from lmc_core.equivariance.figures.trace import (
    constraint_caption,
    constraint_figure,
    constraint_table,
    gammas_figure,
)
from lmc_core.figures.panel import headline, kind_name, label_stored, name_setting, panels
from lmc_core.figures.style import GROUNDS, contrast
from tests.figures.equivariance_run import drawn, facts, named, run, texts

THEMES = ("light", "dark", "paper")
SAID = (
    "Perceptron", "group C4 (quarter turns)", "digits, 8x8 (orbit: each in every position)", "40 training " "examples", "12 steps",
    "seed 0", "of the validation split", "LMC Explorer",
)  # fmt: skip
DRAWN = {  # name -> figure, and what it is drawn of
    "constraint": (trace.CONSTRAINT, "run"), "losses": (losses.LOSSES, "run"), "checkpoints": (paths.CHECKPOINTS, "run"),
    "plane": (plane.PLANE, "run"), "copies": (copies.COPIES, "run"), "strip": (strip.STRIP, "example"),
    "paths": (paths.PATHS, "runs"), "price": (price.TRADEOFF, "runs"), "price_loss": (levels.PRICES, "runs"),
    "gauge": (gauge.GAUGE, "runs"), "gammas": (trace.GAMMAS, "layer"), "phase": (phase.PHASE, "layer"),
}  # fmt: skip


@dataclass
class Stored:
    """A stored result."""

    run: Run
    request: dict = field(default_factory=lambda: {"what": "equivariance"})

    @property
    def result(self) -> dict:
        return dict(self.run.facts)

    def arrays(self) -> dict[str, np.ndarray]:
        return dict(self.run.arrays)


def given(what: str, runs: list[Run]) -> tuple:
    """The arguments of a figure."""
    return {"run": (runs[0],), "example": (runs[0], 1), "runs": (runs,), "layer": (runs, 0)}[what]


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> list[Run]:
    """A very short training of each form."""
    from lmc_core.equivariance.request import make_equivariance_request
    from lmc_core.equivariance.run import compute

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LMC_HOME", str(tmp_path_factory.mktemp("home")))
        found = [
            compute(make_equivariance_request(form=form, steps=12, examples=40))
            for form in ("resilient", "free")
        ]
    return make_runs([f for f, _ in found], [a for _, a in found])


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", DRAWN)
def test_everything_draws_a_real_run(real, name, theme):
    drawing, what = DRAWN[name]
    figure = drawing.draw(*given(what, real), theme=theme)
    assert figure.data and figure.layout.height > 100 and not texts(figure, "nothing")
    assert (
        figure.layout.paper_bgcolor is None or figure.layout.paper_bgcolor == GROUNDS[theme].paper
    )
    json.loads(figure.to_json())
    caption, alt, table = (
        show(*given(what, real)) for show in (drawing.caption, drawing.alt, drawing.table)
    )
    for said in SAID:
        assert said in caption, said
    assert ("Resilient, \u03c1 = 0.1" in caption) and "nan" not in caption + alt
    assert alt.endswith(".") and 20 < len(alt) <= 900
    assert table.rows and {len(row) for row in table.rows} == {len(table.header)} and table.csv()


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("until", [-1, 0, 300])
def test_everything_draws_what_there_is_of_an_unfinished_run(name, until):
    runs = [run(until=until, form="resilient", price=0.1), run(until=until, form="free")]
    drawing, what = DRAWN[name]
    for theme in THEMES:
        assert drawing.draw(*given(what, runs), theme=theme).layout.height > 100
    assert drawing.caption(*given(what, runs))
    assert drawing.alt(*given(what, runs)).endswith(".")
    drawing.table(*given(what, runs)).csv()


@pytest.mark.parametrize(
    "name", [name for name, (_, what) in DRAWN.items() if what in ("runs", "layer")]
)
def test_no_runs_are_no_error(name):
    drawing, what = DRAWN[name]
    arguments = ([],) if what == "runs" else ([], 0)
    assert drawing.draw(*arguments).layout.height > 100
    assert drawing.caption(*arguments) and not drawing.table(*arguments).rows


@pytest.mark.parametrize("theme", THEMES)
def test_looks_stand_out_and_differ(theme):
    for looks in (FORMS, BRANCHES, LOOKS):
        for look in looks.values():
            assert contrast(look.colour(theme), GROUNDS[theme].paper) >= 4.5
        for part in ("dash", "marker"):
            assert len({getattr(look, part) for look in looks.values()}) == len(looks)
    for count in range(1, 9):
        drawn = layer_strokes(count, theme)
        assert all(contrast(stroke.colour, GROUNDS[theme].paper) >= 4.5 for stroke in drawn)
        assert (
            len({stroke.dash for stroke in drawn})
            == count
            == len({stroke.colour for stroke in drawn})
        )
    assert all(
        contrast(written_on(share, theme), colour_of(share, theme)) >= 4.5
        for share in np.linspace(0, 1, 21)
    )


def colour_of(share: float, theme) -> str:
    from lmc_core.figures.heatmap import sequential

    low, high = ([int(end[1][k : k + 2], 16) for k in (1, 3, 5)] for end in sequential(theme))
    return "#" + "".join(
        f"{round(a + share * (b - a)):02x}" for a, b in zip(low, high, strict=True)
    )


def test_several_runs_of_one_form_differ_in_dash_and_marker():
    strokes = run_strokes([run(form="resilient", price=0.1 * k) for k in range(1, 5)], "light")
    assert len({s.colour for s in strokes}) == 1 and len({s.dash for s in strokes}) == 4 == len(
        {s.marker for s in strokes}
    )


def test_labels_say_what_differs_and_no_more():
    one, other = facts(form="resilient", price=0.1), facts(form="equality", augmented=2.0)
    assert label_runs([one, other, facts(form="free", primal_rate=0.0, dual_rate=0.0)]) == [
        "Resilient, \u03c1 = 0.1", "Equality, c = 2", "Unconstrained"
    ]  # fmt: skip
    assert label_runs([other, facts(augmented=0.5, seed=3)]) == [
        "Equality, c = 2, seed 0",
        "Equality, c = 0.5, seed 3",
    ]
    rates = label_runs(
        [other, facts(dual_rate=0.005), facts(form="strict", primal_rate=0.0, dual_rate=0.0)]
    )
    assert rates == [
        "Equality, c = 2, dual rate 0.02",
        "Equality, c = 2, dual rate 0.005",
        "Strictly equivariant",
    ]


def test_labels_of_results_of_all_kinds(vit):
    found = [facts(form="resilient", price=0.1), facts(form="strict")]
    stored = [SimpleNamespace(result=each, request={"what": "equivariance"}) for each in found]
    barrier = SimpleNamespace(result=vit[0], request={"what": "barrier"})
    assert label_stored(stored) == ["Resilient, \u03c1 = 0.1", "Strictly equivariant"]
    mixed = label_stored([barrier, stored[0]])
    assert mixed[0].startswith("Plain average") and mixed[1].startswith(
        "Resilient, \u03c1 = 0.1, Perceptron, C4"
    )
    assert name_setting("equivariance", found[0]) == "Resilient, \u03c1 = 0.1"
    assert name_setting("barrier", vit[1]) == "Permutations only"


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("first", "first layer"),
        ("head", "head"),
        ("blocks.0.attention", "block 1, attention"),
        ("blocks.11.units", "block 12, units"),
    ],
)
def test_layers_in_words(name, title):
    assert layer_title(name) == title


@pytest.mark.parametrize("augmented", [0.0, 0.3])
@pytest.mark.parametrize("rates", [(0.02, 0.02), (0.05, 0.01)])
def test_the_period_is_that_of_the_steps_themselves(augmented, rates):
    """Steps of the form without a gradient, until gamma has its second maximum."""
    import torch

    from lmc_core.equivariance.forms import Equality

    form = Equality(*rates, augmented)
    state = form.start(torch.ones(1, dtype=torch.float64))
    gammas = [1.0]
    for _ in range(2000):
        state = form.step(state, torch.zeros(1, dtype=torch.float64))
        gammas.append(float(state.gamma))
    crossings = [k for k in range(1, len(gammas)) if gammas[k - 1] > 0 >= gammas[k]]
    period = run(augmented=augmented, primal_rate=rates[0], dual_rate=rates[1], steps=600).period
    assert period == pytest.approx(crossings[1] - crossings[0], abs=2)


def test_what_does_not_ring_has_no_period():
    assert run(augmented=2.0).period is None  # critically damped
    assert run(augmented=0.0, steps=300).period is None  # longer than the training
    assert run(augmented=0.0, steps=315).period == pytest.approx(2 * math.pi / 0.02)
    assert run(augmented=1.8).period is None  # damped before it comes round
    assert run(form="resilient", price=0.1, augmented=0.0).period is None


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("equality", ["gamma", "multiplier"]),
        ("resilient", ["gamma", "multiplier", "slack"]),
        ("free", ["gamma"]),
        ("strict", ["gamma"]),
    ],
)
def test_the_constraint_shows_every_layer_of_what_the_form_has(form, shown):
    each = run(form=form, price=0.1)
    figure = constraint_figure(each)
    assert [t.meta["what"] for t in drawn(figure)] == [what for what in shown for _ in range(3)]
    for what, layer in itertools.product(shown, range(3)):
        (line,) = drawn(figure, what=what, layer=layer)
        np.testing.assert_array_equal(line.y, each.trace(what)[:, layer])
        np.testing.assert_array_equal(line.x, each.steps)
    assert len(texts(figure, "heading")) == len(shown)
    assert set(texts(figure, "label")) == {"first layer", "second layer", "head"}


def test_a_ringing_constraint_has_the_predicted_period_marked():
    ringing, still = constraint_figure(run(augmented=0.0)), constraint_figure(run(augmented=2.0))
    lengths = [s.x1 - s.x0 for s in ringing.layout.shapes if s.name == "period" and s.y0 == s.y1]
    assert lengths == [pytest.approx(100 * math.pi)] and "314 steps" in texts(ringing, "period")[0]
    assert not [s for s in still.layout.shapes if s.name == "period"] and not texts(still, "period")


def test_the_axis_of_steps_has_its_full_length_from_the_start():
    whole, part = constraint_figure(run()), constraint_figure(run(until=150))
    assert tuple(part.layout.xaxis.range) == tuple(whole.layout.xaxis.range) == (0, 600)
    assert part.layout.height == whole.layout.height and len(part.data[0].x) < len(whole.data[0].x)


def heights(figure, panel_axis: str, reach, pixels: float) -> list[float]:
    """Where labels beside a panel stand, in pixels above its foot."""
    return [
        (a.y - reach[0]) / (reach[1] - reach[0]) * pixels + a.yshift
        for a in figure.layout.annotations
        if a.name == "label" and a.yref == panel_axis
    ]


@pytest.mark.parametrize("layers", [3, 7])
def test_labels_at_the_ends_of_lines_stand_apart(layers):
    names = [f"blocks.{k}.attention" for k in range(layers)]
    figure = constraint_figure(run(layers=names, form="resilient", price=0.1))
    inner = figure.layout.height - figure.layout.margin.t - figure.layout.margin.b
    for axis in ("yaxis", "yaxis2", "yaxis3"):
        domain, reach = figure.layout[axis].domain, figure.layout[axis].range
        at = sorted(
            heights(figure, axis.replace("axis", ""), reach, (domain[1] - domain[0]) * inner)
        )
        assert len(at) == layers and min(np.diff(at)) >= axes.LINE - 1e-6
        assert at[0] >= 0 and at[-1] <= (domain[1] - domain[0]) * inner + axes.LINE


def test_gammas_of_one_layer():
    runs = [run("a"), run("b", form="free"), run("c", layers=("only",))]
    figure = gammas_figure(runs, 1)
    assert [trace.name for trace in figure.data] == ["a", "b"]  # the third has no second layer
    np.testing.assert_array_equal(figure.data[0].y, runs[0].trace("gamma")[:, 1])
    assert texts(figure, "label") == ["a", "b"] and not figure.layout.showlegend
    many = gammas_figure([run(f"run {k}") for k in range(8)], 0)
    assert (
        many.layout.showlegend
        and not texts(many, "label")
        and many.layout.height > figure.layout.height
    )


def test_the_phase_portrait_is_the_way_in_pieces():
    runs = [run("a", form="resilient", price=0.5), run("b", form="free")]
    figure = phase_figure(runs, 2)
    pieces = [
        trace for trace in figure.data if isinstance(trace.meta, dict) and "piece" in trace.meta
    ]
    assert {trace.name for trace in pieces} == {"a"}
    np.testing.assert_array_equal(
        np.concatenate([pieces[0].x, *(p.x[1:] for p in pieces[1:])]), runs[0].trace("gamma")[:, 2]
    )  # fmt: skip
    np.testing.assert_array_equal(
        np.concatenate([pieces[0].y, *(p.y[1:] for p in pieces[1:])]), runs[0].trace("multiplier")[:, 2]
    )  # fmt: skip
    rest = [s for s in figure.layout.shapes if s.name == "rest"]
    assert rest and all(s.y1 == pytest.approx(0.5 * abs(s.x1)) for s in rest)
    assert texts(figure, "point") == ["<b>start</b>", "<b>end</b>"]
    assert texts(phase_figure([run("b", form="free")], 0), "nothing")


def test_losses_are_told_apart_by_branch_and_data():
    each = run()
    figure = losses_figure(each)
    loss = each.trace("loss")
    expected = {
        ("on", 0): loss[:, 2],
        ("off", 0): loss[:, 3],
        ("on", 1): loss[:, 0],
        ("off", 1): loss[:, 1],
    }
    for branch in ("on", "off"):
        lines = drawn(figure, branch=branch)
        for panel in (0, 1):
            np.testing.assert_array_equal(lines[panel].y, expected[branch, panel])
        assert figure.layout.yaxis3.type == "log" and (np.asarray(lines[2].y) > 0).all()
    zeros = Run("zero", each.facts, {**each.arrays, "trace.error": np.zeros((len(each.steps), 2))})
    # a logarithm shows no 0
    assert all((np.asarray(line.y) > 0).all() for line in drawn(losses_figure(zeros))[-2:])


def test_paths_run_from_the_projection_to_the_network():
    runs = [run("a"), run("b", form="free"), Run("c", facts(), {})]
    figure = paths_figure(runs)
    losses = drawn(figure, panel="loss")
    assert [line.name for line in losses] == ["a", "b"]
    np.testing.assert_array_equal(losses[0].y, runs[0].arrays["path.loss"][-1])
    np.testing.assert_array_equal(
        drawn(figure, panel="accuracy")[1].y, runs[1].arrays["path.accuracy"][-1]
    )
    assert losses[0].x[0] == 0 and losses[0].x[-1] == 1
    assert texts(figure, "model") == ["<b>projection</b>", "<b>trained network</b>"]
    # where the lines differ
    assert all(a.xanchor == "right" for a in figure.layout.annotations if a.name == "label")
    assert texts(paths_figure([Run("c", facts(), {})]), "nothing")


def test_many_paths_have_one_entry_of_the_legend_for_each_form():
    runs = [run(f"run {k}", form=("free", "strict")[k % 2]) for k in range(MANY + 2)]
    figure = paths_figure(runs)
    assert [t.name for t in figure.data if t.showlegend] == [
        "Unconstrained",
        "Strictly equivariant",
    ]
    # each says its own name
    assert len({t.hovertemplate for t in drawn(figure, panel="loss")}) == MANY + 2
    assert not named(figure, "one standard error") and named(
        paths_figure(runs[:MANY]), "one standard error"
    )


def test_checkpoints_are_named_by_their_step():
    each = run()
    assert [line.name for line in drawn(checkpoints_figure(each), panel="loss")] == [
        "start",
        "step 300",
        "end",
    ]
    assert [step for step, _ in find_lines(run(until=300))] == [0, 300]
    with pytest.raises(IndexError):
        find_lines(run())[3]


def test_captions_name_every_setting_that_differs():
    runs = [run("a", form="resilient", price=0.1, seed=1), run("b", seed=2, dual_rate=0.005)]
    caption = paths_caption(runs)
    assert "seed 1 or 2" in caption and "dual rate 0.02" in caption and "dual rate 0.005" in caption
    assert (
        "a: 2.02 \u00b1 0.07" in caption
        and "LMC Explorer 0.1.0, torch 2.9.0, 2026-11-21." in caption
    )
    assert "still training, 300 of 600 steps" in constraint_caption(run(until=300))
    assert "over runs" not in price_loss_caption([run()]) and "over runs" in price_loss_caption(
        [run(), run(seed=1)]
    )


def test_tables_hold_every_recorded_number():
    each = run("a", form="resilient", price=0.1)
    rows = constraint_table(each).rows
    assert len(rows) == 3 * 13 and rows[13][:3] == ("a", "second layer", 0)
    assert [row[3] for row in rows[:13]] == each.trace("gamma")[:, 0].tolist()
    assert [row[5] for row in rows[26:]] == each.trace("slack")[:, 2].tolist()
    losses = losses_table(each)
    place = losses.header.index("loss (nats) held out, projected")
    assert [row[place] for row in losses.rows] == each.trace("loss")[:, 3].tolist()
    assert (
        len(paths_table([each, run("b")]).rows) == 2 * 5
        and len(checkpoints_table(each).rows) == 3 * 5
    )


@pytest.mark.parametrize("theme", THEMES)
def test_one_training_is_a_panel_of_its_constraint_and_several_share_their_paths(theme):
    one, other = Stored(run(form="resilient", price=0.1)), Stored(run(form="free"))
    (alone,) = panels([one], theme=theme)
    assert (alone.kind, alone.title) == ("Equivariance", "Perceptron, C4 on digits (orbit)")
    assert (
        drawn(alone.figure, what="slack")
        and "the slack u" in alone.caption
        and len(alone.numbers.rows) == 3 * 13
    )
    (both,) = panels([one, other], theme=theme)
    assert [line.name for line in drawn(both.figure, panel="loss")] == [
        "Resilient, \u03c1 = 0.1",
        "Unconstrained",
    ]
    assert [row[0] for row in both.summary.rows] == ["Resilient, \u03c1 = 0.1", "Unconstrained"]
    assert both.summary.rows[0][2:7] == (
        "0.40 \u00b1 0.05",
        "90.0%",
        "1.90 \u00b1 0.05",
        "30.0%",
        "0.20",
    )
    assert (
        "straight line in weight space" in both.caption
        and "Unconstrained: 0.400 \u2192 1.90 nats projected" in both.alt
    )
    # arrays that somebody has deleted
    bare = [Stored(Run("", each.result, {})) for each in (one, other)]
    assert panels(bare, theme=theme)[0].figure is not None


def test_a_training_on_a_shelf():
    assert kind_name("equivariance") == "Equivariance"
    assert headline("equivariance", facts()) == ("0.400 \u2192 1.90 nats projected", 1.9)
    # unfinished, or of another version
    assert headline("equivariance", {"form": "free"}) == ("\u2013", None)
    drawn = panels(
        [
            Stored(run()),
            Stored(run(network_label="Convolution net", models=["Convolution net"], seed=1)),
        ]
    )
    assert drawn[0].title == "2 models"


def test_an_exported_page_holds_figure_and_caption(real):
    from lmc_core.figures.export import standalone_html

    page = standalone_html(
        strip_figure(real[0], 0), strip_caption(real[0], 0), [dict(real[0].facts)]
    )
    assert (
        "data:image/png;base64," in page
        and "One input of the validation split" in page
        and "http://" not in page.split("<script")[0]
    )
