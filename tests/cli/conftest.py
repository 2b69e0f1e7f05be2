"""Run the command in this process and look at what it said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from lmc_core.cli import main


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON value and nothing else."""
        return json.loads(self.out)

    def refused(self, *words: str, code: int = 2) -> None:
        """Assert one or two lines that begin with "lmc:" and hold the words, and nothing on
        standard output.
        """
        assert self.code == code, self.err
        assert self.out == ""
        lines = self.err.strip().splitlines()
        assert 1 <= len(lines) <= 2 and lines[0].startswith("lmc: "), self.err
        assert "Traceback" not in self.err
        for word in words:
            assert word in self.err, self.err


Run = Callable[..., Outcome]


@pytest.fixture
def lmc(capsys: pytest.CaptureFixture[str]) -> Run:
    """`lmc("barrier", a, b)` runs the command."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run
