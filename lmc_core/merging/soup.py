"""The greedy soup (Wortsman et al. 2022, arXiv 2203.05482, recipe 1).

Models are tried from the best to the worst on validation data; one stays in the mean if the mean
with it is not worse there. So the soup is never worse than its best member on the data that it was
chosen on, which is never what is reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmc_core.errors import BadInput
from lmc_core.limits import require_settings
from lmc_core.merging.ingredients import Ingredients, Merged, State
from lmc_core.merging.method import MergeMethod
from lmc_core.models.mixing import weighted
from lmc_core.settings import choice

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SoupSettings:
    """What a soup is chosen by.

    Attributes:
        by: ``loss`` in nats, which is finer, or ``accuracy``, as the paper does.
        examples: of the validation split that it is chosen on, at the most.
    """

    by: str = choice("loss", ("loss", "accuracy"), "criterion of a soup")
    examples: int = 1000

    def __post_init__(self) -> None:
        require_settings(self)
        if self.examples < 2:
            raise BadInput(f"examples should be 2 or more; {self.examples} came.")


def greedy_soup(given: Ingredients, settings: SoupSettings) -> Merged:
    """The mean of those models that do not make it worse on validation data.

    Raises:
        BadInput: if there is nothing to judge by.
    """
    if given.judge is None:
        raise BadInput(
            "A greedy soup is chosen on validation data; give some, or take the average."
        )
    judge = given.judge

    def cost(state: State) -> float:
        loss, correct = judge(state)
        value = loss if settings.by == "loss" else -correct
        return value if value == value else float("inf")  # a model that gives no numbers comes last

    count = len(given)
    costs = []
    for number, state in enumerate(given.states, 1):
        costs.append(cost(state))
        given.progress(number / (2 * count))
    order = sorted(range(count), key=lambda k: (costs[k], k))
    kept, best, soup = [order[0]], costs[order[0]], _mean(given, [order[0]])
    for number, k in enumerate(order[1:], 1):
        tried = _mean(given, [*kept, k])
        value = cost(tried.state)
        if value <= best:
            kept, best, soup = [*kept, k], value, tried
        given.progress(min(1.0, (count + number + 1) / (2 * count)))
    sign = 1 if settings.by == "loss" else -1
    about = {
        "kept": [given.names[k] for k in sorted(kept)],
        "kept_numbers": [k + 1 for k in sorted(kept)],
        "by": settings.by,
        "of_each": [sign * value for value in costs],
        "of_soup": sign * best,
    }
    return Merged(soup.state, about)


def _mean(given: Ingredients, chosen: list[int]) -> Merged:
    """The mean of some of the models, in float32 as it will be kept."""

    def mean(name: str) -> Tensor:
        return weighted(
            [given.states[k][name].double() for k in chosen], [1 / len(chosen)] * len(chosen)
        ).float()

    return Merged({name: mean(name) for name in given.states[0]})


METHOD = MergeMethod(
    name="soup",
    title="greedy soup",
    sentence="Takes the models from the best to the worst on validation data and keeps those that "
    "do not make the mean worse.",
    source="Wortsman et al. 2022, arXiv 2203.05482",
    settings=SoupSettings,
    merge=greedy_soup,
    chooses=lambda settings: settings.examples,
)
