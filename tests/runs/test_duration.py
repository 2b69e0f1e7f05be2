"""How long runs will take, from what runs took before in a made-up store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lmc_core import folders
from lmc_core.analysis.memory import Memory
from lmc_core.equivariance.numbers import EquivarianceRequest
from lmc_core.locks import FileLock
from lmc_core.runs import cost
from lmc_core.runs.cache import pair_folder
from lmc_core.runs.computation import Workload
from lmc_core.runs.cost import (
    FIXED,
    PACE,
    START,
    STEP,
    count_aligning,
    count_measuring,
    expected_seconds,
    finished_runs,
    read_structure,
)
from lmc_core.runs.expected import Expected, rounded
from lmc_core.runs.jobs import lock_path
from lmc_core.runs.kinds.plane import count_known_points
from lmc_core.runs.partial import Unfinished
from lmc_core.runs.request import ModelsRequest
from lmc_core.runs.requests.alignment import AlignmentRequest
from lmc_core.runs.requests.barrier import BarrierRequest
from lmc_core.runs.requests.bend import BendRequest
from lmc_core.runs.requests.layers import LayersRequest
from lmc_core.runs.requests.many import GroupRequest
from lmc_core.runs.requests.merge import MergeRequest
from lmc_core.runs.requests.orders import OrdersRequest
from lmc_core.runs.requests.plane import PlaneRequest
from lmc_core.runs.store import Store

SIZE = 1000  # parameters


@pytest.fixture(autouse=True)
def _sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that need no files: all of one size, with nine parts and 54 orders."""
    monkeypatch.setattr(cost, "read_structure", lambda references, draws=0: (SIZE, 9, 54))


def asked(request: Any = BarrierRequest, **changes: Any) -> Any:
    words: dict[str, Any] = {
        "models": ("a", "b"),
        "names": ("m-s2", "m-s3"),
        "digests": ("x", "y"),
        "task": "plays",
    }
    words |= {"method": "none", "examples": 50, "length": 128}
    words |= {"points": 18, "refine": 2} if request is BarrierRequest else {}
    return request(**(words | changes))


def put(
    store: Store, request: ModelsRequest, align: float = 0.0, evaluate: float = 10.0, **more: Any
) -> None:
    seconds = {"align": align, "evaluate": evaluate} | (
        {"learn": more.pop("learn")} if "learn" in more else {}
    )
    result = {"parameters": SIZE, "examples": request.examples, "seconds": seconds, "found": {}}
    store.put(request, result | more, {})


def expected(store: Store, *requests: ModelsRequest) -> Expected | None:
    return expected_seconds(requests, finished_runs(store.list()))


def spans(seconds: float, measured: bool) -> Any:
    return Expected(pytest.approx(seconds), measured)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home" / "results", tmp_path / "shipped")


@pytest.fixture
def begun(store: Store) -> Store:
    """A store with one barrier: 20 points on 100 examples in 20 s."""
    put(store, asked(examples=100), evaluate=20.0)
    return store


def test_measuring_grows_with_points_and_examples(begun):
    assert expected(begun, asked()) == spans(10.0, True)
    assert expected(begun, asked(points=38)) == spans(20.0, True)
    there = cost.find_workload(asked(examples=None)).examples  # the whole split
    assert there > 100
    assert expected(begun, asked(examples=None)) == spans(20.0 * there / 100, True)
    # no more than there are
    assert expected(begun, asked(examples=10**6)) == expected(begun, asked(examples=None))


def test_aligning_comes_on_top_and_learning_by_its_steps(begun):
    put(begun, asked(examples=100, method="weight"), align=2.0, evaluate=20.0)
    put(
        begun,
        asked(examples=100, method="learned"),
        align=30.0,
        evaluate=20.0,
        found={"steps": 300},
    )
    other: dict[str, Any] = {"digests": ("p", "q")}
    assert expected(begun, asked(method="weight", **other)) == spans(12.0, True)
    learned = asked(method="learned", settings=(("steps", 600),), **other)
    assert expected(begun, learned) == spans(70.0, True)
    limited = asked(method="learned", settings=(("seconds", 110.0),), **other)
    assert expected(begun, limited) == spans(120.0, True)


