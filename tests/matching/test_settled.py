"""A frame that has settled: no model can be brought closer to the others as they stand."""

from __future__ import annotations

from lmc_core.matching.consensus import VISIT, Consensus
from lmc_core.matching.pair import canonical
from lmc_core.matching.weight_search import match_weights
from lmc_core.symmetry.spaces import permutations_only
from tests.networks import random_model


def test_after_settling_no_visit_of_any_model_gains() -> None:
    models = [random_model("gpt2", seed) for seed in range(3)]
    classes = permutations_only(models[0].layout.spaces)
    states = [canonical(model, classes).state for model in models]
    frame = Consensus(models[0].layout, states, classes, {})
    before = frame.objective(frame.units)
    values = frame.settle(40, 0.0, lambda share: None)
    assert before == values[0] < values[-1] and len(values) < 40
    moved = frame.moved(frame.found)
    for k in range(3):
        others = {name: (moved[k - 1][name] + moved[k - 2][name]) / 2 for name in moved[k]}
        step, _ = match_weights(frame.layout, others, moved[k], classes, VISIT)
        after = [*moved]
        after[k] = step.apply(frame.layout, moved[k])
        assert frame.objective(after) <= values[-1] + 1e-9


def test_of_two_models_each_is_matched_onto_the_other() -> None:
    first, second = (random_model("gpt2", seed) for seed in (0, 1))
    classes = permutations_only(first.layout.spaces)
    frame = Consensus(first.layout, [first.state, second.state], classes, {})
    step, _ = match_weights(frame.layout, frame.units[1], frame.units[0], classes, VISIT)
    one_visit = frame.objective([step.apply(frame.layout, frame.units[0]), frame.units[1]])
    before, after = frame.settle(1, 0.0, lambda share: None)
    assert after >= one_visit - 1e-9 > before
