"""`lmc models [--public | --families]`: what there is."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from lmc_core.cli.output import print_json, table
from lmc_core.models.catalogue import public_rows
from lmc_core.models.families import FAMILIES
from lmc_core.models.listing import listing
from lmc_core.numbers import size


def run(arguments: argparse.Namespace) -> None:
    """Print the zoo, or public families."""
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
