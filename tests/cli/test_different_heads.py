"""`lmc align` of a language model and a classifier with one body; nothing else takes such a
pair.
"""

from __future__ import annotations

from pathlib import Path

from lmc_core.models.load import load
from tests.cli.conftest import Run
from tests.matching.test_bodies import pair_of


def test_from_the_command_line(lmc: Run, tmp_path: Path) -> None:
    for folder, model in zip("ab", pair_of("masked, label"), strict=True):
        model.save(tmp_path / folder)
    folders = tmp_path / "a", tmp_path / "b"
    outcome = lmc(
        "align", *folders, "--out", tmp_path / "out", "--class", "all=permutation", "--json"
    )
    assert outcome.code == 0 and max(outcome.json["written_errors"]) < 1e-5, outcome.err
    assert any("matched are the layers that both have" in note for note in outcome.json["notes"])
    assert load(tmp_path / "out").config["architectures"] == ["BertForSequenceClassification"]
    assert load(tmp_path / "out" / "reference").config["architectures"] == ["BertForMaskedLM"]
    lmc("barrier", *folders, "--task", "text:x.txt").refused(
        "so that there is no line between them"
    )
    lmc(
        "merge", *folders, "--method", "average", "--frame", "none", "--out", tmp_path / "m"
    ).refused("is a BertForMaskedLM")
