"""Arguments that several commands share, and the values that can be typed.

The standard library alone, as for the whole parser, so that help is printed at once.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import NoReturn

from lmc_core.errors import BadInput
from lmc_core.limits import shown

Setting = int | float | str  # of a method, as typed
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


class Parser(argparse.ArgumentParser):
    """A parser whose errors are ordinary ones."""

    def error(self, message: str) -> NoReturn:
        """Raise `BadInput` in place of printing the usage and leaving."""
        raise BadInput(f"{message}.\nSee `{self.prog} --help`.")


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


def setting(text: str) -> tuple[str, Setting]:
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
    add_settings(
        parser,
        "a setting of the method, such as steps=300 or seconds=120; `lmc methods` lists them; "
        "repeatable",
    )
    add_learn(parser)


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


def add_settings(parser: argparse.ArgumentParser, words: str) -> None:
    """NAME=VALUE, any number of times."""
    parser.add_argument(
        "--set",
        dest="settings",
        type=setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=words,
    )


def add_count(
    parser: argparse.ArgumentParser, option: str, words: str, default: int | None = None
) -> None:
    """A whole number; its default is said behind the words."""
    said = words if default is None else f"{words} (default: {default})"
    parser.add_argument(option, type=whole, default=default, metavar="N", help=said)


def add_learn(parser: argparse.ArgumentParser) -> None:
    """How many training examples."""
    words = "training examples to learn from (default: 8,000 images or 1,500 windows)"
    add_count(parser, "--learn", words)


def add_examples(parser: argparse.ArgumentParser) -> None:
    """What is measured on."""
    parser.add_argument("--split", help="train, validation or test (default: test)")
    add_count(parser, "--examples", "how many examples (default: all)")


def add_seed(parser: argparse.ArgumentParser, words: str) -> None:
    """Of everything that is drawn."""
    parser.add_argument("--seed", type=whole, default=0, help=f"{words} (default: 0)")


def add_device(parser: argparse.ArgumentParser, words: str = "cpu, cuda or mps") -> None:
    """Where models run."""
    parser.add_argument("--device", help=f"{words} (default: the best there is)")


def add_run(parser: argparse.ArgumentParser) -> None:
    """Who computes, and whether again."""
    parser.add_argument(
        "--executor",
        default="inline",
        help="inline, or local: in a worker process (default: inline)",
    )
    parser.add_argument("--fresh", action="store_true", help=FRESH)


def add_json(parser: argparse.ArgumentParser, words: str) -> None:
    """Print JSON in place of text."""
    parser.add_argument("--json", action="store_true", help=words)


def add_file(
    parser: argparse.ArgumentParser, option: str, words: str, metavar: str = "FILE"
) -> None:
    """A file or a folder to write."""
    parser.add_argument(option, type=Path, metavar=metavar, help=words)
