"""`lmc methods` and the settings of methods as they are typed."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields

import pytest

from lmc_core.cli import main
from lmc_core.cli.options import setting
from lmc_core.figures.text import method_title
from lmc_core.matching.methods import MANY_METHODS, METHODS


def test_every_method_is_listed_with_what_each_setting_means(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["methods", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == [*METHODS, *MANY_METHODS]
    for name, method in {**METHODS, **MANY_METHODS}.items():
        assert [s["name"] for s in rows[name]["settings"]] == [
            field.name for field in fields(method.settings)
        ]
        assert all(s["help"] for s in rows[name]["settings"]), name
    assert main(["methods"]) == 0
    out = capsys.readouterr().out
    assert "learned: learned" in out and "steps = 600" in out and "``" not in out


def test_figures_have_a_name_for_every_method() -> None:
    assert all(method_title(name) == method.title for name, method in METHODS.items())


def test_settings_are_typed_as_name_and_value() -> None:
    assert [setting(text) for text in ("steps=3", "rate=0.5", "targets=labels")] == [
        ("steps", 3), ("rate", 0.5), ("targets", "labels"),
    ]  # fmt: skip
    with pytest.raises(argparse.ArgumentTypeError, match="NAME=VALUE"):
        setting("steps")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--method", "learned", "--set", "stepps=3"], "setting of the method learned"),
        (["--method", "learned", "--set", "steps=0"], "steps should be 1 or more; 0 came"),
        (["--method", "learned", "--learn", "3"], "At least 4 training examples are needed"),
        (["--method", "none", "--set", "steps=3"], "no effect with --method none"),
        (["--method", "magic"], "method"),
    ],
)
def test_what_makes_no_sense_is_said_at_once(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["barrier", "vit-fashion-narrow-s0", "vit-fashion-narrow-s0", *words]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["barrier"], ["group", "zoo:c"], ["plane", "zoo:c"], ["align", "--out", "nowhere"]],
    ids=lambda words: words[0],
)
def test_a_setting_of_the_wrong_type_is_refused_before_any_model_is_looked_for(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command, *rest = words
    method = ["--method", "universe"] if "zoo:c" in rest else []
    name = "rounds" if method else "max_rounds"
    assert main([command, "zoo:a", "zoo:b", *rest, *method, "--set", f"{name}=abc"]) == 2
    assert f"{name} should be a whole number; 'abc' came." in capsys.readouterr().err
