"""What uses no data needs no task and no tokenizer: aligning by weights, and merging into a
checkpoint.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmc_core.models.forward import function_error, random_inputs
from lmc_core.models.load import load
from tests.cli.conftest import Run
from tests.matching.test_common import made

SAID = "the function check ran on random inputs"
LABELS = {"num_labels": 3}
KINDS = {
    "bert": ("bert-classifier", {}),
    "llama": (
        "llama",
        {"architectures": ["LlamaForSequenceClassification"], "pad_token_id": 3, **LABELS},
    ),
    "roberta": ("roberta", {"architectures": ["RobertaForSequenceClassification"], **LABELS}),
    "vit_hf": ("vit_hf", {}),
    "t5": ("t5", {}),
}


@pytest.fixture(params=list(KINDS))
def folders(request: pytest.FixtureRequest, tmp_path: Path) -> list[Path]:
    """Three folders without card, tokenizer or preparation."""
    family, (example, changes) = request.param, KINDS[request.param]
    found = [tmp_path / name for name in "abc"]
    for seed, folder in enumerate(found):
        made(family, seed, example, **changes).save(folder)
    return found


def test_two_models_are_aligned(folders: list[Path], lmc: Run, tmp_path: Path) -> None:
    outcome = lmc("align", *folders[:2], "--out", tmp_path / "out")
    assert outcome.code == 0 and SAID in outcome.out, outcome.err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (
        report["task"] == "random inputs"
        and report["function_error"] < 1e-5
        and max(report["written_errors"]) < 1e-5
    )
    before, after = load(folders[1]), load(tmp_path / "out")
    assert function_error(before, after, random_inputs(before, 5, seed=9)) < 1e-5
    assert before.digest != after.digest


def test_several_models_are_aligned(folders: list[Path], lmc: Run, tmp_path: Path) -> None:
    outcome = lmc("align", *folders, "--method", "reference", "--out", tmp_path / "out", "--json")
    assert outcome.code == 0, outcome.err
    assert (
        any(SAID in note for note in outcome.json["notes"])
        and max(outcome.json["written_errors"]) < 1e-5
    )


@pytest.mark.parametrize(
    ("merge", "frame"), [("average", "none"), ("ties", "universe"), ("slerp", "reference")]
)
def test_models_are_merged(
    merge: str, frame: str, folders: list[Path], lmc: Run, tmp_path: Path
) -> None:
    outcome = lmc(
        "merge",
        *folders[:2],
        "--method",
        merge,
        "--frame",
        frame,
        "--out",
        tmp_path / "out",
        "--dtype",
        "bfloat16",
    )
    assert outcome.code == 0 and SAID in outcome.out and "loss" not in outcome.out, outcome.err
    model, card = load(tmp_path / "out"), json.loads((tmp_path / "out" / "card.json").read_text())
    assert (
        card["scores"] == {}
        and card["merged"]["measured"] == {}
        and "task" not in card
        and card["digest"] == model.digest
    )
    assert 0 < card["written"]["rounding"] < 0.5


def test_what_needs_data_says_so(lmc: Run, tmp_path: Path) -> None:
    for seed, name in enumerate("ab"):
        made("gpt2", seed).save(tmp_path / name)
    pair = tmp_path / "a", tmp_path / "b"
    unclear = "Which task to measure on is not clear"
    lmc("align", *pair, "--out", tmp_path / "out", "--method", "learned").refused(unclear)
    lmc("align", *pair, "--out", tmp_path / "out", "--method", "activation").refused(unclear)
    lmc(
        "align", *pair, "--out", tmp_path / "out", "--method", "universe", "--set", "steps=5"
    ).refused(unclear)
    lmc("barrier", *pair).refused(unclear)
    lmc("merge", *pair).refused(unclear)
    one = ("--frame", "none", "--out", tmp_path / "out")
    lmc("merge", *pair, "--method", "soup", *one).refused(unclear)
    lmc("merge", *pair, "--method", "average", "--frame", "learned", *one[2:]).refused(unclear)
    lmc("merge", *pair, "--method", "ensemble", *one).refused("output ensemble is several")
    lmc("barrier", *pair, "--task", "random inputs").refused("no task to ask for")
