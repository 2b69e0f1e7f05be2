"""Draws and orders: every index once, labels in proportion in every part of an order, shipped draws
as they were.
"""

from __future__ import annotations

import math

import pytest
import torch

from lmc_core.errors import BadInput
from lmc_core.tasks import get_task
from lmc_core.tasks.draws import drawn, mixed

SORTED = torch.arange(10).repeat_interleave(80)  # as folders list their images: class after class


def test_draws_without_labels() -> None:
    assert drawn(5, None, 0).tolist() == drawn(5, 9, 0).tolist() == [0, 1, 2, 3, 4]
    some = drawn(1000, 50, 1)
    assert some.tolist() == sorted(set(some.tolist())) and len(some) == 50
    assert torch.equal(some, drawn(1000, 50, 1)) and not torch.equal(some, drawn(1000, 50, 2))
    with pytest.raises(BadInput, match="2 examples"):
        drawn(5, 1, 0)


def test_what_is_drawn_of_shipped_data_stays() -> None:
    """Results that learn nothing keep their keys, so that they must keep their examples too."""
    for name, there in (("fashion-mnist", 2000), ("plays", None)):
        source = get_task(name).source("test", 64)
        assert there is None or len(source) == there
        rows = (
            torch.randperm(len(source), generator=torch.Generator().manual_seed(3))[:20]
            .sort()
            .values
        )
        found, expected = get_task(name).examples("test", 20, 3, 64), source.take(rows, 3)
        assert torch.equal(found.inputs, expected.inputs) and torch.equal(
            found.targets, expected.targets
        )


@pytest.mark.parametrize("seed", range(3))
def test_every_part_of_an_order_holds_the_labels_in_proportion(seed: int) -> None:
    order = mixed(SORTED, seed)
    assert sorted(order.tolist()) == list(range(800))
    assert torch.equal(order, mixed(SORTED, seed)) and not torch.equal(
        order, mixed(SORTED, seed + 7)
    )
    for start, stop in ((0, 16), (0, 256), (0, 750), (750, 800), (300, 360)):
        counts = torch.bincount(SORTED[order[start:stop]], minlength=10)
        assert counts.max() - counts.min() <= 2, (start, stop, counts)


def test_labels_of_unequal_number() -> None:
    labels = torch.tensor([0] * 600 + [1] * 150 + [2] * 50)
    order = mixed(labels, 0)
    for count in range(1, 801):
        found = torch.bincount(labels[order[:count]], minlength=3)
        assert ((found - count * torch.tensor([0.75, 0.1875, 0.0625])).abs() < 2.5).all(), (
            count,
            found,
        )


def test_without_differing_labels_every_order_is_as_likely() -> None:
    """Four indices have 24 orders; 4,800 draws make 200 of each, with a standard deviation of
    14.
    """
    found: dict[tuple[int, ...], int] = {}
    for seed in range(4800):
        order = tuple(mixed(torch.zeros(4), seed).tolist())
        found[order] = found.get(order, 0) + 1
    assert len(found) == math.factorial(4) and all(120 < times < 280 for times in found.values())


def test_members_of_a_label_are_drawn_at_random() -> None:
    """The first of a label in the order is any of its members, and the first of all is of any
    label.
    """
    orders = [mixed(SORTED, seed) for seed in range(200)]
    assert len({int(order[SORTED[order] == 4][0]) for order in orders}) > 60
    assert len({int(SORTED[order[0]]) for order in orders}) == 10


def test_draws_by_labels() -> None:
    some = drawn(800, 100, 5, SORTED)
    assert len(set(some.tolist())) == 100 and torch.equal(some, drawn(800, 100, 5, SORTED))
    assert torch.bincount(SORTED[some], minlength=10).tolist() == pytest.approx([10] * 10, abs=1)
    for count in (None, 800, 900):
        assert sorted(drawn(800, count, 5, SORTED).tolist()) == list(range(800))
    with pytest.raises(BadInput, match="2 examples"):
        drawn(800, 1, 0, SORTED)
