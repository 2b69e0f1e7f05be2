"""The output ensemble: all models are kept, and their predictions averaged (`measure`)."""

from __future__ import annotations

from lmc_core.merging.ingredients import NoSettings
from lmc_core.merging.method import MergeMethod

METHOD = MergeMethod(
    name="ensemble",
    title="output ensemble",
    sentence="The mean of the models' probabilities: the upper reference, which keeps and runs all "
    "models.",
    source="Hansen, Salamon 1990; Lakshminarayanan et al. 2017, arXiv 1612.01474",
    settings=NoSettings,
    merge=None,
    weighs=True,
)
