"""`lmc transport` carries a fine-tuning over and writes an ordinary checkpoint; `lmc train --from`
makes one.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from lmc_core.models.load import load
from tests import tiny
from tests.cli.conftest import Run

FEW = ("--examples", 6, "--length", 16, "--device", "cpu")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A base, its fine-tuning, and a target of another seed."""
    root = tmp_path_factory.mktemp("transport")
    base = tiny.tiny("gpt2", 0)
    torch.manual_seed(5)
    state = {name: each + 0.02 * torch.randn_like(each) for name, each in base.state.items()}
    return {
        "base": tiny.write(root / "base", base),
        "tuned": tiny.write(root / "tuned", replace(base, name="tuned", state=state)),
        "target": tiny.write(root / "target", tiny.tiny("gpt2", 1)),
    }


def test_writes_an_ordinary_checkpoint_with_its_numbers(
    folders: dict[str, Path], lmc: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = lmc(
        *("transport", folders["base"], folders["tuned"], folders["target"], *FEW),
        *("--share", 0.4, "--task", "austen", "--tuned", folders["tuned"], "--out", out, "--json"),
    )
    assert done.code == 0, done.err
    found = done.json
    assert found == {**json.loads((out / "report.json").read_text()), "out": str(out)}
    assert [each["task"] for each in found["tasks"]] == ["austen", "plays"]
    for each in found["tasks"]:
        assert each["examples"] == 6
        target, unmoved, moved, _ = each["rows"]
        assert target["change"] == 0 and unmoved["change"] != moved["change"] != 0
        assert moved["change"] == pytest.approx(moved["loss"] - target["loss"], abs=1e-6)
    assert found["length"] > 0 and abs(found["cosine"]) < 1
    module = AutoModelForCausalLM.from_pretrained(out)
    assert type(module).__name__ == "GPT2LMHeadModel"
    target, written = load(folders["target"]), load(out)
    assert written.card["task"] == "plays"
    # in the coordinates of the target: only what a fine-tuning moved by is added
    name = "transformer.h.0.ln_1.weight"
    assert torch.equal(target.state[name], written.state[name])


def test_what_was_measured_is_stored_and_found_again(
    folders: dict[str, Path], lmc: Run, tmp_path: Path
) -> None:
    asked = ("transport", folders["base"], folders["tuned"], folders["target"], *FEW)
    asked = (*asked, "--task", "austen", "--tuned", folders["tuned"], "--shares", "0.2,1")
    done = lmc(*asked, "--share", 0.5, "--out", tmp_path / "one")
    assert done.code == 0, done.err
    for words in ("austen, unmoved", "6 examples of the validation split", "Change of the loss"):
        assert words in done.out
    assert "computed earlier" not in done.out
    again = lmc(*asked, "--share", 0.5, "--out", tmp_path / "two")
    assert "(computed earlier)" in again.out
    report = json.loads((tmp_path / "two" / "report.json").read_text())
    assert report["shares"] == [0, 0.2, 0.5, 1] and report["best"] in report["shares"]
    for each in report["tasks"]:
        assert each["moved"]["loss"][2] == each["rows"][2]["loss"]
        assert each["unmoved"]["change"][2] == each["rows"][1]["change"]
    (row,) = (row for row in lmc("results", "--json").json if not row["shipped"])
    assert row["key"] == report["key"] and row["task"] == "austen"
    page = tmp_path / "study.html"
    assert lmc("report", "Carried", "--add", row["key"][:12], "--html", page).code == 0
    assert "of the moved difference" in page.read_text()
    assert lmc(*asked, "--share", 0.5, "--fresh", "--out", tmp_path / "new").code == 0
    lmc(*asked, "--shares", "nan", "--out", tmp_path / "x").refused("--shares")


def test_without_a_task_it_is_written_and_not_measured(lmc: Run, tmp_path: Path) -> None:
    base = tiny.tiny("gpt2", 0)
    state = {name: 1.1 * each for name, each in base.state.items()}
    models = base, replace(base, name="tuned", state=state), tiny.tiny("gpt2", 1)
    named = [tiny.write(tmp_path / f"m{k}", each, card=False) for k, each in enumerate(models)]
    out = tmp_path / "out"
    done = lmc("transport", *named, "--device", "cpu", "--out", out, "--json")
    assert done.code == 0, done.err
    assert done.json["tasks"] == [] and done.json["best"] is None
    assert done.json["aligned_on"] == "random inputs" and (out / "model.safetensors").is_file()
    assert not [row for row in lmc("results", "--json").json if not row["shipped"]]
    lmc("transport", named[0], named[0], named[2], "--out", tmp_path / "x").refused("nothing to")


def test_a_share_of_nothing_leaves_the_target_bit_for_bit(
    folders: dict[str, Path], lmc: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = lmc(
        *("transport", folders["base"], folders["tuned"], folders["target"], *FEW),
        *("--share", 0, "--out", out),
    )
    assert done.code == 0, done.err
    for words in ("moved difference with unmoved", "plays, test split, 6 examples"):
        assert words in done.out
    assert load(out).digest == load(folders["target"]).digest


def test_an_adapter_is_merged_into_the_base_first(
    folders: dict[str, Path], lmc: Run, tmp_path: Path
) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["c_fc"]}
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    torch.manual_seed(2)
    front = "base_model.model.transformer.h.0.mlp.c_fc"
    first, second = torch.randn(2, 16), torch.randn(64, 2)
    save_file(
        {f"{front}.lora_A.weight": first, f"{front}.lora_B.weight": second},
        adapter / "adapter_model.safetensors",
    )
    out = tmp_path / "out"
    done = lmc(
        *("transport", folders["base"], adapter, folders["target"], *FEW), *("--out", out, "--json")
    )
    assert done.code == 0, done.err
    whole = load(f"{folders['base']}+{adapter}")
    assert done.json["finetuned"] == whole.name
    assert done.json["digests"][1] == whole.digest
    assert done.json["length"] > 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"--share": "nan"}, "share"),
        ({"--method": "magic"}, "magic"),
        ({"--task": "nothing"}, "nothing"),
        ({"--examples": "1"}, "2 examples"),
    ],
)
def test_refusals(
    changes: dict[str, str], words: str, folders: dict[str, Path], lmc: Run, tmp_path: Path
) -> None:
    asked = {"--length": "16", "--out": str(tmp_path / "out"), "--device": "cpu"} | changes
    flat = [word for pair in asked.items() for word in pair]
    lmc("transport", folders["base"], folders["tuned"], folders["target"], *flat).refused(words)
    assert not (tmp_path / "out").exists()


