import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.server.app import script

PERMUTATIONS = "weight.residual-permutation.units-permutation.heads-permutation.query-key-none.value-output-none"


@pytest.fixture
def at(layer) -> AppTest:
    return AppTest.from_file(str(script("barrier")), default_timeout=30)


def words(at: AppTest) -> str:
    parts = [*at.markdown, *at.caption, *at.error, *at.info]
    return "\n".join(str(part.value) for part in parts)


def button(at: AppTest, label: str):
    return next(each for each in at.button if each.label == label)


def parameter(at: AppTest, name: str) -> list[str]:
    value = at.query_params[name]
    return value if isinstance(value, list) else [value]


def labels(at: AppTest) -> list[str]:
    return [each.label for each in at.button]


def test_empty(at, layer):
    at.run()
    assert not at.exception
    assert "Not computed yet: Plain average, Permutations only, All classes." in words(at)
    assert "Nothing is computed yet" in words(at)
    assert len(at.get("plotly_chart")) == 1  # the axes keep the place


def test_models_are_labelled_with_seed_width_and_score(at):
    at.run()
    assert "vit-fashion-s0 · seed 0 · width 96 · 89.3%" in at.selectbox[0].options
    assert "gpt2-plays-s0 · seed 0 · width 96 · perplexity 4.12" in at.selectbox[0].options


def test_run_submits_what_is_missing(at, layer):
    layer.fill()
    del layer.results[layer.key("All classes")]
    at.run()
    button(at, "Run").click().run()
    assert layer.submitted == [(layer.key("All classes"), False)]
    assert "Cancel" in labels(at) and "Run" not in labels(at)


def test_running_says_what_and_how_far_and_cancels(at, layer):
    layer.job(layer.key("Plain average"), "running", 0.5, "measuring the loss on 2000 examples")
    layer.job(layer.key("All classes"), "queued")
    at.run()
    said = at.get("progress")[0].proto.text
    assert said == "Plain average: measuring the loss on 2000 examples, 50%; 1 more to go"
    button(at, "Cancel").click().run()
    assert set(layer.cancelled) == {layer.key("Plain average"), layer.key("All classes")}
    assert "Cancelled. Still to compute" in words(at)


def test_failure_is_one_sentence_and_can_be_run_again(at, layer):
    layer.fill()
    del layer.results[layer.key("All classes")]
    layer.job(
        layer.key("All classes"),
        "failed",
        error="The worker (process 7) ended in the middle of this run.",
    )
    at.run()
    assert (
        at.error[0].value
        == "All classes was not computed. The worker (process 7) ended in the middle of this run."
    )
    button(at, "Run again").click().run()
    assert layer.submitted == [(layer.key("All classes"), False)]


def test_done_shows_figure_numbers_check_and_downloads(at, layer):
    layer.fill()
    at.run()
    assert not at.exception
    assert "All 3 curves are stored; the newest was computed on 2026-11-20." in words(at)
    values = {metric.label: metric.value for metric in at.metric}
    assert values == {"Lowest barrier (nats)": "0.171 ± 0.009", "Function check": "2.4 × 10⁻⁷"}
    assert "9% of that of the plain average" in words(at)
    assert "rounding level" in words(at)
    table = at.table[0].value
    assert list(table.index) == ["Plain average", "Permutations only", "All classes"]
    assert table.loc["All classes", "Of plain"] == "9%"
    assert {each.label for each in at.get("download_button")} >= {"CSV", "JSON", "HTML"}


def test_run_again_computes_freshly(at, layer):
    layer.fill()
    at.run()
    button(at, "Run again").click().run()
    assert len(layer.submitted) == 3 and all(fresh for _, fresh in layer.submitted)


def test_incompatible_models_are_one_sentence(at):
    at.query_params["b"] = "gpt2-plays-s0"
    at.run()
    assert [error.value for error in at.error] == [
        "vit-fashion-s0 is a vit and gpt2-plays-s0 a gpt2; choose two models of one family."
    ]


def test_another_family_brings_its_own_partner(at):
    at.run()
    at.selectbox[0].set_value("gpt2-plays-s0").run()
    assert [box.value for box in at.selectbox[1:]] == ["gpt2-plays-s1", "weight", "plays"]


def test_models_can_be_measured_on_another_task_of_their_kind(at, layer):
    at.query_params.update({"a": "gpt2-plays-s0", "task": "austen"})
    at.run()
    assert at.selectbox[3].options == ["plays", "austen"] and at.selectbox[3].value == "austen"
    assert parameter(at, "task") == ["austen"]
    at.selectbox[0].set_value("vit-fashion-s0").run()
    assert at.selectbox[3].options == ["fashion-mnist"] and at.selectbox[3].value == "fashion-mnist"
    assert not at.error


def test_the_address_restores_everything(at, layer):
    at.query_params.update(
        {
            "a": "vit-fashion-s2", "b": "vit-fashion-s0", "residual": "permutation", "query-key": "none",
            "split": "validation", "examples": "200", "points": "11", "with": [PERMUTATIONS],
        }
    )  # fmt: skip
    at.run()
    assert [box.value for box in at.selectbox] == [
        "vit-fashion-s2",
        "vit-fashion-s0",
        "weight",
        "fashion-mnist",
    ]
    chosen = "weight.residual-permutation.units-permutation.heads-permutation.query-key-none.value-output-invertible"
    assert layer.requests == [
        (text, "validation", 200, 11) for text in ("none", PERMUTATIONS, chosen)
    ]


