"""Results of any kind as pictures with captions and tables; results without the places of this
machine; many curves.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as some

from lmc_core.figures.barrier_lines import MANY
from lmc_core.figures.panel import (
    Picture,
    every,
    find_picture,
    headline,
    kind_name,
    name_setting,
    one,
    panels,
)
from lmc_core.figures.redact import has_places, last_name, without_places
from lmc_core.figures.style import MEANINGS
from lmc_core.figures.tables import Table
from lmc_core.runs.computation import COMPUTATIONS, Computation
from lmc_core.runs.request import PairRequest


@dataclass
class Found:
    result: dict[str, Any]
    what: str = "barrier"
    held: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def request(self) -> dict[str, Any]:
        return {"what": self.what}

    def arrays(self) -> dict[str, np.ndarray]:
        return self.held


def many(vit: list[dict], count: int) -> list[Found]:
    """Curves of three meanings, each with a seed and a height of its own."""
    found = []
    for seed in range(count):
        result = json.loads(json.dumps(vit[seed % 3]))
        result |= {"seed": seed, "key": f"{seed:064x}", "barrier": result["barrier"] + seed}
        found.append(Found(result))
    return found


def test_barriers_share_one_figure_and_the_caption_has_everything(vit):
    (panel,) = panels([Found(result) for result in vit])
    assert (panel.kind, panel.title) == ("Barrier", "vit-fashion-s0 \u2192 vit-fashion-s1")
    for words in (
        "vit-fashion-s0", "vit-fashion-s1", "test split of fashion-mnist", "2,000 examples", "weight matching", "residual",
        "1.83 \u00b1 0.02 nats", "largest relative difference 2.4", "LMC Explorer 0.1.0",
    ):  # fmt: skip
        assert words in panel.caption
    assert [row[0] for row in panel.summary.rows] == [
        "Plain average",
        "Permutations only",
        "All classes",
    ]
    rows = list(csv.DictReader(io.StringIO(panel.numbers.csv())))
    assert len(rows) == sum(len(result["lam"]) for result in vit)
    assert [float(row["loss"]) for row in rows] == [
        value for result in vit for value in result["loss"]
    ]


def test_forty_curves_on_one_axis(vit):
    found = many(vit, 40)
    (panel,) = panels(found, height=520)
    lines = [trace for trace in panel.figure.data if (trace.meta or {}).get("panel") == "loss"]
    assert {trace.meta["key"] for trace in lines} == {each.result["key"] for each in found}
    for trace, each in zip(lines, found, strict=True):
        np.testing.assert_array_equal(trace.y, each.result["loss"])
    named = [trace.name for trace in panel.figure.data if trace.showlegend]
    assert sorted(named) == sorted(
        MEANINGS[key].name for key in ("plain", "permutation", "orthogonal")
    )
    assert len(panel.figure.data) == 2 * 40 + 1 and panel.figure.layout.hovermode == "closest"
    assert len({trace.hovertemplate for trace in lines}) == 40  # each says its own name
    assert len(panel.summary.rows) == 40 and len(panel.caption) < 1000
    assert (
        "Lowest: Plain average, seed 0" in panel.caption
        and "highest: Plain average, seed 39" in panel.caption
    )


def test_up_to_a_dozen_curves_keep_their_own_look(vit):
    (panel,) = panels(many(vit, MANY))
    assert len([trace for trace in panel.figure.data if trace.showlegend]) == MANY
    assert len([trace for trace in panel.figure.data if trace.name == "barrier"]) == MANY


def test_kinds_are_drawn_apart(vit, gpt2):
    other = Found({**vit[1], "what": "nobody"}, "shell")
    found = [Found(vit[0]), other, Found(gpt2[0])]
    drawn = panels(found, ["a", "b", "c"])
    assert [(panel.what, panel.title) for panel in drawn] == [
        ("barrier", "2 pairs of models"), ("shell", "vit-fashion-s0 \u2192 vit-fashion-s1")
    ]  # fmt: skip
    assert drawn[1].figure is None and [row[0] for row in drawn[1].summary.rows] == ["b"]


def test_an_unknown_kind_has_a_caption_and_its_numbers(vit):
    (panel,) = panels([Found({**vit[1], "deep": {"er": 0.25}}, "shell")])
    assert panel.caption.startswith(
        "Shell of vit-fashion-s0 \u2192 vit-fashion-s1, on the test split of fashion-mnist (2,000"
    )
    assert "Weight matching (" in panel.caption and panel.caption.endswith(
        "LMC Explorer 0.1.0, torch 2.9.0, 2026-11-20."
    )
    assert ("Permutations only", "deep.er", 0.25) in panel.numbers.rows
    (nothing,) = panels([Found({}, "")])
    assert (
        nothing.figure is None and nothing.kind == "Result" and headline("", {}) == ("\u2013", None)
    )


def test_every_kind_is_named():
    assert all(
        find_picture(what).draw and kind_name(what) for what in COMPUTATIONS if what != "point"
    )


def draw_lumps(found, labels, theme, height):
    return go.Figure(go.Bar(x=list(labels), y=[each.result["lumps"] for each in found]))


LUMPS = Picture(
    name="Lumps",
    draw=draw_lumps,
    caption=every(lambda results, labels: f"{len(results)} bowls."),
    summary=every(lambda results, labels: Table.of(("bowl",), [[name] for name in labels])),
    numbers=one(lambda result: Table.of(("lumps",), [[result["lumps"]]])),
    headline=lambda result: (f"{result['lumps']} lumps", float(result["lumps"])),
    setting=lambda result: f"Bowl {result['bowl']}",
    labels=lambda results: [f"bowl {result['bowl']}" for result in results],
    together=True,
)


@pytest.fixture
def lumps():
    """A kind is there for one test."""
    kind = Computation(
        what="lumps",
        request=PairRequest,
        compute=lambda request, progress, fresh: ({}, {}),
        picture="tests.figures.test_panels:LUMPS",
    )
    COMPUTATIONS.add(kind)
    yield
    COMPUTATIONS.remove("lumps")


def test_a_kind_from_outside_is_drawn_named_and_labelled(lumps):
    found = [Found({"method": "stir", "bowl": k, "lumps": 3 * k}, "lumps") for k in (1, 2)]
    (panel,) = panels(found)
    assert list(panel.figure.data[0].x) == ["bowl 1", "bowl 2"]
    assert panel.kind == kind_name("lumps") == "Lumps" and panel.caption.startswith("2 bowls.")
    assert "bowl 2: 6 lumps" in panel.alt and panel.summary.rows == (("bowl 1",), ("bowl 2",))
    assert headline("lumps", found[1].result) == ("6 lumps", 6.0)
    assert name_setting("lumps", found[0].result) == "Bowl 1"


def test_tables():
    table = Table.of(("a", "b<c"), [("x & y", 0.123456), (None, 12345), ("=1+1", True)])
    assert table.csv() == "a,b<c\nx & y,0.123456\n,12345\n'=1+1,True\n"
    assert (
        "x &amp; y" in table.html()
        and "b&lt;c" in table.html()
        and "0.123<" in table.html()
        and "12,345" in table.html()
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("path:/home/me/my models/one", "path:one"),
        ("pickle:path:models/one/", "pickle:path:one"),
        ("text:C:\\Users\\me\\letters.txt", "text:letters.txt"),
        ("read /home/me/x.txt, then stopped", "read x.txt, then stopped"),
        ("see C:\\Users\\me\\x.txt", "see x.txt"),
        ("~/models/one", "one"),
        ("'/srv/a/b'", "'b'"),
        ("hf:openai-community/gpt2@main", "hf:openai-community/gpt2@main"),
        ("https://example.org/a/b/c", "https://example.org/a/b/c"),
        ("nats/character, 1/2/3, and/or, a / b / c", "nats/character, 1/2/3, and/or, a / b / c"),
        ("zoo:vit-fashion-s0", "zoo:vit-fashion-s0"),
    ],
)
def test_places_become_names(before: str, after: str):
    assert without_places(before) == after and has_places(before) == (before != after)


def test_a_place_with_spaces_is_found_wherever_it_is_said():
    content = {
        "models": ["path:/home/me/my model"],
        "log": "reading /home/me/my model",
        "n": [1, None, 2.5, True],
    }
    assert without_places(content) == {
        "models": ["path:my model"],
        "log": "reading my model",
        "n": [1, None, 2.5, True],
    }
    assert last_name("/") == "model"


@given(
    some.recursive(
        some.text(alphabet="ab/\\:~. C\n", max_size=30),
        lambda x: some.lists(x) | some.dictionaries(some.text(max_size=4), x),
    )
)
def test_what_has_no_places_keeps_none(content: Any):
    once = without_places(content)
    assert without_places(once) == once


def test_a_figure_can_be_made_small(vit):
    from lmc_core.ui.panels import thumbnail

    (panel,) = panels([Found(result) for result in vit])
    small = thumbnail(panel.figure)
    assert not small.layout.annotations and len(panel.figure.layout.annotations) > 3
    detail = {"barrier", "one standard error"}
    assert detail <= {trace.name for trace in panel.figure.data}
    assert detail.isdisjoint(trace.name for trace in small.data)
    heat = thumbnail(go.Figure(go.Heatmap(z=[[1, 2]])))
    assert heat.data[0].showscale is False


def kinds_of_the_others() -> dict[str, tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """A result of every other kind that a test of figures has."""
    from pathlib import Path

    from tests.figures import landscape_scene
    from tests.figures.experts_result import experts_result

    merged = json.loads((Path(__file__).parents[1] / "fixtures" / "merge.json").read_text())[0]
    names, excess = merged["models"], [[None, 0.5, 0.6], [0.5, None, 0.7], [0.6, 0.7, None]]
    shared = {
        name: merged[name]
        for name in ("split", "task", "examples", "unit", "score", "date", "versions", "method")
    }
    group = {
        **shared, "models": names, "losses": [0.1, 0.2, 0.3], "accuracy": [0.9, 0.8, 0.7], "centre_loss": 1.0,
        "centre_accuracy": 0.4, "centre_excess": 0.8, "centre_stderr": 0.02, "midpoint_excess": excess,
        "midpoint_stderr": excess,
    }  # fmt: skip
    layers = {
        **shared,
        "models": names[:2],
        "parts": ["attention 0", "head"],
        "cost": [0.25, 0.125],
        "stderr": [0.01, 0.01],
    }
    layers |= {
        "replaced": [0.3, 0.2],
        "replaced_stderr": [0.01, 0.01],
        "loss": 0.3,
        "cost_stderr": [0.01, 0.01],
    }
    return {
        "plane": (landscape_scene.facts(), landscape_scene.arrays()),
        "bend": (landscape_scene.curves(), {}),
        "orders": (experts_result(), {}),
        "merge": (merged, {}),
        "group": (group, {}),
        "layers": (layers, {}),
    }


@pytest.mark.parametrize("what", ["plane", "bend", "orders", "merge", "group", "layers"])
def test_every_kind_has_a_figure_a_caption_tables_and_a_headline(what: str):
    result, arrays = kinds_of_the_others()[what]
    for theme in ("light", "dark", "paper"):
        (panel,) = panels([Found(result, what, arrays)], theme=theme)
        assert panel.figure is not None and len(panel.figure.data) >= 1
    assert (
        all(name in panel.title for name in result["models"])
        and result["models"][0] in panel.caption
    )
    assert "LMC Explorer 0.1.0" in panel.caption or what in ("bend", "orders")
    assert panel.summary.rows and panel.numbers.rows and panel.numbers.csv()
    words, value = headline(what, result)
    assert value is not None and any(sign.isdigit() for sign in words)
    json.dumps(panel.numbers.rows, allow_nan=True)


def test_headlines_are_the_numbers_of_the_results():
    found = kinds_of_the_others()
    assert headline("group", found["group"][0]) == ("centre 0.80 \u00b1 0.02 nats", 0.8)
    assert headline("layers", found["layers"][0]) == ("attention 0 0.250 nats", 0.25)
    assert headline("bend", found["bend"][0]) == ("lowest 0.05 \u00b1 0.02 nats", 0.05)
    assert headline("plane", found["plane"][0])[1] == 0.28
    assert headline("merge", {"models": ["of an earlier version"]}) == ("\u2013", None)


def test_numbers_of_a_group_name_every_pair_once():
    result, _ = kinds_of_the_others()["group"]
    (panel,) = panels([Found(result, "group")])
    assert [row[2] for row in panel.numbers.rows] == [0.5, 0.6, 0.7]
    assert panel.summary.rows[-1] == ("their mean", 1.0, 0.4)
