"""A result of any kind as what is shown of it: figure, caption, tables. One dictionary, keyed by
the request's `what`.

A kind that this version does not know still gets a caption and a table of its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import plotly.graph_objects as go

from lmc_core.equivariance.figures import panels as panels_equivariance
from lmc_core.figures import experts_words, landscape_words, panels_barrier
from lmc_core.figures import panels_groups as groups
from lmc_core.figures import panels_kinds as kinds
from lmc_core.figures.alignment_table import short_table, spaces_table
from lmc_core.figures.merge_rows import numbers_table
from lmc_core.figures.style import Theme
from lmc_core.figures.tables import Table
from lmc_core.figures.text import (
    MATCHERS,
    Result,
    classes_sentence,
    imported_sentence,
    labels_of,
    setting_of,
    version_sentence,
)
from lmc_core.numbers import estimate, number

SCALARS = 60  # numbers of an unknown kind that are shown
# what a result with other entries can raise
UNDRAWABLE = (LookupError, TypeError, ValueError, AttributeError)


class Stored(Protocol):
    """What is drawn: a result with its request and its arrays, such as `runs.result.Result`."""

    @property
    def request(self) -> dict[str, Any]:
        """The request as JSON values."""
        ...

    @property
    def result(self) -> dict[str, Any]:
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
        caption: plain text that would stand in a paper.
        summary: one row for each result.
        numbers: every number of the figure.
        alt: what the figure shows, in a sentence.
    """

    what: str
    kind: str
    title: str
    figure: go.Figure | None
    caption: str
    summary: Table
    numbers: Table
    alt: str


@dataclass(frozen=True)
class Kind:
    """How results of one kind are shown.

    Attributes:
        name: for people.
        draw: results, labels, theme, height in pixels -> figure; None for kinds without a figure of
            their own.
        caption: results, labels -> text.
        summary: results, labels -> one row for each.
        numbers: results, labels -> every number of the figure.
        headline: result -> what came out, in words and as a number.
        together: whether any number of results shares one figure.
    """

    name: str
    draw: Callable[[Sequence[Stored], Sequence[str], Theme, int | None], go.Figure] | None
    caption: Callable[[Sequence[Stored], Sequence[str]], str]
    summary: Callable[[Sequence[Stored], Sequence[str]], Table]
    numbers: Callable[[Sequence[Stored], Sequence[str]], Table]
    headline: Callable[[Result], tuple[str, float | None]]
    together: bool = False


