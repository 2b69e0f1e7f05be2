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
    "method",
    (
        weight.METHOD,
        activation.METHOD,
        learned.LEARNED,
        learned.DUAL,
        learned.JOINT,
        learned.GENERATED,
        soft.METHOD,
    ),
)
"""Every method of two models, in the order in which they are listed."""

MANY_METHODS: Registry[ManyMethod[Any]] = Registry(
    "method for several models", (reference.METHOD, universe.METHOD)
)
"""Every method for several models, in the order in which they are listed."""

GROUP_METHODS = MANY_METHODS  # its former name


def find_method(name: str) -> Method[object] | ManyMethod[object]:
    """Return the method of that name, of two models or of several.

    Raises:
        UnknownName: if there is none.
    """
    return MANY_METHODS[name] if name in MANY_METHODS else METHODS[name]


def matching_share(name: str) -> float:
    """Of a measurement's progress, what bringing the models together takes; 0 where nothing moves.

    Args:
        name: ``none`` or a method.
    """
    return 0.0 if name == "none" else find_method(name).share
