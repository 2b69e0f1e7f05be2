"""The guide to a group of one's own is a program that runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

TEXT = (Path(__file__).parents[2] / "docs" / "own_group.md").read_text(encoding="utf-8")


def test_the_guide_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    torch.manual_seed(0)
    known: dict[str, object] = {}
    exec(code, known)
    error = float(capsys.readouterr().out.split(")")[1].split()[0])
    assert error < 1e-6
    net, written = known["net"], torch.load(tmp_path / "net.pt", weights_only=True)
    assert isinstance(net, torch.nn.Module) and set(written) == set(net.state_dict())
    assert float(known["state"].gamma.max()) < 1  # type: ignore[attr-defined]
