"""`lmc models` and `lmc show MODEL`: what there is, and which symmetries it admits."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from lmc_core.cli.output import facts, print_json, table


def run(arguments: argparse.Namespace) -> None:
    """Print the zoo, or one model."""
    if arguments.command == "show":
        return show(arguments.model, arguments.json)
    from lmc_core.models.describe import listing

    rows = listing()
    if arguments.json:
        return print_json(rows)
    if not rows:
        return print("No model is shipped with this installation; `lmc train --list` names the recipes.")
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


def score_words(score: Mapping[str, Any]) -> str:
    """A measured loss with its accuracy or perplexity, in words with units."""
    if not score:
        return "not measured"
    if "perplexity" in score:
        return f"{score['loss']:.3f} nats per character, perplexity {score['perplexity']:.2f}"
    return f"{score['loss']:.3f} nats, {100 * score['accuracy']:.1f} % right"


def show(reference: str, as_json: bool) -> None:
    """Print one model."""
    from lmc_core.models.describe import describe

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
    ]
    print(facts(pairs))
    rows = [(s["kind"], s["largest"], s["reason"], str(s["spaces"]), str(s["size"])) for s in content["spaces"]]
    print("\n" + table(("space", "largest class", "because", "number", "size"), rows, left=3))
