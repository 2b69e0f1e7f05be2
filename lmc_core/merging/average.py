"""The mean of the weights: theta = sum_k w_k theta_k, with equal weights or given ones."""

from __future__ import annotations

from lmc_core.merging.ingredients import Ingredients, Merged, NoSettings
from lmc_core.models.mixing import weighted


def average(given: Ingredients, settings: NoSettings) -> Merged:
    """The mean with equal weights, whatever weights were given."""
    equal = [1 / len(given)] * len(given)
    return given.each(lambda name: weighted(given.of(name), equal))


def weighted_average(given: Ingredients, settings: NoSettings) -> Merged:
    """The mean with the given weights."""
    return given.each(lambda name: weighted(given.of(name), given.weights))
