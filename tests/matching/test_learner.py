"""The loss of one step of learning, written out: soft targets, tokens that do not count, mixtures
that are not equal.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lmc_core import Examples, choose_classes
from lmc_core.matching.learned.charts import STRETCH
from lmc_core.matching.learned.learner import Learner
from lmc_core.matching.pair import canonical
from lmc_core.models.common import in_float32
from lmc_core.tasks.task import IGNORED
from tests.bare import bare, chain

WEIGHTS = [0.7, 0.3]  # lambda = 0.3


@pytest.fixture
def learner() -> Learner:
    models = [bare(seed) for seed in (0, 1)]
    classes = choose_classes(models[0].layout.spaces)
    return Learner([in_float32(canonical(model, classes)) for model in models], classes, (1,))


def by_hand(learner: Learner, batch: Examples, soft: list[Tensor] | None) -> float:
    """The mean over tokens that count of the cross-entropy at lambda = 0.3, one token after the
    other.
    """
    state = {
        name: 0.7 * learner.ends[0][name] + 0.3 * learner.ends[1][name] for name in learner.ends[0]
    }
    module = bare(0).with_state(state).module()
    with torch.no_grad():
        logs = module(batch.inputs).double().log_softmax(-1)
    each = []
    for row in range(len(batch)):
        for place in range(batch.targets.shape[1]):
            target = int(batch.targets[row, place])
            if target == IGNORED:
                continue
            if soft is None:
                each.append(-float(logs[row, place, target]))
            else:
                wanted = 0.7 * soft[0][row, place].double() + 0.3 * soft[1][row, place].double()
                each.append(-float((wanted * logs[row, place]).sum()))
    return sum(each) / len(each)


@pytest.mark.parametrize("masked", [False, True], ids=["all tokens", "some tokens"])
@pytest.mark.parametrize("targets", ["ends", "labels"])
def test_the_loss_of_a_step_is_that_written_out(
    learner: Learner, targets: str, masked: bool
) -> None:
    batch = chain(5)
    if masked:
        batch.targets[:, ::2] = IGNORED
        batch.targets[0] = IGNORED  # so that means over rows and over tokens differ
    soft = learner.probabilities(batch.inputs, 2) if targets == "ends" else None
    expected = by_hand(learner, batch, soft)
    assert learner.step(batch, soft, WEIGHTS, 1.0, False) == pytest.approx(expected, abs=1e-5)
    if soft is not None:
        # another lambda would be seen
        assert abs(expected - by_hand(learner, batch, soft[::-1])) > 1e-3
    # tokens that do not count would be seen
    assert masked == (abs(expected - by_hand(learner, chain(5), soft)) > 1e-3)


def test_the_held_out_loss_counts_tokens_and_not_batches(learner: Learner) -> None:
    examples = chain(5)
    examples.targets[:3, 1:] = IGNORED
    assert learner.loss(examples, 2, WEIGHTS) == pytest.approx(
        by_hand(learner, examples, None), abs=1e-5
    )


def test_what_the_ends_predict_is_told_in_order(learner: Learner) -> None:
    batch = chain(5)
    for number, found in enumerate(learner.probabilities(batch.inputs, 2)):
        with torch.no_grad():
            expected = bare(0).with_state(learner.ends[number]).module()(batch.inputs).softmax(-1)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("moves", "share"), [((1,), 1.0), ((0, 1), 0.5), ((1, 2), 1.0)])
def test_maps_that_are_undone_in_others_share_their_stretch(
    moves: tuple[int, ...], share: float
) -> None:
    """So that a map of B after that of A undone is held like one of B alone; also in what is
    returned, in float64.
    """
    models = [bare(seed) for seed in range(3)]
    classes = choose_classes(models[0].layout.spaces)
    learner = Learner([in_float32(canonical(model, classes)) for model in models], classes, moves)
    assert all(charts.stretch == share * STRETCH for charts in learner.charts.values())
    with torch.no_grad():
        for charts in learner.charts.values():
            for parameter in charts.parameters():
                parameter.copy_(
                    20 * torch.eye(parameter.shape[-1])
                    if parameter.ndim == 3
                    else torch.full_like(parameter, 20.0)
                )
    for k in moves:
        largest = float(
            torch.linalg.matrix_norm(learner.alignments()[k].elements["residual"].matrix(), 2).log()
        )
        assert 0.8 * share * STRETCH < largest < share * STRETCH
