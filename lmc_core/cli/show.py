"""`lmc show MODEL`: what a model is, and which symmetries it admits."""

from __future__ import annotations

import argparse

from lmc_core.cli.models import score_words
from lmc_core.cli.output import facts, list_notes, print_json, table
from lmc_core.models.describe import describe


def run(arguments: argparse.Namespace) -> None:
    """Print one model."""
    content = describe(arguments.model)
    if arguments.json:
        return print_json(content)
    pairs = [
        ("name", content["name"]),
        ("family", f"{content['family']}: {content['sentence']}"),
        ("paper", content["paper"]),
        ("sizes", ", ".join(f"{name} {value}" for name, value in content["sizes"].items())),
        ("parameters", f"{content['parameters']:,}"),
        ("task", content["task"] or "not said by a card"),
        *[(split, score_words(score)) for split, score in content["scores"].items()],
        ("digest", content["digest"]),
        *list_notes(content["notes"]),
    ]
    print(facts(pairs))
    print()
    for space in content["spaces"]:
        number = (
            f"{space['spaces']} of size {space['size']}"
            if space["spaces"] > 1
            else f"size {space['size']}"
        )
        print(f"{space['kind']}: {space['largest']} ({number}), because {space['reason']}.")
    total = content["dimension"]["total"]
    print(
        f"\nDirections of the parameters that no output sees: {total:,} of "
        f"{content['parameters']:,}."
    )
    print(
        table(
            ("from", "dimension"),
            [(what, f"{number:,}") for what, number in content["dimension"]["of"].items()],
            left=1,
        )
    )
