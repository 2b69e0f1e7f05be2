"""What can be typed after `lmc`: the parser, built from the standard library alone."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from lmc_core.cli.equivariance import add_arguments as equivariance_arguments
from lmc_core.cli.merge_arguments import STAND_INS
from lmc_core.cli.merge_arguments import add_arguments as merge_arguments
from lmc_core.cli.plane_arguments import add_arguments as plane_arguments
from lmc_core.cli.report import add_arguments as report
from lmc_core.cli.shared_arguments import (
    FRESH,
    MODEL,
    add_data,
    add_dtype,
    add_method,
    add_pair,
    add_permissions,
    decimal,
    setting,
    whole,
)
from lmc_core.errors import BadInput
from lmc_core.models.files.references import allowing_pickle, ignoring_extra

READ_ONLY = (
    "open the app for an audience: it shows what is stored, starts nothing and changes nothing"
)
HOST = (
    "also answer browsers that see the app at this address: NAME, NAME:PORT or "
    "https://NAME[:PORT], such as that of a proxy "
    "(which must pass on the header Host) or 127.0.0.1:9000 at the near end of a tunnel; "
    "repeatable, also LMC_HOSTS=NAME,NAME. "
    "All others are refused, so that no foreign page can reach it"
)
EXAMPLES = """examples:
  lmc                                             open the app
  lmc barrier vit-fashion-s0 vit-fashion-s1       align, then measure the loss along the line
  lmc barrier vit-fashion-s0 vit-fashion-s1 --method learned --set seconds=60
  lmc barrier gpt2-plays-s0 gpt2-plays-s1 --class all=permutation --json
  lmc barrier ./gpt2-a ./gpt2-b --task text:letters.txt --length 256 --examples 64 --seed 1
  lmc align vit-fashion-s0 vit-fashion-s1 --out aligned
  lmc group vit-fashion-s0 vit-fashion-s1 vit-fashion-s2 --set seconds=300
  lmc merge vit-fashion-s0 vit-fashion-s1 --method ties --frame universe --set density=0.5 --out merged
  lmc equivariance --kind broken --form resilient --price 0.3
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are ordinary ones."""

    def error(self, message: str) -> NoReturn:
        """Raise `BadInput` in place of printing the usage and leaving."""
        raise BadInput(f"{message}.\nSee `{self.prog} --help`.")


def _app(parser: argparse.ArgumentParser) -> None:
    """Arguments of the app."""
    parser.add_argument(
        "--port", type=whole, help="port on 127.0.0.1; the first free one from 8501 when left out"
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address only")
    parser.add_argument("--read-only", action="store_true", help=READ_ONLY)
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME", help=HOST)


def _models(parser: argparse.ArgumentParser) -> None:
    """Arguments of lists of models."""
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--public", action="store_true", help="list public families of independently trained models"
    )
    kinds.add_argument(
        "--families",
        action="store_true",
        help="list the families that are supported, with their classes",
    )
    parser.add_argument("--json", action="store_true", help="print a list of objects")


def _methods(parser: argparse.ArgumentParser) -> None:
    """Arguments of lists of methods."""
    parser.add_argument("--json", action="store_true", help="print a list of objects")


def _show(parser: argparse.ArgumentParser) -> None:
    """Arguments of what is said of one model."""
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    add_permissions(parser)
    parser.add_argument("--json", action="store_true", help="print one object")


def _align(parser: argparse.ArgumentParser) -> None:
    """Arguments of writing aligned models."""
    add_pair(parser)
    parser.add_argument(
        "more",
        metavar="C",
        nargs="*",
        help="more models, for the methods reference and universe; named like A",
    )
    add_method(parser, None, "weight for two models, universe for more", none=False)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder to write: B, with A in DIR/reference; of more models a folder for each, with "
        "their mean in DIR/merged",
    )
    parser.add_argument("--force", action="store_true", help="replace DIR if it is not empty")
    add_dtype(parser)
    parser.add_argument(
        "--seed", type=whole, default=0, help="of the draw of examples and of learning (default: 0)"
    )
    parser.add_argument(
        "--device", help="cpu, cuda or mps, for methods that use data (default: the best there is)"
    )
    parser.add_argument("--json", action="store_true", help="print the report as one object")


def _barrier(parser: argparse.ArgumentParser) -> None:
    """Arguments of a barrier."""
    add_pair(parser)
    add_method(parser)
    parser.add_argument("--split", help="train, validation or test (default: test)")
    parser.add_argument(
        "--examples", type=whole, metavar="N", help="how many examples (default: all)"
    )
    parser.add_argument(
        "--points",
        type=whole,
        default=25,
        metavar="N",
        help="of the grid, ends included (default: 25)",
    )
    parser.add_argument(
        "--refine",
        type=whole,
        default=4,
        metavar="N",
        help="more points around the maximum (default: 4)",
    )
    parser.add_argument(
        "--seed",
        type=whole,
        default=0,
        help="of the draw of examples, of masked positions and of learning (default: 0)",
    )
    parser.add_argument(
        "--temperature",
        action="store_true",
        help="also at the softmax temperature that fits training examples best",
    )
    parser.add_argument(
        "--repair", action="store_true", help="renormalise in between; for networks without norms"
    )
    parser.add_argument("--device", help="cpu, cuda or mps (default: the best there is)")
    parser.add_argument(
        "--executor",
        default="inline",
        help="inline, or local: in a worker process (default: inline)",
    )
    parser.add_argument("--fresh", action="store_true", help=FRESH)
    parser.add_argument("--json", action="store_true", help="print one object")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the curve as a table")
    parser.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="write the figure as a page that needs nothing else",
    )


def _group(parser: argparse.ArgumentParser) -> None:
    """Arguments of several models in one frame."""
    parser.add_argument("models", metavar="MODEL", nargs="+", help=f"two to eight; {MODEL}")
    add_data(parser)
    add_method(parser, "universe", "universe")
    parser.add_argument("--split", help="train, validation or test (default: test)")
    parser.add_argument(
        "--examples", type=whole, metavar="N", help="how many examples (default: all)"
    )
    parser.add_argument(
        "--resolution",
        type=whole,
        default=6,
        metavar="N",
        help="of the grid on the simplex (default: 6)",
    )
    parser.add_argument(
        "--seed", type=whole, default=0, help="of the draw of examples and of learning (default: 0)"
    )
    parser.add_argument("--device", help="cpu, cuda or mps (default: the best there is)")
    parser.add_argument(
        "--executor",
        default="inline",
        help="inline, or local: in a worker process (default: inline)",
    )
    parser.add_argument("--fresh", action="store_true", help=FRESH)
    parser.add_argument("--json", action="store_true", help="print one object")


def _results(parser: argparse.ArgumentParser) -> None:
    """Arguments of what was computed."""
    parser.add_argument("--json", action="store_true", help="print a list of objects")
    parser.add_argument(
        "--delete", metavar="KEY", help="delete one result; the first digits of its key are enough"
    )


def _train(parser: argparse.ArgumentParser) -> None:
    """Arguments of training a model of the zoo."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the recipe; see --list")
    parser.add_argument("--all", action="store_true", help="train every model of the zoo")
    parser.add_argument("--list", action="store_true", help="list the recipes")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the checkpoint (in a checkout: assets/zoo/NAME)",
    )
    parser.add_argument(
        "--subset", action="store_true", help="train images on the shipped subset alone"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: cpu)")
    parser.add_argument(
        "--steps", type=whole, metavar="N", help="optimiser steps, in place of the recipe's"
    )
    parser.add_argument("--seed", type=whole, help="in place of the recipe's")
    parser.add_argument(
        "--threads", type=whole, metavar="N", help="of the processor (default: all cores)"
    )


