"""Models with other numbers of rows, windows or preparations on the command line, to the files that
are written.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from lmc_core.models.load import load
from tests.cli.conftest import Run
from tests.matching.test_common import made
from tests.tasks.makers import text_of, word_tokenizer

QUICK = ("--length", 8, "--examples", 4)
TABLE = "model.embed_tokens.weight"


@pytest.fixture
def padded(tmp_path: Path) -> tuple[Path, Path]:
    """Two Llamas, of which the first has more rows, some of them without numbers."""
    folders = tmp_path / "many", tmp_path / "few"
    for seed, (folder, rows) in enumerate(zip(folders, (45, 37), strict=True)):
        model = made("llama", seed, vocab_size=rows)
        if rows == 45:
            model.state[TABLE][40:] = float("nan")
        model.save(folder)
        word_tokenizer(folder)
    return folders


@pytest.fixture
def text(tmp_path: Path) -> str:
    (tmp_path / "letters.txt").write_text(text_of(4000))
    return f"text:{tmp_path / 'letters.txt'}"


def test_a_result_says_which_rows_were_compared(
    padded: tuple[Path, Path], text: str, lmc: Run
) -> None:
    outcome = lmc(
        "barrier", *padded, "--task", text, *QUICK, "--points", 3, "--refine", 0, "--json"
    )
    assert outcome.code == 0, outcome.err
    assert any("first 37 rows are compared" in note for note in outcome.json["notes"])
    assert all(np.isfinite(outcome.json["loss"])) and outcome.json["function_error"] < 1e-5
    plane = lmc("plane", *padded, "--task", text, *QUICK, "--resolution", 5, "--json")
    assert plane.code == 0, plane.err


def test_aligned_models_keep_their_own_rows(
    padded: tuple[Path, Path], text: str, lmc: Run, tmp_path: Path
) -> None:
    for number in (0, 1):  # the second time from what was kept
        out = tmp_path / f"out{number}"
        outcome = lmc("align", *padded, "--task", text, *QUICK[:2], "--out", out, "--json")
        assert outcome.code == 0, outcome.err
        assert max(outcome.json["written_errors"]) < 1e-5
        assert any("first 37 rows" in note for note in outcome.json["notes"])
        assert (
            load(out).config["vocab_size"] == 37
            and load(out / "reference").config["vocab_size"] == 45
        )
        assert load(out / "reference").rows == 40


@pytest.mark.parametrize("frame", ["none", "universe"])
def test_a_merged_model_has_the_rows_of_the_first(
    frame: str, padded: tuple[Path, Path], text: str, lmc: Run, tmp_path: Path
) -> None:
    chosen = ("--method", "average", "--frame", frame, "--task", text, *QUICK)
    outcome = lmc("merge", *padded, *chosen, "--out", tmp_path / "out", "--json")
    assert outcome.code == 0, outcome.err
    merged, first, second = (
        load_file(path / "model.safetensors") for path in (tmp_path / "out", *padded)
    )
    assert merged[TABLE].shape == first[TABLE].shape and load(tmp_path / "out").rows == 40
    if frame == "none":
        torch.testing.assert_close(merged[TABLE][:37], (first[TABLE][:37] + second[TABLE]) / 2)
        torch.testing.assert_close(merged[TABLE][37:40], first[TABLE][37:40])
    assert outcome.json["written"]["rounding"] < 1e-6


def test_several_models_are_written_with_their_rows(
    padded: tuple[Path, Path], text: str, lmc: Run, tmp_path: Path
) -> None:
    third = tmp_path / "third"
    made("llama", 2, vocab_size=39).save(third)
    outcome = lmc(
        *("align", *padded, third, "--task", text, *QUICK[:2], "--set", "steps=2"),
        *("--out", tmp_path / "out", "--json"),
    )
    assert outcome.code == 0, outcome.err
    found = [
        load(tmp_path / "out" / folder).config["vocab_size"]
        for folder in (*outcome.json["folders"], "merged")
    ]
    assert found == [45, 37, 39, 45] and max(outcome.json["written_errors"]) < 1e-5


def test_different_tokenizers_are_refused(padded: tuple[Path, Path], text: str, lmc: Run) -> None:
    word_tokenizer(padded[1], words=text_of(30).split()[::-1])
    for command in (("align", "--out", padded[0].parent / "out"), ("barrier",)):
        lmc(command[0], *padded, "--task", text, *command[1:]).refused("have different tokenizers")


def test_images_of_a_pair_of_which_one_lacks_its_preparation(lmc: Run, tmp_path: Path) -> None:
    folders = tmp_path / "a", tmp_path / "b"
    for seed, folder in enumerate(folders):
        made("vit_hf", seed).save(folder)
    size = load(folders[0]).family.sizes(load(folders[0]).config)
    says = {"size": size["image"], "resample": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (folders[1] / "preprocessor_config.json").write_text(json.dumps(says))
    for number in range(size["classes"]):
        for split in ("train", "test"):
            place = tmp_path / "images" / split / str(number)
            place.mkdir(parents=True)
            for k in range(2):
                pixels = np.random.default_rng(10 * number + k).integers(
                    0, 255, (9, 9, 3), np.uint8
                )
                Image.fromarray(pixels).save(place / f"{k}.png")
    asked = (
        "barrier",
        *folders,
        "--task",
        f"images:{tmp_path / 'images'}",
        "--points",
        3,
        "--refine",
        0,
    )
    outcome = lmc(*asked)
    assert (
        outcome.code == 0 and "note" in outcome.out and "prepared as b takes them" in outcome.out
    ), outcome.err
    (folders[0] / "preprocessor_config.json").write_text(
        json.dumps(says | {"image_mean": [0.4] * 3})
    )
    lmc(*asked).refused("prepare images differently (mean")
