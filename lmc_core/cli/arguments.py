"""What can be typed after `lmc`: one function for the arguments of each command.

The standard library alone; the arguments of a command are only added when it is the one that was
typed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lmc_core.cli.options import (
    MODEL,
    add_count,
    add_data,
    add_device,
    add_dtype,
    add_examples,
    add_file,
    add_json,
    add_learn,
    add_method,
    add_pair,
    add_permissions,
    add_run,
    add_seed,
    add_settings,
    decimal,
    whole,
)

STAND_INS = ("mean", "first")  # of a common ancestor
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
PAGE = "write the figure as a page that needs nothing else"
# argument of `make_equivariance_request` -> its type and help
EQUIVARIANCE: dict[str, tuple[type, str]] = {
    "source": (str, "digits or fashion (default: digits)"),
    "kind": (str, "of the data: symmetric, orbit, partly, upright or broken (default: orbit)"),
    "group": (str, "C4, D4, mirror, S3 or S4 (default: C4)"),
    "network": (str, "perceptron, convolution or transformer (default: perceptron)"),
    "form": (str, "of the constraint: free, strict, equality or resilient (default: equality)"),
    "primal_rate": (float, "of gamma (default: 0.02)"),
    "dual_rate": (float, "of the multiplier (default: 0.02)"),
    "augmented": (float, "c of the equality form; 0 lets gamma ring (default: 2)"),
    "price": (float, "rho of the resilient form (default: 0.1)"),
    "steps": (int, "of training (default: the network's own)"),
    "rate": (float, "learning rate of the weights (default: the network's own)"),
    "decay": (float, "of the weights (default: the network's own)"),
    "batch": (int, "examples a step, 0 for all (default: the network's own)"),
    "examples": (int, "to train on, before they are moved (default: 400)"),
    "split": (str, "that losses are measured on, validation or test (default: validation)"),
    "seed": (int, "of data, start and batches (default: 0)"),
    "device": (str, "cpu, cuda or mps (default: cpu, which is faster for networks this small)"),
}


def add_app(parser: argparse.ArgumentParser) -> None:
    """What the app is opened with."""
    parser.add_argument(
        "--port", type=whole, help="port on 127.0.0.1; the first free one from 8501 when left out"
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address only")
    parser.add_argument("--read-only", action="store_true", help=READ_ONLY)
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME", help=HOST)


def add_models(parser: argparse.ArgumentParser) -> None:
    """What is listed."""
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--public", action="store_true", help="list public families of independently trained models"
    )
    kinds.add_argument(
        "--families",
        action="store_true",
        help="list the families that are supported, with their classes",
    )
    add_json(parser, "print a list of objects")


def add_methods(parser: argparse.ArgumentParser) -> None:
    """How methods are listed."""
    add_json(parser, "print a list of objects")


def add_show(parser: argparse.ArgumentParser) -> None:
    """The model that is described."""
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    add_permissions(parser)
    add_json(parser, "print one object")


def add_align(parser: argparse.ArgumentParser) -> None:
    """Models to move, and where they go."""
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
    add_seed(parser, "of the draw of examples and of learning")
    add_device(parser, "cpu, cuda or mps, for methods that use data")
    add_json(parser, "print the report as one object")


def add_barrier(parser: argparse.ArgumentParser) -> None:
    """Models, the alignment, and the curve."""
    add_pair(parser)
    add_method(parser)
    add_examples(parser)
    add_count(parser, "--points", "of the grid, ends included", 25)
    add_count(parser, "--refine", "more points around the maximum", 4)
    add_seed(parser, "of the draw of examples, of masked positions and of learning")
    parser.add_argument(
        "--temperature",
        action="store_true",
        help="also at the softmax temperature that fits training examples best",
    )
    parser.add_argument(
        "--repair", action="store_true", help="renormalise in between; for networks without norms"
    )
    add_device(parser)
    add_run(parser)
    add_json(parser, "print one object")
    add_file(parser, "--csv", "write the curve as a table")
    add_file(parser, "--html", PAGE)


def add_group(parser: argparse.ArgumentParser) -> None:
    """Models, the alignment, and the simplex."""
    parser.add_argument("models", metavar="MODEL", nargs="+", help=f"two to eight; {MODEL}")
    add_data(parser)
    add_method(parser, "universe", "universe")
    add_examples(parser)
    add_count(parser, "--resolution", "of the grid on the simplex", 6)
    add_seed(parser, "of the draw of examples and of learning")
    add_device(parser)
    add_run(parser)
    add_json(parser, "print one object")


def add_equivariance(parser: argparse.ArgumentParser) -> None:
    """Everything that is trained with."""
    parses = {int: ("N", whole), float: ("X", decimal), str: ("NAME", str)}
    for name, (kind, words) in EQUIVARIANCE.items():
        metavar, parse = parses[kind]
        parser.add_argument(f"--{name.replace('_', '-')}", type=parse, metavar=metavar, help=words)
    add_run(parser)
    add_json(parser, "print one object, with every recorded step")
    add_file(parser, "--html", PAGE)
    add_file(parser, "--out", "write the trained network's weights as safetensors")


def add_plane(parser: argparse.ArgumentParser) -> None:
    """Models, the plane, and its grid."""
    parser.add_argument(
        "models", metavar="MODEL", nargs="+", help=f"one (random directions), two or three; {MODEL}"
    )
    add_data(parser)
    add_method(parser)
    for option, words in (
        ("--random", "filter-normalised random directions around one model"),
        (
            "--bend",
            "the plane of a curve between two models whose bend is trained, not of aligned B",
        ),
        ("--curves", "also train curves, and compare them with the straight lines"),
    ):
        parser.add_argument(option, action="store_true", help=words)
    add_count(parser, "--steps", "that train a bend", 300)
    parser.add_argument(
        "--span",
        type=decimal,
        default=1.0,
        metavar="X",
        help="of random directions, in norms (default: 1)",
    )
    add_examples(parser)
    add_count(parser, "--resolution", "points along a side", 25)
    add_seed(parser, "of directions, of the draw of examples, of learning")
    add_device(parser)
    add_run(parser)
    add_json(parser, "print one object")
    add_file(parser, "--csv", "write every point as a table")
    add_file(parser, "--html", "write the map as a page that needs nothing else")


def add_merge(parser: argparse.ArgumentParser) -> None:
    """Models, ways to merge, and what is measured."""
    parser.add_argument(
        "models", metavar="MODEL", nargs="+", help=f"two to eight of one family and size; {MODEL}"
    )
    add_data(parser)
    parser.add_argument(
        "--method",
        dest="methods",
        action="append",
        metavar="NAME",
        help="how to merge: average, weighted, slerp, task-arithmetic, ties, dare, soup or "
        "ensemble; repeatable (default: all)",
    )
    parser.add_argument(
        "--frame",
        dest="frames",
        action="append",
        metavar="NAME",
        help="how they are brought together first: none, reference (onto one model), universe "
        "(onto the mean of the others, by "
        "weights) or learned (a universe refined on training examples); repeatable (default: none "
        "and universe)",
    )
    add_settings(
        parser,
        "a setting of the methods that have it, such as density=0.2, or of one, such as "
        "ties.density=0.2; repeatable",
    )
    _add_ingredients(parser)
    add_count(parser, "--steps", "of learning, for the frame learned (default: 300)")
    add_learn(parser)
    add_examples(parser)
    add_count(parser, "--points", "inside of each line between two", 3)
    add_count(parser, "--resolution", "of the grid on the simplex", 6)
    add_seed(parser, "of the draw of examples and of learning")
    add_device(parser)
    add_run(parser)
    words = "folder to write the merged model to, with one --method and one --frame"
    add_file(parser, "--out", words, "DIR")
    parser.add_argument(
        "--dtype",
        metavar="TYPE",
        help="of the weights that --out writes: float32, bfloat16 or float16 (default: as those "
        "of the first model)",
    )
    add_json(parser, "print a list of results, or with --out one object")


def _add_ingredients(parser: argparse.ArgumentParser) -> None:
    """What goes into a merge besides the models."""
    parser.add_argument(
        "--weights",
        type=decimal,
        nargs="+",
        metavar="W",
        help="one for each model, 0 or more (default: equal)",
    )
    parser.add_argument(
        "--base",
        default="mean",
        metavar="MODEL",
        help="the common ancestor that task arithmetic, TIES and DARE assume; without one, mean "
        "(of the models) or first "
        "stands in for it (default: mean)",
    )
    parser.add_argument(
        "--onto",
        type=whole,
        default=0,
        metavar="N",
        help="for the frame reference: the model that stays, the first is 1 (default: 0, the one "
        "that matches best)",
    )


def add_results(parser: argparse.ArgumentParser) -> None:
    """What is listed or deleted."""
    add_json(parser, "print a list of objects")
    parser.add_argument(
        "--delete", metavar="KEY", help="delete one result; the first digits of its key are enough"
    )


def add_report(parser: argparse.ArgumentParser) -> None:
    """A study, and what is written of it."""
    parser.add_argument(
        "study", nargs="?", metavar="STUDY", help="name or title of a study; see --list"
    )
    add_file(parser, "--html", "write one page that opens offline, figures interactive")
    add_file(parser, "--folder", "write SVG, PDF, PNG, CSV and captions into a new folder", "DIR")
    add_file(parser, "--archive", "write an archive that another installation imports")
    parser.add_argument(
        "--theme", choices=("light", "dark"), default="light", help="of the page (default: light)"
    )
    parser.add_argument(
        "--add",
        nargs="+",
        default=[],
        metavar="KEY",
        help="first put these results on one axis into the study, which is begun if it is not "
        "there; see `lmc results`",
    )
    parser.add_argument("--note", default="", metavar="TEXT", help="of what --add puts in")
    parser.add_argument(
        "--import",
        dest="source",
        type=Path,
        metavar="FILE",
        help="take in an archive, every hash checked",
    )
    parser.add_argument("--list", action="store_true", help="list the studies")
    add_json(parser, "print JSON")


def add_train(parser: argparse.ArgumentParser) -> None:
    """A recipe, and what differs from it."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the recipe; see --list")
    parser.add_argument("--all", action="store_true", help="train every model of the zoo")
    parser.add_argument("--list", action="store_true", help="list the recipes")
    add_file(parser, "--out", "folder of the checkpoint (in a checkout: assets/zoo/NAME)", "DIR")
    parser.add_argument(
        "--subset", action="store_true", help="train images on the shipped subset alone"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: cpu)")
    add_count(parser, "--steps", "optimiser steps, in place of the recipe's")
    parser.add_argument("--seed", type=whole, help="in place of the recipe's")
    add_count(parser, "--threads", "of the processor (default: all cores)")


def add_worker(parser: argparse.ArgumentParser) -> None:
    """Of a worker process."""
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: cpu)")
    parser.add_argument(
        "--idle",
        type=decimal,
        default=600.0,
        metavar="SECONDS",
        help="end after so long without a job",
    )
