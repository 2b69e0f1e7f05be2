"""Several models in one frame: moved copies come back to one point, maps agree around cycles,
learning refines.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
import torch

from lmc_core import Alignment, choose_classes, get_task, load, permutations_only
from lmc_core.errors import BadInput, FunctionChanged, Incompatible, UnknownName
from lmc_core.matching import many as group_module
from lmc_core.matching.consensus import Consensus
from lmc_core.matching.cycles import between, cycle_error
from lmc_core.matching.learned.charts import Charts
from lmc_core.matching.learned.descent import Descent
from lmc_core.matching.learned.steps import Steps
from lmc_core.matching.many import align_models
from lmc_core.matching.methods import MANY_METHODS
from lmc_core.matching.pair import canonical
from lmc_core.matching.reference import ReferenceSettings
from lmc_core.matching.state import MatchingState
from lmc_core.matching.universe import UniverseSettings
from lmc_core.matching.weight import WeightSettings
from lmc_core.matching.weight_search import make_objective, match_weights
from lmc_core.models.forward import function_error
from lmc_core.models.mixing import centre
from lmc_core.models.model import Model
from lmc_core.tasks.evaluator import evaluate
from lmc_core.tasks.learning import Learning
from tests.networks import random_inputs, random_model

DATA = get_task("fashion-mnist")
WEIGHTS = UniverseSettings(steps=0)
SHORT = UniverseSettings(steps=6, batch=8, checks=3, rounds=1)


def copies(name: str, classes: dict, count: int = 3) -> list[Model]:
    """One model and moved copies of it."""
    model = canonical(random_model(name), classes)
    elements = [
        Alignment.random(model.layout.spaces, classes, torch.Generator().manual_seed(k))
        for k in range(1, count)
    ]
    return [
        model,
        *(model.with_state(g.apply(model.layout, model.state), name="copy") for g in elements),
    ]


def learning_of(count: int = 128, checkpoint: Path | None = None, seed: int = 0) -> Learning:
    examples = DATA.examples("train", count, 0)
    return Learning(
        examples.first(count - 32),
        examples.rows(count - 32, count),
        checkpoint=checkpoint,
        seed=seed,
    )


@pytest.fixture(scope="module")
def three() -> list[Model]:
    """Three narrow models that differ: one, and two with noise that are moved far away."""
    first = load("zoo:vit-fashion-narrow-s0")
    classes = choose_classes(first.layout.spaces)
    models = [first]
    for seed in (1, 2):
        generator = torch.Generator().manual_seed(seed)
        noisy = {
            n: t + 0.03 * torch.randn(t.shape, generator=generator) for n, t in first.state.items()
        }
        form = canonical(first.with_state(noisy), classes)
        away = Alignment.random(form.layout.spaces, classes, generator)
        state = {n: t.float() for n, t in away.apply(form.layout, form.state).items()}
        models.append(form.with_state(state, name=f"noisy-{seed}"))
    return models


@pytest.mark.parametrize("name", ["gpt2", "llama", "vit"])
@pytest.mark.parametrize("settings", [ReferenceSettings(), ReferenceSettings(2), WEIGHTS])
def test_moved_copies_come_back_to_one_point(
    name: str, settings: ReferenceSettings | UniverseSettings
) -> None:
    for choose in (choose_classes, permutations_only):
        classes = choose(random_model(name).layout.spaces)
        models = copies(name, classes)
        method = "reference" if isinstance(settings, ReferenceSettings) else "universe"
        found = align_models(models, random_inputs(models[0]), classes, method, settings)
        for model in found.models[1:]:
            assert (
                max(
                    float((model.state[n] - t).abs().max())
                    for n, t in found.models[0].state.items()
                )
                < 1e-5
            )
        assert (
            found.trace.objective[-1] == pytest.approx(1.0, abs=1e-9) and found.trace.before < 0.9
        )
        assert found.cycle_error < 1e-10 and max(found.function_errors) < 1e-5
        # so the mean is the model itself
        assert function_error(models[0], found.centre, random_inputs(models[0])) < 1e-5


def test_maps_of_a_universe_agree_around_cycles_and_pairwise_ones_do_not() -> None:
    models = [random_model("gpt2", seed) for seed in range(4)]
    classes = choose_classes(models[0].layout.spaces)
    found = align_models(models, random_inputs(models[0]), classes, "universe", WEIGHTS)
    assert found.cycle_error < 1e-10
    forms = [canonical(model, classes) for model in models]
    layout = forms[0].layout
    pairwise = {}
    for i, j in combinations(range(4), 2):
        pairwise[i, j], _ = match_weights(layout, forms[i].state, forms[j].state, classes)
        pairwise[j, i] = pairwise[i, j].inverse()
    assert cycle_error(pairwise) > 0.1
    only_two = {pair: alignment for pair, alignment in pairwise.items() if set(pair) == {0, 1}}
    assert cycle_error(only_two) < 1e-10  # there and back is no cycle that could disagree


def test_visits_never_lower_the_objective_and_it_is_the_mean_of_the_pairs() -> None:
    models = [random_model("llama", seed) for seed in range(3)]
    classes = choose_classes(models[0].layout.spaces)
    forms = [canonical(model, classes) for model in models]
    frame = Consensus(forms[0].layout, [form.state for form in forms], classes, {})
    _, tried = frame.onto(None, lambda share: None)
    values = frame.settle(4, 0.0, lambda share: None)
    assert values[0] == max(tried.values()) and len(tried) == 3
    assert (
        all(later > earlier for earlier, later in zip(values, values[1:], strict=False))
        and len(values) > 1
    )
    moved = [
        f.with_state(g.apply(f.layout, f.state))
        for f, g in zip(forms, frame.from_the_first(), strict=True)
    ]
    pairs = [
        MatchingState(
            make_objective(a.layout, a.state, b.state, classes, WeightSettings())
        ).objective
        for a, b in combinations(moved, 2)
    ]  # of the models themselves, as pairs are matched
    assert values[-1] == pytest.approx(sum(pairs) / 3, abs=1e-9)


def test_the_first_model_stays() -> None:
    models = [random_model("gpt2", seed) for seed in range(3)]
    classes = choose_classes(models[0].layout.spaces)
    for settings in (ReferenceSettings(3), WEIGHTS):
        method = "reference" if isinstance(settings, ReferenceSettings) else "universe"
        found = align_models(models, random_inputs(models[0]), classes, method, settings)
        assert found.alignments[0].distance(Alignment.of(models[0].layout.spaces)) == 0
        form = canonical(models[0], classes)
        assert all(torch.equal(found.models[0].state[n], t.float()) for n, t in form.state.items())


def test_two_models_are_a_pair() -> None:
    a, b = (random_model("gpt2", seed) for seed in range(2))
    classes = choose_classes(a.layout.spaces)
    found = align_models([a, b], random_inputs(a), classes, "reference")
    forms = [canonical(model, classes) for model in (a, b)]
    expected, trace = match_weights(forms[0].layout, forms[0].state, forms[1].state, classes)
    assert found.alignments[1].distance(expected) < 1e-9
    assert found.trace.objective[-1] == pytest.approx(trace.objective[-1], abs=1e-12)


def test_learning_brings_three_copies_back_to_one_point() -> None:
    """Of one model and two copies that smooth maps moved away, the centre is the model again."""
    model = load("zoo:vit-fashion-narrow-s0")
    classes = choose_classes(model.layout.spaces)
    form = canonical(model, classes)
    away = [form]
    for seed in (1, 2):
        charts = Charts(form.layout.spaces, classes, torch.float64)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in charts.parameters():
                parameter.copy_(
                    0.9
                    * torch.randn(parameter.shape, generator=generator)
                    / parameter.shape[-1] ** 0.5
                )
            moved = Alignment.of(form.layout.spaces, charts.elements()).apply(
                form.layout, form.state
            )
        away.append(form.with_state(moved))

    def draw(generator: torch.Generator) -> list[float]:
        first = 0.2 + 0.2 * float(torch.rand((), generator=generator))
        return [first, 0.5 - first / 2, 0.5 - first / 2]

    settings = Steps(steps=80, batch=32, checks=4, rows_rate=0.0)
    descent = Descent(
        away, classes, (1, 2), draw, settings, learning_of(512), [], lambda share, words: None
    )
    maps, about = descent.finish()
    assert maps[0].distance(Alignment.of(form.layout.spaces)) == 0
    examples = DATA.examples("train", 200, 1)
    back = [m.with_state(g.apply(m.layout, m.state)) for m, g in zip(away, maps, strict=True)]
    states = [
        {n: t.float() for n, t in each.items()}
        for each in (form.state, centre(away).state, centre(back).state)
    ]
    own, before, after = evaluate(model, states, examples)[0].mean(1).tolist()
    assert after - own < 0.3 * (before - own)
    assert about["history"][0][2] > about["history"][-1][2]


def test_learning_never_ends_worse_than_it_began(three: list[Model]) -> None:
    wild = replace(SHORT, rate=5.0, patience=9, frame="reference")
    inputs = DATA.examples("train", 8, 0).inputs
    found = align_models(three, inputs, None, "universe", wild, learning=learning_of())
    start = align_models(three, inputs, None, "universe", replace(wild, steps=0))
    assert found.trace.about["best_step"] == 0
    assert (
        max(a.distance(b) for a, b in zip(found.alignments, start.alignments, strict=True)) < 1e-12
    )


def test_seeds_agree_and_an_interrupted_run_goes_on_to_the_same_end(
    three: list[Model], tmp_path: Path
) -> None:
    inputs = DATA.examples("train", 8, 0).inputs

    def align(learning: Learning, progress=lambda share, words: None) -> list[Alignment]:  # type: ignore[no-untyped-def]
        return list(
            align_models(
                three, inputs, None, "universe", SHORT, progress=progress, learning=learning
            ).alignments
        )

    def apart(one: list[Alignment], two: list[Alignment]) -> float:
        return max(a.distance(b) for a, b in zip(one, two, strict=True))

    whole = align(learning_of())
    assert apart(whole, align(learning_of())) == 0
    assert apart(whole, align(learning_of(seed=1))) > 0

    def interrupt(share: float, words: str) -> None:
        if words.startswith("step 4"):
            raise KeyboardInterrupt

    checkpoint = tmp_path / "half.pt"
    with pytest.raises(KeyboardInterrupt):
        align(learning_of(checkpoint=checkpoint), interrupt)
    assert checkpoint.is_file()
    steps: list[str] = []
    resumed = align(learning_of(checkpoint=checkpoint), lambda share, words: steps.append(words))
    assert [words for words in steps if words.startswith("step")][0].startswith("step 5")
    assert apart(resumed, whole) == 0 and not checkpoint.exists()


def test_progress_rises_to_the_end(three: list[Model]) -> None:
    shares: list[float] = []
    inputs = DATA.examples("train", 8, 0).inputs
    align_models(
        three,
        inputs,
        None,
        "universe",
        SHORT,
        progress=lambda s, w: shares.append(s),
        learning=learning_of(),
    )
    assert shares == sorted(shares) and shares[-1] == 1.0 and shares[0] < 0.2


def test_a_changed_function_is_refused(three: list[Model], monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(model: Model) -> Model:
        return model.with_state(
            {name: tensor.float() * 1.01 for name, tensor in model.state.items()}
        )

    monkeypatch.setattr(group_module, "in_float32", wrong)
    with pytest.raises(FunctionChanged):
        align_models(three, DATA.examples("train", 8, 0).inputs, None, "reference")


def test_bad_input_is_named(three: list[Model]) -> None:
    inputs = DATA.examples("train", 8, 0).inputs
    with pytest.raises(BadInput, match="Between 2 and 8 models are expected; 1 came"):
        align_models(three[:1], inputs, None, "reference")
    with pytest.raises(BadInput, match="Between 2 and 8 models are expected; 9 came"):
        align_models(three * 3, inputs, None, "reference")
    with pytest.raises(BadInput, match="learns from data"):
        align_models(three, inputs)
    with pytest.raises(BadInput, match="at most 3"):
        align_models(three, inputs, None, "reference", ReferenceSettings(4))
    with pytest.raises(Incompatible):
        align_models([*three, random_model("gpt2")], inputs, None, "reference")
    with pytest.raises(Incompatible):
        align_models([load("zoo:vit-fashion-s0"), three[0]], inputs, None, "reference")
    with pytest.raises(UnknownName, match="method for several models"):
        MANY_METHODS["magic"]
    wrong = (
        {"frame": "median"},
        {"concentration": 0.0},
        {"rounds": 0},
        {"steps": -1},
        {"reference": -1},
        {"steps": "many"},
    )
    for each in wrong:
        with pytest.raises(BadInput):
            MANY_METHODS["universe"].configured(each)
    with pytest.raises(UnknownName, match="setting of the method reference"):
        MANY_METHODS["reference"].configured({"steps": 3})


def test_every_method_says_what_it_is() -> None:
    for name, method in MANY_METHODS.items():
        assert (
            method.name == name
            and method.sentence.endswith(".")
            and method.source
            and method.configured({}) is not None
        )


def test_between_gives_maps_that_move_one_model_onto_another() -> None:
    classes = permutations_only(random_model("vit").layout.spaces)
    models = copies("vit", classes)
    found = align_models(models, random_inputs(models[0]), classes, "reference")
    maps = between(found.alignments)
    for (i, j), alignment in maps.items():
        moved = alignment.apply(models[0].layout, models[j].state)
        assert max(float((moved[n] - t).abs().max()) for n, t in models[i].state.items()) < 1e-10
