"""Maps and the bend of a curve learned together: the gradient is that of the formula, the curve lies
below the line, and a stopped run goes on to the same end.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from lmc_core.errors import BadInput
from lmc_core.matching.learned import learner as learners
from lmc_core.matching.learned.joint import BentLearner, BentTrace
from lmc_core.matching.learned.learn import learn
from lmc_core.matching.learned.method import JointSettings
from lmc_core.matching.matcher_input import MatcherInput
from lmc_core.matching.pair import canonical
from lmc_core.matching.trace import Trace
from lmc_core.models.functional import Forward
from lmc_core.paths.bezier import Bezier
from lmc_core.paths.curve import measure
from lmc_core.paths.line import Line
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import choose_classes
from lmc_core.tasks import task_for
from tests.tiny import tiny

SETTINGS = JointSettings(steps=24, batch=16, checks=4, bend_rate=1e-2)
NOTHING = Trace((), 0.0, "", {}, 0)
MAKE = partial(BentLearner, SETTINGS.bend_rates)


@pytest.fixture(scope="module")
def given() -> MatcherInput:
    pair = [tiny("vit", seed) for seed in (0, 1)]
    classes = choose_classes(pair[0].layout.spaces)
    a, b = (canonical(model, classes) for model in pair)
    train = task_for("fashion-mnist", *pair).examples("train", 160)
    single = [m.with_state({n: t.float() for n, t in m.state.items()}) for m in (a, b)]
    return MatcherInput(*single, classes, train=train.first(128), held_out=train.rows(128, 160))


def test_the_gradient_of_the_bend_is_that_of_the_formula(given: MatcherInput) -> None:
    assert given.train is not None
    learner = MAKE([given.a, given.b], given.classes, (1,), 0.05, 0.0, "cpu")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in learner.bend.values():
            tensor.copy_(0.02 * torch.randn(tensor.shape, generator=generator))
    batch, t = given.train.first(12), 0.3
    loss, _ = learner.find_slopes(batch, None, [1 - t, t], False)
    free = {name: tensor.detach().clone().requires_grad_() for name, tensor in learner.bend.items()}
    named = {
        f"inner.{name}": (1 - t) * given.a.state[name]
        + t * given.b.state[name]
        + 2 * t * (1 - t) * free[name]
        for name in free
    }
    logits = functional_call(Forward(given.a), named, (batch.inputs,))
    wanted = F.cross_entropy(logits, batch.targets)
    wanted.backward()
    assert float(loss) == pytest.approx(float(wanted.detach()), rel=1e-5)
    for name, tensor in learner.bend.items():
        there, here = free[name].grad, tensor.grad
        assert there is not None and here is not None
        assert torch.allclose(here, there, atol=1e-5), name
    straight = given.a.with_state(dict(learner.mixture([0.7, 0.3]).parameters()))
    assert any(  # and the bend counts
        not torch.equal(straight.state[name], Line(given.a, given.b).state(0.3)[name])
        for name in free
    )


def test_the_curve_lies_below_the_line_and_b_keeps_its_function(given: MatcherInput) -> None:
    start = Alignment.of(given.layout.spaces)
    found, trace = learn(given, start, NOTHING, SETTINGS, make=MAKE)
    displacement = trace.displacement()
    assert isinstance(trace, BentTrace) and displacement is not None
    moved = given.b.with_state(found.apply(given.layout, given.b.state))
    assert given.keeps(found) and found.distance(start) > 0
    path, lam = Bezier.displaced(given.a, moved, displacement), torch.linspace(0, 1, 5)
    assert given.held_out is not None
    bent, line = (measure(each, lam, given.held_out) for each in (path, Line(given.a, moved)))
    assert torch.allclose(bent.mean[[0, -1]], line.mean[[0, -1]], atol=1e-4)
    assert (bent.mean[1:-1] < line.mean[1:-1]).all()
    assert bent.mean[1:-1].mean() < line.mean[1:-1].mean() - 0.01
    held_out = [row[2] for row in trace.about["history"]]
    assert min(held_out) < held_out[0]


def test_an_interrupted_run_goes_on_to_the_same_curve(given: MatcherInput, tmp_path: Path) -> None:
    start, short = Alignment.of(given.layout.spaces), replace(SETTINGS, steps=8, checks=2)
    whole, trace = learn(given, start, NOTHING, short, make=MAKE)

    def stop(share: float, words: str) -> None:
        if share >= 0.6:
            raise KeyboardInterrupt

    kept = replace(given, checkpoint=tmp_path / "half.pt")
    with pytest.raises(KeyboardInterrupt):
        learn(replace(kept, progress=stop), start, NOTHING, short, make=MAKE)
    assert (tmp_path / "half.pt").is_file()
    resumed, again = learn(kept, start, NOTHING, short, make=MAKE)
    assert resumed.distance(whole) == 0
    wanted, found = trace.displacement(), again.displacement()
    assert wanted is not None and found is not None
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


def test_large_models_are_refused_in_one_sentence(
    given: MatcherInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learners, "LARGE", 1)
    with pytest.raises(BadInput, match="joint holds four further copies of a model"):
        MAKE([given.a, given.b], given.classes, (1,), 0.05, 0.0, "cpu")
