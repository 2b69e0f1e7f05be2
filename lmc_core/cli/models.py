"""`lmc models` and `lmc show MODEL`: what there is, and which symmetries it admits."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from lmc_core.cli.output import facts, print_json, table


def run(arguments: argparse.Namespace) -> None:
    """Print the zoo, or one model."""
    if arguments.command == "show":
        return show(arguments.model, arguments.json)
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


def listing() -> list[dict[str, Any]]:
    """One object per model of the zoo, in alphabetical order."""
    from lmc_core.models.families import get_family
    from lmc_core.models.load import zoo, zoo_folder

    rows = []
    for name, card in zoo().items():
        family = get_family(card["family"])
        sizes = family.sizes(family.config(json.loads((zoo_folder() / name / "config.json").read_text())))
        row = {"name": name, "reference": f"zoo:{name}", "family": family.name, "task": card["task"], "seed": card["seed"]}
        row |= {"parameters": card["parameters"], "width": sizes["width"], "sizes": sizes, "scores": card["scores"]}
        rows.append(row)
    return rows


def score_words(score: Mapping[str, Any]) -> str:
    """A measured loss with its accuracy or perplexity, in words with units."""
    if not score:
        return "not measured"
    if "perplexity" in score:
        return f"{score['loss']:.3f} nats per character, perplexity {score['perplexity']:.2f}"
    return f"{score['loss']:.3f} nats, {100 * score['accuracy']:.1f} % right"


def describe(reference: str) -> dict[str, Any]:
    """Load a model and return what `lmc show` prints, as plain values."""
    from lmc_core.models.load import load
    from lmc_core.symmetry.spaces import KINDS

    model = load(reference)
    kinds: dict[str, dict[str, Any]] = {}
    for space in model.layout.spaces.values():
        largest = {"largest": space.largest.value, "reason": space.reason, "size": space.size}
        kind = kinds.setdefault(space.kind, {"kind": space.kind, "what": KINDS[space.kind], "spaces": 0, **largest})
        kind["spaces"] += space.copies
    return {
        "name": model.name,
        "reference": reference,
        "family": model.family.name,
        "sentence": model.family.sentence,
        "paper": model.family.reference,
        "sizes": model.family.sizes(model.config),
        "parameters": model.parameters,
        "task": model.card.get("task"),
        "seed": model.card.get("seed"),
        "scores": model.card.get("scores", {}),
        "digest": model.digest,
        "spaces": list(kinds.values()),
    }


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
    ]
    print(facts(pairs))
    rows = [(s["kind"], s["largest"], s["reason"], str(s["spaces"]), str(s["size"])) for s in content["spaces"]]
    print("\n" + table(("space", "largest class", "because", "number", "size"), rows, left=3))
