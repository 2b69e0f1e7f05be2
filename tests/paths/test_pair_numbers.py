"""Numbers of pairs with what every example adds: errors against a bootstrap, ratios, and the words
that benchmarks print.
"""

from __future__ import annotations

import math
from itertools import combinations

import pytest
import torch
from torch import Tensor

from lmc_core.intervals.errors import stderr
from lmc_core.intervals.pairs import over_pairs
from lmc_core.paths.pair_numbers import Measured, count_words, numbers, summarise_pairs, words

LAM = [0.0, 0.25, 0.5, 0.75, 1.0]
PAIRS = list(combinations("abcd", 2))


def arrays(seed: int, height: float = 2.0, examples: int = 300) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hill = torch.tensor([0.0, 0.6, 1.0, 0.7, 0.0])[:, None]
    losses = 0.5 + height * hill * (0.5 + torch.rand(5, examples, generator=generator))
    return {
        "losses": losses,
        "correct": (torch.rand(5, examples, generator=generator) < 0.9 - 0.6 * hill).float(),
    }


@pytest.mark.parametrize("score", ["accuracy", "perplexity"])
def test_values_and_errors_against_a_bootstrap_over_examples(score: str) -> None:
    given, generator = arrays(0), torch.Generator().manual_seed(1)
    found = numbers(LAM, given, score)
    accuracy, loss = given["correct"].double().mean(1), given["losses"].double().mean(1)
    chord = accuracy[0] + torch.tensor(LAM) * (accuracy[-1] - accuracy[0])
    expected = (
        100 * float((chord - accuracy).max())
        if score == "accuracy"
        else math.exp(float(loss.max()))
    )
    assert found["score"].value == pytest.approx(expected)
    again = {name: [] for name in found}
    for _ in range(300):
        rows = torch.randint(300, (300,), generator=generator)
        for name, each in numbers(
            LAM, {key: value[:, rows] for key, value in given.items()}, score
        ).items():
            again[name].append(each.value)
    for name, each in found.items():
        assert float(stderr(each.parts)) == pytest.approx(
            float(torch.tensor(again[name]).std()), rel=0.15
        ), name


def test_the_error_of_a_ratio_against_a_bootstrap() -> None:
    """What hard examples add to both cancels in part, so the ratio is known better than either."""
    generator = torch.Generator().manual_seed(2)
    hard = 1 + torch.rand(400, generator=generator, dtype=torch.float64)
    x, y = 0.2 * hard + 0.05 * torch.rand(400, generator=generator, dtype=torch.float64), 2 * hard
    found = Measured(float(x.mean()), x).over(Measured(float(y.mean()), y))
    assert found.value == pytest.approx(float(x.mean() / y.mean()))
    drawn = torch.randint(400, (500, 400), generator=generator)
    again = x[drawn].mean(1) / y[drawn].mean(1)
    assert float(stderr(found.parts)) == pytest.approx(float(again.std()), rel=0.12)
    assert float(stderr(found.parts)) / found.value < 0.3 * float(stderr(x)) / float(x.mean())


def test_the_mean_over_pairs_joins_models_and_examples() -> None:
    each = [numbers(LAM, arrays(k, 1 + 0.2 * k), "accuracy")["barrier"] for k in range(6)]
    groups = torch.arange(300) // 30
    mean = summarise_pairs(PAIRS, each, groups)
    parts = torch.stack([one.parts for one in each])
    assert mean == over_pairs(PAIRS, [one.value for one in each], parts, groups)
    assert (mean.over_models or 0) > 0 and (mean.over_examples or 0) > 0
    # other examples: nothing is shared
    apart = [*each[:-1], Measured(each[-1].value, each[-1].parts[:100])]
    assert summarise_pairs(PAIRS, apart, groups).over_examples is None


def test_words() -> None:
    each = [Measured(1.0 + k, torch.tensor([0.0, 1.0, 2.0, 3.0])) for k in range(3)]
    mean = summarise_pairs(PAIRS[:2] + [("b", "c")], each, None)
    assert count_words(mean) == "3 pairs of 3 models"
    assert words(mean, 2) == f"2.00 ± {mean.half:.2f}"
    assert (
        words(mean, 2, errors=True)
        == f"2.00 (models {mean.over_models:.2f}, examples {mean.over_examples:.2f})"
    )
    one = summarise_pairs(PAIRS[:1], each[:1], None)
    assert (
        count_words(one) == "1 pair of 2 models"
        and words(one, 1, errors=True) == "1.0 (examples 0.6)"
    )
    assert words(over_pairs(PAIRS[:1], [1.0])) == "1.000"
