"""The page Experts in every state, with a job layer in memory."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.server.app import script
from lmc_core.ui import backend, catalogue, experts_controls
from tests.figures.experts_result import by_activations, experts_result
from tests.pages.conftest import row

KINDS = {
    "residual": "orthogonal",
    "units": "permutation",
    "experts": "permutation",
    "value-output": "invertible",
}
KEY = "mix-s0|mix-s1|orders"


def mixture(name: str, seed: int) -> dict:
    found = row(name, "gpt2", seed)
    return {
        **found,
        "sizes": {"width": 96, "depth": 2, "experts": 3},
        "family": "mixtral",
        "parameters": 1_400_000,
    }


@pytest.fixture
def asked(layer, monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """Two mixtures beside models without experts; what is asked of the job layer is written
    down.
    """
    known = catalogue.models() | {
        f"mix-s{seed}": mixture(f"mix-s{seed}", seed) for seed in range(2)
    }
    monkeypatch.setattr(catalogue, "models", lambda: known)
    spaces = {
        k: {"what": k, "classes": ["none", v], "largest": v, "reason": "so it is"}
        for k, v in KINDS.items()
    }
    monkeypatch.setattr(catalogue, "spaces", lambda row: spaces)
    found: list[tuple] = []

    def request_of(pair, setting, split, examples, points, task):
        found.append(
            (pair[0]["name"], pair[1]["name"], setting.text, split, examples, points, task)
        )
        return SimpleNamespace(key="|".join(row["name"] for row in pair))

    monkeypatch.setattr(backend, "request_of", request_of)
    monkeypatch.setattr(
        experts_controls,
        "orders_of",
        lambda request, points: SimpleNamespace(key=f"{request.key}|orders"),
    )
    return found


@pytest.fixture
def at(asked) -> AppTest:
    return AppTest.from_file(str(script("experts")), default_timeout=30)


def words(at: AppTest) -> str:
    return "\n".join(str(part.value) for part in [*at.markdown, *at.caption, *at.error, *at.info])


def parameter(at: AppTest, name: str) -> str:
    value = at.query_params[name]
    return value[0] if isinstance(value, list) else value


def test_empty_says_what_to_do_and_offers_mixtures_alone(at, asked):
    at.run()
    assert not at.exception
    assert [len(box.options) for box in at.selectbox[:2]] == [2, 2]
    assert "Not computed yet: All orders." in words(at) and "Nothing is computed yet" in words(at)
    assert "42 orders of 9 points: about 40\u00a0s and 345\u00a0MB of memory" in words(at)
    assert asked[-1] == (
        "mix-s0", "mix-s1", "weight.residual-orthogonal.units-permutation.value-output-invertible.experts-permutation",
        "test", 16, 9, "plays",
    )  # fmt: skip
    assert len(at.get("plotly_chart")) == 1


def test_run_running_and_cancel(at, layer):
    at.run()
    next(each for each in at.button if each.label == "Run").click().run()
    assert layer.submitted == [(KEY, False)]
    layer.job(KEY, "running", 0.25, "measuring the loss of every order")
    at.run()
    assert at.get("progress")[0].proto.text == "All orders: measuring the loss of every order, 25%"
    next(each for each in at.button if each.label == "Cancel").click().run()
    assert layer.cancelled == [KEY] and "Cancelled. Still to compute" in words(at)


def test_failed_is_one_sentence(at, layer):
    layer.job(KEY, "failed", error="The worker (process 7) ended in the middle of this run.")
    at.run()
    assert (
        at.error[0].value
        == "All orders was not computed. The worker (process 7) ended in the middle of this run."
    )


def test_done_shows_fan_ranks_costs_routing_numbers_and_files(at, layer):
    layer.results[KEY] = experts_result()
    at.run()
    assert not at.exception
    assert "The fan is stored; the newest was computed on 2026-11-20." in words(at)
    assert len(at.get("plotly_chart")) == 5
    values = {metric.label: metric.value for metric in at.metric}
    assert values == {
        "Exact order (nats)": "0.200",
        "As numbered (nats)": "1.00",
        "Function check": "1.0 × 10⁻⁶",
    }
    assert "all 6 orders of the 3 experts of layer 0" in words(at)
    assert ("layer 0", "As numbered") in at.table[0].value.index
    assert {each.label for each in at.get("download_button")} >= {"CSV", "JSON", "HTML", "NPZ"}
    assert parameter(at, "layer") == "experts.0" and parameter(at, "order") == "exact"


def test_the_address_restores_everything(at, layer, asked):
    layer.results["mix-s1|mix-s0|orders"] = experts_result()
    at.query_params.update(
        {"a": "mix-s1", "b": "mix-s0", "rest": "experts", "split": "validation", "examples": "64", "points": "5",
         "layer": "all", "order": "router"}
    )  # fmt: skip
    at.run()
    assert asked[-1] == (
        "mix-s1", "mix-s0", "weight.residual-none.units-permutation.value-output-none.experts-permutation",
        "validation", 64, 5, "plays",
    )  # fmt: skip
    assert "4 of the 36 joint orders" in words(at)
    assert parameter(at, "layer") == "all" and parameter(at, "order") == "router"


def test_activation_matching_is_offered_and_shows_its_own_order(at, layer, asked):
    at.query_params.update({"method": "activation", "layer": "all", "order": "found"})
    layer.results[KEY] = by_activations()
    at.run()
    assert not at.exception and asked[-1][2].startswith("activation.residual-orthogonal")
    assert "aligned by activation matching" in words(
        at
    ) and "activation matching as it is, its units by activations" in words(at)
    assert ("all layers", "Activation matching as it is") in at.table[0].value.index
    assert ("layer 0", "By activations") in at.table[0].value.index
    assert parameter(at, "method") == "activation" and parameter(at, "order") == "found"
    assert "Maps that are learned fit the one order" in next(
        c.help for c in at.segmented_control if c.label == "Aligned by"
    )


def test_an_order_that_a_result_lacks_is_not_kept(at, layer):
    at.query_params["order"] = "found"
    layer.results[KEY] = experts_result()
    at.run()
    assert not at.exception and parameter(at, "order") == "exact"


def test_an_address_survives_until_there_is_a_result(at):
    at.query_params.update({"layer": "experts.1", "order": "gram"})
    at.run()
    assert parameter(at, "layer") == "experts.1" and parameter(at, "order") == "gram"


def test_what_an_address_may_not_hold_is_dropped(at, layer, asked):
    layer.results[KEY] = experts_result()
    at.query_params.update(
        {
            "a": "gpt2-plays-s0",
            "rest": "nothing",
            "points": "6",
            "layer": "experts.9",
            "order": "random",
        }
    )
    at.run()
    assert not at.exception and not at.error
    assert asked[-1][0] == "mix-s0" and asked[-1][5] == 9 and parameter(at, "layer") == "experts.0"


def test_without_mixtures(at, monkeypatch):
    monkeypatch.setattr(
        catalogue, "models", lambda: {"gpt2-plays-s0": row("gpt2-plays-s0", "gpt2", 0)}
    )
    at.run()
    assert not at.exception and "two mixtures of experts" in at.info[0].value


def test_a_server_for_an_audience_has_no_button(at, layer, monkeypatch):
    monkeypatch.setenv("LMC_READ_ONLY", "1")
    at.run()
    assert not at.exception and "Not stored on this server" in words(at)
    assert not {each.label for each in at.button} & {"Run", "Run again", "Cancel"}
    layer.results[KEY] = experts_result()
    at.run()
    assert len(at.get("plotly_chart")) == 5 and not {each.label for each in at.button} & {
        "Run",
        "Run again",
    }
