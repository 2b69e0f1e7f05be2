"""`lmc merge --out` of large models: the same files as of small ones, and what is said."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lmc_core.cli import main, merge_streamed
from lmc_core.merging import streamed
from lmc_core.models.load import load_folder
from lmc_core.models.model import Model
from lmc_core.tasks import task_for
from lmc_core.tasks.evaluator import evaluate
from tests.tiny import tiny, write

ASKED = ("--method", "ties", "--frame", "none", "--set", "density=0.4", "--examples", "8")


@pytest.fixture
def models(tmp_path: Path) -> list[str]:
    return [str(write(tmp_path / f"m{seed}", tiny("gpt2", seed))) for seed in range(3)]


def test_large_models_are_merged_without_being_held(
    models: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    *pair, base = models
    asked = ["merge", *pair, "--base", base, "--weights", "2", "1", *ASKED]
    assert main([*asked, "--out", str(tmp_path / "whole")]) == 0
    monkeypatch.setattr(streamed, "LARGE", 0)
    capsys.readouterr()
    assert main([*asked, "--out", str(tmp_path / "apart"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    one, other = (load_folder(tmp_path / name) for name in ("whole", "apart"))
    assert all(torch.equal(one.state[name], other.state[name]) for name in one.state)
    cards = [json.loads((tmp_path / n / "card.json").read_text()) for n in ("whole", "apart")]
    for key in ("models", "ancestor", "method", "settings"):
        assert cards[0]["merged"][key] == cards[1]["merged"][key] == said["merged"][key]
    assert cards[0]["digest"] == cards[1]["digest"] == other.digest and said["memory"] > 0
    held, own = (card["merged"]["measured"]["test"]["plays"] for card in cards)
    assert own == {key: pytest.approx(held[key], rel=1e-5) for key in own}
    assert own.keys() == {key for key in held if not key.startswith("ece")}
    assert cards[1]["scores"] == {"test": own}


def test_the_models_and_their_merge_are_measured_without_being_held(
    models: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(streamed, "LARGE", 0)
    monkeypatch.setattr(Model, "unfilled", lambda *given: pytest.fail("a model was held"))
    asked = ["merge", *models, "--method", "average", "--frame", "reference", "--length", "16"]
    asked += ["--examples", "8", "--device", "cpu", "--out", str(tmp_path / "apart")]
    assert main(asked) == 0
    said = capsys.readouterr()
    assert "8 examples of plays, test split" in said.out
    assert "Loss in nats per character." in said.out and "nothing was measured" not in said.out
    card = json.loads((tmp_path / "apart" / "card.json").read_text())
    folders = [*models, str(tmp_path / "apart")]
    found = [*card["merged"]["models_measured"]["test"], card["merged"]["measured"]["test"]]
    monkeypatch.undo()
    for folder, entry in zip(folders, found, strict=True):
        model, numbers = load_folder(Path(folder)), entry["plays"]
        examples = task_for("plays", model).examples("test", 8, 0, 16)
        losses = evaluate(model, [model.state], examples)[0][0].double()
        assert numbers["loss"] == pytest.approx(float(losses.mean()), rel=1e-5)
        assert numbers["loss_stderr"] == pytest.approx(float(losses.std() / 8**0.5), rel=1e-4)
        assert f"{numbers['loss']:.2f}" in said.out and numbers["examples"] == 8
    assert card["scores"] == {"test": card["merged"]["measured"]["test"]["plays"]}


def test_without_a_task_nothing_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(streamed, "LARGE", 0)
    folders = [str(tmp_path / name) for name in "ab"]
    for seed, folder in enumerate(folders):
        tiny("gpt2", seed).save(Path(folder))
    asked = ["merge", *folders, "--method", "average", "--frame", "none", "--out"]
    assert main([*asked, str(tmp_path / "one")]) == 0
    assert "nothing was measured" in capsys.readouterr().out
    card = json.loads((tmp_path / "one" / "card.json").read_text())
    assert card["merged"]["measured"] == {} and card["scores"] == {}
    assert main([*asked, str(tmp_path / "two"), "--task", "plays", "--examples", "4"]) == 0
    assert "Loss in nats per character." in capsys.readouterr().out
    assert main([*asked, str(tmp_path / "three"), "--task", "plays", "--examples", "1"]) == 2
    assert "At least 2 examples" in capsys.readouterr().err
    assert not (tmp_path / "three").exists()
    for folder in folders:  # data that is gone does not keep models from being merged
        (Path(folder) / "card.json").write_text(json.dumps({"task": f"text:{tmp_path}/gone.txt"}))
    assert main([*asked, str(tmp_path / "four")]) == 0
    said = capsys.readouterr().out
    assert "nothing was measured" in said and "gone.txt" in said
    assert main([*asked, str(tmp_path / "five"), "--task", f"text:{tmp_path}/gone.txt"]) == 2
    assert not (tmp_path / "five").exists()


def test_what_needs_whole_models_says_so(
    models: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(streamed, "LARGE", 0)
    asked = ["merge", *models, *ASKED[2:4], *ASKED[6:], "--set", "examples=4"]
    assert main([*asked, "--method", "soup", "--out", str(tmp_path / "soup")]) == 0
    assert "held whole because they are measured" in capsys.readouterr().err


def test_a_failure_leaves_nothing(
    models: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamed, "LARGE", 0)
    before = sorted(path.name for path in tmp_path.iterdir())
    calls: list[Callable[..., object]] = []

    def stop(share: float, words: str) -> None:
        if share > 0.5:
            calls.append(stop)
            raise KeyboardInterrupt

    loaded = [streamed.merge([load_folder(Path(m), lazy=True) for m in models], "average")]
    with pytest.raises(KeyboardInterrupt):
        streamed.write_merged(loaded[0], tmp_path / "out", {}, progress=stop)
    assert calls and sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("frame", [["universe"], ["reference", "--onto", "2"]])
def test_large_models_are_brought_together_without_being_held(
    models: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    frame: list[str],
) -> None:
    *pair, base = models
    asked = ["merge", *pair, "--base", base, "--weights", "2", "1", "--method", "task-arithmetic"]
    asked += ["--frame", *frame, "--length", "16", "--device", "cpu", "--examples", "8"]
    assert main([*asked, "--out", str(tmp_path / "whole")]) == 0
    monkeypatch.setattr(streamed, "LARGE", 0)
    monkeypatch.setattr("lmc_core.cli.merge.produce", lambda *given: pytest.fail("held"))
    capsys.readouterr()
    assert main([*asked, "--out", str(tmp_path / "apart"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert max(said["merged"]["function_errors"]) < 1e-5 and said["memory"] > 0
    one, other = (load_folder(tmp_path / name) for name in ("whole", "apart"))
    assert all(torch.allclose(t, other.state[n], atol=1e-5) for n, t in one.state.items())
    assert not all(
        torch.allclose(t, load_folder(Path(base)).state[n], atol=1e-2)
        for n, t in one.state.items()
        if n in load_folder(Path(base)).state
    )
    cards = [json.loads((tmp_path / n / "card.json").read_text()) for n in ("whole", "apart")]
    for key in ("models", "ancestor", "method", "settings", "frame"):
        assert cards[0]["merged"][key] == cards[1]["merged"][key] == said["merged"][key]


def test_frames_that_learn_hold_models(
    models: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(streamed, "LARGE", 0)
    asked = argparse.Namespace(models=models, base="mean", device="cpu")
    assert not merge_streamed.streams(asked, "average", "learned")
    assert "held whole because they are aligned on examples" in capsys.readouterr().err
    assert merge_streamed.streams(asked, "average", "universe")
    assert not merge_streamed.streams(asked, "soup", "universe")
