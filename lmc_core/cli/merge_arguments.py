"""What can be typed after `lmc merge`, from the standard library alone."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lmc_core.cli.shared_arguments import FRESH, decimal, whole

STAND_INS = ("mean", "first")  # of a common ancestor


def add_arguments(
    parser: argparse.ArgumentParser,
    model: str,
    data: Callable[[argparse.ArgumentParser], None],
    setting: Callable[[str], tuple[str, Any]],
) -> None:
    """Add them.

    Args:
        parser: of the command.
        model: how a model is named.
        data: adds the arguments about data and classes.
        setting: splits NAME=VALUE.
    """
    parser.add_argument(
        "models", metavar="MODEL", nargs="+", help=f"two to eight of one family and size; {model}"
    )
    data(parser)
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
    parser.add_argument(
        "--set",
        dest="settings",
        type=setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the methods that have it, such as density=0.2, or of one, such as "
        "ties.density=0.2; repeatable",
    )
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
    parser.add_argument(
        "--steps", type=whole, metavar="N", help="of learning, for the frame learned (default: 300)"
    )
    parser.add_argument(
        "--learn",
        type=whole,
        metavar="N",
        help="training examples to learn from (default: 8,000 images or 1,500 windows)",
    )
    parser.add_argument("--split", help="train, validation or test (default: test)")
    parser.add_argument(
        "--examples", type=whole, metavar="N", help="how many examples (default: all)"
    )
    parser.add_argument(
        "--points",
        type=whole,
        default=3,
        metavar="N",
        help="inside of each line between two (default: 3)",
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
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder to write the merged model to, with one --method and one --frame",
    )
    parser.add_argument(
        "--dtype",
        metavar="TYPE",
        help="of the weights that --out writes: float32, bfloat16 or float16 (default: as those "
        "of the first model)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print a list of results, or with --out one object"
    )
