"""Fans of orders: one curve against the order applied by hand, planted orders, draws where there
are too many.
"""

from __future__ import annotations

from itertools import permutations

import pytest
import torch

from lmc_core.analysis.expert_orders import ALL
from lmc_core.analysis.fans import Orders, fans
from lmc_core.errors import BadInput
from lmc_core.models.model import Model
from lmc_core.paths.curve import measure
from lmc_core.paths.line import Line
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.elements import Permutation
from lmc_core.tasks import Examples
from tests.families.mixtures import decided
from tests.matching.test_experts import of_experts
from tests.networks import random_inputs, random_model

LAM = torch.linspace(0, 1, 5, dtype=torch.float64)


def some_examples(model: Model, count: int = 4) -> Examples:
    inputs = random_inputs(model, count)
    return Examples(inputs, inputs.roll(1, 1))


def by_hand(model: Model, orders: dict[int, list[int]]) -> Model:
    """The experts of some layers in another order, by indexing their tensors and nothing else."""
    state = dict(model.state)
    for layer, order in orders.items():
        at = f"model.layers.{layer}.mlp"
        for name in (f"{at}.gate.weight", f"{at}.experts.gate_up_proj", f"{at}.experts.down_proj"):
            state[name] = state[name][order]
    return model.with_state(state)


def test_a_curve_is_that_of_the_order_applied_by_hand() -> None:
    a, b = random_model("mixtral", 0, torch.float32), random_model("mixtral", 1, torch.float32)
    examples, order = some_examples(a), [2, 0, 3, 1]
    stay = of_experts(a, "none")  # units stay, so that an order is an exchange of tensors
    orders = Orders(a, b, Alignment.of(a.layout.spaces), stay)
    found = fans(orders, examples, LAM, draws=2)
    first, second, common = found
    assert [fan.mixture for fan in found] == ["experts.0", "experts.1", ALL]
    others = {1: orders.costs["experts.1"].orders["exact"].tolist()}
    expected = measure(Line(a, by_hand(b, {0: order} | others)), LAM, examples)
    index = first.orders[:, 0].tolist().index(order)
    assert first.losses[index].allclose(expected.losses, atol=1e-5)
    assert first.barriers(LAM)[index].value == pytest.approx(expected.barrier.value, abs=1e-5)
    wrong = measure(Line(a, by_hand(b, {0: [2, 0, 1, 3]} | others)), LAM, examples)
    assert not first.losses[index].allclose(wrong.losses, atol=1e-4)

    assert common.orders[common.named["naive"]].tolist() == [[0, 1, 2, 3]] * 2
    plain = measure(Line(a, b), LAM, examples)
    assert common.losses[common.named["naive"]].allclose(plain.losses, atol=1e-6)
    exact = {layer: orders.costs[f"experts.{layer}"].orders["exact"].tolist() for layer in range(2)}
    expected = measure(Line(a, by_hand(b, exact)), LAM, examples)
    assert common.losses[common.named["exact"]].allclose(expected.losses, atol=1e-5)


def test_the_names_of_a_fan() -> None:
    a, b = random_model("mixtral", 0, torch.float32), random_model("mixtral", 1, torch.float32)
    shares: list[float] = []
    found = fans(
        Orders(a, b, Alignment.of(a.layout.spaces), of_experts(a)),
        some_examples(a),
        LAM,
        3,
        progress=shares.append,
    )
    for fan in found[:-1]:
        values = [each.value for each in fan.barriers(LAM)]
        assert fan.there == 24 and fan.orders[:, 0].tolist() == [
            list(order) for order in permutations(range(4))
        ]
        assert values[fan.named["best"]] == min(values) < values[fan.named["worst"]] == max(values)
        assert fan.losses.shape == (24, 5, 4)
    common = found[-1]
    assert common.there == 24**2
    for end in ("best", "worst"):
        each = [fan.orders[fan.named[end], 0].tolist() for fan in found[:-1]]
        assert common.orders[common.named[end]].tolist() == each
    assert len({str(row.tolist()) for row in common.orders}) == len(common.orders) <= 3 + 6
    assert shares == sorted(shares) and shares[-1] == 1.0


def test_a_planted_order_has_a_flat_curve() -> None:
    a = decided("mixtral")
    order = torch.tensor([1, 3, 0, 2])
    b = a.with_state(
        Alignment.of(a.layout.spaces, {"experts.0": Permutation(order)}).apply(a.layout, a.state)
    )
    orders = Orders(a, b, Alignment.of(a.layout.spaces), of_experts(a))
    first, second, common = fans(orders, some_examples(a, 8), LAM)
    values = [each.value for each in first.barriers(LAM)]
    assert first.orders[first.named["exact"], 0].tolist() == order.argsort().tolist()
    assert abs(values[first.named["exact"]]) < 1e-5 < 1e-3 < values[first.named["worst"]]
    assert abs(common.barriers(LAM)[common.named["exact"]].value) < 1e-5
    assert common.barriers(LAM)[common.named["naive"]].value > 1e-3
    assert second.named["exact"] == second.named["naive"] == 0


def test_too_many_orders_are_drawn() -> None:
    """Three groups of two have 48 orders; those drawn keep the groups together."""
    a, b = (random_model("deepseek_v2-groups", seed, torch.float32) for seed in (0, 1))
    orders = Orders(a, b, Alignment.of(a.layout.spaces), of_experts(a))
    found = fans(orders, some_examples(a, 2), LAM[[0, 2, 4]], draws=5)
    for fan in found[:-1]:
        assert fan.there == 48 and len(fan.orders) <= 5 + 4
        for row in fan.orders[:, 0].tolist():
            assert sorted(row) == list(range(6)) and all(
                {row[i] // 2, row[i + 1] // 2} == {row[i] // 2} for i in (0, 2, 4)
            )
    again = fans(orders, some_examples(a, 2), LAM[[0, 2, 4]], draws=5)
    assert all(torch.equal(one.orders, two.orders) for one, two in zip(found, again, strict=True))


def test_networks_without_experts_are_refused() -> None:
    model = random_model("llama", 0, torch.float32)
    with pytest.raises(BadInput, match="no experts"):
        Orders(model, model, Alignment.of(model.layout.spaces), {})
