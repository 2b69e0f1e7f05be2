"""A barrier to a standard error, in bfloat16, and what of it lies on disk meanwhile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from lmc_core.errors import BadInput, UnknownName
from lmc_core.paths import rounds
from lmc_core.runs import partial
from lmc_core.runs.kinds import barrier
from lmc_core.runs.kinds.barrier import compute, make_request
from lmc_core.runs.partial import Unfinished
from lmc_core.runs.requests.barrier import BarrierRequest
from lmc_core.runs.requests.layers import LayersRequest

WORDS = {"task": "plays", "examples": 48, "points": 3, "refine": 2, "device": "cpu"}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "FIRST", 8)
    for module in (rounds, barrier):
        monkeypatch.setattr(module, "PILOT", 16)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("held", [True, False])
def test_examples_are_as_many_as_the_error_needs(
    tiny_gpt2_pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    """Also of models that are aligned in place, whose plain average is measured before on the
    first examples.
    """
    a, b = map(str, tiny_gpt2_pair)
    if not held:
        monkeypatch.setattr("lmc_core.models.cache.WARM", 0)
        monkeypatch.setattr("lmc_core.matching.objective.HELD", 0)
        monkeypatch.setattr("lmc_core.runs.cache.HELD", 0)
    whole, arrays = compute(make_request(a, b, **WORDS))
    goal = 2.5 * whole["barrier_stderr"]
    found, some = compute(make_request(a, b, stderr=goal, **WORDS))
    assert found.get("sampling") == {"stderr": goal, "there": 48, "reached": True}
    assert 16 <= found["examples"] == some["losses"].shape[1] == len(some["groups"]) < 48
    assert found["barrier_stderr"] <= goal
    assert any(f"{found['examples']} of 48 examples" in note for note in found.get("notes", []))
    assert "plain" in found and np.isfinite(found["plain"]["more"])
    out_of_reach, _ = compute(make_request(a, b, stderr=goal / 10, **WORDS))
    assert out_of_reach["examples"] == 48 and not out_of_reach["sampling"]["reached"]
    assert any("out of reach" in note for note in out_of_reach.get("notes", []))
    assert out_of_reach["barrier"] == pytest.approx(whole["barrier"], abs=1e-6)


def test_what_is_measured_so_far_lies_beside_the_results(
    tiny_gpt2_pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "FIRST", 8)
    request = make_request(*map(str, tiny_gpt2_pair), method="none", **WORDS)
    counts, bands = [], []

    def look(share: float, words: str) -> None:
        if (there := Unfinished(request.key).read()) is not None:
            facts, arrays = there
            assert arrays["losses"].shape == (len(facts["lam"]), facts["examples"])
            counts.append(facts["examples"])
            bands.append(max(facts["excess_high"]) - min(facts["excess_low"]))

    found, _ = compute(request, look)
    assert sorted(set(counts)) == [8, 16, 32, 48] and counts == sorted(counts)
    assert bands[0] > bands[-1] and Unfinished(request.key).read() is None
    assert found["examples"] == 48 and "sampling" not in found


class Killed(BaseException):
    """The process ends."""


def test_a_run_that_was_killed_goes_on_where_it_was(
    tiny_gpt2_pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had measured stays, is not measured again, and counts in the seconds."""
    monkeypatch.setattr(rounds, "FIRST", 8)
    monkeypatch.setattr(partial, "EVERY", 0.0)
    request = make_request(*map(str, tiny_gpt2_pair), **WORDS)
    whole, arrays = compute(request)

    def kill(share: float, words: str) -> None:
        there = Unfinished(request.key).read()
        if there is not None and there[0]["examples"] >= 16:
            raise Killed

    with pytest.raises(Killed):
        compute(request, kill)
    facts, _ = kept = Unfinished(request.key).read() or ({}, {})
    assert facts["examples"] == 16
    slow = {**facts, "seconds": {"evaluate": 1000.0}}
    Unfinished(request.key).write(slow, kept[1], now=True)
    counts: list[int] = []
    measured = rounds.Rounds._measure

    def count(self: rounds.Rounds, lam: Tensor, rows: Tensor) -> Tensor:
        counts.append(len(rows))
        return measured(self, lam, rows)

    monkeypatch.setattr(rounds.Rounds, "_measure", count)
    found, again = compute(request)
    assert counts == [16, 16, 48] and 1000 < found["seconds"].get("evaluate", 0.0) < 1100
    for name in arrays:
        np.testing.assert_allclose(again[name], arrays[name], atol=1e-6)
    assert found["barrier"] == pytest.approx(whole["barrier"], abs=1e-6)
    counts.clear()  # another alignment than the one that was measured
    Unfinished(request.key).write({**slow, "end": "other"}, kept[1], now=True)
    compute(request)
    assert next(filter(None, counts)) == 8
    counts.clear()
    Unfinished(request.key).write(slow, kept[1], now=True)
    compute(request, refresh=True)
    assert next(filter(None, counts)) == 8 and Unfinished(request.key).read() is None


def test_bfloat16_is_near_and_says_so(tiny_gpt2_pair: tuple[Path, Path]) -> None:
    a, b = map(str, tiny_gpt2_pair)
    plain, half = (
        compute(make_request(a, b, method="none", precision=precision, **WORDS))[0]
        for precision in ("float32", "bfloat16")
    )
    assert half["precision"] == "bfloat16" and any("bfloat16" in note for note in half["notes"])
    assert half["loss"] != plain["loss"] and half["loss"] == pytest.approx(plain["loss"], abs=0.02)
    assert half["key"] != plain["key"]
    with pytest.raises(UnknownName, match="float16"):
        make_request(a, b, precision="float16", **WORDS)
    with pytest.raises(BadInput, match="above 0"):
        make_request(a, b, stderr=0.0, **WORDS)


def test_fields_that_are_not_set_are_in_no_key(tiny_gpt2_pair: tuple[Path, Path]) -> None:
    request = make_request(*map(str, tiny_gpt2_pair), **WORDS)
    assert {"stderr", "compiled"}.isdisjoint(request.to_json())
    chosen = replace(request, stderr=0.01, compiled=True)
    assert chosen.key != request.key and BarrierRequest.from_json(chosen.to_json()) == chosen
    half = replace(request, precision="bfloat16")
    assert LayersRequest.of(half) == LayersRequest.of(request)
    assert half.pair().key == request.pair().key
