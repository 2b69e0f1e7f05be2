"""What is said of a run before it starts."""

from __future__ import annotations

from lmc_core.runs.expected import Expected
from lmc_core.ui import cost


def test_it_says_where_the_time_is_known_from():
    assert (
        cost.sentence(Expected(41.0, True), 345_000_000)
        == "About 40\u00a0s and 345\u00a0MB of memory, as finished runs took here."
    )
    counted = cost.sentence(Expected(400.0, False), 1_500_000_000, "289 points")
    assert (
        counted
        == "289 points: about 7\u00a0min and 1.50\u00a0GB of memory, estimated from examples × "
        "points × parameters."
    )


def test_where_nothing_tells_it_says_so():
    assert (
        cost.sentence(None, 10**9)
        == "About 1.00\u00a0GB of memory; how long it takes on this device is known after a first "
        "run."
    )


def test_nothing_is_said_of_nothing():
    assert cost.note([]) == ""


def test_a_real_request_is_counted(tiny_gpt2_pair, monkeypatch):
    from lmc_core.runs.kinds.barrier import make_request

    request = make_request(*map(str, tiny_gpt2_pair), task="plays", examples=4, points=3, refine=0)
    assert cost.note([request]).endswith("estimated from examples × points × parameters.")
    assert cost.note([request], "3 points").startswith("3 points: about 6\u00a0s and ")
    monkeypatch.setenv("LMC_READ_ONLY", "1")
    assert cost.note([request]) == ""