def test_without_finished_runs_it_is_counted_and_says_so(store):
    assert expected(store, asked()) == spans(20 * 50 * SIZE * PACE["text"], False)
    images = asked(task="fashion-mnist", length=None)
    assert expected(store, images) == spans(20 * 50 * SIZE * PACE["images"], False)
    learned = expected(store, asked(method="learned", settings=(("steps", 600),)))
    assert learned is not None and learned.seconds == pytest.approx(
        1100 * SIZE * PACE["text"] + 600 * SIZE * STEP["text"]
    )


def test_another_kind_or_size_gives_the_pace_and_is_not_called_measured(begun):
    plane = asked(PlaneRequest, resolution=9, kind="pair")
    assert expected(begun, plane) == spans((81 + 3) * 0.5, False)  # 0.01 s a point and example
    large = [run.workload for run in finished_runs(begun.list())][0].parameters * 100
    assert large == 100 * SIZE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost, "read_structure", lambda references, draws=0: (large, 9, 54))
        assert expected(begun, asked()) == spans(1000.0, False)


def test_a_larger_model_does_not_tell_how_long_a_small_one_takes(store):
    put(store, asked(examples=100), evaluate=7.0, parameters=100 * SIZE)
    # by its pace, and so not measured
    assert expected(store, asked()) == spans(7.0 / 100 / 2, False)


def test_the_newest_runs_tell(store):
    for number in range(6):
        put(store, asked(examples=100, digests=("old", str(number))), evaluate=2000.0)
    for number in range(5):
        put(store, asked(examples=100, digests=("new", str(number))), evaluate=20.0)
    assert expected(store, asked()) == spans(10.0, True)


def test_several_models_are_matched_pair_by_pair():
    four = tuple("abcd")
    group = asked(GroupRequest, models=four, names=four, digests=four, method="reference")
    assert list(count_aligning(group, Workload(SIZE, 50)).values()) == [6 * SIZE]
    onto_one = list(count_aligning(asked(method="weight"), Workload(SIZE, 50)).values())
    assert onto_one == [SIZE] and count_aligning(asked(), Workload(SIZE, 50)) == {}


def test_models_that_differ_in_the_seed_alone_count_first(begun):
    put(begun, asked(examples=100, names=("n-s0", "n-s1"), digests=("n", "o")), evaluate=2000.0)
    assert expected(begun, asked()) == spans(10.0, True)
    assert expected(begun, asked(names=("n-s4", "n-s5"))) == spans(1000.0, True)


def test_other_devices_and_unknown_kinds_are_not_guessed(begun):
    assert expected(begun, asked(device="cuda")) is None
    unknown = replace(asked(), what="something")
    assert expected(begun, unknown) is None


def test_what_came_with_the_app_was_computed_elsewhere(store):
    put(Store(store.shipped, store.root), asked(examples=100), evaluate=2000.0)
    assert len(store.list()) == 1 and finished_runs(store.list()) == []


def test_runs_that_are_not_about_models_tell_nothing(begun):
    request = EquivarianceRequest()
    begun.put(
        request,
        {"parameters": SIZE, "examples": 400, "seconds": {"train": 9.0, "evaluate": 9.0}},
        {},
    )
    assert [run.request.what for run in finished_runs(begun.list())] == ["barrier"]
    assert expected(begun, asked(method="weight")) is not None


def test_an_alignment_counts_once_and_not_at_all_where_it_is_kept(begun):
    put(begun, asked(examples=100, method="weight", digests=("o", "l")), align=2.0, evaluate=22.0)
    one = asked(method="weight")
    both = one, replace(one, split="validation")
    assert expected(begun, *both) == spans(24.0, True)  # with two points of the plain average
    pair_folder(one.pair()).mkdir(parents=True)
    assert folders.home() in pair_folder(one.pair()).parents
    assert expected(begun, *both) == spans(22.0, True)


