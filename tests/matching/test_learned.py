"""Learning goes on from what is there: it finds what was planted, never ends worse, stops and goes
on where it was.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lmc_core import (
    Alignment,
    Line,
    align_pair,
    choose_classes,
    curve,
    get_task,
    load,
    permutations_only,
)
from lmc_core.errors import BadInput, UnknownName
from lmc_core.matching.learned.charts import STRETCH, Charts
from lmc_core.matching.learned.learn import learn
from lmc_core.matching.learned.learner import Learner
from lmc_core.matching.learned.method import LearnedSettings
from lmc_core.matching.matcher_input import MatcherInput
from lmc_core.matching.methods import METHODS
from lmc_core.matching.pair import canonical
from lmc_core.matching.trace import Trace
from lmc_core.matching.weight_search import match_weights
from lmc_core.models.forward import run
from lmc_core.models.model import Model
from lmc_core.symmetry.elements import Element, Permutation
from lmc_core.symmetry.spaces import Classes
from lmc_core.tasks.learning import Learning
from tests.bare import bare, chain

NOTHING = Trace((), 0.0, "", {}, 0)
DATA = get_task("fashion-mnist")
SHORT = LearnedSettings(steps=12, batch=16, checks=3)


def given_of(a: Model, b: Model, classes: Classes, count: int = 256) -> MatcherInput:
    examples = DATA.examples("train", count, 0)
    return MatcherInput(
        a, b, classes, train=examples.first(count - 64), held_out=examples.rows(count - 64, count)
    )


@pytest.fixture(scope="module")
def narrow() -> tuple[Model, Classes]:
    model = load("zoo:vit-fashion-narrow-s0")
    classes = choose_classes(model.layout.spaces)
    return canonical(model, classes), classes


def near(
    model: Model, classes: Classes, size: float, stretch: float = STRETCH
) -> dict[str, Element]:
    """A random element close to the identity for every smooth space."""
    charts = Charts(model.layout.spaces, classes, torch.float64, stretch)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in charts.parameters():
            parameter.copy_(
                size
                * torch.randn(parameter.shape, generator=generator)
                / parameter.shape[-1] ** 0.5
            )
        return charts.elements()


def middle(a: Model, b: Model) -> float:
    """Mean loss half way, on training images that nothing learned from."""
    return float(curve(Line(a, b), DATA.examples("train", 200, 1), 3, 0).mean[1])


def single(model: Model) -> Model:
    return model.with_state({name: tensor.float() for name, tensor in model.state.items()})


def test_a_planted_map_is_found_again(narrow: tuple[Model, Classes]) -> None:
    a, classes = narrow
    planted = Alignment.of(a.layout.spaces, near(a, classes, 1.2))
    b = a.with_state(planted.apply(a.layout, a.state))
    own, apart = middle(single(a), single(a)), middle(single(a), single(b))
    settings = LearnedSettings(steps=100, batch=32, checks=4)
    for both in (False, True):
        found, trace = learn(
            given_of(a, b, classes, 1024), Alignment.of(a.layout.spaces), NOTHING, settings, both
        )
        back = a.with_state(found.apply(a.layout, b.state))
        assert middle(single(a), single(back)) - own < 0.2 * (apart - own)
        assert trace.about["history"][0][2] > trace.about["history"][-1][2]


def test_permuted_units_are_found_again(narrow: tuple[Model, Classes]) -> None:
    """Every latent begins at a cosine, so a shuffle far from the start comes back by gradient
    alone.
    """
    a, _ = narrow
    classes = permutations_only(a.layout.spaces) | {
        "residual": a.layout.spaces["residual"].classes[0]
    }
    generator = torch.Generator().manual_seed(1)
    planted = {
        name: Permutation(torch.randperm(space.size, generator=generator))
        for name, space in a.layout.spaces.items()
        if space.kind == "units"
    }
    b = a.with_state(Alignment.of(a.layout.spaces, planted).apply(a.layout, a.state))
    found, trace = learn(given_of(a, b, classes), Alignment.of(a.layout.spaces), NOTHING, SHORT)
    assert (
        found.compose(Alignment.of(a.layout.spaces, planted)).distance(
            Alignment.of(a.layout.spaces)
        )
        == 0
    )
    assert trace.about["rows_moved"] > 0.9 * sum(len(e.indices) for e in planted.values())


def test_a_dual_path_has_an_exact_one_sided_twin(narrow: tuple[Model, Classes]) -> None:
    """(1 - lam) g_A A + lam g_B B computes what (1 - lam) A + lam g_A^-1 g_B B computes, at every
    lam.
    """
    a, classes = narrow
    spaces = a.layout.spaces
    generator = torch.Generator().manual_seed(5)
    other = load("zoo:vit-fashion-narrow-s0")
    noisy = {
        n: t + 0.05 * torch.randn(t.shape, generator=generator) for n, t in other.state.items()
    }
    b = canonical(other.with_state(noisy), classes)
    of_a, of_b = (Alignment.of(spaces, near(a, classes, size)) for size in (0.5, 0.3))
    ends = a.with_state(of_a.apply(a.layout, a.state)), a.with_state(of_b.apply(a.layout, b.state))
    twin = a, a.with_state(of_a.inverse().compose(of_b).apply(a.layout, b.state))
    alone = a, a.with_state(of_b.apply(a.layout, b.state))  # B moved and A not: another path
    inputs = DATA.examples("train", 8, 0).inputs
    for lam in (0.0, 0.3, 0.5, 1.0):
        outputs = [
            run(a.with_state(_between(*pair, lam)), inputs, torch.float64)
            for pair in (ends, twin, alone)
        ]
        assert torch.allclose(outputs[0], outputs[1], atol=1e-10)
        assert torch.allclose(outputs[0], outputs[2], atol=1e-2) == (lam in (0.0, 1.0))


def _between(a: Model, b: Model, lam: float) -> dict[str, torch.Tensor]:
    return {name: torch.lerp(tensor, b.state[name], lam) for name, tensor in a.state.items()}


def test_learning_never_ends_worse_than_it_began() -> None:
    a, b = load("zoo:vit-fashion-s0"), load("zoo:vit-fashion-s1")
    classes = choose_classes(a.layout.spaces)
    left, right = canonical(a, classes), canonical(b, classes)
    start, trace = match_weights(left.layout, left.state, right.state, classes)
    given = given_of(left, right, classes)
    # a rate that can only do harm
    wild = LearnedSettings(steps=6, batch=8, rate=5.0, checks=3, patience=9)
    found, after = learn(given, start, trace, wild)
    assert after.about["best_step"] == 0
    assert found.distance(start) < 1e-12
    assert min(held for _, _, held in after.about["history"]) == after.about["history"][0][2]


def test_an_interrupted_run_goes_on_to_the_same_end(
    narrow: tuple[Model, Classes], tmp_path: Path
) -> None:
    a, classes = narrow
    b = a.with_state(Alignment.of(a.layout.spaces, near(a, classes, 0.3)).apply(a.layout, a.state))
    given, start = given_of(a, b, classes), Alignment.of(a.layout.spaces)
    whole, _ = learn(given, start, NOTHING, SHORT)
    again, _ = learn(given, start, NOTHING, SHORT)
    assert whole.distance(again) == 0
    other, _ = learn(replace(given, seed=1), start, NOTHING, SHORT)
    assert whole.distance(other) > 0

    def interrupt(share: float, words: str) -> None:
        if share >= 0.55:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "half.pt"
    with pytest.raises(KeyboardInterrupt):
        learn(replace(given, checkpoint=checkpoint, progress=interrupt), start, NOTHING, SHORT)
    assert checkpoint.is_file()
    steps: list[str] = []
    fewer = (
        replace(given, train=given.train.first(100), checkpoint=checkpoint)
        if given.train
        else given
    )
    fresh: list[str] = []
    # other examples: another run, which begins at its first step
    with pytest.raises(KeyboardInterrupt):
        learn(
            replace(fewer, progress=lambda share, words: _stop_at_first(fresh, words)),
            start,
            NOTHING,
            SHORT,
        )
    assert fresh == ["step 1"]
    with pytest.raises(KeyboardInterrupt):
        learn(replace(given, checkpoint=checkpoint, progress=interrupt), start, NOTHING, SHORT)
    resumed, trace = learn(
        replace(given, checkpoint=checkpoint, progress=lambda share, words: steps.append(words)),
        start,
        NOTHING,
        SHORT,
    )
    assert (
        sum(words.startswith("step") for words in steps) < SHORT.steps
        and trace.about["steps"] == SHORT.steps
    )
    assert resumed.distance(whole) == 0
    assert not checkpoint.exists()


def _stop_at_first(said: list[str], words: str) -> None:
    if words.startswith("step"):
        said.append(words.partition(" of")[0])
        raise KeyboardInterrupt


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half of one"])
def test_a_damaged_checkpoint_is_as_good_as_none(
    narrow: tuple[Model, Classes], tmp_path: Path, content: bytes
) -> None:
    a, classes = narrow
    path = tmp_path / "run.pt"
    path.write_bytes(content)
    given = replace(given_of(a, a, classes), checkpoint=path)
    _, trace = learn(
        given, Alignment.of(a.layout.spaces), NOTHING, LearnedSettings(steps=2, batch=4)
    )
    assert trace.about["steps"] == 2


def test_a_budget_in_seconds_is_kept(narrow: tuple[Model, Classes]) -> None:
    a, classes = narrow
    settings = LearnedSettings(seconds=3.0, batch=8, checks=2)
    _, trace = learn(given_of(a, a, classes), Alignment.of(a.layout.spaces), NOTHING, settings)
    assert trace.about["steps"] > 8 and trace.about["learn_seconds"] < 30


def test_moved_and_assembled_parameters_are_those_of_the_alignment(
    narrow: tuple[Model, Classes],
) -> None:
    """The differentiable path and `Alignment.apply` are two implementations of one thing."""
    a, classes = narrow
    learner = Learner([single(a), single(a)], classes, moves=[1], rows_rate=0.1)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in learner.charts[1].parameters():
            parameter.copy_(
                0.2 * torch.randn(parameter.shape, generator=generator) / parameter.shape[-1] ** 0.5
            )
    for name, indices in learner.rows[1].indices.items():
        learner.rows[1].indices[name] = torch.randperm(
            indices.shape[-1], generator=generator
        ).expand(indices.shape)
    mixture = learner.mixture((0.5, 0.5), probed=True)
    moved = {name: mixture.move(name)[1] for name in a.state}
    exact = learner.alignments()[1].apply(a.layout, a.state)
    assert all(
        torch.allclose(moved[name].double(), tensor, atol=1e-5) for name, tensor in exact.items()
    )
    mixture.parameters()[next(iter(learner.layout.shapes))].sum().backward()


def test_learning_through_align_pair_keeps_the_function() -> None:
    a, b = load("zoo:vit-fashion-narrow-s0"), load("zoo:vit-fashion-narrow-s0")
    examples = DATA.examples("train", 128, 0)
    learning = Learning(examples.first(96), examples.rows(96, 128))
    for method in ("learned", "dual"):
        pair = align_pair(
            a, b, examples.inputs[:8], method=method, settings=SHORT, learning=learning
        )
        assert 0 < pair.function_error < 1e-5
    with pytest.raises(BadInput, match="learns from data"):
        align_pair(a, b, examples.inputs[:8], method="learned")


@pytest.mark.parametrize("spread", [0.0, 0.1, 0.5])
def test_lambda_is_uniform_around_the_middle(
    spread: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = []

    class Caught(Exception):
        pass

    def catch(models, classes, moves, draw, *rest) -> None:  # type: ignore[no-untyped-def]
        draws.append(draw)
        raise Caught

    monkeypatch.setattr("lmc_core.matching.learned.learn.Descent", catch)
    a = bare(0)
    given = MatcherInput(a, a, choose_classes(a.layout.spaces), train=chain(4), held_out=chain(4))
    with pytest.raises(Caught):
        learn(given, Alignment.of(a.layout.spaces), NOTHING, LearnedSettings(spread=spread))
    generator = torch.Generator().manual_seed(0)
    weights = torch.tensor([draws[0](generator) for _ in range(4000)], dtype=torch.float64)
    torch.testing.assert_close(weights.sum(1), torch.ones(4000, dtype=torch.float64))
    lam = weights[:, 1].sort().values
    assert float(lam[0]) >= 0.5 - spread and float(lam[-1]) <= 0.5 + spread
    # Kolmogorov's distance to the uniform distribution; 0.026 is the 99 % quantile for 4,000 draws
    if spread:
        share = (lam - (0.5 - spread)) / (2 * spread)
        assert float((share - (torch.arange(4000) + 0.5) / 4000).abs().max()) < 0.026
    else:
        assert bool((lam == 0.5).all())


WILD = LearnedSettings(steps=30, batch=32, rate=1.0, checks=6, targets="labels", start="weight")


@pytest.mark.parametrize("method", ["learned", "dual"])
def test_maps_that_would_run_away_are_held(method: str) -> None:
    """At a rate at which plane maps would outgrow float32: what is returned is better than the
    start, and the same function.
    """
    a, b = bare(0, 1.5), bare(1, 1.5)
    examples = chain()
    learning = Learning(examples.first(192), examples.rows(192, 256))
    pair = align_pair(a, b, examples.inputs[:16], method=method, settings=WILD, learning=learning)
    about = pair.trace.about
    assert about["refused"] == [] and pair.function_error < 1e-3
    assert (
        about["best_step"] > 0
        and min(row[2] for row in about["history"]) < about["history"][0][2] - 0.05
    )
    for name, element in pair.alignment.elements.items():
        assert float(torch.linalg.cond(element.matrix()).max()) < math.exp(2 * STRETCH), name


def test_maps_that_change_the_function_are_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the bound they would; then the best state before is, and the result says which steps
    were refused.
    """
    monkeypatch.setattr("lmc_core.matching.learned.learner.STRETCH", 1e6)
    a, b = bare(0, 1.5), bare(1, 1.5)
    examples = chain()
    learning = Learning(examples.first(192), examples.rows(192, 256))
    settings = replace(WILD, steps=60, rate=1.5)
    pair = align_pair(
        a, b, examples.inputs[:16], method="learned", settings=settings, learning=learning
    )
    about = pair.trace.about
    assert about["refused"] and pair.function_error < 1e-3
    kept = [row for row in about["history"] if row[0] not in about["refused"]]
    assert about["best_step"] == min(kept, key=lambda row: row[2])[0]
    assert min(about["history"], key=lambda row: row[2])[0] in about["refused"]


