"""`labels:FILE` on the command line: barriers, alignments that learn, several models, merging."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lmc_core.models.load import load
from lmc_core.tasks import task_for
from lmc_core.tasks.evaluator import evaluate
from tests.cli.conftest import Run
from tests.tasks.test_own_labels import NAMES, classifier, texts, write

QUICK = ("--points", 3, "--refine", 0)


@pytest.fixture(params=["bert", "llama-no-padding"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> list[Path]:
    return [classifier(tmp_path / name, request.param, seed) for seed, name in enumerate("ab")]


@pytest.fixture
def task(tmp_path: Path) -> str:
    return f"labels:{write(tmp_path / 'texts.csv', texts(120))}"


def test_a_barrier(pair: list[Path], task: str, lmc: Run) -> None:
    asked = ("barrier", *pair, "--task", task, "--length", 12, *QUICK)
    outcome = lmc(*asked, "--json")
    assert outcome.code == 0, outcome.err
    result = outcome.json
    assert (result["task"], result["score"], result["unit"], result["length"]) == (
        "labels:texts.csv",
        "accuracy",
        "nats",
        12,
    )
    assert result["function_error"] < 1e-5 and any(
        "longer than 12 tokens and cut" in note for note in result["notes"]
    )
    for end, folder in ((0, pair[0]), (-1, pair[1])):
        model = load(folder)
        examples = task_for(task, model).examples("test", None, 0, 12)
        loss, right = evaluate(model, [model.state], examples)
        assert result["loss"][end] == pytest.approx(float(loss.mean()), rel=1e-4)
        assert result["accuracy"][end] == pytest.approx(float(right.mean()))
    words = lmc(*asked)
    assert "note" in words.out and "classes by the labels of the model" in words.out


@pytest.mark.parametrize("method", ["activation", "learned"])
def test_methods_that_learn(method: str, pair: list[Path], task: str, lmc: Run) -> None:
    steps = ("--set", "steps=4") if method == "learned" else ()
    outcome = lmc(
        "barrier",
        *pair,
        "--task",
        task,
        "--method",
        method,
        *steps,
        *QUICK,
        "--device",
        "cpu",
        "--json",
    )
    assert outcome.code == 0 and outcome.json["function_error"] < 1e-4, outcome.err


def test_classes_in_another_order_are_compared_by_name(task: str, lmc: Run, tmp_path: Path) -> None:
    a = classifier(tmp_path / "a", "bert")
    b = classifier(tmp_path / "b", "bert", names=[NAMES[2], NAMES[0], NAMES[1]])
    state, other = load(a).state, load(b)
    rows = torch.tensor([2, 0, 1])
    moved = {
        name: state[name][rows] if name.startswith("classifier") else state[name]
        for name in other.state
    }
    other.with_state(moved).save(tmp_path / "same")
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "same" / name).write_bytes((b / name).read_bytes())
    result = lmc(
        "barrier", a, tmp_path / "same", "--task", task, "--method", "none", *QUICK, "--json"
    ).json
    assert (
        result["loss"][0] == pytest.approx(result["loss"][-1], rel=1e-6)
        and abs(result["barrier"]) < 1e-5
    )
    assert any("by their names" in note for note in result["notes"])


def test_merging_and_groups(pair: list[Path], task: str, lmc: Run, tmp_path: Path) -> None:
    chosen = ("--method", "average", "--frame", "universe", "--task", task)
    outcome = lmc("merge", *pair, *chosen, "--out", tmp_path / "out", "--json")
    assert outcome.code == 0 and "accuracy" in str(outcome.json["rows"]), outcome.err
    assert lmc("group", *pair, "--method", "reference", "--task", task).code == 0
    assert lmc("plane", *pair, "--task", task, "--resolution", 5).code == 0


def test_what_is_no_choice_of_classes_is_refused(task: str, lmc: Run, tmp_path: Path) -> None:
    one = [classifier(tmp_path / name, "bert", seed, names=["x"]) for seed, name in enumerate("ab")]
    rows = [(text, "0") for text, _ in texts(30)]
    lmc("barrier", *one, "--task", f"labels:{write(tmp_path / 'one.csv', rows)}").refused(
        "does not choose one of several"
    )
    many = [classifier(tmp_path / name, "bert", seed) for seed, name in enumerate("cd")]
    for folder in many:
        path = folder / "config.json"
        path.write_text(
            path.read_text().replace("{", '{"problem_type": "multi_label_classification",', 1)
        )
    lmc("barrier", *many, "--task", task).refused("problem_type: multi_label_classification")
