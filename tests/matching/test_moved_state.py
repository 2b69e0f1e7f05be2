"""For every family: what learning moves is what the alignment moves, and a step of learning runs
and has a gradient.
"""

from __future__ import annotations

import pytest
import torch

from lmc_core import choose_classes
from lmc_core.matching.learned.learner import Learner
from lmc_core.matching.pair import canonical
from lmc_core.models.common import in_float32
from lmc_core.tasks.task import Examples
from tests.networks import CONFIGURATIONS, random_inputs, random_model


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_differentiable_path_is_the_alignment(name: str) -> None:
    model, other = random_model(name, 0), random_model(name, 1)
    classes = choose_classes(model.layout.spaces)
    a, b = (in_float32(canonical(each, classes)) for each in (model, other))
    learner = Learner([a, b], classes, (0, 1), rows_rate=0.1)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for charts in learner.charts.values():
            for parameter in charts.parameters():
                parameter.copy_(
                    0.3
                    * torch.randn(parameter.shape, generator=generator)
                    / parameter.shape[-1] ** 0.5
                )
    for rows in learner.rows.values():
        for space, indices in rows.indices.items():
            rows.indices[space] = torch.rand(indices.shape, generator=generator).argsort(-1)
    moved = learner.states(probed=True)
    for state, alignment, end in zip(moved, learner.alignments(), (a, b), strict=True):
        exact = alignment.apply(end.layout, {n: t.double() for n, t in end.state.items()})
        scale = max(float(tensor.abs().max()) for tensor in exact.values())
        assert (
            max(float((state[n].detach().double() - t).abs().max()) for n, t in exact.items())
            < 1e-5 * scale
        )


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_step_of_learning_has_a_gradient_for_everything_that_moves(name: str) -> None:
    model, other = random_model(name, 0, torch.float32), random_model(name, 1, torch.float32)
    classes = choose_classes(model.layout.spaces)
    a, b = (in_float32(canonical(each, classes)) for each in (model, other))
    learner = Learner([a, b], classes, (1,), rows_rate=0.1)
    inputs = random_inputs(model)
    inputs = inputs.float() if inputs.is_floating_point() else inputs
    with torch.no_grad():
        outputs = learner.logits(inputs, [0.5, 0.5])
    if outputs.shape[-1] == 1:
        pytest.skip("one score for each token, of which no choice can be learned")
    targets = outputs.argmax(-1)
    loss = learner.step(Examples(inputs, targets), None, [0.5, 0.5], 1.0, True)
    assert loss == loss and loss > 0
    for parameter in learner.charts[1].parameters():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all())
    seen = [
        float(parameter.grad.abs().max())
        for parameter in learner.charts[1].parameters()
        if parameter.grad is not None
    ]
    assert not seen or max(seen) > 0
    for space, probe in learner.rows[1].probes.items():
        # its outputs are those of the masked tokens alone
        unseen = name == "bert-pretraining" and space == "pooled"
        assert unseen or (probe.grad is not None and bool(probe.grad.isfinite().all())), space