def test_models_of_another_family_are_refused(
    folders: dict[str, Path], lmc: Run, tmp_path: Path
) -> None:
    other = tiny.write(tmp_path / "other", tiny.tiny("mixtral"))
    asked = ("--out", tmp_path / "out", *FEW)
    lmc("transport", folders["base"], folders["tuned"], other, *asked).refused("one family")
    lmc("transport", folders["base"], other, folders["target"], *asked).refused("one family")


def test_fine_tuning_a_model(folders: dict[str, Path], lmc: Run, tmp_path: Path) -> None:
    out = tmp_path / "tuned"
    done = lmc(
        *("train", "--from", folders["base"], "--task", "austen", "--steps", 3, "--out", out)
    )
    assert done.code == 0, done.err
    card = json.loads((out / "card.json").read_text())
    assert card["from"]["digest"] == load(folders["base"]).digest
    assert (card["task"], card["settings"]["steps"]) == ("austen", 3)
    assert card["digest"] == load(out).digest != card["from"]["digest"]
    lmc("train", "--task", "austen").refused("--from")
    lmc("train", "--from", folders["base"], "--out", tmp_path / "x").refused("--task")
    lmc(*("train", "--from", folders["base"], "--task", "magic", "--out", tmp_path / "x")).refused(
        "magic"
    )
