"""What the page Equivariance gives away: networks that load, pages that stand alone, tables that
are whole.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmc_core.equivariance import run as measured
from lmc_core.equivariance.figures.data import Run
from lmc_core.equivariance.page import files
from lmc_core.equivariance.page.pictures import DRAWN, Picture
from lmc_core.equivariance.request import make_equivariance_request
from lmc_core.runs.executors import Inline


@lru_cache
def run_of(**words: Any) -> Run:
    """A finished run of a short training.

    Its plane has 25 points of 80 examples and its paths have 5: the transformer's 289 points of 400
    examples take longer than all else, and no file says more of one point than of another.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"SIDE": 5, "ROWS": 80, "SHARES": 5}.items():
            patch.setattr(measured, name, value)
        found = Inline().run(make_equivariance_request(**words, steps=4, examples=20))
    return Run("a run", found.result, found.arrays())


@pytest.mark.parametrize(
    "words",
    [
        {"network": "perceptron"},
        {"network": "convolution", "kind": "symmetric"},
        {"network": "transformer", "kind": "symmetric"},
        {"network": "transformer", "kind": "symmetric", "group": "S3"},
    ],
    ids=lambda words: "-".join(words.values()),
)
def test_the_lines_load_the_network_that_was_trained(
    words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = run_of(**words)
    monkeypatch.chdir(tmp_path)
    Path(files.file_name(run)).write_bytes(files.network_file(run.arrays))
    made: dict[str, Any] = {}
    exec(files.loading_code(run), made)
    inputs, told = run.arrays["strip.inputs"], run.arrays["strip.on"]
    with torch.no_grad():
        found = made["network"](torch.from_numpy(inputs).flatten(0, 1)).softmax(-1).numpy()
    np.testing.assert_allclose(found.reshape(told.shape), told, atol=1e-6)
    projected = np.abs(found.reshape(told.shape) - run.arrays["strip.off"]).max()
    assert projected > 1e-3  # the comparison could have failed


def pictures_of(run: Run) -> list[Picture]:
    several = {"paths": ([run],), "gammas": ([run], 0), "phase": ([run], 0), "strip": (run, 0)}
    several |= {name: ([run],) for name in ("gauge", "prices", "tradeoff")}
    return [Picture(name, several.get(name, (run,))) for name in DRAWN]


def test_every_picture_has_words_and_numbers_behind_it():
    for picture in pictures_of(run_of(form="resilient", dual_rate=0.01)):
        assert picture.alt and picture.table.header and picture.table.rows, picture.name
        assert picture.caption.startswith(picture.short) and 0 < len(picture.short) < len(
            picture.caption
        ), picture.name
        assert picture.draw("paper").data


def test_the_page_stands_alone_and_has_everything():
    run = run_of(form="resilient", dual_rate=0.01)
    pictures = pictures_of(run)
    text = files.page(pictures, [dict(run.facts)], "light")
    assert all(picture.title in text for picture in pictures)
    assert text.count("<figure>") == len(pictures) and run.facts["key"] in text
    # the library comes once
    assert "default-src 'none'" in text and len(re.findall(r"plotly\.js v\d", text)) == 1


def test_the_summary_is_in_full():
    run = run_of(form="strict")
    table = files.summary_table([run])
    row = dict(zip(table.header, table.rows[0], strict=True))
    assert (
        row["on_loss"] == run.facts["on"]["loss"]
        and row["off_accuracy"] == run.facts["off"]["accuracy"]
    )
    assert (row["form"], row["group"], row["seed"], row["error_on"]) == (
        "strict",
        "C4",
        0,
        run.facts["error_on"],
    )
