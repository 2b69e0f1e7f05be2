"""Models by pattern: from what a sweep file says to references, in order.

"vit-fashion-s*"                       models of the zoo, also as zoo:PATTERN
"runs/seed*/final"                     folders, beside the sweep file unless absolute
"hf:EleutherAI/pythia-160m-seed{1..9}" a list, of names that nobody can list here
"!vit-fashion-s3"                      takes models away again
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from lmc_core.errors import BadInput
from lmc_core.models.files.references import Reference, clip, parse
from lmc_core.models.zoo import zoo_names

GLOB = re.compile(r"[*?\[]")
BRACES = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"(\d+)\.\.(\d+)")
WEIGHTS = ("config.json", "*.safetensors", "*.bin", "*.pt", "*.pth", "*.ckpt")
MOST = 1000  # models of a pattern


def find_models(patterns: Sequence[str], folder: Path) -> list[str]:
    """The references that some patterns mean, each once, in the order of the patterns; of one
    pattern in the order of their names, numbers by value.

    Args:
        patterns: see this module.
        folder: that relative paths begin at.

    Raises:
        BadInput: a pattern matches nothing, or is no pattern.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        taken_away = pattern.startswith("!")
        matched = [
            reference
            for each in expand_braces(pattern.removeprefix("!"))
            for reference in _match(each, folder)
        ]
        if taken_away:
            known = [each for each in matched if each in found]
            if not known:
                raise BadInput(f"The pattern {clip(pattern)} takes away nothing that is there.")
            for each in known:
                del found[each]
        else:
            found |= dict.fromkeys(matched)
    return list(found)


def expand_braces(text: str) -> list[str]:
    """A text for every value in its braces: "s{1..3}" -> "s1", "s2", "s3"; "{a,b}" -> "a", "b"."""
    match = BRACES.search(text)
    if match is None:
        return [text]
    inner = match[1]
    if span := RANGE.fullmatch(inner):
        first, last = int(span[1]), int(span[2])
        if not 0 <= last - first < MOST:
            raise BadInput(
                f"{{{inner}}} should count up, over at most {MOST:,} numbers; write {{1..9}}."
            )
        # "08..12" keeps its zeros
        width = len(span[1]) if span[1].startswith("0") else 0
        options = [str(number).zfill(width) for number in range(first, last + 1)]
    elif "," in inner:
        options = inner.split(",")
    else:
        raise BadInput(f"{{{clip(inner)[1:-1]}}} should be numbers {{1..9}} or names {{a,b}}.")
    head, tail = text[: match.start()], text[match.end() :]
    return [done for option in options for done in expand_braces(head + option + tail)]


def _match(pattern: str, folder: Path) -> Iterator[str]:
    """The references of one pattern without braces."""
    if not GLOB.search(pattern):
        yield str(_beside(_parse(pattern, folder), folder))
        return
    kind, colon, name = pattern.partition(":")
    if colon and kind in ("hf", "timm"):
        raise BadInput(
            f"The names of {kind} cannot be listed, so that {clip(pattern)} matches nothing; "
            f"write them with braces, as {kind}:NAME-seed{{1..9}}."
        )
    if colon and kind in ("zoo", "path"):
        found = list(_folders(name, folder) if kind == "path" else _zoo(name))
    else:
        found = list(_zoo(pattern) or _folders(pattern, folder))
    if not found:
        raise BadInput(
            f"The pattern {clip(pattern)} matches no model of the zoo and no folder with a "
            f"checkpoint, beginning at {str(folder)!r}; `lmc models` lists the zoo."
        )
    yield from sorted(found, key=_natural)


def _zoo(pattern: str) -> list[str]:
    return [f"zoo:{name}" for name in zoo_names() if fnmatchcase(name, pattern)]


def _folders(pattern: str, folder: Path) -> Iterator[str]:
    """Folders with a checkpoint."""
    path = Path(pattern).expanduser()
    begin = Path(path.anchor) if path.is_absolute() else folder
    for each in begin.glob(str(path.relative_to(path.anchor) if path.is_absolute() else path)):
        if each.is_dir() and any(next(each.glob(name), None) for name in WEIGHTS):
            yield f"path:{each.absolute()}"


def _parse(text: str, folder: Path) -> Reference:
    """A reference; a plain word may be a folder beside the sweep file."""
    names = zoo_names()
    if text not in names and ":" not in text and (folder / text).is_dir():
        return Reference("path", text)
    return parse(text, names)


def _beside(found: Reference, folder: Path) -> Reference:
    """The reference with paths, and those of adapters, beginning at the folder."""
    adapters = tuple(_beside(each, folder) for each in found.adapters)
    name = str((folder / found.name).absolute()) if found.kind == "path" else found.name
    return replace(found, name=name, adapters=adapters)


def _natural(text: str) -> list[tuple[int, str]]:
    """A key by which s2 comes before s10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]
