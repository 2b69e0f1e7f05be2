"""How models are called where there is little room: in lists, on pills, and below both what is
known about them.

A label fits into the closed list of the sidebar, and no two models have the same: models whose
folders have one name are told apart by the folders above, and of a long name a part is left out
in which those beside it do not differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

from lmc_core.figures.margin import text_width
from lmc_core.models.listing import Row
from lmc_core.numbers import number, percent
from lmc_core.ui import custom_models, messages

ROOM = 192.0  # pixels that a list in a folded part of the sidebar has for its words
SIZE = 14.0  # pixels of its type
LEFT_OUT = "\u2026"
# of what is kept of a long name, the part that is its beginning
SHARES = (0.5, 0.35, 0.65, 0.2, 0.8, 0.0, 1.0)


def label_models(names: Iterable[str]) -> dict[str, str]:
    """Name -> label of some models, each different from all others.

    Args:
        names: of all models that may stand beside each other.
    """
    return dict(_label(tuple(names)))


@lru_cache(maxsize=16)  # every control of every run of a page asks; 300 long names take 0.1 s
def _label(names: tuple[str, ...]) -> dict[str, str]:
    titles = name_models(names)
    long = [name for name, title in titles.items() if not _fits(title)]
    taken = {title for name, title in titles.items() if name not in long}
    for share in SHARES:
        cut = {name: _cut(titles[name], share) for name in long}
        if len({*cut.values()} - taken) == len(long):
            return {**titles, **cut}
    # they differ in more places than one label can show
    numbered = {name: f"{n} {_cut(titles[name], 0.0, 4)}" for n, name in enumerate(long, 1)}
    return {**titles, **numbered}


def describe_models(chosen: Mapping[str, str], known: Mapping[str, Row]) -> str:
    """Lines for below some lists: width, seed and score of what is chosen, as far as they are
    known, and the whole of a name that was shortened.

    Args:
        chosen: names of models, by what the lists call them, such as A.
        known: all models that can be chosen.
    """
    titles, labels = name_models(known), label_models(known)
    lines = []
    for place, name in chosen.items():
        facts = [titles[name]] * (labels[name] != titles[name]) + _list_facts(known[name])
        lines.append(f"{place}: " + " \u00b7 ".join(map(messages.plain, facts)))
    return "  \n".join(lines)


def _list_facts(row: Row) -> list[str]:
    """Seed, unless the name says it, width and score of a model."""
    test, seed = row["scores"].get("test", {}), row["seed"]
    named = seed is None or custom_models.title(row["name"]).endswith(f"-s{seed}")
    facts = [] if named else [f"seed {seed}"]
    facts.append(f"width {row['width']}")
    if "perplexity" in test:
        facts.append(f"perplexity {number(test['perplexity'])}")
    elif test:
        facts.append(f"accuracy {percent(test.get('accuracy'))}")
    return facts


def name_models(names: Iterable[str]) -> dict[str, str]:
    """Name -> title; of folders of one name with as many of those above as tell them apart."""
    titles = {name: custom_models.title(name) for name in names}
    deepest = max((name.count("/") for name in titles), default=0)
    for depth in range(2, deepest + 2):
        times = Counter(titles.values())
        alike = [name for name, title in titles.items() if times[title] > 1]
        titles |= {name: custom_models.title(name, depth) for name in alike}
    return titles


def _fits(text: str) -> bool:
    return text_width(text, SIZE) <= ROOM


def _cut(title: str, share: float, less: int = 0) -> str:
    """A title that fits, with a part of it left out.

    Args:
        title: which is too long.
        share: of what is kept, the part that is its beginning.
        less: signs for which room is left.
    """
    for kept in range(len(title) - 1, 0, -1):
        first = round(share * kept)
        found = title[:first] + LEFT_OUT + title[len(title) - (kept - first) :]
        if _fits(found + "0" * less):
            return found
    return LEFT_OUT