def _worker(parser: argparse.ArgumentParser) -> None:
    """Arguments of a worker."""
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: cpu)")
    parser.add_argument(
        "--idle",
        type=decimal,
        default=600.0,
        metavar="SECONDS",
        help="end after so long without a job",
    )


COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "app": ("Open the app in the browser (what `lmc` alone does).", _app),
    "models": ("List the shipped models, or public ones to fetch.", _models),
    "methods": ("List the ways to match models, with their settings.", _methods),
    "show": ("Say what a model is, and which symmetries it admits.", _show),
    "align": (
        "Move models into the coordinates of the first and write them as ordinary checkpoints.",
        _align,
    ),
    "barrier": (
        "Measure the loss along the line between two models, after aligning them.",
        _barrier,
    ),
    "group": (
        "Bring several models into one frame and measure the loss of their mean, of three the "
        "simplex.",
        _group,
    ),
    "equivariance": (
        "Train a small network from free to equivariant, and say what it costs.",
        equivariance_arguments,
    ),
    "plane": (
        "Measure the loss on a plane through two or three models, or around one.",
        lambda parser: plane_arguments(parser, MODEL, add_data, add_method),
    ),
    "merge": (
        "Merge several models by every method and in every frame side by side.",
        lambda parser: merge_arguments(parser, MODEL, add_data, setting),
    ),
    "results": ("List what has been computed.", _results),
    "report": (
        "Write a study as a page, a folder for a paper, or an archive; or import one.",
        report,
    ),
    "train": ("Train a model of the zoo again from its recipe.", _train),
    "worker": ("Compute what is waiting in the job table; the app starts this by itself.", _worker),
}
"""Every command with what it does and what adds its arguments, in the order in which they are
listed.
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Turn arguments into a namespace whose `command` is set; no arguments mean `app`.

    Raises:
        BadInput: for arguments that make no sense.
        SystemExit: after --help and --version.
    """
    parser = _parser()
    arguments = parser.parse_args(list(argv) or ["app"])
    if arguments.command is None and arguments.audience:
        arguments = parser.parse_args([*argv, "app"])
    if arguments.command is None:
        parser.error("a command is missing")
    if arguments.audience and arguments.command != "app":
        parser.error(f"--read-only is for the app; `lmc {arguments.command}` has no such option")
    if getattr(arguments, "allow_pickle", False):
        _permit(arguments, allowing_pickle)
    if getattr(arguments, "ignore_extra", False):
        _permit(arguments, ignoring_extra)
    return arguments


def _parser() -> Parser:
    """The parser of all commands."""
    parser = Parser(
        prog="lmc",
        description="See the loss landscape between two transformers, and what their symmetries "
        "do to it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"lmc {version('lmc-explorer')}")
    parser.add_argument("--read-only", action="store_true", dest="audience", help=READ_ONLY)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, (sentence, add) in COMMANDS.items():
        add(commands.add_parser(name, help=sentence, description=sentence, allow_abbrev=False))
    return parser


def _permit(arguments: argparse.Namespace, permission: Callable[[str], str]) -> None:
    """Write a permission into every reference to a model."""
    for name in {"model", "a", "b"} & vars(arguments).keys():
        setattr(arguments, name, permission(getattr(arguments, name)))
    if getattr(arguments, "base", "mean") not in STAND_INS:
        arguments.base = permission(arguments.base)
    for name in {"models", "more"} & vars(arguments).keys():
        setattr(arguments, name, [permission(each) for each in getattr(arguments, name)])
