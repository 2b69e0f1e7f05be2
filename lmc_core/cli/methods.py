"""`lmc methods`: the ways to match models, with their settings."""

from __future__ import annotations

import argparse
import textwrap
from dataclasses import fields
from typing import TypedDict

from lmc_core.cli.output import print_json
from lmc_core.matching.method import Method, learns
from lmc_core.matching.methods import MANY_METHODS, METHODS
from lmc_core.settings import explain_settings


class SettingRow(TypedDict):
    """A setting of a method."""

    name: str
    default: object
    help: str


class MethodRow(TypedDict):
    """A method, as `lmc methods --json` prints it."""

    name: str
    title: str
    sentence: str
    source: str
    uses_data: bool
    several: bool  # whether it takes any number of models
    settings: list[SettingRow]


def run(arguments: argparse.Namespace) -> None:
    """Print every method."""
    rows = methods()
    if arguments.json:
        return print_json(rows)
    for row in rows:
        print(
            f"{row['name']}: {row['title']}{', for any number of models' if row['several'] else ''}"
        )
        lines = [row["sentence"], f"Source: {row['source']}."]
        if row["uses_data"]:
            lines.append(
                "Learns from examples of the training split; never sees the split that is "
                "measured on."
            )
        for line in lines:
            print(textwrap.fill(line, 100, initial_indent="    ", subsequent_indent="    "))
        for setting in row["settings"]:
            words = f"{setting['name']} = {setting['default']}: {setting['help']}"
            print(
                textwrap.fill(words, 100, initial_indent="      ", subsequent_indent="          ")
            )


def methods() -> list[MethodRow]:
    """Every method as plain values."""
    return [
        {
            "name": method.name,
            "title": method.title,
            "sentence": method.sentence,
            "source": method.source,
            "uses_data": method.uses_data
            if isinstance(method, Method)
            else learns(method.settings()),
            "several": not isinstance(method, Method),
            "settings": [
                {
                    "name": field.name,
                    "default": field.default,
                    "help": explain_settings(method.settings)[field.name],
                }
                for field in fields(method.settings)
            ],
        }
        for method in [*METHODS.values(), *MANY_METHODS.values()]
    ]
