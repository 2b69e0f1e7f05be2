"""Examples taken in rounds until the standard error of a barrier is small enough."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable

import pytest
import torch

from lmc_core.errors import BadInput
from lmc_core.models.model import Model
from lmc_core.paths import rounds
from lmc_core.paths.curve import Curve, _halve, curve
from lmc_core.paths.line import Line
from lmc_core.paths.rounds import count_next, spread
from lmc_core.tasks.task import Examples
from tests.networks import random_model
from tests.paths.test_barrier import examples_for


@pytest.fixture
def pair() -> tuple[Model, Model]:
    return random_model("vit", 0, torch.float32), random_model("vit", 1, torch.float32)


def test_rounds_end_at_the_numbers_of_a_single_pass(
    pair: tuple[Model, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "FIRST", 8)
    examples, seen = examples_for("vit"), list[Curve]()
    shares: list[float] = []
    at_once = curve(Line(*pair), examples, points=5, refine=2)
    found = curve(Line(*pair), examples, 5, 2, progress=shares.append, keep=seen.append)
    assert [each.losses.shape for each in seen] == [
        *((points, 8) for points in (3, 4, 5)),
        *((5, count) for count in (16, 32, 40)),
        (7, 40),
    ]
    assert seen[0].lam.tolist() == [0.0, 0.5, 1.0]
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0)
    for name in ("lam", "losses", "correct"):
        torch.testing.assert_close(
            getattr(found, name), getattr(at_once, name), atol=1e-6, rtol=1e-6
        )
    first = seen[0]
    assert first.rows is not None and found.rows is None
    there = torch.isin(found.lam, first.lam)
    torch.testing.assert_close(found.only(first.rows).losses[there], first.losses)


class Stopped(Exception):
    """Somebody stops a run."""


@pytest.mark.parametrize("goal", [None, 1e-9])
def test_a_run_goes_on_from_wherever_it_was_stopped(
    pair: tuple[Model, Model], monkeypatch: pytest.MonkeyPatch, goal: float | None
) -> None:
    """Nothing is measured twice: all runs together pass every example as often as one does."""
    monkeypatch.setattr(rounds, "FIRST", 8)
    examples, passes = examples_for("vit"), list[int]()
    measured = rounds.Rounds._measure

    def count(self: rounds.Rounds, lam: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        passes.append(len(lam) * len(rows))
        return measured(self, lam, rows)

    monkeypatch.setattr(rounds.Rounds, "_measure", count)
    expected = curve(Line(*pair), examples, 5, 2, stderr=goal, keep=lambda so_far: None)
    once = sum(passes)
    passes.clear()
    kept: list[Curve] = []

    def stop(so_far: Curve) -> None:
        kept.append(so_far)
        raise Stopped

    found = None
    while found is None:
        begun = kept[-1] if kept else None
        with contextlib.suppress(Stopped):
            found = curve(Line(*pair), examples, 5, 2, stderr=goal, keep=stop, begun=begun, most=12)
    sizes = [each.losses.numel() for each in kept]
    assert len(kept) >= 5 and sizes == sorted(set(sizes)) and sum(passes) == once
    torch.testing.assert_close(found.lam, expected.lam, rtol=0, atol=0)
    for name in ("losses", "correct"):
        torch.testing.assert_close(
            getattr(found, name), getattr(expected, name), atol=1e-6, rtol=1e-6
        )


def test_what_does_not_fit_is_measured_again(pair: tuple[Model, Model]) -> None:
    examples = examples_for("vit")
    expected = curve(Line(*pair), examples, 5, 2)
    other = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    wrong = Curve(other, *torch.zeros(2, 3, 8))  # of another grid
    few = Curve(expected.lam, torch.zeros(7, 41), torch.zeros(7, 41))  # of more examples
    for begun in (wrong, few):
        found = curve(Line(*pair), examples, 5, 2, keep=lambda so_far: None, begun=begun)
        torch.testing.assert_close(found.losses, expected.losses, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("count", [3, 4, 5, 11, 25, 51])
def test_points_are_measured_far_from_each_other_first(count: int) -> None:
    order = _halve(count)
    assert sorted(order) == list(range(count)) and order[:2] == [0, count - 1]
    for known in range(3, count):
        gaps = torch.tensor(sorted(order[:known])).diff()
        assert int(gaps.max()) <= 2 * int(gaps.min()) + 2


def test_examples_are_taken_until_the_error_is_small(
    pair: tuple[Model, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of the refined barrier is at most the goal, and a smaller goal takes more; what no
    number of examples gives takes all of them.
    """
    monkeypatch.setattr(rounds, "FIRST", 4)
    monkeypatch.setattr(rounds, "PILOT", 8)
    examples = examples_for("vit", 80)
    whole = curve(Line(*pair), examples, 5, 2).barrier.stderr
    taken = []
    for goal in (2 * whole, 1.2 * whole, 0.5 * whole):
        found = curve(Line(*pair), examples, 5, 2, stderr=goal)
        taken.append(found.losses.shape[1])
        assert found.barrier.stderr <= goal or taken[-1] == 80
        if found.rows is not None:
            again = curve(Line(*pair), examples.take(found.rows), 5, 2)
            torch.testing.assert_close(again.losses, found.losses, atol=1e-6, rtol=1e-6)
    assert 8 <= taken[0] < taken[1] < taken[2] == 80


