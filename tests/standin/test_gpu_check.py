"""The script that a machine with a GPU runs, on the stand-in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import gpu_check


@pytest.mark.slow
@pytest.mark.alone
def test_it_runs_and_writes_what_it_found(standin: str, tmp_path: Path) -> None:
    out = tmp_path / "gpu.md"
    assert gpu_check.main(["--device", standin, "--quick", "--out", str(out)]) == 0
    text = out.read_text()
    assert "failed" not in text and "left out" not in text
    assert len(re.findall(r"^## ", text, re.M)) == 3 + len(gpu_check.QUICKLY)
    row = text[text.index("gpt2-plays, weight") :].splitlines()[4]
    cells = [float(cell) for cell in row.strip("| ").split("|")]
    assert cells[3] < 1e-8 and cells[4] < 1e-5  # apart, function error


def test_what_fails_or_does_not_fit_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    check = gpu_check.Check("cpu", tmp_path / "gpu.md", True, 5.0)

    def fails(part: gpu_check.Part) -> None:
        part.rows.append(("half",))
        raise RuntimeError("no memory is left")

    check.run(gpu_check.Part("one", 0, ("what",)), fails)
    check.run(gpu_check.Part("two", 60, ("what",)), fails)
    check.run(gpu_check.Part("three", 0, ("what",)), lambda part: part.rows.append(("whole",)))
    text = (tmp_path / "gpu.md").read_text()
    assert "| half |" in text and "failed: RuntimeError: no memory is left" in text
    assert "left out: 60 s were wanted" in text
    assert text.index("## one") < text.index("## two") < text.index("| whole |")
