"""Every number of every settings class, with everything that a slip of the keyboard makes of it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields
from typing import Any, get_args, get_type_hints

import pytest

from lmc_core.equivariance.forms import Equality, Resilient
from lmc_core.equivariance.training import Schedule
from lmc_core.errors import BadInput
from lmc_core.limits import ANY, MOST, require_counts, require_numbers, require_settings, shown
from lmc_core.matching.methods import MANY_METHODS, METHODS
from lmc_core.merging.methods import MERGES
from lmc_core.paths.bezier import BendSettings

USUAL: dict[type, dict[str, Any]] = {
    Equality: {"primal_rate": 0.02, "dual_rate": 0.02},
    Resilient: {"primal_rate": 0.02, "dual_rate": 0.02, "price": 0.1},
}
CLASSES = {
    method.settings for method in (*METHODS.values(), *MANY_METHODS.values(), *MERGES.values())
}
CLASSES |= {BendSettings, Schedule, *USUAL}
FIELDS = sorted(
    ((kind, field.name) for kind in CLASSES for field in fields(kind)),
    key=lambda each: (each[0].__name__, each[1]),
)
ODD = [
    math.nan,
    math.inf,
    -math.inf,
    -1,
    -1.0,
    0,
    1e300,
    -1e300,
    10**9,
    10**30,
    10**5000,
    0.5,
    1e9,
    True,
    "3",
    b"3",
    [3],
    {},
    object,
]
# settings that make sense below 0; weights of activation matching do not, and say so
BELOW = {"scale", "weights"}


def kinds_of(kind: type, name: str) -> set[Any]:
    hint = get_type_hints(kind)[name]
    found = {*get_args(hint)} or {hint}
    return {each for part in found for each in (get_args(part) or (part,))}


@pytest.mark.parametrize(("kind", "name"), FIELDS, ids=lambda each: getattr(each, "__name__", each))
def test_a_setting_is_sensible_or_refused_by_name(kind, name):
    taken = kinds_of(kind, name)
    for value in (*ODD, None):
        try:
            made = kind(**{**USUAL.get(kind, {}), name: value})
        except BadInput as error:
            words = str(error)
            # a choice among words is called by its noun
            if not (isinstance(value, str) and str in taken):
                assert name.replace("_", " ").split()[0] in words.lower().replace("_", " "), (
                    value,
                    words,
                )
            assert len(words) < 300 and "\n" not in words
            continue
        kept = getattr(made, name)
        for each in kept if isinstance(kept, list | tuple) else [kept]:
            assert type(each) in taken or (float in taken and type(each) is int), (name, each)
            if isinstance(each, int | float):
                assert math.isfinite(each) and each <= MOST.get(name, ANY)
                assert each >= 0 or name in BELOW, (name, each)
        json.dumps(asdict(made), allow_nan=False)


def test_the_settings_of_methods_are_all_seen():
    names = {kind.__name__ for kind in CLASSES}
    assert {
        "WeightSettings",
        "LearnedSettings",
        "SoftSettings",
        "ActivationSettings",
        "UniverseSettings",
        "TiesSettings",
    } <= names
    assert len(FIELDS) > 50


@pytest.mark.parametrize(
    "method",
    [*METHODS.values(), *MANY_METHODS.values(), *MERGES.values()],
    ids=lambda each: each.name,
)
def test_a_method_refuses_what_came_as_text_too(method):
    """What `--set NAME=VALUE` and an address give to a method."""
    for field in fields(method.settings):
        for value in (math.nan, math.inf, "nan", 1e300, 10**30):
            with pytest.raises(BadInput):
                method.configured({field.name: value})


def test_settings_of_ones_own_are_looked_at_as_well(monkeypatch):
    from dataclasses import dataclass, replace

    @dataclass(frozen=True)
    class Own:
        rate: float = 1.0
        fast: bool = False

    method = replace(METHODS["weight"], name="own", settings=Own)
    assert method.configured({"rate": 2}).rate == 2 and method.configured({"fast": True}).fast
    for settings, words in (
        ({"rate": math.nan}, "rate should be a finite number; nan came"),
        ({"fast": 1}, "fast should be True"),
    ):
        with pytest.raises(BadInput, match=words):
            method.configured(settings)


@pytest.mark.parametrize("value", [math.nan, math.inf, 25.0, "25", True, 10**10, 10**400])
def test_counts(value):
    for name in ("points", "refine", "resolution", "steps", "batch", "length", "threads", "seed"):
        with pytest.raises(BadInput, match=f"^{name} should be") as refused:
            require_counts(**{name: value})
        assert len(str(refused.value)) < 120
    require_counts(points=None, refine=0, seed=7)
    with pytest.raises(BadInput, match="seed should be 0 or more; -1 came"):
        require_counts(seed=-1)


@pytest.mark.parametrize("value", [math.nan, math.inf, "1", True, 1e300, 10**400])
def test_numbers(value):
    with pytest.raises(BadInput, match="^span should be"):
        require_numbers(span=value)
    require_numbers(span=1, other=None)


def test_what_came_fits_into_a_sentence():
    assert shown(10**9) == "1,000,000,000" and shown(10**400) == "a number of about 398 digits"
    assert len(shown("x" * 10**6)) == 60 and shown("\x1b[31m") == "'\\x1b[31m'"
    with pytest.raises(BadInput, match="should be a list of values"):
        require_settings(METHODS["weight"].settings(starts=()))
