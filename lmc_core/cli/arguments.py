"""What can be typed after `lmc`: the parser, built from the standard library alone."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from lmc_core.cli.merge_arguments import add_arguments as merge_arguments
from lmc_core.cli.plane_arguments import add_arguments as plane_arguments
from lmc_core.cli.report import add_arguments as report
from lmc_core.errors import BadInput
from lmc_core.models.references import allowing_pickle

MODEL = (
    "a zoo name (see `lmc models`), hf:ORG/NAME[@REVISION], timm:NAME[.TAG], or a folder with config.json and "
    "model.safetensors, also as path:FOLDER"
)
PICKLE = "read weights from .bin, .pt and .pth files where there are no safetensors; for sources you trust"
TASK = (
    "what to measure on: austen, fashion-mnist, plays, text:FILE, images:FOLDER (one folder per class) or "
    "hf-dataset:NAME[:SPLIT] (default: what both were trained on)"
)
CLASS = (
    "class of one kind of space: residual, units, heads, query-key or value-output = none, permutation, orthogonal or "
    "invertible; repeatable. all=CLASS lowers every space to at most CLASS. What is left out gets its largest class"
)
READ_ONLY = "open the app for an audience: it shows what is stored, starts nothing and changes nothing"
EXAMPLES = """examples:
  lmc                                             open the app
  lmc barrier vit-fashion-s0 vit-fashion-s1       align, then measure the loss along the line
  lmc barrier vit-fashion-s0 vit-fashion-s1 --method learned --set seconds=60
  lmc barrier gpt2-plays-s0 gpt2-plays-s1 --class all=permutation --json
  lmc barrier ./gpt2-a ./gpt2-b --task text:letters.txt --length 256 --examples 64 --seed 1
  lmc align vit-fashion-s0 vit-fashion-s1 --out aligned
  lmc group vit-fashion-s0 vit-fashion-s1 vit-fashion-s2 --set seconds=300
  lmc merge vit-fashion-s0 vit-fashion-s1 --method ties --frame universe --set density=0.5 --out merged
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are ordinary ones."""

    def error(self, message: str) -> NoReturn:
        """Raise `BadInput` in place of printing the usage and leaving."""
        raise BadInput(f"{message}.\nSee `{self.prog} --help`.")


def class_choice(text: str) -> tuple[str, str]:
    """Split SPACE=CLASS."""
    space, equals, chosen = text.partition("=")
    if not (space and equals and chosen):
        raise argparse.ArgumentTypeError(f"expected SPACE=CLASS, such as residual=orthogonal; {text!r} came")
    return space.strip(), chosen.strip()


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Turn arguments into a namespace whose `command` is set; no arguments mean `app`.

    Raises:
        BadInput: for arguments that make no sense.
        SystemExit: after --help and --version.
    """
    parser = Parser(
        prog="lmc",
        description="See the loss landscape between two transformers, and what their symmetries do to it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"lmc {version('lmc-explorer')}")
    parser.add_argument("--read-only", action="store_true", dest="audience", help=READ_ONLY)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def command(name: str, sentence: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=sentence, description=sentence, allow_abbrev=False)

    app = command("app", "Open the app in the browser (what `lmc` alone does).")
    app.add_argument("--port", type=int, help="port on 127.0.0.1; the first free one from 8501 when left out")
    app.add_argument("--no-browser", action="store_true", help="print the address only")
    app.add_argument("--read-only", action="store_true", help=READ_ONLY)

    models = command("models", "List the shipped models, or public ones to fetch.")
    models.add_argument("--public", action="store_true", help="list public families of independently trained models")
    models.add_argument("--json", action="store_true", help="print a list of objects")

    methods = command("methods", "List the ways to match models, with their settings.")
    methods.add_argument("--json", action="store_true", help="print a list of objects")

    show = command("show", "Say what a model is, and which symmetries it admits.")
    show.add_argument("model", metavar="MODEL", help=MODEL)
    show.add_argument("--allow-pickle", action="store_true", help=PICKLE)
    show.add_argument("--json", action="store_true", help="print one object")

    align = command("align", "Move models into the coordinates of the first and write them as ordinary checkpoints.")
    _pair(align)
    align.add_argument("more", metavar="C", nargs="*", help="more models, for the methods reference and universe; named like A")
    _method(align, None, "weight for two models, universe for more")
    align.add_argument(
        "--out", type=Path, required=True, metavar="DIR",
        help="folder to write: B, with A in DIR/reference; of more models a folder for each, with their mean in DIR/merged",
    )  # fmt: skip
    align.add_argument("--force", action="store_true", help="replace DIR if it is not empty")
    align.add_argument("--seed", type=int, default=0, help="of the draw of examples and of learning (default: 0)")
    align.add_argument("--device", help="cpu, cuda or mps, for methods that use data (default: the best there is)")
    align.add_argument("--json", action="store_true", help="print the report as one object")

    barrier = command("barrier", "Measure the loss along the line between two models, after aligning them.")
    _pair(barrier)
    _method(barrier)
    barrier.add_argument("--split", help="train, validation or test (default: test)")
    barrier.add_argument("--examples", type=int, metavar="N", help="how many examples (default: all)")
    barrier.add_argument("--points", type=int, default=25, metavar="N", help="of the grid, ends included (default: 25)")
    barrier.add_argument("--refine", type=int, default=4, metavar="N", help="more points around the maximum (default: 4)")
    barrier.add_argument(
        "--seed", type=int, default=0, help="of the draw of examples, of masked positions and of learning (default: 0)"
    )
    barrier.add_argument(
        "--temperature", action="store_true", help="also at the softmax temperature that fits training examples best"
    )
    barrier.add_argument("--repair", action="store_true", help="renormalise in between; for networks without norms")
    barrier.add_argument("--device", help="cpu, cuda or mps (default: the best there is)")
    barrier.add_argument("--executor", default="inline", help="inline, or local: in a worker process (default: inline)")
    barrier.add_argument("--json", action="store_true", help="print one object")
    barrier.add_argument("--csv", type=Path, metavar="FILE", help="write the curve as a table")
    barrier.add_argument("--html", type=Path, metavar="FILE", help="write the figure as a page that needs nothing else")

    group = command("group", "Bring several models into one frame and measure the loss of their mean, of three the simplex.")
    group.add_argument("models", metavar="MODEL", nargs="+", help=f"two to eight; {MODEL}")
    _data(group)
    _method(group, "universe", "universe")
    group.add_argument("--split", help="train, validation or test (default: test)")
    group.add_argument("--examples", type=int, metavar="N", help="how many examples (default: all)")
    group.add_argument("--resolution", type=int, default=6, metavar="N", help="of the grid on the simplex (default: 6)")
    group.add_argument("--seed", type=int, default=0, help="of the draw of examples and of learning (default: 0)")
    group.add_argument("--device", help="cpu, cuda or mps (default: the best there is)")
    group.add_argument("--executor", default="inline", help="inline, or local: in a worker process (default: inline)")
    group.add_argument("--json", action="store_true", help="print one object")

    plane_arguments(
        command("plane", "Measure the loss on a plane through two or three models, or around one."), MODEL, _data, _method
    )
    merge_arguments(
        command("merge", "Merge several models by every method and in every frame side by side."), MODEL, _data, setting
    )

    results = command("results", "List what has been computed.")
    results.add_argument("--json", action="store_true", help="print a list of objects")
    results.add_argument("--delete", metavar="KEY", help="delete one result; the first digits of its key are enough")

    report(command("report", "Write a study as a page, a folder for a paper, or an archive; or import one."))

    train = command("train", "Train a model of the zoo again from its recipe.")
    train.add_argument("name", nargs="?", metavar="NAME", help="of the recipe; see --list")
    train.add_argument("--all", action="store_true", help="train every model of the zoo")
    train.add_argument("--list", action="store_true", help="list the recipes")
    train.add_argument("--out", type=Path, metavar="DIR", help="folder of the checkpoint (in a checkout: assets/zoo/NAME)")
    train.add_argument("--subset", action="store_true", help="train images on the shipped subset alone")
    train.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: cpu)")
    train.add_argument("--steps", type=int, metavar="N", help="optimiser steps, in place of the recipe's")
    train.add_argument("--seed", type=int, help="in place of the recipe's")
    train.add_argument("--threads", type=int, metavar="N", help="of the processor (default: all cores)")

    worker = command("worker", "Compute what is waiting in the job table; the app starts this by itself.")
    worker.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: cpu)")
    worker.add_argument("--idle", type=float, default=600.0, metavar="SECONDS", help="end after so long without a job")

    arguments = parser.parse_args(list(argv) or ["app"])
    if arguments.command is None and arguments.audience:
        arguments = parser.parse_args([*argv, "app"])
    if arguments.command is None:
        parser.error("a command is missing")
    if arguments.audience and arguments.command != "app":
        parser.error(f"--read-only is for the app; `lmc {arguments.command}` has no such option")
    if getattr(arguments, "allow_pickle", False):
        for name in {"model", "a", "b"} & vars(arguments).keys():
            setattr(arguments, name, allowing_pickle(getattr(arguments, name)))
        for name in {"models", "more"} & vars(arguments).keys():
            setattr(arguments, name, [allowing_pickle(each) for each in getattr(arguments, name)])
    return arguments


