"""Maps are learned from what the models write: the function stays, the midpoint gains, no data is
asked for.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lmc_core import Line, align, curve, get_task
from lmc_core.errors import BadInput
from lmc_core.runs.kinds.barrier import compute, make_request
from tests.tiny import tiny

FEW = {"steps": 20, "windows": 64, "length": 16, "start": "weight"}


@pytest.mark.slow
def test_a_shipped_pair_comes_closer_without_data() -> None:
    from lmc_core import load

    a, b = (load(f"zoo:gpt2-plays-s{seed}") for seed in (0, 1))
    examples = get_task("plays").examples("validation", 16, 0)
    before = align(a, b, examples)
    settings = {"steps": 16, "windows": 120, "length": 64}
    after = align(a, b, examples, method="generated", settings=settings)
    assert after.function_error < 1e-4 and after.trace.about["written"] == 120
    found = [curve(Line(p.a, p.end), examples, 3, 0).barrier.value for p in (before, after)]
    assert found[1] < found[0] - 0.1


def test_no_data_is_asked_for(tiny_gpt2_pair: tuple[Path, Path]) -> None:
    request = make_request(
        *map(str, tiny_gpt2_pair),
        **{"task": "plays", "examples": 8, "points": 3, "refine": 0, "device": "cpu"},
        method="generated",
        settings=FEW,
    )
    assert request.learn is None
    numbers, _ = compute(request)
    assert 0 < numbers["found"]["steps"] <= 20 and numbers["function_error"] is not None
    with pytest.raises(BadInput, match="learns from no examples"):
        make_request(*map(str, tiny_gpt2_pair), method="generated", learn=8)


def test_images_are_refused_in_one_sentence() -> None:
    examples = get_task("fashion-mnist").examples("test", 8, 0)
    with pytest.raises(BadInput, match="does not write text"):
        align(tiny("vit", 0), tiny("vit", 1), examples, method="generated", settings=FEW)
