"""The methods of matching, by name: of two models, and of several.

A further one is a file with a `Method`, and a line here; from outside, `METHODS.add(method)`.
"""

from __future__ import annotations

from typing import Any

from lmc_core.matching import activation, reference, universe, weight
from lmc_core.matching.learned import method as learned
from lmc_core.matching.method import ManyMethod, Method
from lmc_core.matching.soft import method as soft
from lmc_core.registry import Registry

METHODS: Registry[Method[Any]] = Registry(
    "method", (weight.METHOD, activation.METHOD, learned.LEARNED, learned.DUAL, soft.METHOD)
)
"""Every method of two models, in the order in which they are listed."""

MANY_METHODS: Registry[ManyMethod[Any]] = Registry(
    "method for several models", (reference.METHOD, universe.METHOD)
)
"""Every method for several models, in the order in which they are listed."""

GROUP_METHODS = MANY_METHODS  # its former name
