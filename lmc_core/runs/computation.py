"""The kinds of computation: what is asked for, how it is computed, what it costs, what follows from
its arrays.

One kind is one record, `Computation`; `COMPUTATIONS` holds all of them by name. Those that ship are
named, not imported, until one is needed: a page that only reads results loads no torch. Another
package adds its own with `COMPUTATIONS.add`.

A number that is shown follows from the curve that is shown with it. A result that was computed here
by today's formulas says so in its manifest and is believed. What was written by other formulas is
recomputed when it is read, and what comes out of an archive when it is imported, whatever its
manifest says. Entries that no array determines (seconds, what a matcher reports, curves whose
losses of single examples are not kept) stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, cast

import numpy as np

from lmc_core.errors import BadInput, LmcError, UnknownName
from lmc_core.progress import Progress
from lmc_core.registry import resolve
from lmc_core.runs.request import Request, RequestJson
from lmc_core.runs.result import Result, digest, read_names, rename_data

SUMMARY = 2  # raised whenever a `summarize` is added or computes something otherwise
# relative and absolute differences that rounding explains; arrays are float32
CLOSE, NEAR = 1e-6, 1e-7
# what arrays that do not fit can raise
Misfit = (LmcError, LookupError, TypeError, ValueError, RuntimeError, AttributeError)
MOST_KNOWN = 256

R = TypeVar("R", bound=Request)
N = TypeVar("N", bound=Mapping[str, object])
Arrays = Mapping[str, np.ndarray]
Entries = Mapping[str, object]  # some entries of a result, by name

_KNOWN: dict[tuple[str, str], Entries] = {}  # (folder, digest of the manifest) -> entries


@dataclass(frozen=True)
class Workload:
    """What the work of a request depends on besides the request.

    Attributes:
        parameters: of the largest of the models.
        examples: that are measured on.
        parts: of the network, each of which is averaged alone.
        orders: of experts that are measured.
        there: points that were measured already; None where nobody looked.
    """

    parameters: int
    examples: int
    parts: int = 0
    orders: int = 0
    there: int | None = None


@dataclass(frozen=True)
class Computation(Generic[R, N]):
    """One kind of computation.

    Attributes:
        what: its name, the entry ``what`` of its requests.
        request: class of its requests.
        compute: a request, a progress (which may raise `Cancelled`), and whether intermediates that
            earlier runs left on disk are made again -> the numbers as plain values, and arrays.
        title: its name for people.
        passes: forward passes over every example; None where only finished runs tell.
        summarize: the entries that follow from the arrays; None where none do.
        rename: the numbers with the names of other models in every place that this kind alone has:
            called with the numbers, the names before, and the names now; None where there is none.
        picture: place of its `figures.panel.Picture`, "package.module:NAME"; "" where it has none.
        early: whether a run that learns nothing keeps a first answer after seconds, and goes on
            from what it has kept.
    """

    what: str
    request: type[R]
    compute: Callable[[R, Progress, bool], tuple[N, Arrays]]
    title: str = ""
    passes: Callable[[R, Workload], float] | None = None
    summarize: Callable[[RequestJson, N, Arrays], Entries] | None = None
    rename: Callable[[N, Sequence[str], Sequence[str]], N] | None = None
    picture: str = ""
    early: bool = False


@dataclass(frozen=True)
class Shipped:
    """A kind that ships, before it is needed.

    Attributes:
        title: see `Computation`.
        place: of the record, "package.module:NAME".
        picture: see `Computation`.
    """

    title: str
    place: str
    picture: str = ""


class Computations:
    """The kinds of computation by name, in order."""

    def __init__(self, shipped: Mapping[str, Shipped]):
        self._known: dict[str, Shipped | Computation[Any, Any]] = dict(shipped)

    def add(self, computation: Computation[Any, Any], replace: bool = False) -> None:
        """Add a kind; its requests can then be run, stored, listed and drawn.

        Args:
            computation: the new kind.
            replace: whether it may take the place of another of that name.

        Raises:
            BadInput: the name is taken.
        """
        if computation.what in self._known and not replace:
            raise BadInput(
                f"There is a computation {computation.what!r} already; choose another name."
            )
        self._known[computation.what] = computation

    def remove(self, what: str) -> None:
        """Take a kind out."""
        del self._known[what]

    def __getitem__(self, what: str) -> Computation[Any, Any]:
        """The kind of that name, imported if it was not yet.

        Raises:
            UnknownName: there is none.
        """
        found = self._entry(what)
        if isinstance(found, Shipped):
            record = cast("Computation[Any, Any]", resolve(found.place))
            found = replace(record, title=found.title, picture=found.picture)
            self._known[what] = found
        return found

    def title(self, what: str) -> str:
        """What a kind is called, without importing it."""
        return self._entry(what).title or what

    def picture(self, what: str) -> str:
        """Where the picture of a kind is, without importing it; "" where it has none."""
        return self._entry(what).picture

    def _entry(self, what: str) -> Shipped | Computation[Any, Any]:
        if what not in self._known:
            raise UnknownName.of("computation", what, self._known)
        return self._known[what]

    def __contains__(self, what: object) -> bool:
        return what in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def _shipped(title: str, module: str, picture: str = "") -> Shipped:
    picture = picture and f"lmc_core.{picture}:PICTURE"
    return Shipped(title, f"lmc_core.{module}:COMPUTATION", picture)


COMPUTATIONS = Computations(
    {
        "barrier": _shipped("Barrier", "runs.requests.barrier", "figures.barrier"),
        "layers": _shipped("Cost of each part", "runs.requests.layers", "figures.layers"),
        "along": _shipped("Along the path", "runs.requests.along", "figures.along"),
        "alignment": _shipped("Alignment", "runs.requests.alignment", "figures.alignment"),
        "plane": _shipped("Landscape", "runs.requests.plane", "figures.landscape"),
        "point": _shipped("Point of a landscape", "runs.requests.point"),
        "bend": _shipped("Curved paths", "runs.requests.bend", "figures.bend"),
        "orders": _shipped("Orders of experts", "runs.requests.orders", "figures.orders"),
        "merge": _shipped("Merge", "runs.requests.merge", "figures.merge"),
        "transport": _shipped(
            "Carried fine-tuning", "runs.requests.transport", "figures.transport"
        ),
        "group": _shipped("Several models", "runs.requests.many", "figures.matrix"),
        "equivariance": _shipped(
            "Equivariance", "equivariance.numbers", "equivariance.figures.picture"
        ),
    }
)


def request_from_json(content: Mapping[str, object]) -> Request:
    """Return the request that was written with `to_json`.

    Raises:
        UnknownName: it is of no known kind.
        TypeError: it has other entries than this version's.
    """
    return COMPUTATIONS[str(content.get("what"))].request.from_json(content)


def summarize(request: Mapping[str, object], numbers: Entries, arrays: Arrays) -> Entries:
    """Return the entries of a result that follow from its arrays; empty for a kind that has none.

    Args:
        request: as JSON values; says the kind.
        numbers: of the result; they say which points the arrays belong to.
        arrays: by name.

    Raises:
        Misfit: the arrays are not those of such a result.
    """
    what = str(request.get("what"))
    if what not in COMPUTATIONS or not arrays:
        return {}
    follows = COMPUTATIONS[what].summarize
    return {} if follows is None else follows(cast(RequestJson, request), numbers, arrays)


def restate(found: Result) -> Result:
    """Return a result whose summary follows from its arrays by today's formulas.

    What an earlier version wrote in another form, so that it cannot be recomputed, is returned as
    it is.

    Raises:
        StoreError: the result was deleted meanwhile.
    """
    if found.summary == SUMMARY or str(found.request.get("what")) not in COMPUTATIONS:
        return found
    try:
        mark = str(found.folder), digest((found.folder / "manifest.json").read_bytes())
    except OSError:  # deleted meanwhile
        return found
    if mark not in _KNOWN:
        while len(_KNOWN) >= MOST_KNOWN:
            _KNOWN.pop(next(iter(_KNOWN)), None)
        arrays = found.arrays()
        try:
            _KNOWN[mark] = summarize(found.request, found.result, arrays)
        except Misfit:
            _KNOWN[mark] = {}
    return replace(found, result={**found.result, **_KNOWN[mark]})


def named_as(found: Result, asked: Mapping[str, object], inside: bool = True) -> Result:
    """Return a result under the names of another request of the same key.

    Names are not part of a key: equal weights in two folders, or one text under two names, are one
    request and one result, and whoever asks second must not read the names of whoever asked first.
    The files stay as they are; what is read of them is renamed, model by model in the order of the
    request, never by looking for an old name in the text, which could stand for anything.

    Args:
        found: as it is stored.
        asked: the request as JSON values, or those of `result.NAMES` alone.
        inside: whether also in the places that its kind alone has; without, no kind is imported.
    """
    old, new = read_names(found.request), read_names(asked)
    if old is None or new is None or old == new or len(old["names"]) != len(new["names"]):
        return found
    request = {**found.request, **new}
    if not found.request.get("data"):  # a shipped task has one name
        request["task"] = old["task"]
    return replace(
        found, request=request, result=rename(found.result, request, old["task"], inside)
    )


def rename(
    numbers: Mapping[str, Any],
    request: Mapping[str, object],
    before: str | None = None,
    inside: bool = True,
) -> dict[str, Any]:
    """Return the numbers of a result with the names of a request in every place where they name a
    model or its data.

    Args:
        numbers: of a result, or what a run has of them before it is done.
        request: that answers the same key.
        before: reference of the data that the result was computed with; by default that of the
            request.
        inside: see `named_as`.
    """
    new, content = read_names(request), dict(numbers)
    if new is None or not isinstance(content.get("models"), list):
        return content
    count = len(content["models"])
    before_names, names = [*content["models"]], new["names"]
    content |= {"models": names[:count], "references": new["models"][:count]}
    if content.get("data"):
        content = rename_data(content, before or new["task"], new["task"])
    what = str(request.get("what"))
    further = COMPUTATIONS[what].rename if inside and what in COMPUTATIONS else None
    return content if further is None else dict(further(content, before_names, names))


def contradicts(said: Entries, follows: Entries) -> list[str]:
    """Return the entries that a result states otherwise than its arrays do, by more than rounding;
    what is absent is not.
    """
    return [
        name for name, value in follows.items() if name in said and not _alike(said[name], value)
    ]


def _alike(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return all(_alike(one[name], value) for name, value in other.items() if name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_alike(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=CLOSE, abs_tol=NEAR) or (
            one != one and other != other
        )
    return one == other
