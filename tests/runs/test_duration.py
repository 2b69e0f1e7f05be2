"""How long a run will take, from what runs took before."""

from __future__ import annotations

import pytest

from lmc_core.runs.duration import expected_seconds
from lmc_core.runs.request import BarrierRequest


def result(method: str = "none", align: float = 0.0, evaluate: float = 10.0, steps: int | None = None, **changes) -> dict:
    return {
        "models": ["m-s0", "m-s1"], "task": "plays", "device": "cpu", "parameters": 1000, "lam": [0.0] * 10, "examples": 100,
        "method": method, "seconds": {"align": align, "evaluate": evaluate}, "found": {"steps": steps} if steps else {},
    } | changes  # fmt: skip


def asked(**changes) -> BarrierRequest:
    words = {"models": ("a", "b"), "names": ("m-s2", "m-s3"), "digests": ("x", "y"), "task": "plays", "method": "none"}
    return BarrierRequest(**(words | {"points": 18, "refine": 2, "examples": 50} | changes))


def test_measuring_grows_with_points_and_examples() -> None:
    assert expected_seconds(asked(), [result()], 400) == pytest.approx(10.0)  # twice the points, half the examples
    assert expected_seconds(asked(examples=None), [result()], 400) == pytest.approx(80.0)
    assert expected_seconds(asked(examples=1000), [result()], 400) == pytest.approx(80.0)  # no more than there are


def test_aligning_comes_on_top_and_learning_by_its_steps() -> None:
    before = [result(), result("weight", align=2.0), result("learned", align=30.0, steps=300)]
    assert expected_seconds(asked(method="weight"), before, 400) == pytest.approx(12.0)
    learned = asked(method="learned", settings=(("steps", 600),))
    assert expected_seconds(learned, before, 400) == pytest.approx(70.0)
    assert expected_seconds(asked(method="learned", settings=(("seconds", 110),)), before, 400) == pytest.approx(120.0)


def test_the_most_similar_results_count() -> None:
    other = result(evaluate=1000.0, models=["n-s0", "n-s1"], parameters=2000)
    assert expected_seconds(asked(), [other, result()], 400) == pytest.approx(10.0)
    assert expected_seconds(asked(names=("q-s0", "q-s1")), [result()], 400) == pytest.approx(10.0)  # better than nothing


def test_nothing_is_guessed_from_nothing() -> None:
    assert expected_seconds(asked(), [], 400) is None
    assert expected_seconds(asked(device="cuda"), [result()], 400) is None
    assert expected_seconds(asked(method="soft"), [result()], 400) is None
