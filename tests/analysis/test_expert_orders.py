"""All orders of the experts: the planted one has no excess, each keeps B's function, groups hold
their experts.
"""

from __future__ import annotations

from itertools import permutations

import pytest
import torch

from lmc_core.analysis.expert_orders import ALL, Orders, all_orders, every_order, find_order
from lmc_core.errors import BadInput
from lmc_core.matching.weight_search import match_weights
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.elements import Permutation
from lmc_core.symmetry.spaces import permutations_only
from lmc_core.tasks import Examples
from tests.families.mixtures import decided
from tests.networks import CONFIGURATIONS, random_inputs, random_model


def test_orders_of_four_experts_and_of_groups() -> None:
    plain = all_orders(random_model("mixtral").layout, "experts.0")
    assert plain.tolist() == [list(order) for order in permutations(range(4))]
    with pytest.raises(BadInput, match="48 orders"):  # three groups of two
        all_orders(random_model("deepseek_v2-groups").layout, "expert-groups.0")


def test_a_planted_order_has_no_excess_and_the_others_have() -> None:
    model = decided("mixtral")
    layout, classes = model.layout, permutations_only(model.layout.spaces)
    order = torch.tensor([1, 3, 0, 2])
    units = torch.stack(
        [torch.randperm(12, generator=torch.Generator().manual_seed(i)) for i in range(4)]
    )
    elements = {"experts.0": Permutation(order), "units.0": Permutation(units)}
    moved = model.with_state(Alignment.of(layout.spaces, elements).apply(layout, model.state))
    inputs = random_inputs(model, 8)
    examples = Examples(inputs, inputs.roll(1, 1))
    stays = every_order(model, moved, Alignment.of(layout.spaces), classes, examples)
    assert [each.mixture for each in stays] == ["experts.0", "experts.1", ALL]
    first, second, common = stays
    best = first.excess.abs().argmin()
    assert first.orders[best].tolist() == order.argsort().tolist()
    assert (
        float(first.excess[best].abs()) < 1e-5 < 100e-5 < float(first.excess.abs().sort().values[1])
    )
    assert first.naive == first.found == second.naive == 0 and common.found == 0
    # the units of both are matched anew
    assert float(first.excess[0]) == pytest.approx(float(common.excess[0]), abs=1e-6)
    assert float(first.excess[0]) < float(second.excess[0])  # those of the first mixture are not

    found, _ = match_weights(layout, model.state, moved.state, classes)
    aligned = moved.with_state(found.apply(layout, moved.state))
    first, second, common = every_order(model, aligned, found, classes, examples)
    assert first.found == best and first.naive == 0 and second.found == 0 and common.found is None
    assert first.orders[first.found].tolist() == find_order(layout, found, "experts.0").tolist()
    assert abs(float(first.excess[best])) < 1e-5 and float(first.excess[0].abs()) > 1e-3
    assert first.losses.shape == (24, 8) and first.ends.shape == (8,)


def test_experts_stay_in_their_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two groups of two: 8 of the 24 orders, each of which keeps the function."""
    family, raw = CONFIGURATIONS["deepseek_v2-groups"]
    few = {"n_routed_experts": 4, "n_group": 2, "topk_group": 1, "num_experts_per_tok": 2}
    monkeypatch.setitem(CONFIGURATIONS, "pairs of experts", (family, raw | few))
    model = decided("pairs of experts")
    layout, classes = model.layout, permutations_only(model.layout.spaces)
    orders = all_orders(layout, "expert-groups.0")
    assert len(orders) == 8 and all({*order[:2]} in ({0, 1}, {2, 3}) for order in orders.tolist())
    planted = Alignment.random(layout.spaces, classes, torch.Generator().manual_seed(1))
    moved = model.with_state(planted.apply(layout, model.state))
    found, _ = match_weights(layout, model.state, moved.state, classes)
    aligned = moved.with_state(found.apply(layout, moved.state))
    inputs = random_inputs(model)
    tried = every_order(model, aligned, found, classes, Examples(inputs, inputs.roll(1, 1)))
    for each in tried[:-1]:
        assert each.mixture.startswith("experts.") and each.found is not None
        assert (
            each.found == int(each.excess.abs().argmin())
            and abs(float(each.excess[each.found])) < 1e-4
        )
        assert float(each.excess.abs().max()) > 1e-3
    assert {each.found for each in tried[:-1]} != {0}  # something had to be undone


def test_networks_without_experts_are_refused() -> None:
    model = random_model("llama", 0, torch.float32)
    inputs = random_inputs(model)
    with pytest.raises(BadInput, match="no experts"):
        every_order(model, model, Alignment.of(model.layout.spaces), {}, Examples(inputs, inputs))


def test_the_rank_counts_the_orders_that_are_better_and_not_itself() -> None:
    losses = torch.tensor([[2.0, 4.0], [1.0, 3.0], [0.0, 8.0], [2.0, 4.0]])
    ends = torch.tensor([1.0, 2.0])
    numbers = torch.arange(4)[:, None]
    found = [Orders("experts.0", numbers, losses, ends, 0, at) for at in (0, 1, 2, 3, None)]
    assert found[0].excess.tolist() == [1.5, 0.5, 2.5, 1.5]
    assert [each.rank for each in found] == [1, 0, 3, 1, None]
