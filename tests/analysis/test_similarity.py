"""A model and a moved copy of it: after the alignment all is matched, before it nothing is; sums
written out agree.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lmc_core.analysis.block_means import block_edge, block_means
from lmc_core.analysis.similarity import (
    INPUT,
    OUTPUT,
    SpaceSimilarity,
    compare_spaces,
    find_layer,
    order_layers,
)
from lmc_core.matching.experts import Mixture
from lmc_core.matching.objective import Objective
from lmc_core.matching.pair import AlignedPair, align_pair, canonical
from lmc_core.matching.state import MatchingState
from lmc_core.matching.trace import Trace
from lmc_core.models.common import in_float32
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.elements import Permutation
from lmc_core.symmetry.spaces import Classes, choose_classes, permutations_only
from tests.matching.test_widths import planted as planted_width
from tests.networks import random_inputs, random_model

FAMILIES = [
    "vit",
    "gpt2",
    "llama",
    "gpt_neox",
    "mixtral",
    "qwen2_moe",
    "bert",
    "t5",
    "deepseek_v3",
    "gemma2",
]
TRACE = Trace((1.0,), 0.0, "edges", {}, 1)


def moved_copy(
    name: str, classes: Classes | None = None, noise: float = 0.0
) -> tuple[AlignedPair, Classes, Alignment]:
    """A model in canonical form as A, and as B the same after a random element that the alignment
    undoes exactly.
    """
    model = random_model(name, 1)
    chosen = classes or choose_classes(model.layout.spaces)
    a = canonical(model, chosen)
    planted = Alignment.random(a.layout.spaces, chosen, torch.Generator().manual_seed(3))
    torch.manual_seed(0)
    b = a.with_state(
        {n: t + noise * torch.randn_like(t) if t.ndim > 1 else t for n, t in a.state.items()}
    )  # gains stay constant
    return (
        AlignedPair(in_float32(a), in_float32(b), planted.inverse(), TRACE, 0.0, 0.0),
        chosen,
        planted,
    )


def by_name(pair: AlignedPair, classes: Classes, **words) -> dict[str, SpaceSimilarity]:
    return {found.space.name: found for found in compare_spaces(pair, classes, **words)}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_moved_copy_is_matched_after_and_not_before(name: str) -> None:
    pair, classes, _ = moved_copy(name)
    found = by_name(pair, classes)
    assert found.keys() == pair.a.layout.spaces.keys()
    for each in found.values():
        n, copies = each.space.size, each.space.copies
        assert each.before.shape == each.after.shape == (copies, n, n) and each.matched.shape == (
            copies,
            n,
        )
        assert float((each.matched - 1).abs().max()) < 1e-5, each.space.name
        assert not each.by_layer or all(
            after == pytest.approx(1, abs=1e-5) for _, after in each.by_layer.values()
        )
        assert float(each.after.abs().max()) < 1 + 1e-5
    before = {
        each.space.kind: float(each.means[0].mean())
        for each in found.values()
        if each.space.size > 4
    }
    assert before and max(before.values()) < 0.8, before


def test_the_planted_permutation_is_where_the_matrix_says() -> None:
    classes = permutations_only(random_model("gpt2", 1).layout.spaces)
    pair, classes, planted = moved_copy("gpt2", classes)
    space = next(name for name in pair.a.layout.spaces if name.startswith("units"))
    # everything but the units is left where it is, so that the matrix before shows where each unit
    # went
    alone = Alignment.of(pair.a.layout.spaces, {space: planted.elements[space]})
    found = by_name(replace(pair, alignment=alone.inverse()), classes)[space]
    element = alone.elements[space]
    assert isinstance(element, Permutation)
    # B's place j holds A's unit indices[j]
    assert torch.equal(found.before[0].argmax(0), element.indices)
    assert not torch.equal(element.indices, torch.arange(len(element.indices)))


def test_a_cell_is_the_sum_written_out() -> None:
    pair, classes, _ = moved_copy("gpt2", noise=0.3)
    layout = pair.a.layout
    space = next(name for name in layout.spaces if name.startswith("units"))
    a, b = (
        layout.read({n: t.double() for n, t in model.state.items()}) for model in (pair.a, pair.b)
    )
    names = [
        block.name for block in layout.blocks if any(axis.space == space for axis in block.axes)
    ]

    def layer(name: str) -> str:
        return name.rpartition(".")[0]

    def rows(side: dict, name: str, i: int) -> torch.Tensor:
        block = layout.by_name[name]
        return side[name].select(block.axis(space), i).flatten()

    def norm(side: dict, of: str) -> float:
        return (
            float(sum(side[b.name].square().sum() for b in layout.blocks if layer(b.name) == of))
            ** 0.5
        )

    def entries(of: str) -> int:
        return sum(a[b.name].numel() for b in layout.blocks if layer(b.name) == of)

    weights = {n: entries(layer(n)) ** 0.5 / (norm(a, layer(n)) * norm(b, layer(n))) for n in names}
    for i, j in ((0, 0), (2, 5)):
        products = [sum(weights[n] * float(rows(x, n, p) @ rows(y, n, q)) for n in names)
                    for x, y, p, q in ((a, b, i, j), (a, a, i, i), (b, b, j, j))]  # fmt: skip
        expected = products[0] / (products[1] * products[2]) ** 0.5
        assert float(by_name(pair, classes)[space].after[0, i, j]) == pytest.approx(
            expected, abs=1e-5
        )


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_heads_are_compared_whatever_their_planes_are(name: str) -> None:
    pair, classes, _ = moved_copy(name, noise=0.2)
    spaces = pair.a.layout.spaces
    queries = Alignment.random(spaces, classes, torch.Generator().manual_seed(7)).elements
    inner = {n: e for n, e in queries.items() if spaces[n].kind == "queries"}
    turned = Alignment.random(
        spaces, choose_rotations(spaces), torch.Generator().manual_seed(8)
    ).elements
    inner |= {n: e for n, e in turned.items() if spaces[n].kind in ("query-key", "value-output")}
    other = replace(
        pair, b=pair.b.with_state(Alignment.of(spaces, inner).apply(pair.a.layout, pair.b.state))
    )
    one, two = by_name(pair, classes), by_name(other, classes)
    heads = next(n for n in spaces if n.startswith("heads"))
    plane = next(n for n in spaces if n.startswith("value-output"))
    assert torch.allclose(one[heads].after, two[heads].after, atol=1e-5)
    assert not torch.allclose(one[plane].after, two[plane].after, atol=1e-2)


def choose_rotations(spaces) -> Classes:
    """Maps that keep lengths, which is what is left of the planes once both sides are balanced."""
    kinds = {space.kind: space.classes for space in spaces.values()}
    wanted = ("orthogonal", "rotation")
    return {
        kind: next((c for c in classes if c.value in wanted), classes[0])
        for kind, classes in kinds.items()
    }


def test_experts_are_compared_whatever_the_order_of_their_units() -> None:
    pair, classes, _ = moved_copy("mixtral", noise=0.2)
    spaces = pair.a.layout.spaces
    shuffled = Alignment.random(
        spaces, permutations_only(spaces), torch.Generator().manual_seed(5)
    ).elements
    units = {n: e for n, e in shuffled.items() if spaces[n].kind == "units"}
    other = replace(
        pair, b=pair.b.with_state(Alignment.of(spaces, units).apply(pair.a.layout, pair.b.state))
    )
    one, two = by_name(pair, classes), by_name(other, classes)
    experts = next(n for n in spaces if n.startswith("experts"))
    assert torch.allclose(one[experts].after, two[experts].after, atol=1e-5)
    problem = Objective(pair.a.layout, pair.a.state, pair.b.state, classes, sizes=0.5)
    values = Mixture(MatchingState(problem), spaces[experts]).pairs()
    assert torch.equal(values.argmax(1), one[experts].after[0].argmax(1))


def test_large_models_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pair, classes, _ = moved_copy("llama", noise=0.2)
    whole = by_name(pair, classes)
    monkeypatch.setattr("lmc_core.matching.objective.HELD", 0)
    for name, found in by_name(pair, classes).items():
        assert torch.allclose(found.after, whole[name].after, atol=1e-4), name
        assert torch.allclose(found.before, whole[name].before, atol=1e-4), name


@pytest.mark.parametrize("second", [True, False], ids=["narrow-wide", "wide-narrow"])
def test_a_planted_embedding_is_matched_where_it_has_places(second: bool) -> None:
    narrow, wide = planted_width("gpt2", 1)
    pair = align_pair(*((narrow, wide) if second else (wide, narrow)), random_inputs(narrow))
    found = by_name(pair, choose_classes(pair.a.layout.spaces), second=second)
    for each in found.values():
        assert float((each.matched[~each.matched.isnan()] - 1).abs().max()) < 1e-3, each.space.name


def test_places_of_nobody_are_left_out() -> None:
    narrow, wide = planted_width("gpt2", 1)
    pair = align_pair(narrow, wide, random_inputs(narrow))
    name = next(n for n in pair.places if n.startswith("units"))
    places = pair.places[name]
    owner = places.owner.clone()
    owner[3] = -1
    pair = replace(pair, places={**pair.places, name: replace(places, owner=owner)})
    found = by_name(pair, choose_classes(pair.a.layout.spaces))[name]
    element = pair.alignment.elements[name]
    assert isinstance(element, Permutation)
    assert (
        found.matched[0].isnan().nonzero().flatten().tolist()
        == (element.indices == 3).nonzero().flatten().tolist()
    )
    assert found.means[1].isfinite().all()


def test_layers_are_named_and_ordered() -> None:
    assert find_layer("blocks.3.query.weight") == "blocks.3" and find_layer("token.table") is None
    layers = list(dict.fromkeys(order_layers(random_model("gpt2-untied").layout).values()))
    assert (
        layers[0] == INPUT
        and layers[-1] == OUTPUT
        and layers[1:-1] == [f"blocks.{k}" for k in range(len(layers) - 2)]
    )


def test_block_means_are_means() -> None:
    values = np.arange(35.0).reshape(5, 7)
    found = block_means(values, 3)
    assert found.shape == (3, 3) and block_edge(7, 3) == 3
    assert found[0, 0] == values[:2, :3].mean() and found[2, 2] == values[4:, 6:].mean()
    assert block_means(values, 7) is values
    assert block_means(np.ones((2, 9, 9)), 4).shape == (2, 3, 3)
