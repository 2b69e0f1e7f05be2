"""Activation matching: planted elements come back from activations alone; Gram matrices against a
slow reference.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lmc_core.errors import BadInput
from lmc_core.matching import activation_search
from lmc_core.matching.activation import ActivationSettings
from lmc_core.matching.activation_search import match_activations
from lmc_core.matching.matcher_input import MatcherInput
from lmc_core.matching.pair import canonical
from lmc_core.matching.responses import responses, sites
from lmc_core.models.forward import run
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.check import relative_difference
from lmc_core.symmetry.spaces import Classes, choose_classes, permutations_only
from lmc_core.tasks.task import Examples
from tests.networks import random_inputs, random_model

ALONE = ActivationSettings(weights=0, tokens=10**6)


def examples_of(model: Model, count: int = 40) -> Examples:
    inputs = random_inputs(model, count, 5)
    return Examples(
        inputs.float() if inputs.is_floating_point() else inputs,
        torch.zeros(count, dtype=torch.long),
    )


def planted(name: str, classes: Classes | None = None) -> MatcherInput:
    """A model and a copy of it, moved by a random element of every space."""
    model = random_model(name)
    classes = classes or choose_classes(model.layout.spaces)
    a = canonical(model, classes)
    alignment = Alignment.random(a.layout.spaces, classes, torch.Generator().manual_seed(1))
    b = canonical(a.with_state(alignment.apply(a.layout, a.state)), classes)
    return MatcherInput(a, b, classes, train=examples_of(model))


def left_over(given: MatcherInput, alignment: Alignment) -> float:
    """Largest difference of the parameters of A and of B moved, relative to the largest of them."""
    moved = alignment.apply(given.layout, given.b.state)
    largest = max(float(tensor.abs().max()) for tensor in given.a.state.values())
    return (
        max(float((moved[name] - tensor).abs().max()) for name, tensor in given.a.state.items())
        / largest
    )


# orthogonal and invertible, experts, groups of queries with rotary planes, partly rotated planes,
# permutations, latent streams, channels of recurrences
NAMES = ["gpt2", "vit", "mixtral", "llama", "gpt_neox", "bert", "deepseek_v2", "mamba"]


@pytest.mark.parametrize("name", NAMES)
def test_planted_elements_of_every_class_come_back_from_activations_alone(name: str) -> None:
    given = planted(name)
    assert left_over(given, Alignment.of(given.layout.spaces)) > 0.1
    found, trace = match_activations(given, ALONE)
    assert left_over(given, found) < 1e-3
    assert trace.objective[-1] == pytest.approx(1.0, abs=1e-4) and trace.before < 0.9


@pytest.mark.parametrize("name", ["gpt2", "vit"])
def test_planted_permutations_are_found_exactly(name: str) -> None:
    model = random_model(name)
    classes = permutations_only(model.layout.spaces)
    given = planted(name, classes)
    for settings in (ALONE, ActivationSettings()):
        found, _ = match_activations(given, settings)
        assert left_over(given, found) == 0


def test_of_sorted_examples_all_classes_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are drawn, of images in proportion, so that nobody has to mix them first."""
    seen: list[Examples] = []
    monkeypatch.setattr(
        activation_search,
        "responses",
        lambda a, b, sites, examples, *rest, **words: seen.append(examples) or {},
    )
    given = planted("vit")
    assert given.train is not None
    given = replace(given, train=Examples(given.train.inputs, torch.arange(5).repeat_interleave(8)))
    for seed in (0, 0, 1):
        match_activations(replace(given, seed=seed), ActivationSettings(examples=10))
    assert all(torch.bincount(each.targets, minlength=5).tolist() == [2] * 5 for each in seen)
    assert torch.equal(seen[0].inputs, seen[1].inputs) and not torch.equal(
        seen[0].inputs, seen[2].inputs
    )
    assert given.train is not None
    for image, label in zip(seen[2].inputs, seen[2].targets, strict=True):
        (row,) = [i for i, other in enumerate(given.train.inputs) if torch.equal(image, other)]
        assert row // 8 == label


