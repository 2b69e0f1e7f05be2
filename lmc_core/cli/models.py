"""`lmc models [--public | --families]` and `lmc show MODEL`: what there is, and which symmetries it
admits.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from lmc_core.cli.output import facts, list_notes, print_json, table
from lmc_core.models.catalogue import public_rows
from lmc_core.models.describe import describe, listing
from lmc_core.models.families import FAMILIES
from lmc_core.numbers import size


def run(arguments: argparse.Namespace) -> None:
    """Print the zoo, public families, or one model."""
    if arguments.command == "show":
        return show(arguments.model, arguments.json)
    if arguments.families:
        return show_families(arguments.json)
    if arguments.public:
        return show_public(arguments.json)
    rows = listing()
    if arguments.json:
        return print_json(rows)
    if not rows:
        return print(
            "No model is shipped with this installation; `lmc train --list` names the recipes."
        )
    header = ("name", "family", "task", "seed", "width", "depth", "parameters", "test")
    lines = [
        [
            *(str(row[key]) for key in ("name", "family", "task", "seed", "width")),
            str(row["sizes"]["depth"]),
            f"{row['parameters']:,}",
            score_words(row["scores"].get("test", {})),
        ]
        for row in rows
    ]
    print(table(header, lines, left=3))


def show_families(as_json: bool) -> None:
    """Print the families of models that are supported, and the classes of each."""
    if as_json:
        rows = [
            {"name": name, "sentence": each.sentence, "classes": each.classes}
            for name, each in sorted(FAMILIES.items())
        ]
        return print_json(rows)
    for name, family in sorted(FAMILIES.items()):
        print(f"{name}: {family.sentence}")
        if family.classes:
            print(f"  {', '.join(family.classes)}")


FORMATS = {True: "needs --allow-pickle", False: "safetensors", None: "may need --allow-pickle"}


def show_public(as_json: bool) -> None:
    """Print the public families of independently trained models."""
    rows = public_rows()
    if as_json:
        return print_json(rows)
    header = (
        "name",
        "family",
        "format",
        "models",
        "parameters",
        "download of each",
        "memory for a pair",
    )
    lines = [
        [
            row["name"],
            row["family"] or "not supported",
            FORMATS[row["pickle"]],
            str(row["models"]),
            f"{row['parameters']:,}",
            size(row["bytes"]),
            size(row["memory"]),
        ]
        for row in rows
    ]
    print(table(header, lines, left=3))
    for row in rows:
        first, last = row["references"][:3], row["references"][3:]
        print(
            f"\n{row['name']}: {row['sentence']}\n  "
            f"{', '.join(first)}{', ... ' + last[-1] if last else ''}\n  {row['source']}"
        )
        seen = "" if row["verified"] else "; the models' own files could not be compared here"
        print(f"  Configuration: {row['config_source']}{seen}.")
    print(
        "\nA download is about the weights in float32, or half of that; each model is fetched "
        "once, into the hub's own cache."
    )


def score_words(score: Mapping[str, float | None]) -> str:
    """A measured loss with its accuracy or perplexity, in words with units."""
    if not score:
        return "not measured"
    loss, perplexity, accuracy = (score.get(name) for name in ("loss", "perplexity", "accuracy"))
    words = "loss not measured" if loss is None else f"{loss:.3f} nats"
    if perplexity is not None:
        return f"{words} per character, perplexity {perplexity:.2f}"
    return words if accuracy is None else f"{words}, {100 * accuracy:.1f} % right"


def show(reference: str, as_json: bool) -> None:
    """Print one model."""
    content = describe(reference)
    if as_json:
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
