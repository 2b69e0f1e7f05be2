"""Mixtures that run layer by layer: loss and gradients are those of float64 through everything at
once, and a run whose rate is too high goes back to its best.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from lmc_core import Alignment, choose_classes
from lmc_core.matching.learned import by_layer, descent, learner
from lmc_core.matching.learned.charts import Charts
from lmc_core.matching.learned.learn import learn
from lmc_core.matching.learned.learner import Learner
from lmc_core.matching.learned.method import LearnedSettings
from lmc_core.matching.matcher_input import MatcherInput
from lmc_core.matching.pair import canonical
from lmc_core.matching.trace import Trace
from lmc_core.models.common import in_float32
from lmc_core.models.functional import Forward
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import act_on_block
from lmc_core.symmetry.check import Double
from lmc_core.symmetry.spaces import Classes
from lmc_core.tasks.task import Examples
from tests.networks import random_inputs, random_model

NOTHING = Trace((), 0.0, "", {}, 0)


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (learner, descent):
        monkeypatch.setattr(module, "LARGE", 0)
    for module in (by_layer, learner):
        monkeypatch.setattr(module, "half_precision", lambda device: None)


def draw_charts(charts: Charts, size: float) -> None:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in charts.parameters():
            values = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(size * values / parameter.shape[-1] ** 0.5)


def make_pair(name: str) -> tuple[Model, Model, Classes]:
    models = [random_model(name, seed, torch.float32) for seed in (0, 1)]
    classes = choose_classes(models[0].layout.spaces)
    a, b = (in_float32(canonical(model, classes)) for model in models)
    return a, b, classes


def find_exactly(
    a: Model, b: Model, classes: Classes, examples: Examples, stretch: float, lam: float = 0.5
) -> tuple[float, dict[str, Tensor]]:
    """The loss on the line at lam, and its gradients by autograd through every parameter in float64."""
    charts = Charts(a.layout.spaces, classes, torch.float64, stretch)
    draw_charts(charts, 0.3)
    elements, layout = charts.elements(), b.layout
    moved = {name: tensor.double() for name, tensor in b.state.items()}
    for name in moved:
        blocks = [block for block in layout.blocks if block.parameter == name]
        whole = moved[name].clone()
        for block in blocks:
            part = act_on_block(layout, block, layout.view(moved, block), elements)
            layout.view({name: whole}, block).copy_(part)
        moved[name] = whole
    mixed = {f"inner.{n}": (1 - lam) * a.state[n].double() + lam * moved[n] for n in moved}
    with Double():
        logits = functional_call(Forward(a, a.module(torch.float64)), mixed, (examples.inputs,))
    loss = F.cross_entropy(logits.flatten(0, -2), examples.targets.flatten())
    loss.backward()
    found = {n: p.grad for n, p in charts.named_parameters() if p.grad is not None}
    return float(loss.detach()), found


@pytest.mark.parametrize("name", ("gpt2-relu", "llama", "gpt_neox", "mixtral", "gemma"))
@pytest.mark.parametrize("lam", (0.5, 0.7))
def test_gradients_are_those_of_autograd_in_float64(name: str, lam: float) -> None:
    a, b, classes = make_pair(name)
    inputs = random_inputs(a)
    generator = torch.Generator().manual_seed(1)
    tokens = a.family.sizes(a.config)["tokens"]
    examples = Examples(inputs, torch.randint(tokens, inputs.shape, generator=generator))
    found = Learner([a, b], classes, (1,))
    assert found.by_layer is not None and found.by_layer.layers
    draw_charts(found.charts[1], 0.3)
    loss, _ = found.find_slopes(examples, None, (1 - lam, lam), False)
    wanted, gradients = find_exactly(a, b, classes, examples, found.charts[1].stretch, lam)
    assert float(loss) == pytest.approx(wanted, rel=1e-5)
    assert gradients
    for each, parameter in found.charts[1].named_parameters():
        if each in gradients:
            assert parameter.grad is not None
            difference = (parameter.grad.double() - gradients[each]).norm()
            assert difference < 1e-4 * gradients[each].norm() + 1e-9, each


def test_half_precision_off_the_middle_keeps_loss_slopes_and_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (by_layer, learner):
        monkeypatch.setattr(module, "half_precision", lambda device: torch.bfloat16)
    a, b, classes = make_pair("gpt2-relu")
    inputs = random_inputs(a)
    tokens = a.family.sizes(a.config)["tokens"]
    targets = torch.randint(tokens, inputs.shape, generator=torch.Generator().manual_seed(1))
    examples = Examples(inputs, targets)
    found = Learner([a, b], classes, (1,))
    before = [{name: tensor.clone() for name, tensor in end.items()} for end in found.ends]
    draw_charts(found.charts[1], 0.3)
    loss, _ = found.find_slopes(examples, None, (0.3, 0.7), False)
    for end, kept in zip(found.ends, before, strict=True):
        assert all(torch.equal(end[name], kept[name]) for name in kept)
    there, here = (
        each.with_state({n: t.float() for n, t in end.items()})
        for each, end in zip((a, b), found.ends, strict=True)
    )
    stretch = found.charts[1].stretch
    wanted, gradients = find_exactly(there, here, classes, examples, stretch, 0.7)
    _, elsewhere = find_exactly(there, here, classes, examples, stretch, 0.6)
    assert float(loss) == pytest.approx(wanted, abs=0.01)

    def differ(name: str, others: dict[str, Tensor]) -> float:
        parameter = found.charts[1].get_parameter(name)
        assert parameter.grad is not None
        return float((parameter.grad.double() - others[name]).norm() / others[name].norm())

    for each in gradients:
        assert differ(each, gradients) < 0.1
        assert differ(each, elsewhere) > 0.3  # what a wrong share of the ends would give


def test_no_second_copy_of_the_parameters_is_held() -> None:
    a, b, classes = make_pair("llama")
    found = Learner([a, b], classes, (1,))
    for value in found.forward.state_dict(keep_vars=True).values():
        assert value.untyped_storage().nbytes() <= value.element_size() * 64


def test_large_models_are_checked_early(monkeypatch: pytest.MonkeyPatch) -> None:
    a, given = planted()
    settings = LearnedSettings(steps=24, batch=8, checks=2, rate=0.02, targets="labels")
    start = Alignment.of(a.layout.spaces)
    _, trace = learn(given, start, NOTHING, settings)
    assert [int(step) for step, *_ in trace.about["history"]] == [0, 2, 4, 8, 12, 24]
    for module in (learner, descent):
        monkeypatch.setattr(module, "LARGE", 2**26)
    _, trace = learn(given, start, NOTHING, settings)
    assert [int(step) for step, *_ in trace.about["history"]] == [0, 12, 24]


def planted() -> tuple[Model, MatcherInput]:
    """A network, and the same moved a little; what it says itself is what is learned."""
    a, _, classes = make_pair("gpt2-relu")
    charts = Charts(a.layout.spaces, classes, torch.float64)
    draw_charts(charts, 0.5)
    with torch.no_grad():
        moved = Alignment.of(a.layout.spaces, charts.elements()).apply(a.layout, a.state)
    generator = torch.Generator().manual_seed(2)
    shape, tokens = (40, random_inputs(a).shape[1]), a.family.sizes(a.config)["tokens"]
    inputs = torch.randint(tokens, shape, generator=generator)
    with torch.no_grad():
        targets = a.family.outputs(a.module(), inputs).argmax(-1)
    train, held_out = Examples(inputs[:32], targets[:32]), Examples(inputs[32:], targets[32:])
    b = a.with_state(moved)
    return a, MatcherInput(a, b, classes, train=train, held_out=held_out)


def test_a_rate_that_is_too_high_falls_by_itself() -> None:
    a, given = planted()
    settings = LearnedSettings(steps=32, batch=8, checks=16, rate=2.0, targets="labels")
    _, trace = learn(given, Alignment.of(a.layout.spaces), NOTHING, settings)
    history, returned = trace.about["history"], trace.about["returned"]
    losses = {int(step): loss for step, _, loss in history}
    assert returned
    assert losses[trace.about["best_step"]] < losses[0]
    for step in returned:
        assert losses[step] > min(loss for at, loss in losses.items() if at < step)


def test_what_was_returned_to_is_kept_for_a_run_that_goes_on(tmp_path: Path) -> None:
    a, given = planted()
    settings = LearnedSettings(steps=24, batch=8, checks=12, rate=2.0, targets="labels")
    start = Alignment.of(a.layout.spaces)
    whole, trace = learn(given, start, NOTHING, settings)
    path = tmp_path / "kept.pt"

    def stop(share: float, words: str) -> None:
        if words.startswith("step 14 "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(replace(given, checkpoint=path, progress=stop), start, NOTHING, settings)
    again, resumed = learn(replace(given, checkpoint=path), start, NOTHING, settings)
    assert trace.about["returned"] == resumed.about["returned"] != []
    assert again.distance(whole) < 1e-6