def test_activations_that_do_not_belong_together_find_nothing() -> None:
    """Model B answers other inputs than A: the control of the test above."""
    given = planted("vit")
    other = examples_of(given.a).inputs.flip(0)
    run_b = given.b.family.outputs
    swapped = replace(
        given.b.family, outputs=lambda module, inputs: run_b(module, other[: len(inputs)])
    )
    found, trace = match_activations(replace(given, b=replace(given.b, family=swapped)), ALONE)
    assert left_over(given, found) > 0.1 and trace.objective[-1] < 0.9


@pytest.mark.parametrize("name", ["gpt2", "mixtral"])
def test_sums_do_not_depend_on_batches(name: str) -> None:
    a, b = random_model(name, 0), random_model(name, 1)
    places = sites(a.layout)
    for tokens in (10**6, 120):  # all of them, and three of each example
        one = responses(a, b, places, examples_of(a), tokens)
        two = responses(a, b, places, examples_of(a), tokens, batch=7)
        assert one.keys() == two.keys() and len(one) > 10
        for site, response in one.items():
            assert (
                response.count
                == two[site].count
                == min(tokens, 40 * a.family.sizes(a.config)["context"])
            )
            torch.testing.assert_close(
                response.gram,
                two[site].gram,
                rtol=1e-4,
                atol=1e-4 * float(response.gram.abs().max()),
            )
    other = responses(a, b, places, examples_of(a), 120, seed=1)
    assert any(float((other[site].gram - one[site].gram).abs().max()) > 1e-2 for site in one)


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama", "mixtral"])
def test_what_a_layer_makes_is_what_its_module_gives(name: str) -> None:
    """Sums over computed outputs against a hook on the module: fused, interleaved, transposed or
    plain.
    """
    model = random_model(name, 0)
    examples = examples_of(model, 6)
    found = responses(model, model, sites(model.layout), examples, 10**6)
    caught: dict[str, torch.Tensor] = {}
    module = model.module()
    for part, child in module.named_modules():
        child.register_forward_hook(
            lambda layer, inputs, output, part=part: caught.__setitem__(part, output)
        )
    model.family.outputs(module, examples.inputs)
    checked = 0
    for site, response in found.items():
        output = caught[site.module]
        if not site.made or not isinstance(output, torch.Tensor) or "experts" in site.module:
            continue
        own = output.reshape(response.count, -1).double()
        block = site.block
        bare = replace(
            block,
            pattern=" ".join(w for i, w in enumerate(block.pattern.split()) if w != "-residual"),
        )
        shape = bare.view_shape(model.layout.spaces, own.shape[1])
        own = (
            own.view(-1, *shape)[(slice(None), *bare.slices)].flatten(1)
            if len(bare.axes) < len(block.axes)
            else own
        )
        torch.testing.assert_close(response.totals[0], own.sum(0), rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(
            response.gram, own.mT @ own, rtol=1e-3, atol=1e-3 * float(response.gram.abs().max())
        )
        checked += 1
    assert checked >= 6


def test_the_alignment_keeps_the_function_and_the_objective_never_falls() -> None:
    a, b = random_model("llama", 0), random_model("llama", 1)
    classes = choose_classes(a.layout.spaces)
    given = MatcherInput(
        canonical(a, classes), canonical(b, classes), classes, train=examples_of(a)
    )
    for settings in (ActivationSettings(), ALONE):
        found, trace = match_activations(given, settings)
        moved = given.b.with_state(found.apply(given.layout, given.b.state))
        inputs = examples_of(a).inputs[:4]
        assert (
            relative_difference(run(b, inputs, torch.float64), run(moved, inputs, torch.float64))
            < 1e-9
        )
        assert (
            float(torch.tensor(trace.objective).diff().min()) > -1e-9
            and trace.objective[-1] > trace.before + 0.1
        )
        again, _ = match_activations(given, settings)
        assert again.distance(found) == 0
    assert trace.about["examples"] == 40 and trace.about["by weights alone"] == []


def test_what_is_missing_is_said() -> None:
    given = planted("vit")
    with pytest.raises(BadInput, match="examples of the training split"):
        match_activations(replace(given, train=None))
    for wrong in ({"examples": 1}, {"tokens": 0}, {"weights": -1.0}):
        with pytest.raises(BadInput):
            ActivationSettings(**wrong)  # type: ignore[arg-type]


def test_it_can_be_stopped() -> None:
    def stop(share: float, words: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        match_activations(replace(planted("vit"), progress=stop))
