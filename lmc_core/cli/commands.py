"""The commands: what each does, which arguments it takes, and which module runs it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lmc_core import __version__
from lmc_core.cli import arguments as typed
from lmc_core.cli.options import Arguments, Parser
from lmc_core.models.files.references import allowing_pickle, ignoring_extra

EXAMPLES = """examples:
  lmc                                             open the app
  lmc barrier vit-fashion-s0 vit-fashion-s1       align, then measure the loss along the line
  lmc barrier vit-fashion-s0 vit-fashion-s1 --method learned --set seconds=60
  lmc barrier gpt2-plays-s0 gpt2-plays-s1 --class all=permutation --json
  lmc barrier ./gpt2-a ./gpt2-b --task text:letters.txt --length 256 --examples 64 --seed 1
  lmc diff gpt2-plays-s0 gpt2-austen-s0
  lmc align vit-fashion-s0 vit-fashion-s1 --out aligned
  lmc along gpt2-plays-s0 gpt2-plays-s1 --quantities sharpness,other-task --other-task austen
  lmc group vit-fashion-s0 vit-fashion-s1 vit-fashion-s2 --set seconds=300
  lmc merge vit-fashion-s0 vit-fashion-s1 --method ties --frame universe --set density=0.5 \
--out merged
  lmc sweep benchmarks/barriers.toml --dry-run
  lmc equivariance --kind broken --form resilient --price 0.3
  lmc lecture --html lecture.html
"""


@dataclass(frozen=True)
class Command:
    """One command of `lmc`; the module of its name in `lmc_core.cli` does it by its
    `run(arguments)`.

    Attributes:
        sentence: what it does.
        arguments: what can be typed after it.
        computes: whether it runs on as many threads as there is room for.
    """

    sentence: str
    arguments: Arguments
    computes: bool = False


COMMANDS: dict[str, Command] = {
    "app": Command("Open the app in the browser (what `lmc` alone does).", typed.APP),
    "models": Command("List the shipped models, or public ones to fetch.", typed.MODELS),
    "methods": Command("List the ways to match models, with their settings.", typed.METHODS),
    "show": Command("Say what a model is, and which symmetries it admits.", typed.SHOW),
    "diff": Command(
        "Say how two checkpoints differ, from their weights alone, and whether one comes from the "
        "other.",
        typed.DIFF,
        computes=True,
    ),
    "align": Command(
        "Move models into the coordinates of the first and write them as ordinary checkpoints.",
        typed.ALIGN,
        computes=True,
    ),
    "barrier": Command(
        "Measure the loss along the line between two models, after aligning them.",
        typed.BARRIER,
        computes=True,
    ),
    "along": Command(
        "Measure sharpness, spectra, calibration and the loss on another task along the path "
        "between two models, plain against aligned.",
        typed.ALONG,
        computes=True,
    ),
    "group": Command(
        "Bring several models into one frame and measure the loss of their mean, of three the "
        "simplex.",
        typed.GROUP,
        computes=True,
    ),
    "equivariance": Command(
        "Train a small network from free to equivariant, and say what it costs.",
        typed.EQUIVARIANCE,
        computes=True,
    ),
    "plane": Command(
        "Measure the loss on a plane through two or three models, or around one.",
        typed.PLANE,
        computes=True,
    ),
    "merge": Command(
        "Merge several models by every method and in every frame side by side.",
        typed.MERGE,
        computes=True,
    ),
    "transport": Command(
        "Carry a fine-tuning from one model to another, without training it.",
        typed.TRANSPORT,
        computes=True,
    ),
    "sweep": Command(
        "Run every combination of models, methods and settings of a file, and print one table.",
        typed.SWEEP,
        computes=True,
    ),
    "lecture": Command(
        "List the slides of the lecture, or write it as one HTML file.", typed.LECTURE
    ),
    "results": Command("List what has been computed.", typed.RESULTS),
    "report": Command(
        "Write a study as a page, a folder for a paper, or an archive; or import one.", typed.REPORT
    ),
    "train": Command("Train a model of the zoo again from its recipe.", typed.TRAIN, True),
    "worker": Command(
        "Compute what is waiting in the job table; the app starts this by itself.", typed.WORKER
    ),
}
"""Every command, in the order in which they are listed."""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Turn arguments into a namespace whose `command` is set; no arguments mean `app`.

    Raises:
        BadInput: for arguments that make no sense.
        SystemExit: after --help and --version.
    """
    words = list(argv) or ["app"]
    # no option that stands before a command takes a value
    named = next((word for word in words if not word.startswith("-")), "app")
    parser = _make_parser(named)
    arguments = parser.parse_args(words)
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


def _make_parser(named: str) -> Parser:
    """The parser of all commands, with the arguments of the one that was named."""
    parser = Parser(
        prog="lmc",
        description="See the loss landscape between two transformers, and what their symmetries "
        "do to it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"lmc {__version__}")
    parser.add_argument("--read-only", action="store_true", dest="audience", help=typed.READ_ONLY)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, command in COMMANDS.items():
        made = commands.add_parser(
            name, help=command.sentence, description=command.sentence, allow_abbrev=False
        )
        if name == named:
            made.add(command.arguments)
    return parser


def _permit(arguments: argparse.Namespace, permission: Callable[[str], str]) -> None:
    """Write a permission into every reference to a model."""
    for name in {"model", "a", "b"} & vars(arguments).keys():
        setattr(arguments, name, permission(getattr(arguments, name)))
    if getattr(arguments, "base", "mean") not in typed.STAND_INS:
        arguments.base = permission(arguments.base)
    for name in {"models", "more"} & vars(arguments).keys():
        setattr(arguments, name, [permission(each) for each in getattr(arguments, name)])
