"""What each part costs, as a request, and the bars that show it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lmc_core.figures.layers import layers_caption, layers_figure
from lmc_core.runs.computation import COMPUTATIONS, request_from_json
from lmc_core.runs.executors import obtain
from lmc_core.runs.kinds.barrier import make_request
from lmc_core.runs.kinds.layers import compute
from lmc_core.runs.requests.layers import LayersRequest
from lmc_core.runs.store import Store

WORDS = {"task": "plays", "examples": 6, "device": "cpu", "length": 16}


@pytest.fixture
def results(tiny_gpt2_pair: tuple[Path, Path]) -> list[dict]:
    a, b = map(str, tiny_gpt2_pair)
    requests = [
        LayersRequest.of(make_request(a, b, method=method, **WORDS))
        for method in ("none", "weight")
    ]
    return [obtain(request, lambda share, words: None, Store()).result for request in requests]


def test_results_of_a_setting_share_its_alignment(
    results: list[dict], tiny_gpt2_pair: tuple[Path, Path], home: Path
) -> None:
    plain, weight = results
    assert plain["function_error"] is None and weight["function_error"] < 1e-5
    assert plain["parts"][0] == "input" and len(plain["cost"]) == len(plain["swap"]) == len(
        plain["parts"]
    )
    assert sum(plain["numbers"]) <= plain["parameters"]
    assert len(list(home.glob("aligned/*"))) == 1
    a, b = map(str, tiny_gpt2_pair)
    barrier = make_request(a, b, method="weight", points=5, refine=0, **WORDS)
    obtain(barrier, lambda share, words: None, Store())
    assert len(list(home.glob("aligned/*"))) == 1  # aligned once for both
    assert (
        LayersRequest.of(barrier).key
        == LayersRequest.of(make_request(a, b, method="weight", **WORDS)).key
        != barrier.key
    )


def test_costs_are_those_of_the_arrays(tiny_gpt2_pair: tuple[Path, Path]) -> None:
    result, arrays = compute(
        LayersRequest.of(make_request(*map(str, tiny_gpt2_pair), method="none", **WORDS))
    )
    for name, field in (("half", "cost"), ("swapped", "swap")):
        above = arrays[name].astype(np.float64) - arrays["own"]
        assert result[field] == pytest.approx(above.mean(1).tolist(), abs=1e-6)
    assert not np.allclose(arrays["half"], arrays["swapped"], atol=1e-3)


@pytest.mark.parametrize("theme", ["light", "dark", "paper"])
def test_a_bar_for_every_part_and_setting(results: list[dict], theme) -> None:
    figure = layers_figure(results, theme)
    assert len(figure.data) == 2
    for trace, result in zip(figure.data, results, strict=True):
        known = dict(zip(result["parts"], result["cost"], strict=True))
        for (part, _), height in zip(trace.customdata, trace.y, strict=True):
            assert height == known.get(part, 0.0)
    other = layers_figure(results, theme, field="swap")
    assert list(other.data[0].y) == results[0]["swap"]
    assert [trace.marker.pattern.shape for trace in figure.data] == ["", "/"]  # not by colour alone


def test_heading_and_legend_fit_a_phone(results: list[dict]) -> None:
    figure = layers_figure(results)
    (heading,) = [note for note in figure.layout.annotations if note.name == "heading"]
    assert max(map(len, heading.text.replace("<b>", "").replace("</b>", "").split("<br>"))) <= 46
    foot = figure.layout.margin.b
    inner = figure.layout.height - figure.layout.margin.t - foot
    # a row each below the names of the parts
    assert foot + figure.layout.legend.y * inner == pytest.approx(22 * len(results))
    assert layers_figure(results[:1]).layout.margin.b == foot - 44


def test_the_caption_says_which_part_costs_most(results: list[dict]) -> None:
    text = layers_caption(results, ["plain", "aligned"])
    worst = max(zip(results[0]["cost"], results[0]["parts"], strict=True))[1]
    assert f"plain: most for {worst}" in text and "6 examples" in text
    assert layers_caption([]) == "No result yet."


def test_every_computation_that_is_listed_exists(results: list[dict]) -> None:
    for what in COMPUTATIONS:
        kind = COMPUTATIONS[what]
        assert kind.what == what and callable(kind.compute)
        assert (
            what == "fake"
            or kind.title
            and kind.request.__dataclass_fields__["what"].default == what
        )
    stored = Store().list()[0]
    assert request_from_json(stored.request).key == stored.key
