"""How models are named: `zoo:NAME`, `hf:ORG/NAME[@REVISION]`, `timm:NAME[.TAG]`, `path:FOLDER`, or
plain words.

A plain word is a model of the zoo; anything with a slash, and any folder that exists, is a path.
`pickle:` before any of them says that weights may also be read from pickled files (`.bin`, `.pt`,
`.pth`, `.ckpt`, `.pth.tar`), which is what `--allow-pickle` writes there, and `extra:` that tensors
without a place are left out (`--ignore-extra`), so that these permissions travel with the reference
to whoever loads it. `BASE+ADAPTER` is a model with an adapter merged into it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from lmc_core.errors import BadInput, UnknownName

Kind = Literal["zoo", "hf", "timm", "path"]
PICKLE, EXTRA = "pickle:", "extra:"
FORMS = (
    "zoo:NAME, hf:ORG/NAME[@REVISION], timm:NAME[.TAG], path:FOLDER, a zoo name, a folder, or "
    "BASE+ADAPTER"
)
REPOSITORY = re.compile(r"(?!.*(\.\.|--))\w[\w.-]{0,95}(/\w[\w.-]{0,95})?(?<![.-])", re.ASCII)
REVISION = re.compile(r"(?!.*\.\.)\w[\w./-]{0,199}(?<![./])", re.ASCII)
TIMM = re.compile(r"\w[\w-]{0,95}(\.\w[\w-]{0,95})?", re.ASCII)


@dataclass(frozen=True)
class Reference:
    """A model, by name.

    Attributes:
        kind: where it comes from.
        name: of the zoo's model, ``ORG/NAME`` of the hub's repository, ``NAME[.TAG]`` of timm's
            weights, or the folder.
        revision: branch, tag or commit of the hub's repository; None for ``main``.
        allow_pickle: whether pickled files may be read.
        ignore_extra: whether tensors that have no place in the model are left out.
        adapters: what is merged into it, in this order.
    """

    kind: Kind
    name: str
    revision: str | None = None
    allow_pickle: bool = False
    ignore_extra: bool = False
    adapters: tuple[Reference, ...] = ()

    def __str__(self) -> str:
        """The reference as it is typed."""
        revision = f"@{self.revision}" if self.revision else ""
        permissions = f"{PICKLE if self.allow_pickle else ''}{EXTRA if self.ignore_extra else ''}"
        adapters = "".join(
            f"+{_permitted(each, allow_pickle=False, ignore_extra=False)}" for each in self.adapters
        )
        return f"{permissions}{self.kind}:{self.name}{revision}{adapters}"

    @property
    def label(self) -> str:
        """A short name to show."""
        if self.adapters:
            return "+".join(each.label for each in (self.base, *self.adapters))
        if self.kind == "path":
            folder = Path(self.name)
            return folder.name or folder.resolve().name or self.name
        revision = f"@{self.revision}" if self.revision else ""
        return self.name.rpartition("/")[2] + revision

    @property
    def base(self) -> Reference:
        """The model without its adapters."""
        return replace(self, adapters=())


def allowing_pickle(reference: str) -> str:
    """The same reference with permission to read pickles."""
    return reference if reference.startswith((PICKLE, EXTRA + PICKLE)) else PICKLE + reference


def ignoring_extra(reference: str) -> str:
    """The same reference with permission to leave out tensors that have no place."""
    return reference if reference.startswith((EXTRA, PICKLE + EXTRA)) else EXTRA + reference


def parse(text: str | Path, zoo: Iterable[str] = ()) -> Reference:
    """Read a reference.

    Args:
        text: what was typed.
        zoo: names of the zoo's models, which plain words are looked up in.

    Raises:
        UnknownName: for a name that the zoo does not have.
        BadInput: for a name that neither the hub nor timm can have.
    """
    words = str(text)
    if words.startswith(PICKLE):
        return _permitted(parse(words.removeprefix(PICKLE), zoo), allow_pickle=True)
    if words.startswith(EXTRA):
        return _permitted(parse(words.removeprefix(EXTRA), zoo), ignore_extra=True)
    if (plus := _adapter(words)) is not None:
        base, adapter = parse(words[:plus], zoo), parse(words[plus + 1 :], zoo)
        both = replace(base, adapters=(*base.adapters, adapter))
        given = {name: True for name in ("allow_pickle", "ignore_extra") if getattr(adapter, name)}
        return _permitted(both, **given) if given else both
    kind, colon, name = words.partition(":")
    if colon and kind == "path":
        if not name:
            raise BadInput("path:FOLDER is expected, such as path:./model; no folder came.")
        return Reference("path", str(_home(name)))
    if colon and kind == "hf":
        return _hub(name)
    if colon and kind == "timm":
        if not TIMM.fullmatch(name):
            raise BadInput(
                "timm:NAME[.TAG] is expected, such as timm:vit_small_patch16_224.augreg_in1k; "
                f"{clip(words)} came."
            )
        return Reference("timm", name)
    name = name if colon and kind == "zoo" else words
    if name in zoo:
        return Reference("zoo", name)
    if kind != "zoo" or not colon:
        folder = _home(words)
        if words and (_exists(folder) or "/" in words or words.startswith(".")):
            return Reference("path", str(folder))
    if colon and kind != "zoo":
        raise UnknownName(f"There is no model {clip(words)}; expected one of {FORMS}.")
    raise unknown("model", name, zoo)


def unknown(kind: str, name: str, known: Iterable[str], shown: int = 20) -> UnknownName:
    """The error for a name that is not there; long lists are cut to the nearest names."""
    options = sorted(known)
    if len(options) > shown:
        options = difflib.get_close_matches(name, options, n=3, cutoff=0.3) or options[:3]
        return UnknownName(
            f"There is no {kind} {clip(name)}; the nearest names are {', '.join(options)}."
        )
    return UnknownName.of(kind, name if len(name) <= 100 else name[:97] + "...", options)


def clip(text: str, length: int = 100) -> str:
    """A text in quotes, its middle left out where it is longer than `length`."""
    half = length // 2
    return repr(text if len(text) <= length else f"{text[:half]}...{text[-half:]}")


def _permitted(found: Reference, **permissions: bool) -> Reference:
    """A reference with other permissions, which its adapters share."""
    adapters = tuple(replace(each, **permissions) for each in found.adapters)
    return replace(found, adapters=adapters, **permissions)  # type: ignore[arg-type]


def _adapter(words: str) -> int | None:
    """Where a reference is divided into a model and its adapter; a folder may have a + in its
    name.
    """
    places = [i for i, letter in enumerate(words) if letter == "+" and 0 < i < len(words) - 1]
    if not places or _exists(_home(words.removeprefix("path:"))):
        return None
    for place in reversed(places):  # the shortest adapter that is there
        after = words[place + 1 :]
        if after.startswith(("hf:", "path:", PICKLE)) or _exists(_home(after)):
            return place
    return places[-1]


def _hub(name: str) -> Reference:
    repository, at, revision = name.partition("@")
    if not REPOSITORY.fullmatch(repository):
        raise BadInput(
            "hf:ORG/NAME[@REVISION] is expected, such as hf:openai-community/gpt2; "
            f"{clip('hf:' + name)} came."
        )
    if at and not REVISION.fullmatch(revision):
        raise BadInput(
            f"A branch, tag or commit is expected after @ in {clip('hf:' + name)}; leave @ out "
            "for the newest one."
        )
    return Reference("hf", repository, revision or None)


def _home(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # ~somebody who does not exist
        return Path(text)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long for the file system, or with a null character
        return False
