"""The table of named things that families, methods and the like are kept in."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lmc_core.errors import BadInput, UnknownName
from lmc_core.registry import Registry


@dataclass(frozen=True)
class Thing:
    name: str
    size: int = 0


def test_it_reads_like_a_mapping_in_the_order_of_adding() -> None:
    registry = Registry("thing", [Thing("pear", 1), Thing("apple", 2)])
    added = registry.add(Thing("fig", 3))

    assert list(registry) == list(registry.keys()) == ["pear", "apple", "fig"]
    assert [thing.size for thing in registry.values()] == [1, 2, 3]
    assert dict(registry.items())["fig"] is registry["fig"] is registry.get("fig") is added
    assert "apple" in registry and "plum" not in registry and len(registry) == 3


def test_an_unknown_name_is_refused_with_the_nearest_known_one() -> None:
    registry = Registry("thing", [Thing("pear"), Thing("apple")])

    for ask in (registry.get, registry.__getitem__, registry.remove):
        with pytest.raises(UnknownName, match=r"no thing 'aple'.*Did you mean 'apple'"):
            ask("aple")


def test_a_taken_name_is_refused_unless_it_is_to_be_replaced() -> None:
    registry = Registry("thing", [Thing("pear", 1)])

    with pytest.raises(BadInput, match="There is a thing 'pear' already"):
        registry.add(Thing("pear", 2))
    registry.add(Thing("pear", 2), replace=True)

    assert registry["pear"].size == 2
    assert registry.remove("pear").size == 2 and "pear" not in registry


def test_names_may_come_from_elsewhere_and_adding_serves_as_a_decorator() -> None:
    registry: Registry[type] = Registry("class", name=lambda cls: cls.__name__.lower())

    @registry.add
    class Plum:
        pass

    assert registry["plum"] is Plum
