"""The page Widths in every state, with a job layer in memory."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.server.app import script
from lmc_core.ui import backend, catalogue
from lmc_core.ui.widths_controls import all_pairs, fits, narrow_models
from tests.figures.widths_result import widths_result
from tests.pages.conftest import row

PAIR = ("thin", "mid-0")


def sized(name: str, width: int, family: str = "vit", **more: int) -> dict:
    found = row(name, family, 0, width)
    sizes = {"width": width, "depth": 4, "heads": 4, "units": 4 * width} | more
    return {**found, "sizes": sizes, "parameters": 1000 * width}


KNOWN = {
    each["name"]: each
    for each in (
        sized("deep", 48, depth=6), sized("mid-0", 96), sized("mid-1", 96), sized("text", 96, "gpt2"), sized("thin", 48),
        sized("wide", 144),
    )
}  # fmt: skip


@pytest.fixture
def asked(layer, monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """Three widths, a deeper model and another family; what is asked of the job layer is written
    down.
    """
    monkeypatch.setattr(catalogue, "models", lambda: KNOWN)
    found: list[tuple] = []

    def request_of(pair, setting, split, examples, points, task):
        found.append((pair[0]["name"], pair[1]["name"], setting.text, split, examples, points))
        return SimpleNamespace(key=key(pair[0]["name"], pair[1]["name"], setting.method))

    monkeypatch.setattr(backend, "request_of", request_of)
    return found


@pytest.fixture
def at(asked) -> AppTest:
    return AppTest.from_file(str(script("widths")), default_timeout=30)


def key(a: str, b: str, method: str) -> str:
    return f"{a}|{b}|{method}"


def words(at: AppTest) -> str:
    return "\n".join(str(part.value) for part in [*at.markdown, *at.caption, *at.error, *at.info])


def parameter(at: AppTest, name: str) -> list[str]:
    value = at.query_params[name]
    return value if isinstance(value, list) else [value]


def fill(layer) -> None:
    layer.results[key(*PAIR, "none")] = widths_result("none", 2.0, PAIR)
    layer.results[key(*PAIR, "weight")] = widths_result("weight", 0.5, PAIR)


def test_only_models_that_go_together_are_offered(at):
    at.run()
    assert not at.exception
    assert narrow_models(KNOWN) == ["mid-0", "mid-1", "thin"]
    assert len(at.selectbox[0].options) == 3 and at.selectbox[0].value == "mid-0"
    at.selectbox[0].set_value("thin").run()
    assert [option.split(" ")[0] for option in at.selectbox[1].options] == [
        "mid-0",
        "mid-1",
        "wide",
    ]


def test_what_fits_into_what():
    assert fits(KNOWN["thin"], KNOWN["wide"]) and not fits(KNOWN["wide"], KNOWN["thin"])
    assert not fits(KNOWN["mid-0"], KNOWN["mid-1"])  # equal widths
    assert not fits(KNOWN["thin"], KNOWN["text"]) and not fits(KNOWN["deep"], KNOWN["mid-0"])
    assert not fits(sized("x", 48, units=500), KNOWN["mid-0"])  # narrower, with more units


def test_all_pairs_have_the_equal_ones_first():
    found = [
        (one["name"], two["name"]) for one, two in all_pairs(KNOWN, (KNOWN["thin"], KNOWN["mid-1"]))
    ]
    assert found == [("mid-1", "mid-0"), ("thin", "mid-1"), ("thin", "wide"), ("mid-1", "wide")]


def test_empty(at, asked):
    at.query_params.update({"a": "thin", "ways": "weight"})
    at.run()
    assert not at.exception
    assert "Not computed yet: Padded with zeros, By weights." in words(
        at
    ) and "Nothing is computed yet" in words(at)
    assert "Once the pair is matched" in words(at)
    assert asked[:2] == [
        ("thin", "mid-0", "none", "test", 500, 11),
        ("thin", "mid-0", "weight.residual-orthogonal.units-permutation.heads-permutation.query-key-invertible."
         "value-output-invertible", "test", 500, 11),
    ]  # fmt: skip
    assert len(at.get("plotly_chart")) == 2  # the axes of both figures keep their places


def test_run_submits_the_pair_and_the_other_button_the_rest(at, layer):
    at.query_params.update({"a": "thin", "ways": "weight"})
    fill(layer)
    del layer.results[key(*PAIR, "weight")]
    at.run()
    next(each for each in at.button if each.label == "Run").click().run()
    assert layer.submitted == [(key(*PAIR, "weight"), False)]
    layer.submitted.clear()
    layer.table.clear()
    at.run()
    next(each for each in at.button if each.label == "Run the other pairs").click().run()
    # those of the chosen pair have their own button
    pairs = [("mid-0", "mid-1"), ("thin", "wide"), ("mid-0", "wide")]
    expected = {key(a, b, method) for a, b in pairs for method in ("none", "weight")}
    assert {submitted for submitted, _ in layer.submitted} == expected


def test_learned_is_shown_at_first_with_its_steps(at, asked):
    at.run()
    assert [text.split(".")[0] for _, _, text, *_ in asked[:3]] == ["none", "weight", "learned~300"]
    assert parameter(at, "ways") == ["weight", "learned"] and parameter(at, "steps") == ["300"]


def test_running_and_cancel(at, layer):
    at.query_params.update({"a": "thin", "ways": "weight"})
    layer.job(key(*PAIR, "weight"), "running", 0.5, "matching the widths")
    at.run()
    assert at.get("progress")[0].proto.text == "By weights: matching the widths, 50%"
    next(each for each in at.button if each.label == "Cancel").click().run()
    assert layer.cancelled == [key(*PAIR, "weight")]


def test_failed_is_one_sentence(at, layer):
    at.query_params.update({"a": "thin", "ways": "weight"})
    layer.job(
        key(*PAIR, "weight"),
        "failed",
        error="The worker (process 7) ended in the middle of this run.",
    )
    at.run()
    assert (
        at.error[0].value
        == "By weights was not computed. The worker (process 7) ended in the middle of this run."
    )


def test_done_shows_curves_facts_widths_places_numbers_and_files(at, layer):
    at.query_params.update({"a": "thin", "ways": "weight"})
    fill(layer)
    at.run()
    assert not at.exception
    assert len(at.get("plotly_chart")) == 4
    values = {metric.label: metric.value for metric in at.metric}
    assert values == {
        "Lowest barrier (nats)": "0.500",
        "Function check": "4.0 × 10⁻⁷",
        "Width in width": "48 in 96",
    }
    assert "48,000 parameters of the narrow model in 96,000" in words(at)
    assert "25% of that with zeros appended" in words(
        at
    ) and "rounding level, so it is the same function" in words(at)
    assert "each at 1 to 3 places" in words(at)
    assert list(at.table[0].value.index) == ["48 in 96", "48 in 96"]
    assert {each.label for each in at.get("download_button")} >= {"CSV", "JSON", "HTML", "Places"}
    assert parameter(at, "space") == ["units, layer 0"] and parameter(at, "view") == ["closer"]


def test_the_address_restores_everything(at, layer, asked):
    at.query_params.update(
        {"a": "thin", "b": "wide", "ways": ["weight", "learned"], "steps": "600", "split": "validation", "examples": "50",
         "points": "5", "space": "heads, layer 1", "view": "all"}
    )  # fmt: skip
    layer.results[key("thin", "wide", "weight")] = widths_result("weight", 0.5, ("thin", "wide"))
    at.run()
    assert not at.exception
    assert [(text.split(".")[0], *rest) for _, _, text, *rest in asked[:3]] == [
        (name, "validation", 50, 5) for name in ("none", "weight", "learned~600")
    ]
    assert "Where the 2 heads of layer 1" in words(at)
    for name, value in (
        ("ways", ["weight", "learned"]),
        ("steps", ["600"]),
        ("view", ["all"]),
        ("b", ["wide"]),
    ):
        assert parameter(at, name) == value


def test_what_an_address_may_not_hold_is_dropped(at, layer):
    at.query_params.update(
        {"a": "wide", "b": "thin", "ways": "magic", "points": "7", "view": "none"}
    )
    at.run()
    assert not at.exception and not at.error
    assert [box.value for box in at.selectbox[:2]] == ["mid-0", "wide"] and parameter(
        at, "ways"
    ) == ["none"]


def test_without_two_widths(at, monkeypatch):
    monkeypatch.setattr(
        catalogue, "models", lambda: {name: KNOWN[name] for name in ("mid-0", "mid-1")}
    )
    at.run()
    assert not at.exception and "different widths" in at.info[0].value


def test_a_server_for_an_audience_has_no_button(at, layer, monkeypatch):
    monkeypatch.setenv("LMC_READ_ONLY", "1")
    at.query_params.update({"a": "thin", "ways": "weight"})
    fill(layer)
    at.run()
    assert not at.exception and len(at.get("plotly_chart")) == 4
    assert not [each.label for each in at.button if each.label.startswith(("Run", "Cancel"))]
