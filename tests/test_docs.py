"""What the documents show runs: Python blocks, `lmc` commands, and the doctests of the library."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
from pathlib import Path

import pytest

from lmc_core.cli import main
from lmc_core.cli.commands import parse

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ("README.md", "docs/own_model.md", "docs/own_group.md")
COMMANDS = ("README.md", "docs/command_line.md")
DOCTESTS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "lmc_core").rglob("*.py")
    if re.search(r"^ *>>> ", path.read_text(encoding="utf-8"), re.MULTILINE)
)


def blocks(document: str, language: str) -> list[str]:
    """The fenced blocks of a language in a document."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """The commands `lmc ...` of the documents that have a list of them."""
    lines = [
        line.split(" #")[0].strip()
        for document in COMMANDS
        for block in blocks(document, "sh")
        for line in block.splitlines()
    ]
    return list(dict.fromkeys(line for line in lines if line.startswith("lmc ")))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, which files are written to."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("document", SCRIPTS)
def test_python_blocks_run(document: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In one namespace, from top to bottom, as somebody who reads the page would type them."""
    found, names = blocks(document, "python"), {"__name__": "__main__"}
    assert found
    for index, block in enumerate(found, 1):
        exec(compile(block, f"{document}, block {index}", "exec"), names)
    assert capsys.readouterr().out.strip()


def test_own_model_prints_the_function_check_of_every_example() -> None:
    found = blocks("docs/own_model.md", "python")
    assert len(found) == 3 and all("print(pair.function_error" in block for block in found)


def test_there_are_commands() -> None:
    assert len(commands()) > 12


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_commands_run(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """On few examples, so that it takes seconds; everything else as it is written."""
    words = shlex.split(command)[1:]
    arguments = vars(parse(words))
    few = {"points": "3", "refine": "0", "examples": "24"}
    if arguments["command"] in ("barrier", "group", "merge", "plane"):
        words += [word for name in few if name in arguments for word in (f"--{name}", few[name])]
    assert main(words) == 0, capsys.readouterr().err
    assert capsys.readouterr().out.strip()


@pytest.mark.slow
@pytest.mark.parametrize("module", DOCTESTS)
def test_doctests_pass(module: str) -> None:
    done = doctest.testmod(importlib.import_module(module), raise_on_error=False)
    assert done.attempted and not done.failed
