"""Soft matching: planted permutations come back, no round lets the free energy fall, both ends are
what they say.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from lmc_core.errors import BadInput, UnknownName
from lmc_core.matching.matcher_input import MatcherInput
from lmc_core.matching.pair import align_pair, canonical
from lmc_core.matching.soft.annealing import Annealing
from lmc_core.matching.soft.method import SoftSettings
from lmc_core.matching.soft.search import harden, match_soft
from lmc_core.matching.soft.soft_assignment import SoftMatches
from lmc_core.matching.weight import WeightSettings
from lmc_core.matching.weight_search import make_objective, match_weights
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import SymmetryClass, choose_classes, permutations_only
from tests.networks import random_inputs, random_model

# heads with planes, grouped queries, experts, groups of experts, gains of queries, signs, an axis
# twice
NAMES = ("vit", "llama", "mixtral", "deepseek_v2-groups", "olmo2-groups-tied", "gemma2", "bert")
BOTH = (lambda spaces: choose_classes(spaces), permutations_only)


def pair_of(name: str, choose) -> tuple[Model, Model, dict]:  # type: ignore[no-untyped-def, type-arg]
    a, b = random_model(name, 0), random_model(name, 1)
    classes = choose(a.layout.spaces)
    return canonical(a, classes), canonical(b, classes), classes


@pytest.mark.parametrize("choose", BOTH)
@pytest.mark.parametrize("name", NAMES)
def test_hard_matches_are_the_alignment(name: str, choose) -> None:  # type: ignore[no-untyped-def]
    a, b, classes = pair_of(name, choose)
    alignment = Alignment.random(b.layout.spaces, classes, torch.Generator().manual_seed(3))
    # matching finds maps that keep lengths, of which values are all there is
    if any(c.stretches for c in classes.values()):
        alignment, _ = match_weights(a.layout, a.state, b.state, classes)
    matches = SoftMatches.of(b.layout, alignment)
    moved, expected = matches.apply(b.state), alignment.apply(b.layout, b.state)
    assert max(float((moved[n] - expected[n]).abs().max()) for n in expected) < 1e-12
    assert matches.hardened().distance(alignment) == 0
    entropy, _, _ = matches.rows()
    assert entropy.numel() == 0


@pytest.mark.parametrize(
    ("name", "choose"),
    [
        ("vit", permutations_only),
        ("mixtral", choose_classes),
        ("olmo2-groups-tied", permutations_only),
    ],
)
def test_the_free_energy_never_falls(name: str, choose) -> None:  # type: ignore[no-untyped-def]
    a, b, classes = pair_of(name, choose)
    annealing = Annealing(
        make_objective(a.layout, a.state, b.state, classes, WeightSettings()),
        Alignment.of(a.layout.spaces),
    )
    annealing.round(0.1)
    first = value = annealing.free(0.1)
    for root in annealing.problem.roots * 2:
        annealing.visit(root, 0.1)
        before, value = value, annealing.free(0.1)
        assert value > before - 2e-5  # queries of a group and what Sinkhorn leaves are not exact
    assert value > first


@pytest.mark.parametrize(
    ("name", "origin"), [("gpt2", "edges"), ("vit", "weight"), ("mixtral", "edges")]
)
def test_a_planted_permutation_is_found_by_hardening(name: str, origin: str) -> None:
    model = random_model(name)
    classes = permutations_only(model.layout.spaces)
    planted = Alignment.random(model.layout.spaces, classes, torch.Generator().manual_seed(5))
    copy = model.with_state(planted.apply(model.layout, model.state))
    found, trace = match_soft(
        MatcherInput(model, copy, classes), SoftSettings(0.02, 0.1, 3, origin)
    )
    assert found.compose(planted).distance(Alignment.of(model.layout.spaces)) == 0
    assert trace.objective[-1] == pytest.approx(1.0, abs=1e-9)
    assert trace.matches is not None and trace.matches.hardened().distance(found) == 0
    assert trace.about["soft"]["sharp"] > 0.9 and trace.about["soft"]["entropy"] < 0.2


def test_annealing_leaves_local_optima() -> None:
    """The hard end is one of the cycle of weight matching: nothing more to gain, and better than
    the nearest assignment.
    """
    a, b, classes = pair_of("gpt2", permutations_only)
    problem = make_objective(a.layout, a.state, b.state, classes, WeightSettings())
    start = Alignment.random(a.layout.spaces, classes, torch.Generator().manual_seed(0))
    found, values = harden(problem, start)
    assert all(later >= earlier - 1e-12 for earlier, later in zip(values, values[1:], strict=False))
    assert values[-1] > values[0] + 0.05
    again, more = harden(problem, found)
    assert more[-1] - more[0] < 1e-4 and len(more) == 2
    assert again.distance(found) <= 1


@pytest.mark.parametrize(("choose", "near"), [(permutations_only, 1e-6), (choose_classes, 1e-2)])
def test_the_soft_end_of_a_low_temperature_is_the_hard_end(choose, near: float) -> None:  # type: ignore[no-untyped-def]
    """With rotations a tie may be left, and the cycle of weight matching still turns the stream a
    little before it stops.
    """
    a, b = random_model("vit", 0, torch.float32), random_model("vit", 1, torch.float32)
    pair = align_pair(
        a, b, random_inputs(a).float(), choose(a.layout.spaces), "soft", SoftSettings(1e-5, 0.1, 12)
    )
    assert pair.soft is not None
    scale = max(float(t.abs().max()) for t in pair.b.state.values())
    assert (
        max(float((pair.b.state[n] - pair.soft.model.state[n]).abs().max()) for n in pair.b.state)
        < near * scale
    )
    assert pair.soft.function_error < 10 * near and pair.trace.about["soft"]["sharp"] > 0.999


def test_the_soft_end_of_a_high_temperature_averages_all_rows() -> None:
    a, b = random_model("gpt2", 0, torch.float32), random_model("gpt2", 1, torch.float32)
    classes = dict.fromkeys(choose_classes(a.layout.spaces), "none") | {"units": "permutation"}
    pair = align_pair(a, b, random_inputs(a), classes, "soft", SoftSettings(1e9))
    assert pair.soft is not None and pair.end is pair.soft.model
    expected = {name: tensor.double().clone() for name, tensor in b.state.items()}
    for block in b.layout.blocks:
        for axis, each in enumerate(block.axes):
            if each.space is not None and each.space.startswith("units"):
                view = b.layout.view(expected, block)
                view.copy_(view.mean(axis, keepdim=True).expand_as(view))
    assert any(not torch.allclose(expected[n].float(), b.state[n]) for n in expected)
    for name, tensor in pair.soft.model.state.items():
        assert torch.allclose(tensor, expected[name].float(), atol=1e-6), name
    assert pair.trace.about["soft"]["entropy"] == pytest.approx(
        math.log(a.layout.spaces["units.0"].size)
    )
    assert pair.trace.about["soft"]["sharp"] == 0


@pytest.mark.parametrize("name", ["vit", "llama"])
def test_the_soft_end_is_another_function_and_the_hard_end_is_not(name: str) -> None:
    a, b = random_model(name, 0, torch.float32), random_model(name, 1, torch.float32)
    x = random_inputs(a)
    x = x.float() if x.is_floating_point() else x
    pair = align_pair(a, b, x, method="soft", settings=SoftSettings(0.1, 0.2, 3))
    assert pair.function_error < 1e-5
    assert pair.soft is not None and pair.soft.function_error > 1e-2
    model = pair.soft.model.check()  # an ordinary checkpoint of the same class
    assert (
        model.config == pair.b.config
        and set(model.state) == set(pair.b.state)
        and model.name.endswith("-soft")
    )
    hard = align_pair(a, b, x, method="soft", settings=SoftSettings(0.0, 0.2, 3))
    assert hard.soft is None and hard.end is hard.b and hard.function_error < 1e-5
    assert hard.trace.about["soft"]["temperature"] == 0


def test_spaces_that_rotate_are_not_softened() -> None:
    a, b, classes = pair_of("vit", choose_classes)
    _, trace = match_soft(MatcherInput(a, b, classes), SoftSettings(0.1, 0.2, 2))
    assert trace.about["soft"]["softened"] == ["heads", "units"]
    assert trace.matches is not None
    for name, match in trace.matches.matches.items():
        soft = classes[a.layout.spaces[name].kind] is SymmetryClass.PERMUTATION
        assert (match.element is None) is soft
        assert torch.allclose(match.values.sum(-1), torch.ones(()).double()) or not soft
        assert torch.allclose(match.values.sum(-2), torch.ones(()).double()) or not soft
        assert soft or torch.allclose(
            match.values @ match.values.mT, torch.eye(match.values.shape[-1]).double(), atol=1e-9
        )


def test_equal_calls_give_equal_results_whatever_the_threads() -> None:
    a, b, classes = pair_of("gpt2-one-head", choose_classes)
    given, settings = MatcherInput(a, b, classes), SoftSettings(0.1, 0.1, 1, "edges")
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 1, 2):  # threads
            torch.set_num_threads(count)
            found.append(match_soft(given, settings))
    finally:
        torch.set_num_threads(threads)
    first, second, third = (
        {n: m.values for n, m in trace.matches.matches.items()} for _, trace in found
    )
    assert all(torch.equal(first[n], second[n]) for n in first)
    assert all(torch.allclose(first[n], third[n], atol=1e-6) for n in first)
    assert found[0][0].distance(found[2][0]) < 1e-6


def test_the_schedule_falls_by_equal_factors() -> None:
    assert SoftSettings(0.1, 0.4, 3).schedule == pytest.approx([0.4, 0.2, 0.1])
    assert SoftSettings(1.0, 0.4, 2).schedule == [1.0, 1.0]
    assert SoftSettings(0.1, 0.4, 1).schedule == [0.1]
    falling = SoftSettings(0.0).schedule
    assert falling[0] == 0.3 and 0 < falling[-1] < 0.01 and falling == sorted(falling, reverse=True)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"temperature": -0.1},
            "temperature of soft matching should be a number of 0 or more; -0.1 came",
        ),
        ({"temperature": "hot"}, "'hot' came"),
        ({"temperature": float("nan")}, "nan came"),
        ({"start": 0.0}, "nothing to anneal"),
        ({"rounds": 0}, "whole number of 1 or more; 0 came"),
        ({"rounds": 2.5}, "2.5 came"),
    ],
)
def test_bad_settings_are_refused(changed: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        SoftSettings(**changed)  # type: ignore[arg-type]


def test_what_cannot_be_softened_is_refused() -> None:
    with pytest.raises(UnknownName, match="origin of soft matching"):
        SoftSettings(origin="nowhere")
    a, b, classes = pair_of("vit", choose_classes)
    problem = make_objective(a.layout, a.state, b.state, classes, WeightSettings())
    problem.held = False
    with pytest.raises(BadInput, match="at most 17 million parameters"):
        Annealing(problem, Alignment.of(a.layout.spaces))


def test_soft_matching_can_be_stopped() -> None:
    a, b, classes = pair_of("vit", choose_classes)
    said: list[tuple[float, str]] = []

    def stop(share: float, words: str) -> None:
        said.append((share, words))
        if words.startswith("soft"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        match_soft(replace(MatcherInput(a, b, classes), progress=stop), SoftSettings())
    assert all(0 <= share <= 1 for share, _ in said)
