"""The data is as symmetric as its kind says, and its splits share nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmc_core.equivariance.data import EXCHANGED, KINDS, POOL, SPLITS, Sample, sample
from lmc_core.equivariance.groups import group as group_of
from lmc_core.errors import BadInput, UnknownName
from tests.equivariance.cases import domain


def rows(found: Sample) -> set[bytes]:
    return {row.numpy().tobytes() for row in found.inputs}


def draw(
    kind: str, group: str = "C4", split: str = "train", seed: int = 0, count: int | None = 50
) -> Sample:
    return sample("digits", kind, domain(group), split, seed, count)


@pytest.mark.parametrize("group", ["C4", "D4", "mirror", "S3"])
def test_orbits_are_closed_under_the_group(group: str) -> None:
    found, space = draw("orbit", group, count=20), domain(group)
    assert len(found) == 20 * space.group.order and found.orbits == space.group.order
    pairs = {
        (row.numpy().tobytes(), int(label))
        for row, label in zip(found.inputs, found.labels, strict=True)
    }
    for places in space.input.places:
        moved = found.inputs[:, torch.from_numpy(places)]
        assert {
            (row.numpy().tobytes(), int(label))
            for row, label in zip(moved, found.labels, strict=True)
        } == pairs
    spoiled = draw("upright", group, count=20)
    assert rows(
        Sample(spoiled.inputs[:, torch.from_numpy(space.input.places[1])], spoiled.labels, 1)
    ) != rows(spoiled)


def test_kinds_of_images() -> None:
    still, moved, partly, broken = (
        draw(kind, count=600) for kind in ("upright", "symmetric", "partly", "broken")
    )
    same = [
        float((found.inputs == still.inputs).all(1).float().mean()) for found in (moved, partly)
    ]
    assert same[0] == pytest.approx(1 / 4, abs=0.05) and same[1] == pytest.approx(
        1 / 2 + 1 / 8, abs=0.06
    )
    assert torch.equal(moved.labels, still.labels) and torch.equal(partly.labels, still.labels)
    at_rest = (broken.inputs == still.inputs).all(1)
    exchanged = broken.labels != still.labels
    assert not (exchanged & at_rest).any() and exchanged.any()
    assert (
        set(still.labels[exchanged].tolist())
        == set(EXCHANGED)
        == set(broken.labels[exchanged].tolist())
    )
    assert (exchanged == (~at_rest & torch.isin(still.labels, torch.tensor(EXCHANGED)))).all()


def test_kinds_of_sets() -> None:
    space = domain("S3")
    upright, symmetric, broken = (
        draw(kind, "S3", count=300) for kind in ("upright", "symmetric", "broken")
    )
    assert torch.equal(upright.labels, symmetric.labels)
    assert (broken.labels <= symmetric.labels).all() and (broken.labels < symmetric.labels).any()
    # The last element does not count: another one there changes no label, and its own label may be
    # the largest of all.
    assert upright.inputs.shape == (300, 3 * 64) == (300, space.input.size)


@pytest.mark.parametrize("source", ["digits", "fashion"])
def test_splits_share_nothing_whatever_the_seed(source: str) -> None:
    space = domain("C4") if source == "digits" else None
    if space is None:
        from lmc_core.equivariance.data import domain_of

        space = domain_of("fashion", group_of("C4"))
    found = {
        split: set().union(
            *(rows(sample(source, "upright", space, split, seed, 300)) for seed in (0, 1))
        )
        for split in SPLITS
    }
    if source == "digits":  # of which a few are twice in the whole set
        assert sum(POOL.values()) == 1797
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert len(found[one] & found[other]) <= (2 if source == "digits" else 0)


def test_a_draw_belongs_to_its_seed() -> None:
    a, b, c = draw("symmetric", seed=0), draw("symmetric", seed=0), draw("symmetric", seed=1)
    assert (
        torch.equal(a.inputs, b.inputs)
        and torch.equal(a.labels, b.labels)
        and not torch.equal(a.inputs, c.inputs)
    )
    whole = sample("digits", "upright", domain("C4"), "train", 0, 800).inputs
    assert abs(float(whole.mean())) < 1e-5 and float(whole.std()) == pytest.approx(1, abs=1e-4)
    assert (
        len(draw("upright", split="validation", count=None)) == 400
        and len(draw("upright", split="test", count=None)) == 500
    )


def test_bad_data() -> None:
    with pytest.raises(UnknownName, match="no kind of data 'brocken'"):
        draw("brocken")
    with pytest.raises(
        BadInput, match="1 to 800 examples of digits are expected in the split train; 801 came"
    ):
        draw("upright", count=801)
    with pytest.raises(UnknownName, match="no split 'dev'"):
        draw("upright", split="dev")
    assert set(KINDS) == {"symmetric", "orbit", "partly", "upright", "broken"}


def test_broken_sets_ignore_the_last_element() -> None:
    from lmc_core.equivariance.data import _labels

    labels, moved = np.array([[1, 4, 9], [0, 2, 3]]), np.array([0, 1])
    space = domain("S3")
    order = space.positions.places[1]
    expected = [4, max(np.array([0, 2, 3])[order][:2])]
    assert _labels("broken", space, labels, moved).tolist() == expected
    assert _labels("symmetric", space, labels, moved).tolist() == [9, 3]