def test_where_nothing_that_is_learned_passes_the_start_is_returned() -> None:
    a, b = bare(0), bare(1)
    classes = choose_classes(a.layout.spaces)
    left, right = canonical(a, classes), canonical(b, classes)
    start, trace = match_weights(left.layout, left.state, right.state, classes)
    asked: list[Alignment] = []
    given = MatcherInput(
        left,
        right,
        classes,
        train=chain(64),
        held_out=chain(32, 1),
        keeps=lambda found: bool(asked.append(found)),
    )
    found, after = learn(given, start, trace, replace(WILD, rate=0.1))
    assert found.distance(start) < 1e-12 and after.about["best_step"] == 0
    assert len(asked) == len(after.about["refused"]) > 0
    assert all(alignment.distance(start) > 1e-3 for alignment in asked)


@pytest.mark.parametrize("both", [False, True])
def test_what_is_asked_for_is_what_is_returned(both: bool) -> None:
    """Onto the start, and for both ends as one alignment of B; its line loses half way what was
    measured while learning.
    """
    a, b = bare(0), bare(1)
    classes = choose_classes(a.layout.spaces)
    left, right = canonical(a, classes), canonical(b, classes)
    start, trace = match_weights(left.layout, left.state, right.state, classes)
    asked: list[Alignment] = []
    given = MatcherInput(
        left,
        right,
        classes,
        train=chain(64),
        held_out=chain(32, 1),
        keeps=lambda found: asked.append(found) is None,
    )
    found, after = learn(given, start, trace, replace(WILD, rate=0.1), both)
    assert after.about["refused"] == [] and found.distance(
        asked[-1]
    ) < 1e-12 < 1e-3 < found.distance(start)
    line = Line(single(left), single(right.with_state(found.apply(right.layout, right.state))))
    lowest = min(row[2] for row in after.about["history"])
    assert float(curve(line, chain(32, 1), 3, 0).mean[1]) == pytest.approx(lowest, abs=1e-4)


