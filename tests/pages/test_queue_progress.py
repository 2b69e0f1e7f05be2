"""What is said of runs while they run: one number for all of them, and a time that is not put off."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lmc_core.ui import status
from lmc_core.ui.cost import LONG, Batch, describe_left, follow, round_up


def jobs(**shares: float) -> Any:
    return {key: SimpleNamespace(key=key, progress=share) for key, share in shares.items()}


def known(*seconds: float | None) -> Any:
    return lambda asked: seconds


def test_runs_count_as_much_as_they_take() -> None:
    batch = follow(None, jobs(a=0.0, b=0.0), known(30.0, 10.0), now=0.0)
    assert (batch.share, batch.left, batch.total) == (0.0, 40.0, 40.0)
    assert follow(batch, jobs(a=0.5, b=0.0), known(), now=15.0).share == pytest.approx(15 / 40)
    assert follow(batch, jobs(b=0.0), known(), now=30.0).share == pytest.approx(30 / 40)
    assert follow(batch, jobs(b=0.5), known(), now=35.0).left == 5.0


def test_neither_falls_the_share_nor_rises_what_is_left() -> None:
    """Whatever the runs report: a slow one, one that begins again, one that jumps."""
    batch, shares, left = None, [0.0], [float("inf")]
    for step, share in enumerate([0.0, 0.1, 0.12, 0.0, 0.3, 0.31, 0.32, 0.9, 0.2, 0.95]):
        batch = follow(batch, jobs(a=share), known(20.0), now=10.0 * step)
        shares.append(batch.share)
        assert batch.left is not None
        left.append(batch.left)
    assert shares == sorted(shares) and left == sorted(left, reverse=True)
    assert shares[-1] == 0.95 and left[-1] >= 5


def test_the_pace_tells_more_and_more() -> None:
    """Ten times as fast as expected, and said so by the first quarter."""
    batch = follow(None, jobs(a=0.0), known(1000.0), now=0.0)
    assert batch.left == 20 * 60
    assert follow(batch, jobs(a=0.05), known(), now=5.0).left == 15 * 60
    assert follow(batch, jobs(a=0.25), known(), now=25.0).left == 2 * 60


def test_without_a_forecast_nothing_is_said_before_something_is_known() -> None:
    batch = follow(None, jobs(a=0.0, b=0.0), known(None, None), now=0.0)
    assert batch.total is None and batch.left is None
    batch = follow(batch, jobs(a=0.2, b=0.0), known(), now=10.0)
    assert batch.left is None and batch.share == pytest.approx(0.1)
    assert follow(batch, jobs(a=0.5, b=0.0), known(), now=25.0).left == 2 * 60


def test_a_run_that_joins_begins_the_count_again() -> None:
    """What is asked for besides makes more of the whole; the runs that have ended count."""
    batch = follow(None, jobs(a=0.5), known(10.0), now=0.0)
    batch = follow(batch, jobs(b=0.0), known(30.0), now=5.0)
    assert batch.weights == {"a": 10.0, "b": 30.0} and batch.share == 0.25
    assert batch.left == 30.0


def test_a_time_is_rounded_up() -> None:
    for seconds in (0.0, 3.0, 5.0, 5.1, 17.0, 59.0, 61.0, 200.0, 2700.0, 2701.0, 9000.0):
        assert round_up(seconds) >= seconds
    assert [round_up(each) for each in (0.0, 5.1, 55.0, 61.0, 3000.0)] == [5, 10, 60, 120, 3600]
    assert describe_left(5) == "less than 5 s" and describe_left(40) == "about 40 s"
    assert describe_left(120) == "about 2 min" and describe_left(7200) == "about 2 h"


@pytest.mark.parametrize(
    ("spent", "states", "said"),
    [
        (LONG + 1, ("done", "done"), 1),
        (1, ("done", "done"), 0),
        (LONG + 1, ("done", "running"), 0),
        (LONG + 1, ("done", "cancelled"), 0),
    ],
)
def test_the_end_of_a_long_run_is_in_the_title_once(
    monkeypatch: pytest.MonkeyPatch, spent: float, states: tuple[str, str], said: int
) -> None:
    titles: list[str] = []
    session: dict[str, Any] = {"x_batch": Batch({"a": 1.0, "b": 1.0})}
    monkeypatch.setattr(status.st, "session_state", session)
    monkeypatch.setattr(status.st, "set_page_config", lambda page_title: titles.append(page_title))
    monkeypatch.setattr(status.time, "monotonic", lambda: spent)
    ended: Any = {
        key: SimpleNamespace(state=state) for key, state in zip("ab", states, strict=True)
    }
    status._note_end("x", ended)
    for _ in range(2):
        status._say_end("x")
    assert [title.startswith("\u2713 Done") for title in titles] == [True] * said
