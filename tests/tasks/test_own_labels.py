"""`labels:FILE`: texts with labels, of unequal length side by side, each as its own class of
transformers reads it alone.
"""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from lmc_core.errors import BadInput, Incompatible
from lmc_core.models.forward import compute_outputs
from lmc_core.models.load import load
from lmc_core.models.texts import END, find_lengths, joined
from lmc_core.tasks import Examples, task_for
from lmc_core.tasks.evaluator import evaluate
from lmc_core.tasks.own_labels import read_rows
from tests.matching.test_common import made
from tests.tasks.makers import text_of, word_tokenizer

NAMES = ["bad", "so-so", "good"]
AROUND = "[CLS] $A [SEP]"
NATIVE: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("BertForSequenceClassification", {"pad_token_id": 0}),
    "roberta": ("RobertaForSequenceClassification", {"pad_token_id": 0}),
    "llama": ("LlamaForSequenceClassification", {"pad_token_id": 0}),
    "llama-no-padding": ("LlamaForSequenceClassification", {"pad_token_id": None}),
}


def classifier(
    folder: Path, kind: str, seed: int = 0, names: list[str] = NAMES, **changes: Any
) -> Path:
    """A classifier with its tokenizer, whose configuration names the classes."""
    cls, more = KINDS[kind]
    sizes = {"vocab_size": 37, "max_position_embeddings": 40, "num_labels": len(names)}
    made(kind.partition("-")[0], seed, architectures=[cls], **sizes, **more, **changes).save(folder)
    word_tokenizer(
        folder, around=AROUND, pad_token="[PAD]", sep_token="[SEP]", mask_token="[MASK]", **NATIVE
    )
    named = {
        "id2label": dict(enumerate(names)),
        "label2id": {name: k for k, name in enumerate(names)},
    }
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | named))
    return folder


def texts(count: int = 60) -> list[tuple[str, str]]:
    return [(text_of(3 + 7 * k % 23, seed=k), NAMES[k * k % 7 % 3]) for k in range(count)]


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerows([("id", "text", "label"), *((k, *row) for k, row in enumerate(rows))])
    else:
        path.write_text(
            "\n".join(json.dumps({"text": text, "label": label}) for text, label in rows)
        )
    return path


@pytest.mark.parametrize("kind", list(KINDS))
def test_each_loss_is_that_of_transformers_own_class_on_the_text_alone(
    kind: str, tmp_path: Path
) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = classifier(tmp_path / "a", kind)
    model, path = load(folder), write(tmp_path / "texts.csv", texts())
    length = 16  # some are longer
    task = task_for(f"labels:{path}", model)
    examples = task.examples("train", 24, 0, length)
    found, right = evaluate(model, [model.state], examples)
    theirs, tokenizer = (
        AutoModelForSequenceClassification.from_pretrained(folder).eval(),
        AutoTokenizer.from_pretrained(folder),
    )
    by_tokens = {}
    for text, label in read_rows(path):
        encoded = tokenizer(text, truncation=True, max_length=length, return_tensors="pt")
        with torch.no_grad():
            logits = theirs(input_ids=encoded["input_ids"]).logits
        by_tokens[tuple(encoded["input_ids"][0].tolist())] = (
            F.cross_entropy(logits, torch.tensor([NAMES.index(label)])),
            logits,
        )
    assert len({int((row != END).sum()) for row in examples.inputs}) > 3
    for number in range(len(examples)):
        tokens = tuple(examples.inputs[number][examples.inputs[number] != END].tolist())
        expected, logits = by_tokens[tokens]
        assert float(found[0, number]) == pytest.approx(float(expected), rel=1e-5, abs=1e-5)
        assert float(right[0, number]) == float(logits.argmax() == examples.targets[number])


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_loss_does_not_depend_on_the_neighbours(kind: str, tmp_path: Path) -> None:
    model, path = load(classifier(tmp_path / "a", kind)), write(tmp_path / "t.jsonl", texts())
    examples = task_for(f"labels:{path}", model).examples("train", 20, 0, 32)
    together = evaluate(model, [model.state], examples)[0][0]
    for order in (torch.arange(19, -1, -1), torch.tensor([3, 17, 4])):
        some = evaluate(model, [model.state], examples.take(order))[0][0]
        torch.testing.assert_close(some, together[order], rtol=1e-5, atol=1e-6)
    padded = examples.inputs.clone()  # the control: a token in the place of an end does matter
    padded[padded == END] = 4
    wrong = evaluate(model, [model.state], Examples(padded, examples.targets))[0][0]
    assert float((wrong - together).abs().max()) > 1e-3


def test_rows_of_unequal_length() -> None:
    inputs = joined([[1, 2, 3], [4], [5, 6, 7]])
    assert inputs.tolist() == [[1, 2, 3], [4, END, END], [5, 6, 7]]
    lengths = find_lengths(inputs)
    assert lengths is not None and lengths.tolist() == [3, 1, 3]
    assert find_lengths(inputs[[0, 2]]) is None and find_lengths(torch.randn(2, 3)) is None
    family: Any = type(
        "F", (), {"outputs": staticmethod(lambda module, x: x.sum(1, keepdim=True) * x.shape[1])}
    )
    assert compute_outputs(family, torch.nn.Identity(), inputs).tolist() == [[18], [4], [54]]


