"""A barrier along a curve with a bend: its numbers, the straight line beside it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmc_core import load
from lmc_core.errors import BadInput
from lmc_core.runs.kinds import barrier
from lmc_core.runs.kinds.barrier import compute, make_request

WORDS = {"task": "plays", "examples": 24, "points": 5, "refine": 0, "device": "cpu", "learn": 64}
STRAIGHT = {name: value for name, value in WORDS.items() if name != "learn"}


def test_a_bend_after_an_alignment(tiny_gpt2_pair: tuple[Path, Path]) -> None:
    a, b = map(str, tiny_gpt2_pair)
    request = make_request(a, b, bend=30, **WORDS)
    numbers, arrays = compute(request)
    bent, line = numbers.get("bent"), compute(make_request(a, b, **STRAIGHT))[0]
    assert bent is not None and bent["training"] is not None
    assert bent["training"]["steps"] == 30 and numbers["seconds"]["learn"] > 0
    assert bent["straight"]["loss"] == pytest.approx(line["loss"], abs=1e-6)
    assert bent["straight"]["barrier"] == pytest.approx(line["barrier"], abs=1e-6)
    assert "bent" not in line
    assert numbers["loss"][0] == pytest.approx(line["loss"][0], abs=1e-6)
    assert numbers["loss"][2] < line["loss"][2]
    assert bent["length"] > bent["chord"] > bent["away"] > 0
    assert arrays["losses"].shape == (5, 24)
    again, _ = compute(request)  # the bend is kept
    assert again["loss"] == numbers["loss"]


def test_a_bend_learned_with_the_alignment(tiny_gpt2_pair: tuple[Path, Path]) -> None:
    a, b = map(str, tiny_gpt2_pair)
    request = make_request(a, b, method="joint", settings={"steps": 6, "bend_rate": 1e-2}, **WORDS)
    numbers, _ = compute(request)
    bent = numbers.get("bent")
    assert bent is not None and bent["training"] is None and bent["away"] > 0
    assert numbers["function_error"] is not None and numbers["function_error"] < 1e-4
    assert numbers["loss"][2] < bent["straight"]["loss"][2]
    again, _ = compute(request)  # the pair is kept with its bend
    assert again["loss"] == numbers["loss"]


def test_keys_of_straight_lines_stay(tiny_gpt2_pair: tuple[Path, Path]) -> None:
    a, b = map(str, tiny_gpt2_pair)
    request = make_request(a, b, **STRAIGHT)
    assert not {"bend", "bend_seconds"} & request.to_json().keys()
    bent = make_request(a, b, bend_seconds=2.0, **WORDS)
    assert bent.to_json()["bend_seconds"] == 2.0 and bent.key != request.key


def test_room_for_its_copies_is_asked_for(
    tiny_gpt2_pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[float, str]] = []
    monkeypatch.setattr(barrier, "require_room", lambda *about: asked.append(about))
    make_request(*map(str, tiny_gpt2_pair), bend=5, **WORDS)
    needed, words = asked[-1]
    assert needed == 24 * load(f"path:{tiny_gpt2_pair[0]}").parameters and "bend" in words
    asked.clear()
    make_request(*map(str, tiny_gpt2_pair), **STRAIGHT)
    assert all("bend" not in words for _, words in asked)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"bend": -1}, "bend"),
        ({"bend_seconds": 0.0}, "above 0"),
        ({"bend": 5, "method": "joint"}, "learns a bend with the alignment"),
        ({"method": "joint", "repair": True}, "on the straight line"),
        ({"bend": 5, "repair": True}, "on the straight line"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tiny_gpt2_pair: tuple[Path, Path], words: dict, said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        make_request(*map(str, tiny_gpt2_pair), **WORDS | words)
