"""The ways to merge models, by name.

A further one is a file with a `MergeMethod`, and a line here; from outside, `MERGES.add(method)`.
"""

from __future__ import annotations

from typing import Any

from lmc_core.merging import average, dare, ensemble, slerp, soup, task_arithmetic, ties
from lmc_core.merging.method import MergeMethod
from lmc_core.registry import Registry

MERGES: Registry[MergeMethod[Any]] = Registry(
    "way to merge",
    (
        average.AVERAGE,
        average.WEIGHTED,
        slerp.METHOD,
        task_arithmetic.METHOD,
        ties.METHOD,
        dare.METHOD,
        soup.METHOD,
        ensemble.METHOD,
    ),
)
"""Every way to merge, in the order in which they are listed."""
