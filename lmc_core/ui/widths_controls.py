"""The controls of the page Widths: a narrow and a wide model that go together, ways to match, and
all pairs of widths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from lmc_core.matching.methods import METHODS
from lmc_core.models.listing import Row
from lmc_core.ui import catalogue, controls, current, symmetry_controls
from lmc_core.ui.catalogue import Known, Pair
from lmc_core.ui.options import Several
from lmc_core.ui.setting import PLAIN, Setting, all_classes

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

# sizes that may differ; all others have to be equal
GROWS = ("width", "heads", "key heads", "units")
NAMES = {name: METHODS[name].label for name in ("weight", "learned")}
WAYS = Several(
    "ways",
    "Compared with zero padding",
    list(NAMES),
    list(NAMES),
    "By weights: matching chooses which unit is copied where, and how the narrow stream lies in "
    "the wide one. Learned starts there and follows the gradient of the loss at the midpoint. "
    "Every class that the family admits is used.",
    NAMES.__getitem__,
    falls_back=False,
)
STEPS = replace(symmetry_controls.STEPS, help="Of the gradient, on training examples.")
FIRST = "vit-fashion-narrow-s0", "vit-fashion-s0"
# what is chosen at first: a pair takes half a minute
EXAMPLES, POINTS = replace(controls.EXAMPLES, default="500"), replace(controls.POINTS, default=11)
SPLIT = replace(controls.SPLIT, choices=("test", "validation"))


def fits(narrow: Row, wide: Row) -> bool:
    """Whether one model can lie in another by their sizes: equal but for widths, and wider
    somewhere, narrower nowhere.
    """
    if narrow["family"] != wide["family"] or narrow["sizes"].keys() != wide["sizes"].keys():
        return False
    one, two = narrow["sizes"], wide["sizes"]
    equal = all(one[key] == two[key] for key in one if key not in GROWS)
    grown = [two[key] - one[key] for key in GROWS if key in one]
    return equal and min(grown) >= 0 and max(grown) > 0


def narrow_models(known: Known) -> list[str]:
    """Names of the models that fit into another."""
    return [
        name for name, row in known.items() if any(fits(row, other) for other in known.values())
    ]


def choose_widths(known: Known, key: str) -> Pair:
    """Two lists, the second with the models that the first fits into."""
    names = narrow_models(known)
    usual, now = _find_usual(known, names), _find_current(known, names)
    a = controls.make_model(
        "a",
        "Narrow model, at \u03bb = 0",
        known,
        names,
        (now or usual)[0],
        "It is widened to the sizes of the other, and still computes what it did.",
    ).show(key)
    wide = [name for name in known if fits(known[a], known[name])]
    b = controls.make_model(
        "b",
        "Wide model, at \u03bb = 1",
        known,
        wide,
        next((one for one in ((now or usual)[1], FIRST[1]) if one in wide), wide[0]),
        "Models that hold the narrow one.",
    ).show(key)
    controls.show_chosen({"Narrow": a, "Wide": b}, known)
    if (a, b) not in (now, usual):
        current.keep([a, b])
    return known[a], known[b]


def _find_usual(known: Known, narrow: Sequence[str]) -> tuple[str, str]:
    """The pair that is shown where nothing was chosen yet."""
    if set(FIRST) <= set(known) and FIRST[0] in narrow:
        return FIRST
    return narrow[0], next(name for name in known if fits(known[narrow[0]], known[name]))


def _find_current(known: Known, narrow: Sequence[str]) -> tuple[str, str] | None:
    """The current pair of the session, or one that has one of its models; None where there is no
    such pair of two widths.
    """
    now = [name for name in current.read()[:2] if name in known]
    if len(now) == 2 and fits(known[now[0]], known[now[1]]):
        return now[0], now[1]
    for name in now:
        held = next((each for each in narrow if fits(known[each], known[name])), None)
        if held is not None:
            return held, name
        if name in narrow:
            return name, next(each for each in known if fits(known[name], known[each]))
    return None


def choose_ways(pair: Pair, key: str, more: DeltaGenerator) -> list[Setting]:
    """Which ways to match are shown beside zeros appended; returns their settings, zeros first.

    Args:
        pair: of models.
        key: prefix of the widgets' keys.
        more: a part of the page for the steps of learning.
    """
    largest = catalogue.find_largest(pair[1])
    ways = WAYS.show(key)
    steps = STEPS.show(key, where=more) if "learned" in ways else STEPS.prepare(key)
    weight = all_classes(largest)
    chosen = {"weight": weight, "learned": Setting("learned", weight.classes, steps)}
    return [PLAIN, *(chosen[way] for way in ways)]


def all_pairs(known: Known, pair: Pair) -> list[Pair]:
    """Pairs of every two widths of the family and task, those of equal width first; the chosen
    models stand for theirs.
    """
    narrow, wide = pair
    kin = [
        row
        for row in known.values()
        if row["task"] == narrow["task"]
        and (row["sizes"] == narrow["sizes"] or fits(narrow, row) or fits(row, wide))
    ]
    chosen = {row["width"]: row for row in reversed(kin)} | {row["width"]: row for row in pair}
    equal = []
    for row in (chosen[width] for width in sorted(chosen)):
        partner = next(
            (
                other
                for other in kin
                if other["sizes"] == row["sizes"] and other["name"] != row["name"]
            ),
            None,
        )
        if partner is not None:
            equal.append((row, partner))
    unequal = [(chosen[one], chosen[two]) for one, two in combinations(sorted(chosen), 2)]
    return [*equal, *(each for each in unequal if fits(*each))]
