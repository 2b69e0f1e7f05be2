"""From results to pictures: the only way for pages, studies, HTML, papers and the command line.

How results of a kind are shown is its `Picture`, which the record of the computation names. It is
loaded when a result of the kind is shown. A kind that this version does not know still gets a
caption and a table of its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from lmc_core.figures.tables import Table
from lmc_core.figures.text import (
    Result,
    classes_sentence,
    imported_sentence,
    label_results,
    label_setting,
    method_title,
    version_sentence,
)
from lmc_core.look import PRODUCT
from lmc_core.matching.methods import MANY_METHODS, METHODS
from lmc_core.numbers import estimate, number
from lmc_core.runs.computation import COMPUTATIONS, resolve

if TYPE_CHECKING:  # it loads plotly, and lists of results need only words
    import numpy as np
    import plotly.graph_objects as go

    from lmc_core.figures.style import Theme

N = TypeVar("N")
N_co = TypeVar("N_co", covariant=True)
S = TypeVar("S")

SCALARS = 60  # numbers of an unknown kind that are shown
# what a result with other entries can raise
UNDRAWABLE = (LookupError, TypeError, ValueError, AttributeError)
DASH = "\u2013"


class Stored(Protocol[N_co]):
    """What is drawn: a result with its request and its arrays, such as `runs.result.Result`."""

    @property
    def request(self) -> Mapping[str, object]:
        """The request as JSON values."""
        ...

    @property
    def result(self) -> N_co:
        """The numbers."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """The larger arrays."""
        ...


@dataclass(frozen=True)
class Panel:
    """One picture with everything that belongs to it.

    Attributes:
        what: which computation.
        kind: the same for people.
        title: the models.
        figure: None where there is nothing to draw.
        caption: how it was measured, plain text that would stand in a paper.
        summary: one row for each result.
        numbers: every number of the figure.
        alt: what the figure shows, in a sentence.
        finding: what it shows, as one sentence above the caption.
    """

    what: str
    kind: str
    title: str
    figure: go.Figure | None
    caption: str
    summary: Table
    numbers: Table
    alt: str
    finding: str = ""


def find_headline(result: Result) -> tuple[str, float | None]:
    """Return the barrier, the height of the centre or the loss, whichever a result has."""
    unit = str(result.get("unit", "nats")).split(" per ")[0]
    if isinstance(value := result.get("barrier"), int | float):
        return estimate(value, result.get("barrier_stderr"), unit), float(value)
    if isinstance(value := result.get("centre_excess"), int | float):
        return f"centre {estimate(value, result.get('centre_stderr'), unit)}", float(value)
    if isinstance(value := result.get("loss"), float):
        return f"loss {estimate(value, result.get('stderr'), unit)}", value
    return DASH, None


@dataclass(frozen=True, kw_only=True)
class Picture(Generic[N]):
    """How results of one kind are shown.

    Attributes:
        name: of the kind, for people.
        draw: results, labels, theme, height in pixels -> figure; None for kinds without a figure of
            their own.
        caption: results, labels -> text.
        summary: results, labels -> one row for each.
        numbers: results, labels -> every number of the figure.
        headline: result -> what came out, in words and as a number; by default `find_headline`.
        setting: result -> what it is called in lists; by default its method with its classes.
        labels: results of this kind alone -> what tells them apart.
        together: whether any number of results shares one figure.
        share: of these, result -> what those of one figure have in common; None where all do.
        finding: results, labels -> one sentence with numbers; by default the headline.
    """

    name: str
    draw: Callable[[Sequence[Stored[N]], Sequence[str], Theme, int | None], go.Figure] | None
    caption: Callable[[Sequence[Stored[N]], Sequence[str]], str]
    summary: Callable[[Sequence[Stored[N]], Sequence[str]], Table]
    numbers: Callable[[Sequence[Stored[N]], Sequence[str]], Table]
    headline: Callable[[N], tuple[str, float | None]] | None = None
    setting: Callable[[N], str] | None = None
    labels: Callable[[Sequence[N]], list[str]] | None = None
    together: bool = False
    share: Callable[[N], str] | None = None
    finding: Callable[[Sequence[N], Sequence[str]], str] | None = None


def one(show: Callable[[N], S]) -> Callable[[Sequence[Stored[N]], Sequence[str]], S]:
    """Show the one result of a panel."""
    return lambda found, labels: show(found[0].result)


def every(
    show: Callable[[Sequence[N], Sequence[str]], S],
) -> Callable[[Sequence[Stored[N]], Sequence[str]], S]:
    """Show the results of a panel that they share."""
    return lambda found, labels: show([each.result for each in found], labels)


def later(place: str) -> Callable[..., Any]:
    """Name a function by its place, "package.module:NAME"; it is imported when it is first called.

    Lists of results need words alone, and need not wait for what draws.
    """

    def call(*arguments: object) -> object:
        return cast("Callable[..., object]", resolve(place))(*arguments)

    return call


def find_picture(what: str) -> Picture[Any]:
    """Return how results of a kind are shown, known or not."""
    place = COMPUTATIONS.picture(what) if what in COMPUTATIONS else ""
    if place:
        return cast("Picture[Any]", resolve(place))
    return Picture(
        name=what[:1].upper() + what[1:] or "Result",
        draw=None,
        caption=_unknown_caption,
        summary=_unknown_summary,
        numbers=_unknown_numbers,
    )


def panels(
    found: Sequence[Stored[Result]],
    labels: Sequence[str] = (),
    theme: Theme = "light",
    height: int | None = None,
    strict: bool = False,
) -> list[Panel]:
    """Return the pictures of some results: those that can share an axis share one, every other has
    its own.

    A result that this version cannot draw, such as one that a newer version wrote, has a sentence
    in the place of its picture and does not keep the others from being drawn.

    Args:
        found: stored results.
        labels: of each; by default what tells them apart.
        theme: ``light``, ``dark`` or ``paper``.
        height: of a figure in pixels; by default its own.
        strict: raise whatever keeps a result from being drawn.
    """
    names = list(labels) or label_stored(found)
    shared: dict[tuple[str, str], list[int]] = {}
    for index, each in enumerate(found):
        what = _what(each)
        shared.setdefault((what, _find_place(what, each.result, index)), []).append(index)
    made: list[Panel] = []
    for (what, _), chosen in shared.items():
        each, called = [found[i] for i in chosen], [names[i] for i in chosen]
        try:
            made.append(_panel(what, each, called, theme, height))
        except UNDRAWABLE:
            if strict:
                raise
            for one_of, name in zip(each, called, strict=True):
                made.append(_alone(what, one_of, name, theme, height, len(each) > 1))
    return made


def label_stored(found: Sequence[Stored[Result]]) -> list[str]:
    """Return a label for each result: what tells them apart."""
    results, kinds = [each.result for each in found], {_what(each) for each in found}
    if len(kinds) == 1 and (own := find_picture(*kinds).labels):
        return own(results)
    return label_results(results, [name_setting(_what(each), each.result) for each in found])


def name_setting(what: str, result: Result) -> str:
    """Return what the setting of a result is called in lists."""
    if str(result.get("method", "none")) in ("none", *METHODS, *MANY_METHODS):
        return label_setting(result)  # without loading how it is drawn
    return (find_picture(what).setting or label_setting)(result)


def kind_name(what: str) -> str:
    """Return what a kind of result is called for people."""
    return find_picture(what).name


def headline(what: str, result: Result) -> tuple[str, float | None]:
    """Return what came out, in words with error and unit, and as a number; a dash and None where
    that is no number.
    """
    try:
        return (find_picture(what).headline or find_headline)(result)
    except UNDRAWABLE:  # of an earlier version, which had other fields
        return DASH, None


def between(result: Result) -> str:
    """Return the models of a result in one text."""
    names = [str(name) for name in result.get("models") or ()]
    return (" \u2192 " if len(names) == 2 else ", ").join(names)


def _find_place(what: str, result: Result, index: int) -> str:
    """Which figure a result is drawn in: one for all of a kind, one for those that have something
    in common, or its own.
    """
    picture = find_picture(what)
    if not picture.together:
        return str(index)
    try:
        return "all" if picture.share is None else f"all {picture.share(result)}"
    except UNDRAWABLE:
        return str(index)


def _what(each: Stored[Result]) -> str:
    return str(each.request.get("what", ""))


def _alone(
    what: str, each: Stored[Result], label: str, theme: Theme, height: int | None, again: bool
) -> Panel:
    """The picture of one of several results that cannot be drawn together (`again`), or a sentence
    in its place.
    """
    try:
        if again:
            return _panel(what, [each], [label], theme, height)
    except UNDRAWABLE:
        pass
    caption = (
        f"{label}: this result was written by a newer version of {PRODUCT}; update this one to "
        "see it."
    )
    table = Table.of(("Setting",), [[label]])
    title = between(each.result)
    return Panel(what, kind_name(what), title, None, caption, table, table, caption)


def _panel(
    what: str,
    found: Sequence[Stored[Result]],
    labels: Sequence[str],
    theme: Theme,
    height: int | None,
) -> Panel:
    picture = find_picture(what)
    titles = list(dict.fromkeys(between(each.result) for each in found))
    several = "pairs of models" if all(" \u2192 " in each for each in titles) else "models"
    title = titles[0] if len(titles) == 1 else f"{len(titles)} {several}"
    said = "; ".join(
        f"{name}: {headline(what, each.result)[0]}" for name, each in _zip(found, labels)
    )
    caption = picture.caption(found, labels)
    origin = imported_sentence([each.result for each in found])
    return Panel(
        what=what,
        kind=picture.name,
        title=title,
        figure=picture.draw(found, labels, theme, height) if picture.draw else None,
        caption=caption if origin in caption else f"{caption} {origin}",
        summary=picture.summary(found, labels),
        numbers=picture.numbers(found, labels),
        alt=f"{picture.name}, {title}. {said}."[:900],
        finding=_finding(what, found, labels),
    )


def _finding(what: str, found: Sequence[Stored[Result]], labels: Sequence[str]) -> str:
    """What a panel shows, in one sentence; of kinds that say none of their own the headline."""
    if own := find_picture(what).finding:
        return own([each.result for each in found], labels)
    words = headline(what, found[0].result)[0]
    return f"{words[:1].upper()}{words[1:]}." if len(found) == 1 and words != DASH else ""


def _unknown_caption(found: Sequence[Stored[Result]], labels: Sequence[str]) -> str:
    """Return what every result says of itself: models, data, method, classes, function check,
    version.
    """
    sentences = []
    for each in found:
        result, kind = each.result, _what(each) or "a result"
        data = (
            f", on the {result.get('split')} split of {result['task']}"
            if result.get("task")
            else ""
        )
        known = isinstance(result.get("examples"), int)
        count = f" ({result['examples']:,} examples)" if known else ""
        method, how = str(result.get("method", "none")), classes_sentence(result.get("classes"))
        sentences.append(f"{kind[:1].upper()}{kind[1:]} of {between(result)}{data}{count}.")
        if method == "none":
            sentences.append("No alignment.")
        else:
            title = method_title(method).capitalize()
            sentences.append(f"{title}{f' ({how})' if how else ''}.")
        if isinstance(error := result.get("function_error"), float):
            sentences.append(
                f"The alignment changed the outputs by {number(error, digits=2)} at the most "
                "(relative)."
            )
    return " ".join([*sentences, version_sentence(found[0].result if found else {})]).strip()


def _unknown_summary(found: Sequence[Stored[Result]], labels: Sequence[str]) -> Table:
    """Return one row for each result with its headline."""
    rows = [
        (name, between(each.result), label_setting(each.result), find_headline(each.result)[0])
        for name, each in _zip(found, labels)
    ]
    return Table.of(("Setting", "Models", "Method and classes", "Result"), rows)


def _unknown_numbers(found: Sequence[Stored[Result]], labels: Sequence[str]) -> Table:
    """Return every single number of the results, by its place in the JSON."""
    rows: list[tuple[str, str, float]] = []
    for name, each in _zip(found, labels):
        rows += [(name, place, value) for place, value in _scalars(each.result)][:SCALARS]
    return Table.of(("Setting", "Name", "Value"), rows)


def _zip(found: Sequence[Stored[N]], labels: Sequence[str]) -> list[tuple[str, Stored[N]]]:
    return list(zip(labels, found, strict=True))


def _scalars(content: Mapping[str, object], place: str = "") -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for name, value in content.items():
        if isinstance(value, Mapping):
            found += _scalars(value, f"{place}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((f"{place}{name}", value))
    return found