def panels_of(
    found: Sequence[Stored],
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
    names = list(labels) or labels_of([each.result for each in found])
    groups: dict[tuple[str, int], list[int]] = {}
    for index, each in enumerate(found):
        what = str(each.request.get("what", ""))
        groups.setdefault((what, -1 if kind_of(what).together else index), []).append(index)
    panels = []
    for (what, _), chosen in groups.items():
        each, called = [found[i] for i in chosen], [names[i] for i in chosen]
        try:
            panels.append(_panel(what, each, called, theme, height))
        except UNDRAWABLE:
            if strict:
                raise
            alone = [([one], [name]) for one, name in zip(each, called, strict=True)]
            panels += [
                _undrawn(what, *one) if len(alone) == 1 else _alone(what, *one, theme, height)
                for one in alone
            ]
    return panels


def _alone(
    what: str, found: Sequence[Stored], labels: Sequence[str], theme: Theme, height: int | None
) -> Panel:
    """The picture of one of several results that cannot be drawn together."""
    try:
        return _panel(what, found, labels, theme, height)
    except UNDRAWABLE:
        return _undrawn(what, found, labels)


def _undrawn(what: str, found: Sequence[Stored], labels: Sequence[str]) -> Panel:
    """A sentence in the place of the picture of one result."""
    caption = (
        f"{labels[0]}: this result was written by a newer version of LMC Explorer; update "
        "this one to see it."
    )
    table = Table.of(("Setting",), [labels])
    return Panel(
        what, kind_of(what).name, between(found[0].result), None, caption, table, table, caption
    )


def _panel(
    what: str, found: Sequence[Stored], labels: Sequence[str], theme: Theme, height: int | None
) -> Panel:
    kind = kind_of(what)
    titles = list(dict.fromkeys(between(each.result) for each in found))
    several = "pairs of models" if all(" \u2192 " in each for each in titles) else "models"
    title = titles[0] if len(titles) == 1 else f"{len(titles)} {several}"
    said = "; ".join(
        f"{name}: {headline(what, each.result)[0]}"
        for name, each in zip(labels, found, strict=True)
    )
    caption, origin = (
        kind.caption(found, labels),
        imported_sentence([each.result for each in found]),
    )
    return Panel(
        what=what,
        kind=kind.name,
        title=title,
        figure=kind.draw(found, labels, theme, height) if kind.draw else None,
        caption=caption if origin in caption else f"{caption} {origin}",
        summary=kind.summary(found, labels),
        numbers=kind.numbers(found, labels),
        alt=f"{kind.name}, {title}. {said}."[:900],
    )


def kind_of(what: str) -> Kind:
    """Return how a kind of result is shown, known or not."""
    if what in KINDS:
        return KINDS[what]
    name = what[:1].upper() + what[1:] or "Result"
    return Kind(name, None, unknown_caption, unknown_summary, unknown_numbers, _headline)


def kind_name(what: str) -> str:
    """Return what a kind of result is called for people."""
    return kind_of(what).name


def headline(what: str, result: Result) -> tuple[str, float | None]:
    """Return what came out, in words with error and unit, and as a number; a dash and None where
    that is no number.
    """
    try:
        return kind_of(what).headline(result)
    except (
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
    ):  # of an earlier version, which had other fields
        return "\u2013", None


def between(result: Result) -> str:
    """Return the models of a result in one text."""
    names = [str(name) for name in result.get("models") or ()]
    return " \u2192 ".join(names) if len(names) == 2 else ", ".join(names)


def _headline(result: Result) -> tuple[str, float | None]:
    """The barrier, the height of the centre or the loss, whichever a result has."""
    unit = str(result.get("unit", "nats")).split(" per ")[0]
    if isinstance(result.get("barrier"), int | float):
        return estimate(result["barrier"], result.get("barrier_stderr"), unit), float(
            result["barrier"]
        )
    if isinstance(result.get("centre_excess"), int | float):
        value = float(result["centre_excess"])
        return f"centre {estimate(value, result.get('centre_stderr'), unit)}", value
    if isinstance(result.get("loss"), float):
        return f"loss {estimate(result['loss'], result.get('stderr'), unit)}", result["loss"]
    return "\u2013", None


def unknown_caption(found: Sequence[Stored], labels: Sequence[str]) -> str:
    """Return what every result says of itself: models, data, method, classes, function check,
    version.
    """
    sentences = []
    for each in found:
        result = each.result
        kind = str(each.request.get("what", "")) or "a result"
        data = (
            f", on the {result.get('split')} split of {result.get('task')}"
            if result.get("task")
            else ""
        )
        count = (
            f" ({result['examples']:,} examples)" if isinstance(result.get("examples"), int) else ""
        )
        method = str(result.get("method", "none"))
        how = classes_sentence(result.get("classes"))
        sentences.append(f"{kind[:1].upper()}{kind[1:]} of {between(result)}{data}{count}.")
        if method == "none":
            sentences.append("No alignment.")
        else:
            sentences.append(
                f"{MATCHERS.get(method, method).capitalize()}{f' ({how})' if how else ''}."
            )
        if isinstance(error := result.get("function_error"), float):
            sentences.append(
                f"The alignment changed the outputs by {number(error, digits=2)} at the most "
                "(relative)."
            )
    return " ".join([*sentences, version_sentence(found[0].result if found else {})]).strip()


def unknown_summary(found: Sequence[Stored], labels: Sequence[str]) -> Table:
    """Return one row for each result with its headline."""
    rows = [
        (name, between(each.result), setting_of(each.result), _headline(each.result)[0])
        for name, each in _zip(found, labels)
    ]
    return Table.of(("Setting", "Models", "Method and classes", "Result"), rows)


def unknown_numbers(found: Sequence[Stored], labels: Sequence[str]) -> Table:
    """Return every single number of the results, by its place in the JSON."""
    rows: list[tuple[Any, ...]] = []
    for name, each in _zip(found, labels):
        rows += [(name, place, value) for place, value in _scalars(each.result)][:SCALARS]
    return Table.of(("Setting", "Name", "Value"), rows)


def _zip(found: Sequence[Stored], labels: Sequence[str]) -> list[tuple[str, Stored]]:
    return list(zip(labels, found, strict=True))


def _scalars(content: Mapping[str, Any], place: str = "") -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for name, value in content.items():
        if isinstance(value, Mapping):
            found += _scalars(value, f"{place}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((f"{place}{name}", value))
    return found


KINDS: dict[str, Kind] = {
    "barrier": Kind(
        "Barrier",
        panels_barrier.draw,
        panels_barrier.caption,
        panels_barrier.summary,
        panels_barrier.numbers,
        _headline,
        True,
    ),
    "layers": Kind(
        "Cost of each part",
        kinds.draw_layers,
        kinds.caption_layers,
        kinds.table_layers,
        kinds.table_layers,
        kinds.headline_layers,
        True,
    ),
    "alignment": Kind(
        "Alignment",
        kinds.draw_alignment,
        kinds.caption_alignment,
        kinds.one(short_table),
        kinds.one(spaces_table),
        kinds.headline_alignment,
    ),
    "plane": Kind(
        "Landscape",
        kinds.draw_plane,
        kinds.caption_plane,
        kinds.summary_plane,
        kinds.numbers_plane,
        kinds.headline_plane,
    ),
    "bend": Kind(
        "Curved paths",
        kinds.draw_bend,
        kinds.caption_bend,
        kinds.one(landscape_words.paths_table),
        kinds.numbers_bend,
        kinds.headline_bend,
    ),
    "orders": Kind(
        "Orders of experts",
        kinds.draw_orders,
        kinds.caption_orders,
        kinds.one(experts_words.named_table),
        kinds.one(experts_words.orders_table),
        kinds.headline_orders,
    ),
    "merge": Kind(
        "Merge",
        groups.draw_merge,
        groups.caption_merge,
        kinds.one(groups.summary_merge),
        kinds.one(lambda result: numbers_table([result])),
        groups.headline_merge,
    ),
    "group": Kind(
        "Several models",
        groups.draw_group,
        groups.caption_group,
        kinds.one(groups.summary_group),
        kinds.one(groups.numbers_group),
        groups.headline_group,
    ),
    "equivariance": Kind(
        "Equivariance",
        panels_equivariance.draw,
        panels_equivariance.caption,
        panels_equivariance.summary,
        panels_equivariance.numbers,
        panels_equivariance.headline,
        True,
    ),
}
