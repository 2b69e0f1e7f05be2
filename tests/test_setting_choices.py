"""Each setting that is one of several words offers its own words, whatever method it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, fields

import pytest

from lmc_core.errors import UnknownName
from lmc_core.limits import require_settings
from lmc_core.matching.methods import MANY_METHODS, METHODS
from lmc_core.merging.methods import MERGES
from lmc_core.settings import choice, configure, find_choices

SETTINGS = {
    f"{method.name}, {field.name}": (method.settings, field.name)
    for methods in (METHODS, MANY_METHODS, MERGES)
    for method in methods.values()
    for field in fields(method.settings)
    if isinstance(field.default, str)
}


@pytest.mark.parametrize(("kind", "name"), SETTINGS.values(), ids=SETTINGS.keys())
def test_what_is_offered_is_taken_and_nothing_else(kind: type, name: str) -> None:
    offered = find_choices(kind, name)
    assert getattr(kind(), name) in offered
    for word in offered:
        assert getattr(configure("method", kind, {name: word}), name) == word
    with pytest.raises(UnknownName, match=offered[0]):
        configure("method", kind, {name: "something else"})


@dataclass(frozen=True)
class Toy:
    """Settings of a method from outside.

    Attributes:
        shape: of the toy.
    """

    shape: str = choice("round", ("round", "square"), "shape of the toy")
    size: str = "small"

    def __post_init__(self) -> None:
        require_settings(self)


def test_settings_from_outside_offer_their_own_words_and_none_of_a_soup() -> None:
    assert find_choices(Toy, "shape") == ("round", "square")
    assert find_choices(Toy, "size") == ()
    with pytest.raises(UnknownName, match="round, square"):
        configure("method toy", Toy, {"shape": "loss"})
