"""Training examples split into those to learn from and those held out."""

from __future__ import annotations

import pytest
import torch

import lmc_core
from lmc_core.errors import BadInput
from lmc_core.tasks import Examples
from lmc_core.tasks.learning import Learning

TEXT = Examples(torch.arange(800).view(100, 8), torch.arange(800).view(100, 8) + 1)
IMAGES = Examples(
    torch.randn(100, 1, 2, 2, generator=torch.Generator().manual_seed(0)),
    torch.arange(4).repeat_interleave(25),
)


@pytest.mark.parametrize("examples", [TEXT, IMAGES], ids=["text", "images"])
def test_a_split_has_every_example_once_with_its_target(examples: Examples) -> None:
    found = lmc_core.Learning.split(examples, 20, seed=2)
    assert (len(found.train), len(found.held_out), found.seed, found.checkpoint) == (
        80,
        20,
        2,
        None,
    )
    inputs = torch.cat([found.train.inputs, found.held_out.inputs])
    targets = torch.cat([found.train.targets, found.held_out.targets])
    at = [int((examples.inputs.flatten(1) == row.flatten()).all(1).nonzero()) for row in inputs]
    assert sorted(at) == list(range(100)) and torch.equal(examples.targets[at], targets)
    assert at != sorted(at)
    same, other = Learning.split(examples, 20, seed=2), Learning.split(examples, 20, seed=3)
    assert torch.equal(same.held_out.inputs, found.held_out.inputs)
    assert not torch.equal(other.held_out.inputs, found.held_out.inputs)


def test_labels_are_held_out_in_proportion() -> None:
    found = Learning.split(IMAGES, 20)
    assert torch.bincount(found.held_out.targets, minlength=4).tolist() == pytest.approx(
        [5] * 4, abs=1
    )
    assert torch.bincount(found.train.targets[:40], minlength=4).tolist() == pytest.approx(
        [10] * 4, abs=1
    )


def test_by_default_one_of_sixteen_is_held_out() -> None:
    assert [len(Learning.split(TEXT.first(n)).held_out) for n in (4, 40, 96)] == [2, 2, 6]
    many = Examples(torch.zeros(9000, 1), torch.zeros(9000, 1))
    assert len(Learning.split(many).held_out) == 512


@pytest.mark.parametrize(("count", "held"), [(3, None), (10, 1), (10, 9), (10, 0), (10, 11)])
def test_too_few_are_refused(count: int, held: int | None) -> None:
    with pytest.raises(BadInput, match="2 examples to hold out and 2 to learn from"):
        Learning.split(TEXT.first(count), held)
