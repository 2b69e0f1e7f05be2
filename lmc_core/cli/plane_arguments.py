"""What can be typed after `lmc plane`; the standard library alone, as the whole parser."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from lmc_core.cli.shared_arguments import FRESH, decimal, whole


def add_arguments(
    parser: argparse.ArgumentParser,
    model: str,
    data: Callable[..., None],
    method: Callable[..., None],
) -> None:
    """Add what can be typed after `lmc plane`.

    Args:
        parser: to add to.
        model: help on references.
        data: adds the arguments about data and classes.
        method: adds those about how models are aligned.
    """
    parser.add_argument(
        "models", metavar="MODEL", nargs="+", help=f"one (random directions), two or three; {model}"
    )
    data(parser)
    method(parser)
    parser.add_argument(
        "--random", action="store_true", help="filter-normalised random directions around one model"
    )
    parser.add_argument(
        "--bend",
        action="store_true",
        help="the plane of a curve between two models whose bend is trained, not of aligned B",
    )
    parser.add_argument(
        "--curves",
        action="store_true",
        help="also train curves, and compare them with the straight lines",
    )
    parser.add_argument(
        "--steps", type=whole, default=300, metavar="N", help="that train a bend (default: 300)"
    )
    parser.add_argument(
        "--span",
        type=decimal,
        default=1.0,
        metavar="X",
        help="of random directions, in norms (default: 1)",
    )
    parser.add_argument("--split", help="train, validation or test (default: test)")
    parser.add_argument(
        "--examples", type=whole, metavar="N", help="how many examples (default: all)"
    )
    parser.add_argument(
        "--resolution",
        type=whole,
        default=25,
        metavar="N",
        help="points along a side (default: 25)",
    )
    parser.add_argument(
        "--seed",
        type=whole,
        default=0,
        help="of directions, of the draw of examples, of learning (default: 0)",
    )
    parser.add_argument("--device", help="cpu, cuda or mps (default: the best there is)")
    parser.add_argument(
        "--executor",
        default="inline",
        help="inline, or local: in a worker process (default: inline)",
    )
    parser.add_argument("--fresh", action="store_true", help=FRESH)
    parser.add_argument("--json", action="store_true", help="print one object")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every point as a table")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write the map as a page that needs nothing else"
    )
