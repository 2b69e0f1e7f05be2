"""The mean of the weights: theta = sum_k w_k theta_k, with equal weights or given ones."""

from __future__ import annotations

from lmc_core.merging.ingredients import Ingredients, Merged, NoSettings
from lmc_core.merging.method import MergeMethod
from lmc_core.models.mixing import weighted


def average(given: Ingredients, settings: NoSettings) -> Merged:
    """The mean with equal weights, whatever weights were given."""
    equal = [1 / len(given)] * len(given)
    return given.entrywise(lambda piece, name: weighted(piece.of(name), equal))


def weighted_average(given: Ingredients, settings: NoSettings) -> Merged:
    """The mean with the given weights."""
    return given.entrywise(lambda piece, name: weighted(piece.of(name), given.weights))


AVERAGE = MergeMethod(
    name="average",
    title="average",
    sentence="The mean of the weights, all models alike.",
    source="Utans 1996; Wortsman et al. 2022, arXiv 2203.05482 (uniform soup)",
    settings=NoSettings,
    merge=average,
)
WEIGHTED = MergeMethod(
    name="weighted",
    title="weighted average",
    sentence="The mean of the weights, each model with a weight of its own.",
    source="Matena, Raffel 2022, arXiv 2111.09832 (without Fisher information)",
    settings=NoSettings,
    merge=weighted_average,
    weighs=True,
)
