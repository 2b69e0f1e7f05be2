"""Whether an aligned line leaves more than the plain average: measured with every aligned barrier,
and said.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lmc_core.cli.barrier import summarize
from lmc_core.figures.barrier import barrier_caption
from lmc_core.figures.text import is_above_plain
from lmc_core.paths.curve import Curve
from lmc_core.paths.plain_average import against_plain, choose_places
from lmc_core.runs.kinds import barrier
from lmc_core.runs.kinds.barrier import compute, make_request

WORDS: dict[str, Any] = {
    "task": "fashion-mnist",
    "examples": 8,
    "points": 5,
    "refine": 2,
    "device": "cpu",
}


@pytest.fixture
def vit() -> list[dict[str, Any]]:
    """Three curves that were stored before this was measured: plain average, permutations only, all
    classes.
    """
    return json.loads(
        (Path(__file__).parents[1] / "fixtures" / "results.json").read_text(encoding="utf-8")
    )["vit"]


def curve_of(*losses: list[float]) -> Curve:
    values = torch.tensor(losses)
    return Curve(
        torch.linspace(0, 1, len(losses), dtype=torch.float64), values, torch.zeros_like(values)
    )


def test_the_difference_is_paired_and_has_to_exceed_its_error() -> None:
    """Largest at 0.25, where the examples lose 5 and 9; the plain average loses 3 and 6 there, so 2
    and 3 less.
    """
    found = curve_of([1, 1], [5, 9], [4, 4], [2, 2], [1, 1])
    assert choose_places(found) == [0.25, 0.5]
    facts = against_plain(found, ([0.25, 0.5], torch.tensor([[3.0, 6.0], [9.0, 9.0]])))
    assert (
        facts["above_plain"]
        and facts["plain"]["lam"] == [0.25, 0.5]
        and facts["plain"]["loss"] == [4.5, 9.0]
    )
    assert facts["plain"]["more"] == pytest.approx(2.5) and facts["plain"][
        "more_stderr"
    ] == pytest.approx(0.5)
    # 0.5 +- 0.5 more, less, equal, rounding
    for plain in ([4.0, 9.0], [7.0, 12.0], [5.0, 9.0], [5.0 - 1e-5, 9.0 - 1e-5]):
        assert not against_plain(found, ([0.25], torch.tensor([plain])))["above_plain"]


def test_a_barrier_in_the_middle_has_one_place() -> None:
    assert choose_places(curve_of([1, 1], [2, 2], [5, 5], [2, 2], [1, 1])) == [0.5]


@pytest.mark.parametrize("method", ["weight", "soft"])
def test_an_aligned_barrier_is_told_beside_the_plain_average(
    method: str, tiny_vit_pair: tuple[Path, Path]
) -> None:
    a, b = map(str, tiny_vit_pair)
    settings = {"start": 0.2, "rounds": 2, "temperature": 0.0} if method == "soft" else {}
    aligned, _ = compute(make_request(a, b, method=method, settings=settings, **WORDS))
    plain, _ = compute(make_request(a, b, method="none", **WORDS))
    assert "above_plain" not in plain and "plain" not in plain
    assert aligned["plain"]["lam"][0] == aligned["barrier_lam"] and 0.5 in aligned["plain"]["lam"]
    middle = aligned["plain"]["loss"][aligned["plain"]["lam"].index(0.5)]
    assert middle == pytest.approx(plain["loss"][plain["lam"].index(0.5)], abs=1e-6)
    top = aligned["lam"].index(aligned["barrier_lam"])
    assert aligned["plain"]["more"] == pytest.approx(
        aligned["loss"][top] - aligned["plain"]["loss"][0], abs=1e-6
    )
    assert isinstance(aligned["above_plain"], bool)


def test_models_that_are_written_into_are_measured_before(
    tiny_vit_pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = map(str, tiny_vit_pair)
    kept, _ = compute(make_request(a, b, method="weight", **WORDS))
    monkeypatch.setattr("lmc_core.matching.objective.HELD", 0)
    monkeypatch.setattr("lmc_core.runs.cache.HELD", 0)
    monkeypatch.setattr("lmc_core.runs.cache.is_warm", lambda reference: False)
    consumed: list[bool] = []
    whether = barrier.consumes
    monkeypatch.setattr(
        barrier, "consumes", lambda *args: consumed.append(whether(*args)) or consumed[-1]
    )
    found, _ = compute(make_request(a, b, method="weight", **WORDS))
    assert consumed == [True] and found["plain"]["lam"] == [0.5]
    assert found["plain"]["loss"][0] == pytest.approx(
        kept["plain"]["loss"][kept["plain"]["lam"].index(0.5)], abs=1e-6
    )


def test_it_is_said_where_it_is_so(vit: list[dict[str, Any]]) -> None:
    plain, _, aligned = vit
    worse = aligned | {
        "plain": {"lam": [0.5], "loss": [2.1], "more": 29.3, "more_stderr": 1.0},
        "above_plain": True,
    }
    words = "above the plain average, by 29 ± 1 nats at λ = 0.500"
    assert f"This is {words}." in barrier_caption([plain, worse]) and words.replace(
        "λ", "lam"
    ) in summarize(worse)
    better = worse | {"above_plain": False}
    for result in (better, aligned):
        assert "above the plain" not in barrier_caption([plain, result]) + summarize(result)


def test_results_of_before_are_compared_with_the_plain_curve_beside_them(
    vit: list[dict[str, Any]],
) -> None:
    plain, _, aligned = vit
    assert "above_plain" not in aligned
    high = aligned | {"barrier": plain["barrier"] + 0.1, "barrier_stderr": 0.01}
    assert is_above_plain(
        high, [plain, high]
    ) and "This is above the plain average." in barrier_caption([plain, high])
    assert (
        not is_above_plain(high, [high])
        and not is_above_plain(plain, [plain])
        and not is_above_plain(aligned, vit)
    )
    assert not is_above_plain(high, [plain | {"split": "train"}, high])
    # within two errors
    assert not is_above_plain(high | {"barrier": plain["barrier"] + 0.03}, [plain])
