"""Arguments as data, those that several commands share, and the values that can be typed.

The standard library alone, as for the whole parser, so that help is printed at once.
"""

from __future__ import annotations

import argparse
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

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


@dataclass(frozen=True)
class Argument:
    """Something that can be typed after a command.

    Attributes:
        names: of an option ("--points"), or of what has a place ("a").
        settings: of `argparse.ArgumentParser.add_argument`.
        alone: whether it excludes the other arguments of the command that are alone.
    """

    names: tuple[str, ...]
    settings: Mapping[str, Any]
    alone: bool = False


Arguments = tuple[Argument, ...]


class Parser(argparse.ArgumentParser):
    """A parser whose errors are ordinary ones."""

    def add(self, arguments: Arguments) -> None:
        """Add arguments."""
        group = None
        for each in arguments:
            if each.alone:
                group = group or self.add_mutually_exclusive_group()
                group.add_argument(*each.names, **each.settings)
            else:
                self.add_argument(*each.names, **each.settings)

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


def places(text: str) -> tuple[float, ...]:
    """Numbers with commas between them."""
    return tuple(decimal(part) for part in text.split(",") if part.strip())


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


def change(text: str) -> tuple[str, object]:
    """Split NAME=VALUE, the value as TOML; what is none is a text."""
    name, equals, value = text.partition("=")
    if not (name.strip() and equals and value):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, such as points=11; {text!r} came")
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value.strip()


def argument(*names: str, **settings: object) -> Argument:
    """An argument; for `settings` see `argparse.ArgumentParser.add_argument`."""
    return Argument(names, settings)


def switch(name: str, words: str, alone: bool = False) -> Argument:
    """An option that is there or not."""
    return Argument((name,), {"action": "store_true", "help": words}, alone)


def count(name: str, words: str, default: int | None = None) -> Argument:
    """A whole number; its default is said behind the words."""
    said = words if default is None else f"{words} (default: {default})"
    return argument(name, type=whole, default=default, metavar="N", help=said)


def file(name: str, words: str, metavar: str = "FILE") -> Argument:
    """A file or a folder to write."""
    return argument(name, type=Path, metavar=metavar, help=words)


def seed(words: str) -> Argument:
    """Of everything that is drawn."""
    return argument("--seed", type=whole, default=0, help=f"{words} (default: 0)")


def json(words: str) -> Argument:
    """Print JSON in place of text."""
    return switch("--json", words)


def settings(words: str) -> Argument:
    """NAME=VALUE, any number of times."""
    return argument(
        "--set",
        dest="settings",
        type=setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=words,
    )


def method(default: str | None, words: str, none: bool = True) -> Arguments:
    """How models are aligned.

    Args:
        default: name of a method.
        words: the default, for people.
        none: whether models can be left as they are.
    """
    left = ", or none" if none else ""
    return (
        argument(
            "--method",
            default=default,
            help=f"how to align{left}; `lmc methods` lists all (default: {words})",
        ),
        settings(
            "a setting of the method, such as steps=300 or seconds=120; `lmc methods` lists "
            "them; repeatable"
        ),
        LEARN,
    )


PERMISSIONS = (switch("--allow-pickle", PICKLE), switch("--ignore-extra", EXTRA))
"""What files of models may hold."""
DATA = (
    *PERMISSIONS,
    argument("--task", metavar="TASK", help=TASK),
    count("--length", "window of text, in tokens (default: the models' context, at most 128)"),
    argument(
        "--class",
        dest="classes",
        type=class_choice,
        action="append",
        default=[],
        metavar="SPACE=CLASS",
        help=CLASS,
    ),
)
"""Data and classes, of every command about several models."""
PAIR = (
    argument("a", metavar="A", help=MODEL),
    argument("b", metavar="B", help="the model that is moved; named like A"),
    *DATA,
)
THROUGH = argument(
    "--through",
    nargs=2,
    metavar=("FOLDER_A", "FOLDER_B"),
    help="folders with as many checkpoints of the runs that led to A and to B (see `lmc train "
    "--keep-checkpoints`): the earliest are matched first, and each alignment is the start of the "
    "next",
)
LEARN = count("--learn", "training examples to learn from (default: 8,000 images or 1,500 windows)")
EXAMPLES = (
    argument("--split", help="train, validation or test (default: test)"),
    count("--examples", "how many examples (default: all)"),
)
DEVICE = argument(
    "--device", help="cpu, cuda or mps (default: LMC_DEVICE, else cuda if there is one, else cpu)"
)
RUN = (
    argument(
        "--executor",
        default="inline",
        metavar="NAME[:SETTING=VALUE,...]",
        help="inline; local: in a worker process; slurm or ray: on a cluster that sees the folder "
        "LMC_HOME, such as slurm:partition=gpu,minutes=240,cpus=4,memory=16G (also account, qos, "
        "constraint, gpus, tasks) or ray:address=HOST:PORT,cpus=2 (also gpus, memory) "
        "(default: inline)",
    ),
    switch("--fresh", FRESH),
)
"""Who computes, and whether again."""