def setting(text: str) -> tuple[str, Any]:
    """Split NAME=VALUE; numbers become numbers."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, such as steps=300; {text!r} came")
    for kind in (int, float):
        try:
            return name.strip(), kind(value)
        except ValueError:
            continue
    return name.strip(), value.strip()


def _method(parser: argparse.ArgumentParser, default: str | None = "weight", words: str = "weight") -> None:
    """Arguments that say how models are aligned."""
    parser.add_argument("--method", default=default, help=f"how to align, or none; `lmc methods` lists all (default: {words})")
    parser.add_argument(
        "--set", dest="settings", type=setting, action="append", default=[], metavar="NAME=VALUE",
        help="a setting of the method, such as steps=300 or seconds=120; `lmc methods` lists them; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--learn", type=int, metavar="N", help="training examples to learn from (default: 8,000 images or 1,500 windows)"
    )


def _pair(parser: argparse.ArgumentParser) -> None:
    """Arguments that every command about two models has."""
    parser.add_argument("a", metavar="A", help=MODEL)
    parser.add_argument("b", metavar="B", help="the model that is moved; named like A")
    _data(parser)


def _data(parser: argparse.ArgumentParser) -> None:
    """Arguments about data and classes that every command about several models has."""
    parser.add_argument("--allow-pickle", action="store_true", help=PICKLE)
    parser.add_argument("--task", metavar="TASK", help=TASK)
    parser.add_argument(
        "--length", type=int, metavar="N", help="window of text, in tokens (default: the models' context, at most 128)"
    )
    parser.add_argument(
        "--class", dest="classes", type=class_choice, action="append", default=[], metavar="SPACE=CLASS", help=CLASS
    )
