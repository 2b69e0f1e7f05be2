"""`text:FILE`: the model's own tokenizer, splits, digests, and every way in which it can be
refused.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import torch

from lmc_core.errors import BadInput, Incompatible, UnknownName
from lmc_core.tasks import get_task, own_text, task_for
from lmc_core.tasks.encoders import find_encoder
from lmc_core.tasks.plays import alphabet
from lmc_core.tasks.prediction import require_loss
from lmc_core.tasks.task import IGNORED
from tests.tasks.makers import WORDS, model, text_of, word_tokenizer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "letters.txt"
    path.write_text(text_of(3000))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    word_tokenizer(tmp_path / "model")
    return tmp_path / "model"


def test_windows_are_the_text(file: Path, folder: Path) -> None:
    task = task_for(f"text:{file}", model(folder=folder))
    assert (task.kind, task.unit, task.score, task.licence) == (
        "text",
        "nats per token",
        "perplexity",
        "your own data",
    )
    names = {number: name for name, number in word_tokenizer(folder).get_vocab().items()}
    text = file.read_text()
    test = text[int(0.9 * len(text)) :].split()
    found = task.examples("test", length=16)
    words = [names[int(i)] for i in found.inputs.flatten()]
    # the first word may be cut by the split
    assert words[1:] == test[1 : len(words)] and len(found) == (len(test) - 1) // 16
    assert torch.equal(found.inputs.flatten()[1:], found.targets.flatten()[:-1])
    parts = [task.stream(split) for split in ("train", "validation", "test")]  # type: ignore[misc]
    assert [round(len(part) / 3000, 2) for part in parts] == [0.8, 0.1, 0.1]


def test_gzip_and_a_byte_order_mark_do_not_matter(file: Path, folder: Path, tmp_path: Path) -> None:
    packed, marked = tmp_path / "letters.gz", tmp_path / "marked.txt"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    marked.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    digests = {
        task_for(f"text:{path}", model(folder=folder)).digest("train", length=8)
        for path in (file, packed, marked)
    }
    assert len(digests) == 1 and len(next(iter(digests))) == 64


def test_digests_follow_the_data(file: Path, folder: Path) -> None:
    def digest(**changes: int) -> str:
        return task_for(f"text:{file}", model(folder=folder)).digest(
            **{"count": 20, "length": 8, "seed": 0} | changes
        )

    base = digest()
    assert base == digest() and len({base, digest(length=9), digest(count=21), digest(seed=1)}) == 4
    text = file.read_text()
    file.write_text(text[:-100].replace(" cat", " dog") + text[-100:])
    assert digest() != base
    assert get_task("plays").digest() == ""


def test_files_of_sentence_encoders_that_cut_and_pad(file: Path, folder: Path) -> None:
    expected = task_for(f"text:{file}", model(folder=folder)).stream("test")  # type: ignore[misc]
    word_tokenizer(folder, cut=True)
    found = task_for(f"text:{file}", model(folder=folder)).stream("test")  # type: ignore[misc]
    assert len(found) > 250 and torch.equal(found, expected)


def test_masked_models_get_masks_between_marks(file: Path, folder: Path) -> None:
    task = task_for(f"text:{file}", model(folder=folder, predicts="masked"))
    assert task.unit == "nats per masked token"
    found = task.examples("test", length=22)
    assert (found.inputs[:, 0] == 2).all() and (found.inputs[:, -1] == 3).all()
    assert ((found.targets != IGNORED).sum(1) == 3).all() and (found.inputs == 4).any()


def test_the_second_half_of_windows(file: Path, folder: Path) -> None:
    found = task_for(f"text:{file}", model(folder=folder, predicts="continuation")).examples(
        "test", length=16
    )
    assert torch.equal(found.targets, found.inputs[:, 8:])


@pytest.mark.parametrize(("around", "says", "first"), [
    ("[CLS] $A", {}, 2),
    ("[CLS] $A [SEP]", {"add_bos_token": False}, 2),
    ("", {"add_bos_token": True, "bos_token": "[SEP]"}, 3),
    ("", {"add_bos_token": True}, None),  # which one it would be is not said
    ("", {"add_bos_token": False, "bos_token": "[SEP]"}, None),
    ("$A [SEP]", {"bos_token": "[SEP]"}, None),
])  # fmt: skip
def test_windows_begin_as_the_tokenizer_begins_a_text(
    around: str, says: dict[str, object], first: int | None, file: Path, tmp_path: Path
) -> None:
    word_tokenizer(tmp_path / "plain")
    word_tokenizer(tmp_path / "model", around=around, **says)
    plain, task = (
        task_for(f"text:{file}", model(folder=tmp_path / name)) for name in ("plain", "model")
    )
    text = plain.stream("test")  # type: ignore[misc]
    assert torch.equal(task.stream("test"), text)  # type: ignore[misc]
    found = task.examples("test", length=16)
    same = task.digest("test", 5, length=16) == plain.digest("test", 5, length=16)
    if first is None:
        assert task.notes == () and same
        assert torch.equal(found.inputs, plain.examples("test", length=16).inputs)
        return
    assert not same and len(found) == len(text) // 15
    assert ((found.inputs == first).sum(1) == 1).all() and (found.inputs[:, 0] == first).all()
    assert torch.equal(found.inputs[:, 1:].flatten(), text[: 15 * len(found)])
    assert (
        torch.equal(found.targets[:, :-1], found.inputs[:, 1:])
        and (found.targets[:, -1] == IGNORED).all()
    )
    assert f"Every window begins with '[{'CLS' if first == 2 else 'SEP'}]'" in task.notes[0]
    masked = task_for(f"text:{file}", model(folder=tmp_path / "model", predicts="masked"))
    assert masked.notes == () and (masked.examples("test", length=16).inputs[:, 1] != 2).all()


def test_two_models_that_begin_texts_otherwise(file: Path, tmp_path: Path) -> None:
    word_tokenizer(tmp_path / "plain")
    word_tokenizer(tmp_path / "begun", around="[CLS] $A")
    a, b = (model(folder=tmp_path / name, name=name) for name in ("plain", "begun"))
    words = r"begun begins every text with '\[CLS\]' and plain begins every text with no token of its own, so that"
    with pytest.raises(Incompatible, match=words):
        task_for(f"text:{file}", b, a)
    with pytest.raises(Incompatible, match="expect other inputs"):
        task_for(f"text:{file}", a, b)
    word_tokenizer(tmp_path / "begun", around="[CLS] $A")
    with pytest.raises(BadInput, match="gives token number 2 and m has 2"):
        task_for(f"text:{file}", model(folder=tmp_path / "begun", tokens=2))


def test_models_without_a_head_have_windows_but_no_loss(file: Path, folder: Path) -> None:
    headless = model(folder=folder, predicts="features")
    assert len(task_for(f"text:{file}", headless).examples("test", 4, length=8)) == 4
    with pytest.raises(BadInput, match="no head"):
        require_loss([headless])
    require_loss([model(predicts="masked"), model("images")])


def test_models_of_a_shipped_text_read_its_characters(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Good morrow, cousin. Is the day so young?\n" * 40)
    task = task_for(f"text:{tmp_path / 'a.txt'}", model(card={"task": "plays"}))
    assert task.unit == "nats per character"
    assert "".join(alphabet()[i] for i in task.stream("train")[:12]) == "Good morrow,"  # type: ignore[misc]
    (tmp_path / "b.txt").write_text("Good morrow. £5 ≠ €6\n" * 40)
    with pytest.raises(BadInput, match="lacks '£'"):
        task_for(f"text:{tmp_path / 'b.txt'}", model(card={"task": "austen"})).examples(
            "test", length=4
        )


@pytest.mark.parametrize("config", [{"model_type": "bert"}, {"hidden_size": 256}])
def test_older_tokenizer_files_are_read(
    config: dict[str, object], file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(WORDS)])
    )
    old = find_encoder(model(folder=folder))
    word_tokenizer(tmp_path / "new")
    new = find_encoder(model(folder=tmp_path / "new"))
    text = file.read_text()[:500]
    assert torch.equal(old.encode(text), new.encode(text))
    assert (old.marks, old.unknown) == (new.marks, new.unknown)


def test_two_models_share_a_tokenizer(file: Path, folder: Path, tmp_path: Path) -> None:
    reference = f"text:{file}"
    same, other = tmp_path / "same", tmp_path / "other"
    word_tokenizer(same)
    word_tokenizer(other, words=[*reversed(WORDS)])
    empty = tmp_path / "empty"
    empty.mkdir()
    base = task_for(reference, model(folder=folder)).digest(count=5, length=8)
    for second in (same, empty):
        for pair in ((folder, second), (second, folder)):
            assert (
                task_for(reference, *(model(folder=f) for f in pair)).digest(count=5, length=8)
                == base
            )
    with pytest.raises(Incompatible, match="a and b have different tokenizers"):
        task_for(reference, model(folder=folder, name="a"), model(folder=other, name="b"))
    with pytest.raises(Incompatible, match="predicts"):
        task_for(reference, model(folder=folder), model(folder=folder, predicts="masked"))


def test_a_token_must_be_in_the_smaller_of_two_tables(file: Path, folder: Path) -> None:
    large, small = model(folder=folder, name="large"), model(folder=folder, name="small", tokens=8)
    for models in ((large, small), (small, large)):
        with pytest.raises(BadInput, match="gives token number 20 and small has 8 tokens"):
            task_for(f"text:{file}", *models).examples("test", length=8)
    last = model(folder=folder, tokens=20)  # the largest token of the text has the number 20
    with pytest.raises(BadInput, match="gives token number 20 and m has 20 tokens"):
        task_for(f"text:{file}", last).examples("test", length=8)
    assert task_for(f"text:{file}", model(folder=folder, tokens=21)).classes == 21


BAD_FILES = [
    (None, "does not exist"),
    (b"", "holds no text"),
    (b" \n\n ", "holds no text"),
    (b"caf\xe9 au lait", "is not UTF-8 .byte 4"),
    (gzip.compress(b"the fox " * 99, mtime=0)[:-9], "cannot be read"),
    (b"\x1f\x8bnothing", "cannot be read"),
]


@pytest.mark.parametrize(("content", "words"), BAD_FILES)
def test_bad_files_are_named(
    content: bytes | None, words: str, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "letters.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=f"letters.txt.*{words}") as caught:
        task_for(f"text:{path}", model(folder=folder))
    assert str(caught.value).count(". ") <= 1


def test_other_refusals(
    file: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(
        words: str, reference: str = f"text:{file}", kind: type[BadInput] = BadInput, **how: object
    ) -> None:
        with pytest.raises(kind, match=words):
            task_for(reference, model(**{"folder": folder} | how)).examples("test", length=8)  # type: ignore[arg-type]

    refused("is a folder", f"text:{tmp_path}")
    refused("text:FILE is expected", "text:")
    refused("There is no task 'texts:a'", "texts:a", UnknownName)
    refused("takes images; the task", takes="images")
    refused("not read from a folder", folder=None)
    refused("has no tokenizer", folder=tmp_path)
    refused("gives token number 20 and m has 8 tokens", tokens=8)
    refused("gives token number 4 and m has 4", tokens=4, predicts="masked")
    refused("sorts whole texts", predicts="label")
    with pytest.raises(BadInput, match="At least 2 windows of 400 tokens .* has 0"):
        task_for(f"text:{file}", model(folder=folder)).examples("test", length=400)
    with pytest.raises(BadInput, match="2 tokens or more; a length of 1"):
        task_for(f"text:{file}", model(folder=folder)).examples("test", length=1)
    with pytest.raises(UnknownName, match="no split 'tests'"):
        task_for(f"text:{file}", model(folder=folder)).examples("tests")
    (tmp_path / "greek.txt").write_text("μῆνιν ἄειδε θεὰ the " * 100)
    refused("75% of the tokens of text:greek.txt are unknown", f"text:{tmp_path / 'greek.txt'}")
    (folder / "tokenizer.json").write_text((folder / "tokenizer.json").read_text()[:-40])
    refused("tokenizer in model cannot be read")
    monkeypatch.setattr(own_text, "LIMIT", 1000)
    refused("is larger than")
    with pytest.raises(BadInput, match="use task_for"):
        get_task(f"text:{file}")


def test_code_beside_a_tokenizer_is_not_run(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "remote"
    folder.mkdir()
    (folder / "vocab.txt").write_text("[UNK]\nthe\n")
    (folder / "config.json").write_text(
        json.dumps({"model_type": "mine", "auto_map": {"AutoConfig": "code.C"}})
    )
    mapped = {"tokenizer_class": "T", "auto_map": {"AutoTokenizer": ["code.T", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(mapped))
    (folder / "code.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w')\nclass T: pass\nclass C: pass\n"
    )
    with pytest.raises(BadInput, match="tokenizer in remote cannot be read"):
        task_for(f"text:{file}", model(folder=folder))
    assert not (tmp_path / "ran").exists()
