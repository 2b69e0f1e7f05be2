"""Options that would do nothing are refused, and help names nothing that does not exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run

Pair = tuple[Path, Path]


def test_the_help_of_align_offers_no_method_none(
    lmc: Run, tiny_gpt2_pair: Pair, tmp_path: Path
) -> None:
    words = " ".join(lmc("align", "--help").out.split())
    assert "how to align; `lmc methods` lists all" in words and "or none;" not in words
    lmc("align", *tiny_gpt2_pair, "--method", "none", "--out", tmp_path / "out").refused(
        "no method 'none'"
    )
    for command in ("barrier", "plane", "group"):
        assert "how to align, or none;" in " ".join(lmc(command, "--help").out.split())


@pytest.mark.parametrize(("command", "options", "words"), [
    ("merge", ("--steps", 5), "--steps is for the frame learned"),
    ("merge", ("--learn", 50), "--learn is for the frame learned"),
    ("merge", ("--onto", 1), "--onto is for the frame reference"),
    ("group", ("--method", "reference", "--learn", 50), "learns from no examples"),
    ("group", ("--method", "none", "--learn", 50), "learns from no examples"),
    ("barrier", ("--learn", 50), "learns from no examples"),
    ("plane", ("--random", "--learn", 50), "leave --class, --set, --learn and --curves out"),
])  # fmt: skip
def test_options_that_do_nothing(
    command: str, options: tuple[object, ...], words: str, tiny_gpt2_pair: Pair, lmc: Run
) -> None:
    models = tiny_gpt2_pair[:1] if command == "plane" else tiny_gpt2_pair
    lmc(command, *models, *options).refused(words)