@pytest.mark.parametrize("goal", [0.0, -1.0, math.nan, math.inf])
def test_a_goal_that_nothing_can_have(pair: tuple[Model, Model], goal: float) -> None:
    with pytest.raises(BadInput, match="above 0"):
        curve(Line(*pair), examples_for("vit"), stderr=goal)


def test_sizes_of_rounds() -> None:
    assert [count_next(10_000, n, math.inf, 0.1) for n in (0, 100, 128)] == [100, 128, 512]
    assert [count_next(10_000, n, 0.2, None) for n in (0, 100, 200)] == [100, 200, 400]
    assert count_next(10_000, 200, 0.2, None, most=50) == 250
    assert count_next(10_000, 200, 0.2, 0.1) == 800  # no more than four times as many
    assert count_next(10_000, 200, 0.15, 0.1) == 473
    assert count_next(10_000, 200, 0.1001, 0.1) == 250  # and a quarter more at least
    assert count_next(300, 200, 0.15, 0.1) == 300
    assert count_next(10_000, 200, math.nan, 0.1) == 800


def test_every_part_of_the_order_has_all_groups() -> None:
    groups = torch.arange(8).repeat_interleave(10)
    order = spread(Examples(torch.zeros(80, 3), torch.zeros(80, 3), groups))
    assert sorted(order.tolist()) == list(range(80))
    for start in range(0, 80, 16):
        counts = groups[order[start : start + 16]].bincount(minlength=8)
        assert int(counts.min()) >= 1 and int(counts.max()) <= 3


def simulate(stop: Callable[[torch.Tensor, float], int]) -> float:
    """How often 1.96 standard errors at the end hold the mean of exponential values."""
    goal, held, runs = 150**-0.5, 0, 400
    generator = torch.Generator().manual_seed(0)
    for _ in range(runs):
        values = -torch.rand(2400, generator=generator, dtype=torch.float64).log() - 1
        chosen = values[: stop(values, goal)]
        held += bool(chosen.mean().abs() <= 1.96 * chosen.std() / len(chosen) ** 0.5)
    return held / runs


def test_stopping_by_the_error_keeps_intervals_and_many_looks_do_not() -> None:
    def in_rounds(values: torch.Tensor, goal: float) -> int:
        taken, error = 0, math.inf
        while taken < len(values) and (taken < rounds.PILOT or error > goal):
            taken = count_next(len(values), taken, error, goal)
            error = float(values[:taken].std() / taken**0.5)
        return taken

    def every(values: torch.Tensor, goal: float) -> int:
        counts = torch.arange(1, len(values) + 1)
        means = values.cumsum(0) / counts
        squares = (values.square().cumsum(0) / counts - means.square()).clamp_min(0)
        errors = (squares / (counts - 1).clamp_min(1)).sqrt()
        return 4 + int((errors[3:] <= goal).nonzero()[0])

    assert simulate(in_rounds) > 0.915 > 0.9 > simulate(every)
