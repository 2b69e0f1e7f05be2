"""The greedy soup against a loop over all steps, on a loss that knows what it wants."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings, strategies

from lmc_core.errors import BadInput
from lmc_core.merging.ingredients import Ingredients
from lmc_core.merging.soup import SoupSettings, greedy_soup
from tests.merging.conftest import State


def judged(target: float):
    """The distance from a target, and a score that falls with it."""

    def judge(state: State) -> tuple[float, float]:
        loss = float((state["x"] - target).abs().sum())
        return loss, 1 / (1 + loss)

    return judge


def models(values: list[float]) -> list[State]:
    return [{"x": torch.tensor([value, 2 * value])} for value in values]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    strategies.lists(strategies.floats(-3, 3, width=32), min_size=2, max_size=6),
    strategies.sampled_from(["loss", "accuracy"]),
)
def test_never_worse_than_its_best_member_on_what_it_was_chosen_on(
    values: list[float], by: str
) -> None:
    judge = judged(0.3)
    found = greedy_soup(Ingredients(models(values), judge=judge), SoupSettings(by))
    best = min(judge(state)[0] for state in models(values))
    assert judge(found.state)[0] <= best + 1e-9


def test_against_the_recipe_step_by_step() -> None:
    values = [1.0, -1.2, 0.4, 3.0]
    found = greedy_soup(
        Ingredients(models(values), names=list("abcd"), judge=judged(0.0)), SoupSettings()
    )
    # best first: c (0.4), a (1.0): mean 0.7 is worse, out; b (-1.2): mean -0.4 is no worse, in; d
    # (3.0): mean 0.73, out
    assert found.about["kept"] == ["b", "c"]
    assert found.state["x"].tolist() == pytest.approx([-0.4, -0.8])
    assert found.about["of_soup"] == pytest.approx(1.2) and found.about["of_each"] == pytest.approx(
        [3.0, 3.6, 1.2, 9.0]
    )


def test_broken_models_come_last() -> None:
    broken = [*models([0.5]), {"x": torch.tensor([float("nan"), 0.0])}]
    assert greedy_soup(Ingredients(broken, judge=judged(0.0)), SoupSettings()).about["kept"] == [
        "model 1"
    ]


def test_a_broken_model_is_not_what_a_soup_begins_with() -> None:
    # a sum that is no number comes first
    broken = [{"x": torch.tensor([float("nan"), 0.0])}, *models([0.5, 0.4])]
    found = greedy_soup(Ingredients(broken, judge=judged(0.0)), SoupSettings())
    assert found.about["kept"] == ["model 3"]
    assert found.state["x"].tolist() == pytest.approx([0.4, 0.8])


def test_without_data_there_is_nothing_to_choose_by() -> None:
    with pytest.raises(BadInput, match="validation data"):
        greedy_soup(Ingredients(models([1.0, 2.0])), SoupSettings())
