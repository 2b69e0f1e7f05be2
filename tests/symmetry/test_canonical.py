"""What the canonical rewrite leaves behind."""

from __future__ import annotations

import pytest
import torch

from lmc_core.analysis.audit import audit
from lmc_core.matching.pair import canonical
from lmc_core.models.forward import function_error
from lmc_core.models.model import Model
from lmc_core.symmetry import canonical as rewriting
from lmc_core.symmetry.canonical import writers
from lmc_core.symmetry.spaces import SymmetryClass, choose_classes, class_of, permutations_only
from tests.bare import CONTEXT, TOKENS, bare
from tests.networks import CONFIGURATIONS, random_inputs, random_model


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_permutations_leave_the_weights_as_they_are(name: str) -> None:
    model = random_model(name)
    same = canonical(model, permutations_only(model.layout.spaces))
    assert same.config == model.config
    assert (
        all(torch.equal(same.state[n], t) for n, t in model.state.items())
        and same.state.keys() == model.state.keys()
    )


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
                assert (
                    float(blocks[writer].mean(layout.by_name[writer].axis(space)).abs().max())
                    < 1e-12
                )
    for product in rewrite.products:
        if chosen(product.space).mixes and product.constant:
            assert not blocks[product.constant[0]].any()
        if not chosen(product.space).stretches:
            continue
        grams = []
        for names in (product.left, product.right):
            rows = torch.cat(
                [layout.copies(blocks[n], layout.by_name[n], product.space) for n in names], -1
            )
            grams.append(rows @ rows.mT)
        pairs = layout.spaces[product.space].pairs
        # every pair has sides of equal norm
        if chosen(product.space) is SymmetryClass.ROTARY and pairs:
            power = [gram.diagonal(dim1=-2, dim2=-1) for gram in grams]
            first, second = pairs.indices()
            grams = [p[..., first] + p[..., second] for p in power]
        elif chosen(product.space) in (SymmetryClass.SCALES, SymmetryClass.SCALED):
            grams = [gram.diagonal(dim1=-2, dim2=-1) for gram in grams]
        # both sides carry sqrt(S)
        torch.testing.assert_close(grams[0], grams[1], atol=1e-10, rtol=1e-9)


def test_rewriting_twice_changes_nothing_that_is_seen() -> None:
    model = random_model("gpt2")
    classes = choose_classes(model.layout.spaces)
    once = canonical(model, classes)
    twice = canonical(once, classes)
    for name in (
        "transformer.wte.weight",
        "transformer.h.0.mlp.c_fc.weight",
        "lm_head.weight",
        "transformer.ln_f.bias",
    ):
        torch.testing.assert_close(once.state[name], twice.state[name], atol=1e-12, rtol=0)


def test_gains_that_are_zero_are_folded_too() -> None:
    """The constant of a head without bias goes into the all-ones direction, so that nothing is
    divided by a gain.
    """
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


def in_double(model: Model) -> Model:
    generator = torch.Generator().manual_seed(0)
    noise = {
        n: 0.2 * torch.randn(t.shape, generator=generator, dtype=torch.float64)
        for n, t in model.state.items()
    }
    return model.with_state({n: t.double() + noise[n] for n, t in model.state.items()})


def test_a_stream_in_no_product_is_balanced_with_the_planes_behind_it() -> None:
    """Everything that writes against everything that reads; balancing either alone would undo the
    other.
    """
    model = in_double(bare(0))
    done = canonical(model, choose_classes(model.layout.spaces))
    layout, blocks = done.layout, done.layout.read(done.state)
    sides = {
        "residual": (
            (
                "token.table",
                "place.table",
                "0.attention.output.weight",
                "0.down.weight",
                "0.down.bias",
            ),
            (
                "0.attention.query.weight",
                "0.attention.key.weight",
                "0.attention.value.weight",
                "0.up.weight",
                "head.weight",
            ),
        ),
        "query-key.0": (("0.attention.query.weight",), ("0.attention.key.weight",)),
        "value-output.0": (("0.attention.value.weight",), ("0.attention.output.weight",)),
    }
    for space, both in sides.items():
        rows = [
            torch.cat([layout.copies(blocks[n], layout.by_name[n], space) for n in names], -1)
            for names in both
        ]
        left, right = (each @ each.mT for each in rows)
        torch.testing.assert_close(left, right, atol=1e-6, rtol=1e-6)
    inputs = torch.randint(TOKENS, (8, CONTEXT), generator=torch.Generator().manual_seed(0))
    assert function_error(model, done, inputs, torch.float64) < 1e-12


def test_a_stream_without_norms_is_found_again_from_any_gauge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = in_double(bare(0))
    inputs = torch.randint(TOKENS, (8, CONTEXT), generator=torch.Generator().manual_seed(0))
    found = audit(model, inputs)
    assert found.classes["residual"] == "invertible" and found.double < 1e-10
    assert found.recovered < 1e-6 and found.control > 1e-2
    monkeypatch.setattr(rewriting, "_without_product", lambda layout, rewrite, classes: [])
    # what matching finds would depend on which of all equal copies it is given
    assert audit(model, inputs).recovered > 0.1


def test_spaces_that_are_named_in_products_are_not_balanced_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that the canonical form of the families is what it was."""
    calls: list[str] = []
    balance = rewriting.balance_whole

    def counted(layout, product, *rest) -> None:  # type: ignore[no-untyped-def]
        calls.append(product.space)
        balance(layout, product, *rest)

    monkeypatch.setattr(rewriting, "balance_whole", counted)
    for name in CONFIGURATIONS:
        model = random_model(name)
        calls.clear()
        done = canonical(model, choose_classes(model.layout.spaces))
        # a table that stretches without a norm
        if name.startswith("deberta") and "distances" in done.layout.spaces:
            continue
        assert calls == [product.space for product in done.family.rewrite(done.config).products]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_key_biases_that_no_score_sees_are_zero(name: str) -> None:
    model = random_model(name)
    classes = choose_classes(model.layout.spaces)
    done = canonical(model, classes)
    layout, blocks, before = (
        done.layout,
        done.layout.read(done.state),
        model.layout.read(model.state),
    )
    for product in done.family.rewrite(done.config).products:
        if product.invisible is None or not class_of(layout.spaces[product.space], classes).mixes:
            continue
        pairs = layout.spaces[product.space].pairs
        rotated = pairs.rotated if pairs else 0
        bias, was = (
            layout.copies(each[product.invisible], layout.by_name[product.invisible], product.space)
            for each in (blocks, before)
        )
        assert was[:, rotated:].abs().max() > 0.01
        assert not bias[:, rotated:].any()
        assert rotated == 0 or bool((bias[:, :rotated] != 0).all())