def test_what_an_address_may_not_hold_is_dropped(at, layer):
    at.query_params.update(
        {
            "a": "nobody",
            "units": "invertible",
            "points": "7",
            "with": ["nonsense", "weight.units-invertible"],
        }
    )
    at.run()
    assert not at.exception
    assert at.selectbox[0].value == "vit-fashion-s0"
    assert [request[3] for request in layer.requests] == [25, 25]


def test_the_address_is_written(at):
    at.run()
    assert parameter(at, "a") == ["vit-fashion-s0"]
    assert parameter(at, "with") == [PERMUTATIONS]
    at.button(key="barrier_remove_0").click().run()
    assert parameter(at, "with") == ["none"]


def test_settings_are_kept_and_removed(at, layer):
    at.run()
    at.button(key="barrier_keep").click().run()
    assert at.button(key="barrier_keep").disabled
    at.button(key="barrier_remove_0").click().run()
    assert "Permutations only" not in [each.value for each in at.markdown]
    at.button(key="barrier_add_permutations").click().run()
    assert parameter(at, "with")[-1] == PERMUTATIONS


def test_without_models(at, monkeypatch):
    from lmc_core.ui import catalogue

    monkeypatch.setattr(catalogue, "models", dict)
    at.run()
    assert "ships no models" in at.info[0].value


def test_a_refusal_is_one_sentence(at, layer, monkeypatch):
    from lmc_core.errors import StoreError
    from lmc_core.ui import backend

    def refuse(requests, fresh=False):
        raise StoreError("The table of jobs cannot be used; make its folder writable.")

    monkeypatch.setattr(backend, "submit", refuse)
    at.run()
    button(at, "Run").click().run()
    assert [error.value for error in at.error] == [
        "The table of jobs cannot be used; make its folder writable."
    ]


def test_the_first_partner_has_the_same_sizes(at, layer):
    """A narrow model comes earlier in the alphabet, and there is no line to it."""
    at.run()
    assert "vit-fashion-narrow-s0 · seed 0 · width 48 · 89.3%" in at.selectbox[1].options
    assert [box.value for box in at.selectbox] == [
        "vit-fashion-s0",
        "vit-fashion-s1",
        "weight",
        "fashion-mnist",
    ]
    at.selectbox[0].set_value("gpt2-plays-s0").run()
    assert at.selectbox[1].value == "gpt2-plays-s1"


def test_a_method_that_learns_has_steps_and_an_address(at, layer):
    at.query_params.update({"method": "learned", "steps": "600"})
    at.run()
    assert at.selectbox[2].value == "learned" and not at.error
    assert next(s for s in at.select_slider if s.label == "Steps").value == 600
    assert parameter(at, "steps") == ["600"] and parameter(at, "method") == ["learned"]
    assert layer.requests[-1][0].startswith("learned~600.residual-orthogonal.")
    at.selectbox[2].set_value("weight").run()
    assert (
        not [s for s in at.select_slider if s.label == "Steps"] and "steps" not in at.query_params
    )


def test_a_grid_of_classes_and_methods_becomes_a_queue(at, layer):
    at.query_params["with"] = "none"
    at.run()
    at.get("button_group")  # the pills are drawn
    at.pills(key="barrier_grid_classes").set_value(["Permutations only", "All classes"]).run()
    at.pills(key="barrier_grid_methods").set_value(["weight", "activation"]).run()
    button(at, "Add 4 curves").click().run()
    assert not at.exception
    assert len(parameter(at, "with")) == 4
    button(at, "Run").click().run()
    asked = [key for key, _ in layer.submitted]
    assert len(asked) == len(set(asked)) == 5  # the plain average besides
    assert (
        layer.key("All classes, activation matching") in asked
        and layer.key("Permutations only") in asked
    )


def test_both_splits_are_curves_of_their_own(at, layer):
    at.query_params["split"] = "test and train"
    at.run()
    assert not at.exception
    assert {split for _, split, _, _ in layer.requests} == {"test", "train"}
    assert "Plain average, train split" in words(at)


def test_parts_are_measured_on_demand(at, layer):
    layer.fill()
    at.run()
    button(at, "Measure the parts").click().run()
    assert [key for key, _ in layer.submitted] == [
        f"{layer.key(label)}|parts"
        for label in ("Plain average", "Permutations only", "All classes")
    ]
    assert "Stop measuring" in labels(at)


def test_parts_are_drawn_with_their_numbers(at, layer):
    layer.fill()
    plain = layer.results[layer.key("Plain average")]
    shared = {
        name: plain[name]
        for name in (
            "models",
            "unit",
            "examples",
            "split",
            "task",
            "versions",
            "date",
            "method",
            "classes",
        )
    }
    part = {"parts": ["input", "attention 0"], "cost": [0.5, -0.1], "cost_stderr": [0.02, 0.03]}
    layer.results[f"{layer.key('Plain average')}|parts"] = shared | part | {
        "swap": [1.0, 2.0], "swap_stderr": [0.1, 0.1], "loss": 0.3, "score": "accuracy",
    }  # fmt: skip
    at.run()
    assert not at.exception
    assert len(at.get("plotly_chart")) >= 2
    assert "most for input (0.500)" in words(
        at
    ) and "Not computed yet: Permutations only, All classes" in words(at)


def test_a_waiting_run_says_how_many_come_first(at, layer):
    layer.job(layer.key("Plain average"), "queued")
    at.run()
    assert at.get("progress")[0].proto.text.startswith("Plain average: waiting, 2 before this one")


def test_a_run_says_what_it_takes_before_it_starts(at, layer):
    at.run()
    assert "About 40\u00a0s and 345\u00a0MB of memory, as finished runs took here." in words(at)
