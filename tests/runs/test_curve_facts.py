"""What a result says of its curve, against its arrays: errors by group, bands, the midpoint, the
maximum and its bias.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lmc_core.intervals.errors import stderr
from lmc_core.paths.barrier import excess
from lmc_core.paths.curve import Curve
from lmc_core.runs.executors import Inline
from lmc_core.runs.kinds.curve_facts import curve_facts
from lmc_core.runs.requests.barrier import BarrierRequest
from tests.tiny import tiny

LAM = torch.linspace(0, 1, 9, dtype=torch.float64)


def curve_of(
    height: float, examples: int = 200, seed: int = 0, groups: Tensor | None = None
) -> Curve:
    """Losses around 1 with a hill of some height, and half of the examples right; one in ten at the
    top of a hill of 1.
    """
    generator = torch.Generator().manual_seed(seed)
    hill = height * 4 * LAM * (1 - LAM)
    losses = (
        1 + hill[:, None] + 0.3 * torch.randn(9, examples, generator=generator, dtype=torch.float64)
    )
    correct = (
        torch.rand(9, examples, generator=generator, dtype=torch.float64)
        < (0.5 - 0.4 * hill)[:, None]
    )
    return Curve(LAM, losses.float(), correct.float(), groups)


@pytest.mark.parametrize("groups", [None, torch.arange(200) // 25])
def test_every_number_against_the_arrays(groups: Tensor | None) -> None:
    found = curve_of(0.5, groups=groups)
    facts = curve_facts(found, "accuracy")
    above = excess(LAM, found.losses)
    error = stderr(above, groups)
    top = facts["lam"].index(facts["barrier_lam"])
    assert facts["barrier"] == max(facts["excess"]) == pytest.approx(float(above.mean(1).max()))
    assert facts["barrier_stderr"] == pytest.approx(float(error[top])) and facts[
        "excess_stderr"
    ] == pytest.approx(error.tolist())
    assert facts["loss_stderr"] == pytest.approx(stderr(found.losses, groups).tolist())
    assert facts["midpoint_excess"] == facts["excess"][4] and facts[
        "midpoint_excess_stderr"
    ] == pytest.approx(float(error[4]))
    for name in ("excess", "drop"):
        half = facts[f"{name}_factor"] * np.array(facts[f"{name}_stderr"])
        assert np.array(facts[f"{name}_high"]) - np.array(facts[name]) == pytest.approx(half)
        assert np.array(facts[name]) - np.array(facts[f"{name}_low"]) == pytest.approx(half)
    accuracy = np.array(facts["accuracy"])
    drop = (1 - LAM.numpy()) * accuracy[0] + LAM.numpy() * accuracy[-1] - accuracy
    assert facts["drop"] == pytest.approx(drop.tolist()) and facts["largest_drop"] == pytest.approx(
        drop.max()
    )
    assert facts["drop_stderr"] == pytest.approx(
        stderr(excess(LAM, 1 - found.correct), groups).tolist()
    )
    assert facts["largest_drop_lam"] == LAM[int(drop.argmax())]
    assert (facts["at_zero"], facts["drop_at_zero"]) == (False, False)


def test_groups_widen_what_they_should() -> None:
    """Examples that come four times over say as little as a quarter of them."""
    once, copies = curve_of(0.5, 50), torch.arange(200) % 50
    four = Curve(LAM, once.losses.repeat(1, 4), once.correct.repeat(1, 4), copies)
    facts, expected = curve_facts(four, "accuracy"), curve_facts(once, "accuracy")
    for name in (
        "barrier_stderr",
        "excess_stderr",
        "loss_stderr",
        "area_stderr",
        "excess_low",
        "drop_high",
        "midpoint_excess_stderr",
    ):
        assert facts[name] == pytest.approx(expected[name], rel=1e-6)
    # as an old result, whose groups are not known
    bare = curve_facts(Curve(LAM, four.losses, four.correct), "accuracy")
    assert bare["barrier_stderr"] == pytest.approx(expected["barrier_stderr"] / 2, rel=0.02)


def test_at_zero_where_nothing_is_there_and_only_there() -> None:
    """Nineteen times in twenty, though the largest excess is nearly always positive, and the
    accuracy falls somewhere.
    """
    facts = [curve_facts(curve_of(0.0, seed=seed), "accuracy") for seed in range(100)]
    assert sum(each["barrier"] > 0 and each["largest_drop"] > 0 for each in facts) > 80
    for name in ("at_zero", "drop_at_zero"):
        assert 90 <= sum(each[name] for each in facts) <= 99
    for largest, fitted in (("barrier", "barrier_crossfit"), ("largest_drop", "drop_crossfit")):
        error = np.mean([each[f"{largest}_stderr"] for each in facts])
        assert np.mean([each[largest] for each in facts]) > 0.7 * error  # the bias of the largest
        assert abs(np.mean([each[fitted] for each in facts])) < 0.3 * error
    assert not any(
        curve_facts(curve_of(0.4, seed=seed), "accuracy")["at_zero"] for seed in range(5)
    )
    # nor below
    assert not any(
        curve_facts(curve_of(-0.4, seed=seed), "perplexity")["at_zero"] for seed in range(5)
    )


def test_a_model_and_itself_are_at_zero_in_single_precision() -> None:
    """Losses that differ by rounding alone, and by the same for every example: no noise hides it,
    and it is nothing.
    """
    losses = torch.rand(200, generator=torch.Generator().manual_seed(1)) + 1
    curve = Curve(
        LAM, (losses + 2e-7 * (LAM * (1 - LAM))[:, None].float()).float(), torch.ones(9, 200)
    )
    facts = curve_facts(curve, "accuracy")
    assert facts["at_zero"] and facts["drop_at_zero"] and facts["drop_factor"] is None


def test_text_has_no_drop_and_few_examples_no_crossfit() -> None:
    facts = curve_facts(curve_of(0.5, 3), "perplexity")
    assert facts["barrier_crossfit"] is None and facts["barrier_crossfit_stderr"] is None
    assert "drop" not in facts and "perplexity" in facts
    groups = torch.arange(30) % 3
    assert curve_facts(curve_of(0.5, 30, groups=groups), "perplexity")["barrier_crossfit"] is None


def test_a_loss_that_is_not_finite_is_no_error_and_not_at_zero() -> None:
    curve = curve_of(0.0)
    curve.losses[4, 3] = math.inf
    facts = curve_facts(curve, "accuracy")
    assert (
        not facts["at_zero"]
        and facts["barrier_crossfit"] is None
        and facts["excess_factor"] is not None
    )


def test_a_stored_result_has_the_groups_of_its_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lmc_core.runs.kinds.barrier import make_request
    from lmc_core.tasks import get_task

    monkeypatch.setenv("LMC_HOME", str(tmp_path / "home"))
    for seed in (0, 1):
        tiny("gpt2", seed).save(tmp_path / f"m{seed}")
    names = [str(tmp_path / f"m{seed}") for seed in (0, 1)]
    request = make_request(*names, task="plays", examples=24, points=5, refine=0, method="none")
    assert isinstance(request, BarrierRequest)
    stored = Inline(tmp_path / "home").run(request)
    arrays, examples = (
        stored.arrays(),
        get_task("plays").examples("test", 24, request.seed, request.length or 128),
    )
    assert examples.groups is not None and arrays["groups"].tolist() == examples.groups.tolist()
    lam = torch.tensor(stored.result["lam"], dtype=torch.float64)
    again = Curve(
        lam, *(torch.from_numpy(arrays[name]) for name in ("losses", "correct", "groups"))
    )
    for name, value in curve_facts(again, "perplexity").items():
        assert stored.result[name] == pytest.approx(value, rel=1e-9), name
    assert stored.result["barrier_stderr"] != pytest.approx(
        curve_facts(Curve(lam, again.losses, again.correct), "perplexity")["barrier_stderr"]
    )
