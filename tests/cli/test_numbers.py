"""Every number that can be typed after `lmc`, with everything that a slip of the keyboard makes of
it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import pytest

from lmc_core.cli.commands import COMMANDS, parse
from lmc_core.cli.options import Parser, decimal, setting, whole
from lmc_core.errors import BadInput
from tests.cli.conftest import Run

NO_NUMBERS = (
    "nan",
    "inf",
    "-inf",
    "1e400",
    "",
    " ",
    "many",
    "0x10",
    "1,000",
    "9" * 5000,
    "\x1b[31m7",
    "1\n2",
    "٣x",
)
NO_WHOLE = (*NO_NUMBERS, "1e9", "2.0", "0.5", "9" * 19)


def options() -> Iterator[tuple[str, argparse.Action]]:
    """Every option of every command that takes a number."""
    for name, command in COMMANDS.items():
        parser = Parser(prog=name, description=command.sentence)
        parser.add(command.arguments)
        yield from (
            (name, action)
            for action in parser._actions
            if action.type in (int, float, whole, decimal)
        )


OPTIONS = list(options())
NAMES = [f"{name} {action.option_strings[0]}" for name, action in OPTIONS]


def line(name: str, option: str, value: str) -> list[str]:
    """A command line that wants nothing else."""
    pairs = ("barrier", "along", "align", "group", "merge", "plane", "diff")
    models = {**dict.fromkeys(pairs, 2), "transport": 3}.get(name, 0)
    return [
        name,
        *["a", "b", "c"][:models],
        *(["--out", "x"] if name in ("align", "transport") else []),
        f"{option}={value}",
    ]


def test_there_are_many() -> None:
    assert len(OPTIONS) > 35 and not [
        action for _, action in OPTIONS if action.type in (int, float)
    ]


@pytest.mark.parametrize(("name", "action"), OPTIONS, ids=NAMES)
def test_what_is_no_number_is_refused_by_the_name_of_its_option(name, action) -> None:
    option = action.option_strings[0]
    for value in NO_WHOLE if action.type is whole else NO_NUMBERS:
        with pytest.raises(BadInput) as refused:
            parse(line(name, option, value))
        first = str(refused.value).splitlines()[0]
        assert option in first and len(first) < 200 and "\x1b" not in first, (value, first)
    assert getattr(parse(line(name, option, "7")), action.dest) in (7, [7.0])


def test_settings_become_what_they_look_like() -> None:
    assert setting("steps=300") == ("steps", 300) and setting("rate=1e-3") == ("rate", 1e-3)
    assert setting("by=loss") == ("by", "loss") and setting("steps=" + "9" * 5000) == (
        "steps",
        float("inf"),
    )


QUICK = ("--examples", 8, "--points", 3, "--refine", 0)
REFUSED = [
    ("barrier", "--points", "--"),  # which argparse takes for no value
    ("barrier", "--points", 10**9), ("barrier", "--points", 1002), ("barrier", "--points", -1), ("barrier", "--refine", 10**9),
    ("barrier", "--refine", -1), ("barrier", "--examples", -1), ("barrier", "--examples", 10**12), ("barrier", "--seed", -1),
    ("barrier", "--seed", 10**12), ("barrier", "--length", 10**9), ("barrier", "--learn", 10**12),
    ("plane", "--resolution", 10**9), ("plane", "--resolution", -1), ("plane", "--steps", 10**9), ("plane", "--seed", -1),
    ("group", "--resolution", 10**9), ("group", "--examples", -1), ("group", "--seed", 10**12),
    ("merge", "--resolution", 10**9), ("merge", "--points", 10**9), ("merge", "--points", 0), ("merge", "--steps", 10**9),
    ("merge", "--onto", 10**9), ("merge", "--onto", -1), ("merge", "--seed", -1), ("merge", "--examples", 10**12),
    ("equivariance", "--steps", 10**9), ("equivariance", "--examples", 10**9), ("equivariance", "--batch", 10**9),
    ("equivariance", "--rate", 1e300), ("equivariance", "--price", 1e300), ("equivariance", "--seed", -1),
    ("equivariance", "--decay", 1e300), ("equivariance", "--primal-rate", 1e300), ("equivariance", "--augmented", -1),
    ("train", "--threads", 10**9), ("train", "--steps", 10**12), ("train", "--seed", -1), ("worker", "--idle", 1e300),
]  # fmt: skip


@pytest.mark.parametrize(("command", "option", "value"), REFUSED, ids=lambda each: str(each))
def test_numbers_beyond_sense_are_one_sentence_and_no_work(
    command, option, value, lmc: Run, tiny_vit_pair
) -> None:
    models = (
        [*tiny_vit_pair, "--task", "fashion-mnist"]
        if command in ("barrier", "plane", "group", "merge")
        else []
    )
    more = {
        "equivariance": ["--form", "resilient"] if option == "--price" else [],
        "train": ["vit-fashion-s0", "--out", "x"],
    }
    begin = time.monotonic()
    said = lmc(command, *models, *more.get(command, []), f"{option}={value}")
    said.refused()
    assert len(said.err) < 200 and time.monotonic() - begin < 60


@pytest.mark.parametrize(
    "text",
    ["seconds=nan", "seconds=inf", "rate=nan", "rate=1e300", "spread=nan", "steps=1e9", "steps=1000000000", "batch=1000000000",
     "steps=many", "checks=0.5", "seconds=-1"],
)  # fmt: skip
def test_settings_of_learning(text, lmc: Run, tiny_vit_pair) -> None:
    said = lmc(
        "barrier",
        *tiny_vit_pair,
        "--task",
        "fashion-mnist",
        *QUICK,
        "--method",
        "learned",
        "--set",
        text,
    )
    said.refused(text.partition("=")[0])


@pytest.mark.parametrize(
    "text", ["scale=nan", "density=nan", "density=inf", "scale=1e300", "seed=-1", "examples=1e9"]
)
def test_settings_of_merging(text, lmc: Run, tiny_vit_pair) -> None:
    lmc("merge", *tiny_vit_pair, "--task", "fashion-mnist", "--set", text).refused(
        text.partition("=")[0]
    )


@pytest.mark.parametrize(
    "weights", [("nan", "1"), ("inf", "1"), ("-1", "2"), ("0", "0"), ("1", "1", "1")]
)
def test_weights_of_models(weights, lmc: Run, tiny_vit_pair) -> None:
    lmc("merge", *tiny_vit_pair, "--task", "fashion-mnist", "--weights", *weights).refused("eight")
