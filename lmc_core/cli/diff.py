"""`lmc diff A B`: how two checkpoints differ, from their weights alone, tensor by tensor."""

from __future__ import annotations

import argparse

from lmc_core.analysis.difference import (
    Difference,
    LayerDifference,
    TensorDifference,
    compare_weights,
)
from lmc_core.cli.output import facts, list_notes, print_json, table
from lmc_core.cli.progress import ProgressBar
from lmc_core.errors import BadInput
from lmc_core.models.load import load
from lmc_core.numbers import number


def run(arguments: argparse.Namespace) -> None:
    """Compare, and print what was found."""
    if arguments.ranks < 0:
        raise BadInput(f"--ranks should be 0 or more; {arguments.ranks} came.")
    with ProgressBar() as bar:
        bar.report(0.0, "reading")
        models = [load(each, lazy=True) for each in (arguments.a, arguments.b)]
        found = compare_weights(models[0], models[1], arguments.ranks, bar.report)
    notes = [note for model in models for note in model.notes]
    if arguments.json:
        return print_json({**found, "notes": notes})
    print(summarize(found, notes, arguments.tensors))


def summarize(found: Difference, notes: list[str], by_tensor: bool) -> str:
    """What was found, in words and as a table."""
    pairs = [
        ("models", ", ".join(found["models"])),
        *list_notes(notes),
        ("verdict", found["sentence"]),
        ("parameters", ", ".join(f"{count:,}" for count in found["parameters"])),
    ]
    if not found["tensors"]:
        return facts(pairs)
    pairs += [
        ("equal", f"{found['equal']} of {len(found['tensors'])} tensors, bit for bit"),
        ("distance", f"{number(found['distance'])} of the first model's norm"),
    ]
    head = ("tensors", "equal", "distance", "cosine", "norm of A", "norm of B")
    ranked = any("rank_shares" in layer for layer in found["layers"])
    own = ("rank of A", "rank of B", "rank of A - B") if ranked else ()
    if by_tensor:
        header = ("tensor", "shape", *head[1:], *own)
        rows = [_tensor_row(each, ranked) for each in found["tensors"]]
    else:
        header = ("layer", *head, *own)
        rows = [_layer_row(each, ranked) for each in found["layers"]]
    parts = [facts(pairs), table(header, rows, left=1)]
    if ranked:
        share = "" if by_tensor else ", as a share of the largest possible, the mean over matrices"
        parts.append(f"Effective ranks (Roy, Vetterli 2007){share}.")
    return "\n\n".join(parts)


def _tensor_row(each: TensorDifference, ranked: bool) -> list[str]:
    values = each.get("ranks", []) and [*each.get("ranks", []), each.get("rank_difference")]
    cells = [number(value) for value in values] or [""] * 3
    return [
        each["name"],
        "x".join(map(str, each["shape"])),
        "yes" if each["equal"] else "rounded" if each["equal_rounded"] else "no",
        *_numbers(each),
        *(cells if ranked else ()),
    ]


def _layer_row(each: LayerDifference, ranked: bool) -> list[str]:
    cells = [number(value, digits=2) for value in each.get("rank_shares", [])] or [""] * 3
    return [
        each["name"],
        str(each["tensors"]),
        str(each["equal"]),
        *_numbers(each),
        *(cells if ranked else ()),
    ]


def _numbers(each: LayerDifference | TensorDifference) -> list[str]:
    return [number(each["distance"]), number(each["cosine"]), *map(number, each["norms"])]