def test_splits_draws_and_notes(tmp_path: Path) -> None:
    model, rows = load(classifier(tmp_path / "a", "bert")), texts(200)
    task = task_for(f"labels:{write(tmp_path / 't.csv', rows)}", model)
    assert (task.kind, task.score, task.unit, task.splits) == (
        "text",
        "accuracy",
        "nats",
        ("train", "validation", "test"),
    )
    sizes = [len(task.source(split, 32)) for split in task.splits]
    assert sum(sizes) == 200 and 150 <= sizes[0] <= 165
    # the order of the file decides nothing
    again = task_for(f"labels:{write(tmp_path / 'mixed.jsonl', rows[::-1])}", model)
    assert (
        again.digest("test", 12, 3, 32)
        == task.digest("test", 12, 3, 32)
        != task.digest("test", 12, 3, 16)
    )
    counts = torch.bincount(task.examples("train", 30, 0, 32).targets, minlength=3)
    share = torch.bincount(task.examples("train", None, 0, 32).targets, minlength=3) / sizes[0]
    assert float((counts / 30 - share).abs().max()) < 0.05  # every class in proportion
    assert task.said is not None and task.said("test", 40) == ()
    longer = sum(len(text.split()) + 2 > 12 for text in _texts_of(task, "test"))
    assert task.said("test", 12)[0].startswith(
        f"{longer} of the {sizes[2]} texts of the test split are longer than 12 tokens"
    )
    with pytest.raises(BadInput, match="no room for text beside 2"):
        task.source("test", 2)


def _texts_of(task: Any, split: str) -> tuple[str, ...]:
    return task.source(split, 32).texts


def test_classes_by_name_and_by_number(tmp_path: Path) -> None:
    a = load(classifier(tmp_path / "a", "bert"))
    rows = texts(30)
    by_name = task_for(f"labels:{write(tmp_path / 't.csv', rows)}", a)
    numbered = [(text, NAMES.index(label)) for text, label in rows]
    by_number = task_for(f"labels:{write(tmp_path / 'n.jsonl', numbered)}", a)  # type: ignore[arg-type]
    for task in (by_name, by_number):
        labels = dict(zip(_texts_of(task, "train"), task.source("train", 32).labels, strict=True))  # type: ignore[attr-defined]
        assert labels.items() <= {text: NAMES.index(label) for text, label in rows}.items()
    with pytest.raises(BadInput, match="label 'fine' is none of the labels"):
        task_for(f"labels:{write(tmp_path / 'x.csv', [*rows, ('the fox', 'fine')])}", a)
    with pytest.raises(BadInput, match="names class 7"):
        task_for(f"labels:{write(tmp_path / 'y.csv', [('the fox', '7'), ('a dog', '1')])}", a)


@pytest.mark.parametrize(("content", "words"), [
    ("a,b\n1,2\n", "text and label among them; it begins with 'a, b'"),
    ("text,label\n,good\n", "Line 2 of f.txt has no text"),
    ("text,label\nthe fox\n", "Line 2 of f.txt gives the label None"),
    ("text,label\n", "holds no texts"),
    ('{"text": "the fox", "label": "good"}\n{"text": 3', "Line 2 of f.txt is no JSON object"),
    ('[{"text": "the fox", "label": "good"}]', "Line 1 of f.txt is no JSON object"),
    ('{"text": "the fox", "label": true}', "gives the label True"),
    ('{"text": "the fox", "label": 0.5}', "gives the label 0.5"),
    ('{"text": ["x"], "label": 1}', "has no text"),
    (" \n", "holds no text"),
])  # fmt: skip
def test_files_that_are_not_as_they_should_be(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_text(content)
    with pytest.raises(BadInput, match=words):
        read_rows(tmp_path / "f.txt")
    with pytest.raises(BadInput, match="labels:FILE expects a file"):
        read_rows(tmp_path)


def test_quotes_tabs_and_long_texts(tmp_path: Path) -> None:
    long = "word " * 40_000
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("label", "text"), ("good", 'a "dog",\nthe fox'), ("bad", long)]
        )
    assert read_rows(tmp_path / "t.csv") == [('a "dog",\nthe fox', "good"), (long, "bad")]
    (tmp_path / "t.tsv").write_text("text\tlabel\nthe fox, a dog\tgood\n")
    assert read_rows(tmp_path / "t.tsv") == [("the fox, a dog", "good")]


def test_what_does_not_sort_texts_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", texts(30))
    made("llama", folder=None).save(tmp_path / "next")
    word_tokenizer(tmp_path / "next")
    with pytest.raises(BadInput, match="labels:FILE is for models that sort .* predicts 'next'"):
        task_for(f"labels:{path}", load(tmp_path / "next"))
    a = load(classifier(tmp_path / "a", "bert"))
    (tmp_path / "text.txt").write_text(text_of(2000))
    with pytest.raises(BadInput, match="give texts with labels as labels:FILE"):
        task_for(f"text:{tmp_path / 'text.txt'}", a)
    b = load(classifier(tmp_path / "b", "bert", 1))
    word_tokenizer(tmp_path / "b", around="[CLS] $A")
    with pytest.raises(Incompatible, match="end texts with different tokens"):
        task_for(f"labels:{path}", a, replace(b, folder=tmp_path / "b"))


def test_a_model_without_tokenizer_takes_the_others(tmp_path: Path) -> None:
    a = load(classifier(tmp_path / "a", "bert"))
    b = load(classifier(tmp_path / "b", "bert", 1))
    (tmp_path / "b" / "tokenizer.json").unlink()
    path = write(tmp_path / "t.csv", texts(90))
    alone, both = (
        task_for(f"labels:{path}", *models).examples("train", None, 0, 32)
        for models in ((a,), (b, a))
    )
    assert torch.equal(alone.inputs, both.inputs)
