"""What the canonical rewrite leaves behind."""

from __future__ import annotations

import pytest
import torch

from lmc_core.matching.pair import canonical
from lmc_core.symmetry.canonical import writers
from lmc_core.symmetry.check import function_error
from lmc_core.symmetry.spaces import SymmetryClass, choose_classes, class_of, permutations_only
from tests.networks import CONFIGURATIONS, random_inputs, random_model


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_permutations_leave_the_weights_as_they_are(name: str) -> None:
    model = random_model(name)
    same = canonical(model, permutations_only(model.layout.spaces))
    assert same.config == model.config
    assert all(torch.equal(same.state[n], t) for n, t in model.state.items()) and same.state.keys() == model.state.keys()


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_canonical_form(name: str) -> None:
    model = random_model(name)
    classes = choose_classes(model.layout.spaces)
    done = canonical(model, classes)
    layout, rewrite = done.layout, done.family.rewrite(done.config)
    blocks = layout.read(done.state)

    def chosen(space: str) -> SymmetryClass:
        return class_of(layout.spaces[space], classes)

    for norm in rewrite.norms:
        if not chosen(norm.space).mixes:
            continue
        if norm.gain:
            assert torch.equal(blocks[norm.gain], torch.full_like(blocks[norm.gain], norm.unit))
        if norm.offset:
            constant = float(any(bias is None for _, bias in norm.readers))
            assert torch.equal(blocks[norm.offset], torch.full_like(blocks[norm.offset], constant))
    for space in rewrite.centred:
        if chosen(space).mixes:
            for writer in writers(layout, rewrite, space):
                assert float(blocks[writer].mean(layout.by_name[writer].axis(space)).abs().max()) < 1e-12
    for product in rewrite.products:
        if chosen(product.space).mixes and product.constant:
            assert not blocks[product.constant[0]].any()
        if not chosen(product.space).stretches:
            continue
        grams = []
        for names in (product.left, product.right):
            rows = torch.cat([layout.copies(blocks[n], layout.by_name[n], product.space) for n in names], -1)
            grams.append(rows @ rows.mT)
        pairs = layout.spaces[product.space].pairs
        if chosen(product.space) is SymmetryClass.ROTARY and pairs:  # every pair has sides of equal norm
            power = [gram.diagonal(dim1=-2, dim2=-1) for gram in grams]
            first, second = pairs.indices()
            grams = [p[..., first] + p[..., second] for p in power]
        elif chosen(product.space) in (SymmetryClass.SCALES, SymmetryClass.SCALED):
            grams = [gram.diagonal(dim1=-2, dim2=-1) for gram in grams]
        torch.testing.assert_close(grams[0], grams[1], atol=1e-10, rtol=1e-9)  # both sides carry sqrt(S)


def test_rewriting_twice_changes_nothing_that_is_seen() -> None:
    model = random_model("gpt2")
    classes = choose_classes(model.layout.spaces)
    once = canonical(model, classes)
    twice = canonical(once, classes)
    for name in ("transformer.wte.weight", "transformer.h.0.mlp.c_fc.weight", "lm_head.weight", "transformer.ln_f.bias"):
        torch.testing.assert_close(once.state[name], twice.state[name], atol=1e-12, rtol=0)


def test_gains_that_are_zero_are_folded_too() -> None:
    """The constant of a head without bias goes into the all-ones direction, so that nothing is divided by a gain."""
    model = random_model("gpt2")
    state = dict(model.state)
    for name in ("transformer.ln_f.weight", "transformer.h.0.ln_1.weight"):
        state[name] = state[name].clone()
        state[name][::3] = 0.0
    model = model.with_state(state)
    done = canonical(model, choose_classes(model.layout.spaces))
    assert function_error(model, done, random_inputs(model), torch.float64) < 1e-12


def test_the_head_is_untied_only_when_it_must_be() -> None:
    model = random_model("gpt2")
    assert "lm_head.weight" not in model.state
    untied = canonical(model, choose_classes(model.layout.spaces))
    assert untied.config["tie_word_embeddings"] is False and "lm_head.weight" in untied.state
