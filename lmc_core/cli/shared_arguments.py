"""Arguments that several commands share: models, data, classes, and how models are aligned."""

from __future__ import annotations

import argparse
import math
from typing import Any

from lmc_core.limits import shown

DIGITS = 18  # of a whole number; what has more is none that anyone means
MODEL = (
    "a zoo name (see `lmc models`), hf:ORG/NAME[@REVISION], timm:NAME[.TAG], or a folder with "
    "config.json and "
    "model.safetensors, also as path:FOLDER; +ADAPTER behind it (a folder, or hf:ORG/NAME) merges "
    "a LoRA into it"
)
PICKLE = (
    "read weights from .bin, .pt, .pth and .ckpt files where there are no safetensors; for "
    "sources you trust"
)
EXTRA = "leave out tensors that have no place in the model, such as a value head, and say which"
TASK = (
    "what to measure on and to learn from: austen, fashion-mnist, plays, text:FILE, labels:FILE "
    "(CSV or JSON lines with "
    "text and label), images:FOLDER (one folder per class) or "
    "hf-dataset:NAME[:SPLIT] (default: what both were trained on)"
)
CLASS = (
    "class of one kind of space: residual, units, heads, query-key or value-output = none, "
    "permutation, orthogonal or "
    "invertible; repeatable. all=CLASS lowers every space to at most CLASS. What is left out gets "
    "its largest class"
)
FRESH = (
    "compute although there is a result, such as one out of an archive, and put the new one "
    "in its place"
)


def class_choice(text: str) -> tuple[str, str]:
    """Split SPACE=CLASS."""
    space, equals, chosen = text.partition("=")
    if not (space and equals and chosen):
        raise argparse.ArgumentTypeError(
            f"expected SPACE=CLASS, such as residual=orthogonal; {text!r} came"
        )
    return space.strip(), chosen.strip()


def whole(text: str) -> int:
    """A whole number; an error names what came, however long it is."""
    try:
        if len(text) <= DIGITS:
            return int(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"expected a whole number, such as 25; {shown(text)} came")


def decimal(text: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(
            f"expected a finite number, such as 0.5; {shown(text)} came"
        )
    return value


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


def add_dtype(parser: argparse.ArgumentParser) -> None:
    """The type of weights that are written."""
    parser.add_argument(
        "--dtype",
        metavar="TYPE",
        help="of the weights that are written: float32, bfloat16 or float16 (default: as they "
        "were)",
    )


def add_method(
    parser: argparse.ArgumentParser,
    default: str | None = "weight",
    words: str = "weight",
    none: bool = True,
) -> None:
    """Arguments that say how models are aligned.

    Args:
        parser: of the command.
        default: name of a method.
        words: the default, for people.
        none: whether models can be left as they are.
    """
    left = ", or none" if none else ""
    parser.add_argument(
        "--method",
        default=default,
        help=f"how to align{left}; `lmc methods` lists all (default: {words})",
    )
    parser.add_argument(
        "--set",
        dest="settings",
        type=setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the method, such as steps=300 or seconds=120; `lmc methods` lists "
        "them; repeatable",
    )
    parser.add_argument(
        "--learn",
        type=whole,
        metavar="N",
        help="training examples to learn from (default: 8,000 images or 1,500 windows)",
    )


def add_pair(parser: argparse.ArgumentParser) -> None:
    """Arguments that every command about two models has."""
    parser.add_argument("a", metavar="A", help=MODEL)
    parser.add_argument("b", metavar="B", help="the model that is moved; named like A")
    add_data(parser)


def add_permissions(parser: argparse.ArgumentParser) -> None:
    """What files of models may hold."""
    parser.add_argument("--allow-pickle", action="store_true", help=PICKLE)
    parser.add_argument("--ignore-extra", action="store_true", help=EXTRA)


def add_data(parser: argparse.ArgumentParser) -> None:
    """Arguments about data and classes that every command about several models has."""
    add_permissions(parser)
    parser.add_argument("--task", metavar="TASK", help=TASK)
    parser.add_argument(
        "--length",
        type=whole,
        metavar="N",
        help="window of text, in tokens (default: the models' context, at most 128)",
    )
    parser.add_argument(
        "--class",
        dest="classes",
        type=class_choice,
        action="append",
        default=[],
        metavar="SPACE=CLASS",
        help=CLASS,
    )