def test_bends_count_once_and_not_where_they_were_trained(begun):
    put(
        begun,
        asked(BendRequest, steps=100, digests=("o", "l"), points=10),
        evaluate=20.0,
        learn=30.0,
    )
    curves = asked(BendRequest, steps=200, points=10)
    assert expected(begun, curves) == spans(20.0 + 60.0, True)
    plane = asked(PlaneRequest, kind="bend", steps=200, resolution=9)
    apart, together = expected(begun, plane), expected(begun, curves, plane)
    assert apart is not None and together is not None
    assert together.seconds == pytest.approx(20.0 + apart.seconds)  # one bend for both
    put(begun, replace(curves, points=5), evaluate=20.0, learn=60.0)
    after = expected(begun, curves)
    assert after is not None and after.seconds < 40.0


def test_points_that_are_measured_already_are_left_out(begun):
    import numpy as np

    plane = asked(PlaneRequest, resolution=9, kind="pair")
    loss = np.full((9, 9), np.nan)
    loss[:4] = 1.0
    Unfinished(plane.key).write({}, {"correct": loss}, now=True)
    assert count_known_points(plane) == 36
    found = expected(begun, plane)
    assert found is not None and found.seconds == pytest.approx((81 + 3 - 36) * 0.5)


def test_every_kind_counts_what_it_measures():
    facts = Workload(1, 1, parts=9, orders=54)
    assert count_measuring(asked(LayersRequest), facts) == 19
    assert count_measuring(asked(AlignmentRequest), facts) == 2
    assert count_measuring(asked(BendRequest, points=25), facts) == 50
    assert count_measuring(asked(BendRequest, points=25, method="weight"), facts) == 100
    assert count_measuring(asked(OrdersRequest, points=9), facts) == 2 + 9 + 54 * 7
    three = {
        "models": ("a", "b", "c"),
        "names": ("a", "b", "c"),
        "digests": ("x", "y", "z"),
        "points": 3,
    }
    merges = asked(MergeRequest, merges=(("average", ()), ("ensemble", ())), **three)
    # models, lines and centre, the average, the ensemble
    assert count_measuring(merges, facts) == 3 + (3 * 3 + 1) + 1 + 3


def test_the_structure_of_a_model_is_read_without_its_weights(tiny_gpt2_pair):
    from lmc_core.models.cache import load_warm

    a, b = map(str, tiny_gpt2_pair)
    parameters, parts, orders = read_structure((a, b))
    assert parameters == load_warm(a).parameters and parts >= 4 and orders == 0


def test_a_duration_is_said_no_more_exactly_than_it_is_known():
    lengths = (0.2, 3.2, 13, 44, 59, 200, 1400, 5000, 90_000)
    said = ["1 s", "3 s", "13 s", "40 s", "1 min", "3 min", "25 min", "1.4 h", "25 h"]
    assert [rounded(span) for span in lengths] == said


def test_what_does_not_grow_comes_on_top(begun, home, monkeypatch):
    """A worker that has to start, once, and opening every run; not where one is there."""
    monkeypatch.setattr(cost, "_read_finished", lambda: finished_runs(begun.list()))
    monkeypatch.setattr(cost, "estimate_memory", lambda request: Memory(1, 1, 1))
    requests = [asked(), asked(split="validation")]
    found, _ = cost.forecast(requests)
    assert found == spans(20.0 + START + 2 * FIXED, True)
    assert cost.forecast_each([each.to_json() for each in requests]) == [10.0 + FIXED] * 2
    lock = FileLock(lock_path("cpu", home), note="cpu:test")
    assert lock.acquire()
    try:
        assert cost.forecast(requests)[0] == spans(20.0 + 2 * FIXED, True)
    finally:
        lock.release()