def test_bad_settings_are_named() -> None:
    with pytest.raises(UnknownName, match="setting of the method learned"):
        METHODS["learned"].configured({"stepps": 3})
    for wrong in (
        {"steps": 0},
        {"rate": -1.0},
        {"spread": 0.7},
        {"targets": "teacher"},
        {"seconds": -2.0},
        {"steps": "many"},
    ):
        with pytest.raises(BadInput):
            METHODS["learned"].configured(wrong)
    with pytest.raises(UnknownName, match="method"):
        METHODS["magic"]


def test_ill_conditioned_maps_are_told_from_wrong_ones() -> None:
    from lmc_core.errors import FunctionChanged
    from lmc_core.models.forward import function_error
    from lmc_core.symmetry.check import require_same_function

    assert require_same_function(5e-5, "b", exact=lambda: 1e-12) == 5e-5  # rounding, amplified
    for error, exact in (
        (5e-5, lambda: 1e-6),
        (5e-5, None),
        (5e-2, lambda: 1e-12),
        (float("nan"), lambda: 1e-12),
    ):
        with pytest.raises(FunctionChanged):
            require_same_function(error, "b", exact=exact)
    a = load("zoo:gpt2-plays-s0")
    classes = choose_classes(a.layout.spaces)
    form = canonical(a, classes)
    planes = {
        n: e for n, e in near(form, classes, 3.0, stretch=9.0).items() if n.startswith("query-key")
    }
    assert max(float(torch.linalg.cond(e.matrix()).max()) for e in planes.values()) > 1e3
    stretched = form.with_state(Alignment.of(a.layout.spaces, planes).apply(a.layout, form.state))
    inputs = get_task("plays").examples("train", 4, 0).inputs
    errors = [
        function_error(a, stretched, inputs, dtype) for dtype in (torch.float32, torch.float64)
    ]
    assert errors[0] > 1e-5 and errors[1] < 1e-10
