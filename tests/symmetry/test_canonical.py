"""What the canonical rewrite leaves behind."""

from __future__ import annotations

import pytest
import torch

from lmc_core.matching.pair import canonical
from lmc_core.symmetry.check import function_error
from lmc_core.symmetry.spaces import choose_classes, permutations_only
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
    done = canonical(model, choose_classes(model.layout.spaces))
    blocks = done.layout.read(done.state)
    rewrite = done.family.rewrite(done.config)
    for norm in rewrite.norms:
        assert torch.equal(blocks[norm.gain], torch.ones_like(blocks[norm.gain]))
        constant = 1.0 if norm.readers[0][1] is None else 0.0
        assert torch.equal(blocks[norm.offset], torch.full_like(blocks[norm.offset], constant))
    offsets = {norm.offset for norm in rewrite.norms}
    for block in done.layout.blocks:
        for position, axis in enumerate(block.axes()):
            if axis.space == "residual" and axis.role == "writes" and block.name not in offsets:
                assert float(blocks[block.name].mean(position).abs().max()) < 1e-12
    for attention in rewrite.attentions:
        assert not blocks[attention.key[1]].any() and not blocks[attention.value[1]].any()
        by_name = {block.name: block for block in done.layout.blocks}
        for plane, one, two in [
            (attention.query_key, attention.query, attention.key[:1]),
            (attention.value_output, attention.value[:1], attention.output[:1]),
        ]:
            grams = []
            for names in (one, two):
                rows = torch.cat([done.layout.rows(blocks[n], by_name[n], attention.heads, plane) for n in names], -1)
                grams.append(rows @ rows.mT)
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
