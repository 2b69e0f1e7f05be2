"""What can be refused or answered from configurations is, before any weights are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmc_core.cli.computing import choose_classes
from lmc_core.models import load
from tests.cli.conftest import Run

Pair = tuple[Path, Path]


@pytest.fixture(autouse=True)
def weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading weights fails."""

    def fail(*arguments: object) -> None:
        raise AssertionError("weights were read")

    monkeypatch.setattr(load, "assembled", fail)


@pytest.mark.parametrize(
    "arguments",
    [
        ("barrier", "--set", "max_rounds=abc"),
        ("barrier", "--set", "max_rounds=abc", "--class", "all=permutation"),
        ("plane", "--set", "max_rounds=abc"),
        ("group", "--set", "steps=abc"),
        ("merge", "--method", "ties", "--set", "density=abc"),
        ("align", "--set", "max_rounds=abc", "--out", "out"),
        ("align", "--method", "universe", "--set", "steps=abc", "--out", "out"),
    ],
    ids=" ".join,
)
def test_a_setting_of_a_wrong_kind_is_refused(
    arguments: tuple[str, ...],
    tiny_vit_pair: Pair,
    lmc: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    command, *options = arguments
    lmc(command, *tiny_vit_pair, *options).refused("'abc' came")


def test_classes_follow_from_a_configuration(tiny_vit_pair: Pair) -> None:
    chosen = choose_classes(
        str(tiny_vit_pair[0]), [("all", "permutation"), ("residual", "orthogonal")]
    )
    assert chosen["residual"] == "orthogonal"
    assert {chosen[kind] for kind in chosen if kind != "residual"} == {"permutation"}
