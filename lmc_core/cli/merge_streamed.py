"""`lmc merge A B --method ties --frame none --out DIR` of models that are large: merged parameter
by parameter, without being held and without being measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from lmc_core.analysis.memory import require_room
from lmc_core.cli.arguments import STAND_INS
from lmc_core.cli.options import Setting
from lmc_core.cli.output import facts, list_notes, print_json
from lmc_core.cli.progress import ProgressBar
from lmc_core.merging.methods import MERGES
from lmc_core.merging.streamed import estimate_streamed, is_large, write_streamed_merge
from lmc_core.models.load import load
from lmc_core.numbers import size
from lmc_core.progress import part
from lmc_core.runs.inputs import make_stamp


def streams(arguments: argparse.Namespace, method: str, frame: str) -> bool:
    """Whether the models are too large to be held, and neither the frame nor the way to merge
    needs that; says so where only these do.
    """
    references = [*arguments.models, *([] if arguments.base in STAND_INS else [arguments.base])]
    if not is_large(references):
        return False
    if frame != "none" or MERGES[method].chooses is not None:
        what = "aligned" if frame != "none" else "measured to choose among them"
        print(f"These models are large, and held whole because they are {what}.", file=sys.stderr)
        return False
    return True


def write_streamed(
    arguments: argparse.Namespace, method: str, settings: Mapping[str, Setting]
) -> None:
    """Merge and write parameter by parameter, and print what was done."""
    out: Path = arguments.out.absolute()
    with ProgressBar() as bar:
        bar.report(0.0, "reading")
        models = [load(each, lazy=True) for each in arguments.models]
        named = arguments.base not in STAND_INS
        ancestor = load(arguments.base, lazy=True) if named else None
        memory = estimate_streamed(models, ancestor, method)
        require_room(memory, "Merging these models")
        words = f"merged parameter by parameter in about {size(memory)} of memory; not measured"
        bar.report(0.0, words)
        if out.is_dir():
            out.rmdir()  # it is empty
        stamp = make_stamp()
        card = write_streamed_merge(
            models,
            out,
            method,
            weights=arguments.weights or (),
            ancestor=ancestor,
            stand_in="mean" if named else arguments.base,
            settings=settings,
            dtype=arguments.dtype,
            about={"versions": stamp["versions"], "date": stamp["date"]},
            progress=part(bar.report, words=words),
        )
    notes = [note for model in models for note in model.notes]
    if arguments.json:
        return print_json({**card, "notes": notes, "memory": memory, "out": str(out)})
    written = cast(Mapping[str, str], card["written"])
    pairs = [
        ("models", ", ".join(model.name for model in models)),
        *list_notes(notes),
        ("merged", f"{MERGES[method].title}, parameter by parameter; nothing was measured"),
        ("memory", f"at most about {size(memory)}"),
        ("type", written["dtype"]),
        ("written", str(out)),
    ]
    print(facts(pairs))
