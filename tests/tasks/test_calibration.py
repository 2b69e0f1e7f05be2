"""The expected calibration error against brute force, and its standard error against the formula of
a case that has one.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.tasks.calibration import BINS, Calibration, confidence_sums
from lmc_core.tasks.task import IGNORED


def brute(
    probabilities: list[list[float]], targets: list[int], bins: int
) -> tuple[float, list[list[int]]]:
    """Guo et al. 2017, equation 3, prediction by prediction."""
    members: list[list[int]] = [[] for _ in range(bins)]
    for row, each in enumerate(probabilities):
        sure = max(each)
        members[next(b for b in range(bins) if sure <= (b + 1) / bins)].append(row)
    total = 0.0
    for inside in members:
        if inside:
            right = sum(
                probabilities[r].index(max(probabilities[r])) == targets[r] for r in inside
            ) / len(inside)
            sure = sum(max(probabilities[r]) for r in inside) / len(inside)
            total += len(inside) / len(targets) * abs(right - sure)
    return total, members


def drawn(n: int, classes: int = 10, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(n, classes, generator=generator), torch.randint(
        classes, (n,), generator=generator
    )


@pytest.mark.parametrize("bins", [1, 7, BINS])
def test_against_brute_force(bins: int) -> None:
    logits, targets = drawn(300)
    found = Calibration(confidence_sums(logits, targets, bins))
    expected, members = brute(logits.softmax(-1).tolist(), targets.tolist(), bins)
    assert found.error == pytest.approx(expected, abs=1e-6)
    curve = found.curve()
    assert curve["share"] == pytest.approx([len(inside) / 300 for inside in members])
    assert [value is None for value in curve["accuracy"]] == [not inside for inside in members]


def test_tokens_count_one_by_one_and_those_to_be_ignored_not_at_all() -> None:
    logits, targets = drawn(60)
    whole = Calibration(confidence_sums(logits, targets))
    windows = Calibration(confidence_sums(logits.view(6, 10, 10), targets.view(6, 10)))
    assert windows.error == pytest.approx(whole.error) and windows.sums.shape == (6, BINS, 3)
    hidden = targets.clone()
    hidden[::2] = IGNORED
    some = Calibration(confidence_sums(logits.view(6, 10, 10), hidden.view(6, 10)))
    rest = Calibration(confidence_sums(logits[1::2], targets[1::2]))
    assert some.error == pytest.approx(rest.error) and some.error != pytest.approx(whole.error)


def test_what_is_known_in_advance() -> None:
    targets = torch.zeros(10, dtype=torch.long)
    sure = torch.full((10, 2), -30.0)
    sure[:, 0] = 30.0
    # always sure, always right
    assert Calibration(confidence_sums(sure, targets)).error == pytest.approx(0, abs=1e-6)
    # always sure, always wrong
    assert Calibration(confidence_sums(sure, 1 - targets)).error == pytest.approx(1, abs=1e-6)
    half = torch.tensor([0.0, 1e-7]).expand(10, 2)  # half sure, right half of the time
    assert Calibration(confidence_sums(half, torch.arange(10) % 2)).error == pytest.approx(
        0, abs=1e-6
    )


def test_the_standard_error_where_there_is_a_formula() -> None:
    """One bin, all equally sure: the error is |right - p|, whose standard error is that of a
    share.
    """
    targets = (torch.arange(400) % 4 == 0).long()  # right three times out of four, half sure
    logits = torch.tensor([1e-6, 0.0]).expand(400, 2)
    found = Calibration(confidence_sums(logits, targets))
    assert found.error == pytest.approx(0.25, abs=1e-4)
    assert found.stderr == pytest.approx((0.75 * 0.25 / 400) ** 0.5, rel=0.15)
    assert found.stderr == Calibration(confidence_sums(logits, targets)).stderr  # by a fixed seed


def two_bins(first: tuple[float, float], second: tuple[float, float]) -> Calibration:
    """Ten predictions of each of two confidences, given with the share of them that are right."""
    logits, targets = [], []
    for sure, right in (first, second):
        logits.append(torch.tensor([sure, 1 - sure]).log().expand(10, 2))
        targets.append((torch.arange(10) >= round(10 * right)).long())
    return Calibration(confidence_sums(torch.cat(logits), torch.cat(targets), 10))


def test_over_and_under_confidence_both_count_and_do_not_cancel() -> None:
    # both too shy
    assert two_bins((0.75, 1.0), (0.85, 0.9)).error == pytest.approx((0.25 + 0.05) / 2, abs=1e-6)
    # both too bold
    assert two_bins((0.75, 0.5), (0.85, 0.4)).error == pytest.approx((0.25 + 0.45) / 2, abs=1e-6)
    found = two_bins((0.75, 1.0), (0.85, 0.6))  # 0.25 too shy, 0.25 too bold
    assert found.error == pytest.approx(0.25, abs=1e-6)
    curve = found.curve()
    sure, right = curve["confidence"], curve["accuracy"]
    assert [sure[7], sure[8]] == pytest.approx([0.75, 0.85]) and [
        right[7],
        right[8],
    ] == pytest.approx([1.0, 0.6])


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    """Bins are (b / bins, (b + 1) / bins], so that certainty has a bin and half of it lies in the
    lower of two.
    """
    half = torch.zeros(1, 2)
    assert float(half.log_softmax(-1).max().exp()) == 0.5  # on the edge, exactly
    for bins, expected in ((2, 0), (4, 1), (1, 0), (3, 1)):
        where = confidence_sums(half, torch.zeros(1, dtype=torch.long), bins)[0, :, 0]
        assert where.nonzero().flatten().tolist() == [expected]
    sure = torch.tensor([[200.0, -200.0]])
    assert float(sure.softmax(-1).max()) == 1.0
    assert confidence_sums(sure, torch.zeros(1, dtype=torch.long), 4)[0, :, 0].tolist() == [
        0,
        0,
        0,
        1,
    ]


def test_bad_input() -> None:
    logits, targets = drawn(4)
    with pytest.raises(BadInput, match="At least 1 bin"):
        confidence_sums(logits, targets, 0)
    with pytest.raises(BadInput, match="At least 2 examples"):
        _ = Calibration(confidence_sums(logits[:1], targets[:1])).stderr


def test_examples_of_one_group_are_drawn_together() -> None:
    torch.manual_seed(0)
    one = torch.rand(20, 15, 3, dtype=torch.float64)
    # ten copies of each say nothing new
    sums, groups = one.repeat_interleave(10, 0), torch.arange(20).repeat_interleave(10)
    alone, apart, together = (
        Calibration(one),
        Calibration(sums),
        Calibration(sums).of_groups(groups),
    )
    assert together.error == pytest.approx(alone.error)
    assert together.stderr == pytest.approx(alone.stderr)
    assert apart.stderr < 0.5 * together.stderr
    assert Calibration(sums).of_groups(None).sums is sums
