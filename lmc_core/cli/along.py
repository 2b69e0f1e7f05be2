"""`lmc along A B`: what changes along the path between two models besides the loss."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import cast

from lmc_core.cli.computing import (
    Run,
    announce,
    choose_classes,
    describe_windows,
    make_notes,
    require_used,
)
from lmc_core.cli.output import check_target, facts, list_notes, print_json, table
from lmc_core.errors import BadInput, UnknownName
from lmc_core.figures.along import NAMES, along_headline, along_table, label_along
from lmc_core.figures.export import figure_html, page_html
from lmc_core.figures.panel import Panel, panels
from lmc_core.figures.tables import words
from lmc_core.figures.text import origin_words
from lmc_core.numbers import describe_change, seconds
from lmc_core.runs.remembered import make_request
from lmc_core.runs.requests.along import QUANTITIES, AlongNumbers, AlongRequest, make_along_request
from lmc_core.runs.requests.barrier import BarrierRequest
from lmc_core.runs.result import Result


def run(arguments: argparse.Namespace) -> None:
    """Compute, or read from the store; then print and write what was asked for."""
    check_target(arguments.csv, "--csv")
    check_target(arguments.html, "--html")
    require_used(arguments, "leave one of them out")
    chosen = choose_quantities(arguments.quantities, arguments.other_task)
    found: list[Result] = []
    with Run(arguments) as bar:
        requests = make_requests(bar, arguments, chosen)
        announce(bar, requests)
        for number, request in enumerate(requests):
            label = f"{request.quantity}, {request.method}"
            tell = bar.part(number / len(requests), (number + 1) / len(requests), label)
            found.append(bar.compute(request, tell))
    results = [cast(AlongNumbers, each.result) for each in found]
    drawn = panels(found, label_along(results), strict=True) if arguments.html else []
    if arguments.csv is not None:
        arguments.csv.write_text(write_csv(results, chosen), encoding="utf-8")
    if arguments.html is not None:
        page = page_html("Along the path", write_body(drawn), results)
        arguments.html.write_text(page, encoding="utf-8")
    said = make_notes(results[0], (arguments.a, arguments.b))
    if arguments.json:
        print_json([{**each, "notes": said} for each in results])
    else:
        print(summarize(results, chosen, said))


def choose_quantities(text: str | None, other: str | None) -> list[str]:
    """The quantities that were asked for, in their own order; all of them by default, the other
    task where one is named.
    """
    if text is None:
        return [name for name in QUANTITIES if name != "other-task" or other is not None]
    named = [name.strip() for name in text.split(",") if name.strip()]
    for name in named:
        if name not in QUANTITIES:
            raise UnknownName.of("quantity", name, QUANTITIES)
    if not named:
        raise BadInput(f"--quantities takes names from {', '.join(QUANTITIES)}; none came.")
    if other is not None and "other-task" not in named:
        raise BadInput("--other-task is for the quantity other-task; name it, or leave it out.")
    return [name for name in QUANTITIES if name in named]


def make_requests(
    bar: Run, arguments: argparse.Namespace, quantities: Sequence[str]
) -> list[AlongRequest]:
    """One request for every quantity and setting, the plain average first."""
    classes = choose_classes(arguments.a, arguments.classes)
    shared = {
        "task": arguments.task,
        "split": arguments.split,
        "examples": arguments.examples,
        "seed": arguments.seed,
        "length": arguments.length,
        "device": arguments.device,
        "points": 3,
        "refine": 0,
    }
    bent = {"bend": arguments.bend, "bend_seconds": arguments.bend_seconds}
    alone = arguments.method == "none"
    plain: BarrierRequest = bar.make(
        make_request, arguments.a, arguments.b, method="none", **shared, **(bent if alone else {})
    )
    settings = [plain]
    if not alone:
        aligned: BarrierRequest = bar.make(
            make_request,
            arguments.a,
            arguments.b,
            method=arguments.method,
            classes=classes,
            settings=dict(arguments.settings),
            learn=arguments.learn,
            **shared,
            **bent,
        )
        settings.append(aligned)
    return [
        make_along_request(
            setting,
            quantity,
            arguments.points,
            arguments.at,
            arguments.other_task if quantity == "other-task" else None,
            arguments.curvature_examples if quantity == "sharpness" else None,
            arguments.probes,
        )
        for quantity in quantities
        for setting in settings
    ]


def write_csv(results: Sequence[AlongNumbers], quantities: Sequence[str]) -> str:
    """One row for every point of every setting; of several quantities one table after the other,
    an empty line between them.
    """
    parts = [by_quantity(results, quantity) for quantity in quantities]
    return "\n".join(along_table(part, label_along(part)).csv() for part in parts)


def by_quantity(results: Sequence[AlongNumbers], quantity: str) -> list[AlongNumbers]:
    """The results of one quantity."""
    return [each for each in results if each["quantity"] == quantity]


def write_body(drawn: Sequence[Panel]) -> str:
    """Every panel with its caption, as HTML."""
    from html import escape  # the standard library's, for the one command that writes several

    parts = []
    for number, panel in enumerate(drawn):
        assert panel.figure is not None
        figure = figure_html(panel.figure, library=number == 0, name=f"figure-{number}")
        caption = f"<figcaption>{escape(panel.caption)}</figcaption>"
        said = f"<p><strong>{escape(panel.finding)}</strong></p>"
        parts.append(f"<figure>\n{said}\n{figure}\n{caption}\n{panel.summary.html()}</figure>")
    return "\n".join(parts)


def summarize(
    results: Sequence[AlongNumbers], quantities: Sequence[str], said: Sequence[str] = ()
) -> str:
    """What was found in words, then one table for every quantity."""
    first = results[0]
    windows = describe_windows(first)
    pairs = [
        ("models", " → ".join(first["models"])),
        *list_notes(said),
        (
            "task",
            f"{first['task']}, {first['split']} split, {first['examples']:,} examples{windows}",
        ),
    ]
    errors = [each["function_error"] for each in results if each["function_error"] is not None]
    if errors:
        pairs.append(("function", describe_change(max(errors))))
    text = [facts(pairs)]
    for quantity in quantities:
        part = by_quantity(results, quantity)
        labels = label_along(part)
        found = along_table(part, labels)
        rows = [[words(cell) for cell in row] for row in found.rows]
        lines = [
            (label, f"{along_headline(each)[0]}; {seconds(each['seconds'].get('evaluate'))}")
            for label, each in zip(labels, part, strict=True)
        ]
        lines += [("key", each["key"] + origin_words(each)) for each in part]
        text.append(f"{NAMES[quantity]}\n{facts(lines)}\n\n{table(found.header, rows)}")
    return "\n\n".join(text)
