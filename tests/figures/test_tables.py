"""Tables as CSV: numbers in full, and no text that a spreadsheet would compute."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest

from lmc_core.figures.tables import Table
from lmc_core.folders import app_folder

EVIL = [
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "＝1",
    "=",
    "-",
    "--",
    "+1 -1",
    "-inf",
]


def back(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


@pytest.mark.parametrize("text", EVIL)
def test_a_text_that_would_be_a_formula_is_a_text(text):
    header, row = back(Table.of((text, "b"), [(text, 1)]).csv().replace("\r", "\\r"))
    for cell in (header[0], row[0]):
        assert cell.startswith("'") and cell[1:] == text.replace("\r", "\\r")


@pytest.mark.parametrize(
    "value", [-1, -0.5, 1e-300, -2.5e-07, float("-inf"), np.float64(-0.25), np.int64(-3)]
)
def test_a_number_is_a_number(value):
    ((cell,),) = back(Table.of(("x",), [(value,)]).csv())[1:]
    assert float(cell) == float(value)


@pytest.mark.parametrize(
    "text",
    ["-0.5", "+3", "-1e-9", ".5", "λ → μ", "Plain average", "a=b", "3 + 4", "–", "−0.5", "'quoted"],
)
def test_other_texts_stay(text):
    assert back(Table.of(("x",), [(text,), (None,)]).csv())[1:] == [[text], [""]]


def test_there_is_no_other_way_to_write_csv():
    folder = app_folder()
    for file in (*(folder / "lmc_core").rglob("*.py"), *(folder / "pages").rglob("*.py")):
        if Path(file).name != "tables.py":
            assert not re.search(r"csv\.writer|DictWriter|to_csv\(", file.read_text()), file
