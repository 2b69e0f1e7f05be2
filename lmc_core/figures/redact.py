"""Results without the places of this machine: what leaves it names models and data, never where
they lie.

References to a person's own models and data hold whole paths (``path:/home/me/model``), because a
worker must find them. They are not part of a request's key, so a result without them is still the
same result.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar, cast

T = TypeVar("T")
Known = list[tuple[str, str]]  # a place, and what is said instead

OWN = re.compile(r"((?:pickle:)?(?:path|text|labels|images|file):)(.+)", re.DOTALL)
# Two names after slashes that no word, address or other slash comes before; or a drive of Windows.
PLACE = re.compile(
    r"""(?<![\w./\\-])~?(?:/[^\s/\\'"<>|;,()\[\]{}]+){2,}/?"""
    r"""|(?<!\w)[A-Za-z]:(?:[\\/]+[^\\/'"<>|;,()\[\]{}\n]+)+|(?<![\w\\])\\\\[^\s'"<>|;,()\[\]{}]+"""
)


def last_name(place: str) -> str:
    """Return the last name of a path of any system: "/home/me/model/" -> "model"."""
    names = [name for name in re.split(r"[\\/]", place) if name not in ("", ".", "..", "~")]
    return names[-1] if names else "model"


def without_places(content: T) -> T:
    """Return JSON values, or text, with the last name in place of every path.

    Args:
        content: dictionaries, lists, texts and numbers; left as it is.
    """
    texts: list[str] = []
    _gather(content, texts)
    known = sorted(_known(texts).items(), key=lambda pair: len(pair[0]), reverse=True)
    return cast(T, _replaced(content, known))


def _known(texts: Sequence[str]) -> dict[str, str]:
    """The places that references name, with what is said instead: their last names, and nothing for
    the folders they lie in.
    """
    places = {
        found[2]
        for text in texts
        if (found := OWN.fullmatch(text)) and re.search(r"[\\/]", found[2])
    }
    folders = {
        place[: found.end()] for place in places for found in re.finditer(r"[^\\/][\\/]", place)
    }
    # one name alone could begin anything
    deep = {folder for folder in folders if len(re.findall(r"[^\\/]+", folder)) > 1}
    return dict.fromkeys(deep, "") | {place: last_name(place) for place in places}


def has_places(content: object) -> bool:
    """Whether JSON values name a path."""
    return content != without_places(content)


def _gather(content: object, found: list[str]) -> None:
    """Add the texts that may name a place: those with a slash, of either kind.

    Results hold many more numbers and names than places, so the rest is left out here already.
    """
    if isinstance(content, str):
        if "/" in content or "\\" in content:
            found.append(content)
    elif isinstance(content, dict):
        for name, value in content.items():
            _gather(name, found)
            _gather(value, found)
    elif isinstance(content, list | tuple):
        for value in content:
            if not isinstance(value, float):  # most of what there is
                _gather(value, found)


def _replaced(content: object, known: Known) -> object:
    if isinstance(content, str):
        return _short(content, known)
    if isinstance(content, dict):
        return {_replaced(name, known): _replaced(value, known) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return type(content)(
            [value if isinstance(value, float) else _replaced(value, known) for value in content]
        )
    return content


def _short(text: str, known: Known) -> str:
    if "/" not in text and "\\" not in text:
        return text  # every place has a slash
    # these may hold spaces, which no pattern can tell from the end of a path
    for place, name in known:
        text = text.replace(place, name)
    # what is left may look like a place again
    while (shorter := PLACE.sub(lambda found: last_name(found[0]), text)) != text:
        text = shorter
    return text
