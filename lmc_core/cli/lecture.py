"""`lmc lecture`: write the lecture as one HTML file, or list its steps."""

from __future__ import annotations

import argparse

from lmc_core.cli.output import check_target, print_json, table
from lmc_core.lecture.deck import lecture_html
from lmc_core.lecture.slides import slide_of
from lmc_core.lecture.steps import STEPS


def run(arguments: argparse.Namespace) -> None:
    """Write the file that was asked for; say what the lecture is."""
    check_target(arguments.html, "--html")
    if arguments.html is not None:
        arguments.html.write_text(lecture_html(), encoding="utf-8")
    steps = []
    for step in STEPS:
        numbers = slide_of(step).numbers
        answers = [act.said(numbers) for act in step.acts]
        steps.append({"name": step.name, "question": step.question, "answers": answers})
    if arguments.json:
        file = None if arguments.html is None else str(arguments.html)
        print_json({"steps": steps, "html": file})
        return
    rows = [(str(k), step.name, step.question) for k, step in enumerate(STEPS, 1)]
    print(table(("", "slide", "question"), rows))
    if arguments.html is None:
        print("\nlmc lecture --html FILE writes it as one page that needs nothing else.")
    else:
        print(f"\n{arguments.html}: open it in a browser; ? shows the keys.")
