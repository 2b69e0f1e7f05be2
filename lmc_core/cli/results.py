"""`lmc results`: what has been computed, and how to be rid of it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from lmc_core.cli.output import print_json, table
from lmc_core.errors import BadInput
from lmc_core.figures.panel import name_setting
from lmc_core.figures.text import barrier_words
from lmc_core.look import PRODUCT
from lmc_core.numbers import estimate
from lmc_core.runs.result import Result
from lmc_core.runs.store import Store

if TYPE_CHECKING:
    from lmc_core.runs.requests.many import ManyNumbers  # which loads what computes

KEPT = (
    "models",
    "references",
    "task",
    "split",
    "examples",
    "method",
    "classes",
    "seed",
    "barrier",
    "barrier_stderr",
    "date",
)


def run(arguments: argparse.Namespace) -> None:
    """List the store, or delete one result."""
    store = Store()
    if arguments.delete is not None:
        return delete(store, arguments.delete)
    found = store.list()
    if arguments.json:
        return print_json([_entry(result) for result in found])
    if not found:
        return print(f"Nothing has been computed yet; results will lie in {store.root}.")
    print(
        table(
            ("key", "models", "setting", "examples", "barrier", "computed (UTC)", "from"),
            [_row(e) for e in found],
            left=3,
        )
    )
    if store.foreign:
        print(
            f"{store.foreign} more {'was' if store.foreign == 1 else 'were'} written by a newer "
            f"version of {PRODUCT}."
        )


def _row(entry: Result) -> tuple[str, ...]:
    """What the table says of a result; one that a newer version made may not say all of it."""
    source = "the app" if entry.shipped else "an archive" if entry.imported else "here"
    try:
        return (
            entry.key[:12],
            " → ".join(entry.result["models"]),
            name_setting(str(entry.request["what"]), entry.result),
            str(entry.result["examples"]),
            _found(entry.result),
            entry.result["date"][:16].replace("T", " "),
            source,
        )
    except (LookupError, TypeError, ValueError, AttributeError):
        models = " → ".join(entry.result.get("models", ()))
        return (
            entry.key[:12],
            models,
            "of a newer version",
            "",
            "",
            entry.written[:16].replace("T", " "),
            source,
        )


def find_result(stored: Sequence[Result], text: str) -> Result:
    """The one result whose key begins with `text`.

    Raises:
        BadInput: if there is none, or more than one.
    """
    matching = [entry for entry in stored if text and entry.key.startswith(text.lower())]
    if len(matching) != 1:
        raise BadInput(
            f"{len(matching) or 'No'} results have a key that begins with {text!r}; `lmc results` "
            "lists the keys."
        )
    return matching[0]


def delete(store: Store, text: str) -> None:
    """Delete the one result whose key begins with `text`.

    Raises:
        BadInput: if there is none, more than one, or it came with the app.
    """
    found = find_result(store.list(), text)
    if found.shipped:
        raise BadInput(
            f"The result {found.key[:12]} came with the app and stays; only your own can be "
            "deleted."
        )
    if not store.delete(found.key):
        raise BadInput(
            f"The result {found.key[:12]} could not be deleted; check the permissions of "
            f"{store.root}."
        )
    print(f"Deleted {found.key}.")


def _found(result: Mapping[str, object]) -> str:
    """The barrier of two models, or how far the centre of several lies above them."""
    if "centre_excess" in result:
        many = cast("ManyNumbers", result)
        return f"centre {estimate(many['centre_excess'], many['centre_stderr'], many['unit'])}"
    return barrier_words(result)


def _entry(found: Result) -> dict[str, object]:
    chosen = {name: found.result.get(name) for name in KEPT}
    return {
        "key": found.key,
        **chosen,
        "shipped": found.shipped,
        "imported": found.imported,
        "folder": str(found.folder),
    }
