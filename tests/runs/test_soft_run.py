"""A barrier to a soft end as a request: the chord runs to what B itself loses, the function error
is that of the soft end.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lmc_core.cli.barrier import summarize
from lmc_core.figures.barrier import barrier_caption
from lmc_core.matching.align import align
from lmc_core.models.load import load
from lmc_core.paths.curve import Curve
from lmc_core.paths.soft_end import against_true_ends
from lmc_core.runs.kinds.barrier import compute, make_request
from lmc_core.tasks import get_task
from lmc_core.tasks.evaluator import evaluate

WORDS = {
    "task": "fashion-mnist",
    "examples": 8,
    "points": 4,
    "refine": 0,
    "device": "cpu",
    "method": "soft",
}
QUICK = {"start": 0.2, "rounds": 2}


def test_a_soft_end_is_measured_against_b_itself(tiny_vit_pair: tuple[Path, Path]) -> None:
    a, b = map(str, tiny_vit_pair)
    result, arrays = compute(make_request(a, b, settings=QUICK | {"temperature": 0.5}, **WORDS))
    soft = result["soft"]
    examples = get_task("fashion-mnist").examples("test", 8, 0)
    own = float(evaluate(load(b), [load(b).state], examples)[0].double().mean())
    assert soft["loss_of_b"] == pytest.approx(own, abs=1e-5) and result["chord"][
        -1
    ] == pytest.approx(own, abs=1e-5)
    assert soft["loss"] == result["loss"][-1] and abs(soft["loss"] - own) > 1e-3
    assert result["excess"][-1] == pytest.approx(soft["loss"] - own, abs=1e-5)
    assert result["barrier"] == pytest.approx(max(result["excess"][1:]))
    assert (
        soft["hard_function_error"]
        < 1e-5
        < 1e-3
        < soft["function_error"]
        == result["function_error"]
    )
    assert soft["temperature"] == 0.5 and soft["entropy"] > 1 and 0 <= soft["sharp"] <= 1
    assert arrays["losses"].shape == (4, 8)
    said = summarize(result)
    assert "another function: loss " in said and "% of the rows mostly one other" in said
    caption = barrier_caption([result])
    assert (
        "which is another function" in caption
        and "the same outputs as the originals" not in caption
    )


def test_a_hard_end_is_an_ordinary_barrier(tiny_vit_pair: tuple[Path, Path]) -> None:
    a, b = map(str, tiny_vit_pair)
    result, _ = compute(make_request(a, b, settings=QUICK | {"temperature": 0.0}, **WORDS))
    assert "the same outputs as the originals" in barrier_caption(
        [result]
    ) and "another function" not in summarize(result)
    assert "soft" not in result and result["function_error"] < 1e-5 and result["excess"][-1] == 0
    assert result["found"]["soft"]["temperature"] == 0


def test_a_bad_end_does_not_look_flat() -> None:
    """A line to a soft end that loses 3 nats has a barrier of 2 against a model that loses 1, not
    of 0.
    """
    lam = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    losses = torch.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    found = Curve(lam, losses, torch.zeros_like(losses))
    assert found.barrier.value == 0
    ends = against_true_ends(found, torch.tensor([0.5, 1.5]))
    assert ends.barrier.value == 2 and ends.barrier.lam == 1 and ends.own == 1
    assert ends.chord.tolist() == [1, 1, 1] and ends.barrier.stderr == pytest.approx(0.5)


def test_soft_ends_become_hard_as_the_temperature_falls(tiny_vit_pair: tuple[Path, Path]) -> None:
    a, b = (load(str(path)) for path in tiny_vit_pair)
    examples = get_task("fashion-mnist").examples("validation", 16, 0)
    quick = {"start": 0.2, "rounds": 3}
    soft, middle, hard = (
        align(a, b, examples, method="soft", settings=quick | {"temperature": temperature})
        for temperature in (1.0, 0.05, 0.0)
    )
    entropy = [pair.trace.about["soft"]["entropy"] for pair in (soft, middle, hard)]
    assert entropy[0] > entropy[1] > entropy[2]
    assert soft.soft is not None and soft.soft.function_error > 1e-3
    assert hard.soft is None and hard.function_error < 1e-5 and hard.end is hard.b
