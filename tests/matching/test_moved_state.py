"""For every family: what learning moves is what the alignment moves, and a step of learning runs
and has a gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from lmc_core import choose_classes
from lmc_core.matching.learned.charts import Charts
from lmc_core.matching.learned.learner import Learner
from lmc_core.matching.learned.moved_state import MovedState, Slopes
from lmc_core.matching.learned.permutation_latents import PermutationLatents
from lmc_core.matching.pair import canonical
from lmc_core.models.common import in_float32
from lmc_core.symmetry.alignment import act_on_block
from lmc_core.symmetry.elements import Element, Invertible, Monomial, Role
from lmc_core.symmetry.spaces import Space
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
    mixture = learner.mixture((0.5, 0.5), probed=True)
    moved = [{name: mixture.move(name)[k] for name in a.state} for k in (0, 1)]
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
    found, slopes = learner.find_slopes(Examples(inputs, targets), None, [0.5, 0.5], True)
    loss = learner.step(Examples(inputs, targets), None, [0.5, 0.5], 1.0, True)
    assert loss == float(found) and loss > 0
    for parameter in learner.charts[1].parameters():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all())
    seen = [
        float(parameter.grad.abs().max())
        for parameter in learner.charts[1].parameters()
        if parameter.grad is not None
    ]
    assert not seen or max(seen) > 0
    for space in learner.rows[1].latents:
        # its outputs are those of the masked tokens alone
        unseen = name == "bert-pretraining" and space == "pooled"
        probe = slopes[1].probes.get(space)
        assert unseen or (probe is not None and bool(probe.isfinite().all())), space


VARIED = ("gpt2-relu", "llama", "mixtral", "deepseek_v2-groups", "t5-gated-tied", "mamba", "qwen3")


@pytest.mark.parametrize("name", [*VARIED, "gpt_neox", "swin", "clip", "olmo-clipped", "bert"])
def test_slopes_are_the_gradients_of_what_is_moved(name: str) -> None:
    """Of every map and permutation, in float64, against autograd through the alignment's own
    arithmetic, for a random gradient of every parameter.
    """
    model = random_model(name, 0)
    layout, classes = model.layout, choose_classes(model.layout.spaces)
    canon = in_float32(canonical(model, classes)).state
    state = {n: tensor.double() for n, tensor in canon.items()}
    charts = Charts(layout.spaces, classes, torch.float64)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in charts.parameters():
            values = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(0.3 * values / parameter.shape[-1] ** 0.5)
    spaces = PermutationLatents.moving(layout.spaces, classes)
    rows = PermutationLatents(
        spaces, {s.name: torch.zeros(_shape(s), dtype=torch.float64) for s in spaces}, 0.1
    )
    for space, indices in rows.indices.items():
        rows.indices[space] = torch.rand(indices.shape, generator=generator).argsort(-1)
    gradients = {
        n: torch.randn(t.shape, generator=generator, dtype=torch.float64) for n, t in state.items()
    }

    def elements() -> dict[str, Element]:
        smooth = charts.elements()
        scales = {n: e.scales for n, e in smooth.items() if isinstance(e, Monomial)}
        return {**smooth, **rows.elements(scales, "cpu")}

    moving = MovedState(layout, state, [*charts.elements(), *rows.latents])
    slopes, given = Slopes(tuple(rows.latents)), elements()
    for n in moving.cuts:
        with torch.no_grad():
            moving.gather(n, given, moving.move(n, state[n], given), gradients[n], slopes)
    charts.pull(given, slopes)
    found = [p.grad for p in charts.parameters()]
    charts.zero_grad()
    given = {
        n: Invertible(e.values, torch.linalg.inv(e.values)) if isinstance(e, Invertible) else e
        for n, e in elements().items()
    }
    matrices = {
        n: given[n].matrix().detach() / _spread(given[n])
        for n in rows.latents  # P itself; scales stay those of the charts
    }
    for matrix in matrices.values():
        matrix.requires_grad_(True)
    given |= {n: _Dense(matrices[n], given[n]) for n in matrices}  # type: ignore[misc]
    total = torch.zeros((), dtype=torch.float64)
    for block in layout.blocks:
        if block.parameter in moving.cuts:
            view = layout.view(state, block)
            moved = act_on_block(layout, block, view, given)
            total = total + (moved * layout.view(gradients, block)).sum()
    total.backward()
    for parameter, gradient in zip(charts.parameters(), found, strict=True):
        wanted = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        got = torch.zeros_like(parameter) if gradient is None else gradient
        torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-9)
    for n, matrix in matrices.items():
        if matrix.grad is not None:
            torch.testing.assert_close(slopes.probes[n], matrix.grad, rtol=1e-9, atol=1e-9)


def _shape(space: Space) -> tuple[int, ...]:
    copies = () if space.within is None else (space.copies,)
    return (*copies, space.size, space.size)


def _spread(element: Element) -> Tensor:
    return element.scales[..., None].detach() if isinstance(element, Monomial) else torch.ones(())


@dataclass(frozen=True)
class _Dense(Monomial):
    """A permutation as the matrix that it is, with the scales of another element: the reference."""

    def __init__(self, matrix: Tensor, element: Element):
        scales = element.scales if isinstance(element, Monomial) else None
        object.__setattr__(self, "dense", matrix)
        object.__setattr__(self, "scales", scales)

    def act(self, x: Tensor, role: Role) -> Tensor:
        moved = self.dense @ x  # type: ignore[attr-defined]
        if self.scales is None or role == "order":
            return moved
        return moved * (1 / self.scales if role == "reads" else self.scales)[..., None]
