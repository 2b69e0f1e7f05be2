"""`lmc barrier` and `lmc align` on a person's own text and images."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy

from lmc_core.models.load import load
from lmc_core.runs.kinds.barrier import compute, make_request
from lmc_core.runs.requests.barrier import BarrierRequest
from lmc_core.tasks import TASKS
from lmc_core.tasks.seen_rows import find_seen_rows
from tests import tiny
from tests.cli.conftest import Run
from tests.tasks.makers import text_of, word_tokenizer

Pair = tuple[Path, Path]
QUICK = ("--points", 3, "--refine", 0, "--json")


@pytest.fixture
def readers(tmp_path: Path) -> Pair:
    """Two tiny GPT-2 models without a card, a tokenizer beside each."""
    folders = tmp_path / "a", tmp_path / "b"
    for seed, folder in enumerate(folders):
        tiny.write(folder, tiny.tiny("gpt2", seed), card=False)
        word_tokenizer(folder)
    return folders


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    path = tmp_path / "letters.txt"
    path.write_text(text_of(4000))
    return path


def test_the_loss_at_the_ends_is_the_models_own(readers: Pair, letters: Path, lmc: Run) -> None:
    chosen = (
        "--task",
        f"text:{letters}",
        "--length",
        24,
        "--examples",
        6,
        "--seed",
        5,
        "--method",
        "none",
    )
    outcome = lmc("barrier", *readers, *chosen, *QUICK)
    assert outcome.code == 0 and outcome.err == "", outcome.err
    result = outcome.json
    assert (result["task"], result["unit"], result["score"]) == (
        "text:letters.txt",
        "nats per token",
        "perplexity",
    )
    assert (result["length"], result["examples"], result["seed"]) == (24, 6, 5) and len(
        result["data"]
    ) == 64
    text = letters.read_text()
    tokenizer = Tokenizer.from_file(str(readers[0] / "tokenizer.json"))
    tokens = tokenizer.encode(text[int(0.9 * len(text)) :], add_special_tokens=False).ids
    rows = (len(tokens) - 1) // 24
    drawn = torch.randperm(rows, generator=torch.Generator().manual_seed(5))[:6].tolist()
    for end, folder in ((0, readers[0]), (-1, readers[1])):
        module = load(folder).module()
        losses = []
        for row in drawn:
            window = torch.tensor(tokens[row * 24 : row * 24 + 25])
            losses.append(float(cross_entropy(module(window[None, :-1]).logits[0], window[1:])))
        assert result["loss"][end] == pytest.approx(sum(losses) / 6, rel=1e-5)
        assert result["perplexity"][end] == pytest.approx(np.exp(sum(losses) / 6), rel=1e-5)


def test_the_request_is_of_the_data_not_of_its_name(
    readers: Pair, letters: Path, lmc: Run, tmp_path: Path
) -> None:
    def ask(path: Path, length: int = 16, seed: int = 0) -> BarrierRequest:
        return make_request(
            *map(str, readers),
            task=f"text:{path}",
            examples=4,
            length=length,
            seed=seed,
            points=3,
            device="cpu",
        )

    first = ask(letters)
    assert first.task == f"text:{letters}" and first.length == 16 and len(first.data) == 64
    assert BarrierRequest.from_json(first.to_json()) == first
    copy = tmp_path / "elsewhere" / "copy.txt"
    copy.parent.mkdir()
    shutil.copy(letters, copy)
    assert ask(copy).key == first.key
    assert len({first.key, ask(letters, length=17).key, ask(letters, seed=1).key}) == 3
    letters.write_text(letters.read_text().replace("cat", "dog"))
    assert ask(letters).key != first.key
    with pytest.raises(Exception, match="data of text:letters.txt has changed"):
        compute(first)
    assert compute(ask(copy))[0]["key"] == first.key


def test_words_say_what_was_read(readers: Pair, letters: Path, lmc: Run) -> None:
    outcome = lmc("barrier", *readers, "--task", f"text:{letters}", "--examples", 4, *QUICK[:4])
    # 32: the models' context
    assert "4 examples of 32 tokens" in outcome.out and "nats per token" in outcome.out
    assert f"letters.txt, {len(letters.read_text()):,} characters" in outcome.out


@pytest.mark.parametrize(("options", "words"), [
    (("--length", 33), ("at most 32 tokens", "33")),
    (("--length", 1), ("2 tokens or more",)),
    (("--task", "text:nowhere.txt"), ("nowhere.txt' does not exist",)),
    (("--task", "text:"), ("text:FILE is expected",)),
    (("--task", "images:."), ("takes text",)),
    (("--split", "dev"), ("no split 'dev'",)),
])  # fmt: skip
def test_refusals(
    options: tuple, words: tuple[str, ...], readers: Pair, letters: Path, lmc: Run, home: Path
) -> None:
    lmc("barrier", *readers, "--task", f"text:{letters}", *options).refused(*words)
    assert not home.exists()


def test_other_refusals(readers: Pair, letters: Path, lmc: Run, tiny_vit_pair: Pair) -> None:
    lmc("barrier", *readers).refused("text:FILE", "images:FOLDER", "plays")
    lmc("barrier", *tiny_vit_pair, "--length", 8).refused("a length is for text".capitalize())
    for folder in readers:
        (folder / "tokenizer.json").unlink()
    lmc("barrier", *readers, "--task", f"text:{letters}").refused("has no tokenizer")


def test_aligned_models_keep_their_tokenizer(
    readers: Pair, letters: Path, lmc: Run, tmp_path: Path
) -> None:
    out = tmp_path / "aligned"
    outcome = lmc("align", *readers, "--task", f"text:{letters}", "--out", out, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["task"] == "text:letters.txt" and "task" not in json.loads(
        (out / "card.json").read_text()
    )
    again = lmc(
        "barrier",
        out / "reference",
        out,
        "--task",
        f"text:{letters}",
        "--examples",
        4,
        "--method",
        "none",
        *QUICK,
    )
    direct = lmc(
        "barrier",
        *readers,
        "--task",
        f"text:{letters}",
        "--examples",
        4,
        "--method",
        "none",
        *QUICK,
    )
    for end in (0, -1):
        assert again.json["loss"][end] == pytest.approx(direct.json["loss"][end], rel=1e-4)
    assert again.json["data"] == direct.json["data"]


def test_images(lmc: Run, tiny_vit_pair: Pair, tmp_path: Path) -> None:
    """Shipped images, written as files, have the loss that they have as arrays."""
    from lmc_core.folders import assets

    with np.load(assets() / "data" / "fashion-mnist.npz") as arrays:
        images, labels = arrays["test_images"][:60], arrays["test_labels"][:60]
    names = [str(TASKS["fashion-mnist"].labels[label]) for label in labels]
    for number, (image, name) in enumerate(zip(images, names, strict=True)):
        folder = tmp_path / "clothes" / "test" / name
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number}.png")
    outcome = lmc(
        "barrier",
        *tiny_vit_pair,
        "--task",
        f"images:{tmp_path / 'clothes'}",
        "--method",
        "none",
        *QUICK,
    )
    assert outcome.code == 0 and outcome.err == "", outcome.err
    result = outcome.json
    assert (result["examples"], result["split"], result["length"], result["unit"]) == (
        60,
        "test",
        None,
        "nats",
    )
    assert "by the labels of the model" in result["about"]
    module = load(tiny_vit_pair[0]).module()
    examples = TASKS["fashion-mnist"].examples("test").first(60)
    expected = float(cross_entropy(module(examples.inputs), examples.targets))
    assert result["loss"][0] == pytest.approx(expected, rel=1e-5)


def test_rows_never_seen_are_known_for_shipped_training_alone(
    readers: Pair, tiny_gpt2_pair: Pair
) -> None:
    assert find_seen_rows(load(readers[0]), load(readers[1])) == {}
    a, b = (load(folder) for folder in tiny_gpt2_pair)
    assert find_seen_rows(a, load(readers[1])) == {}
    both = find_seen_rows(a, b)
    seen = torch.zeros(81, dtype=torch.bool)
    seen[TASKS["plays"].stream("train").unique()] = True  # type: ignore[misc]
    assert set(both) == {"transformer.wte.weight", "lm_head.weight"}
    assert all(torch.equal(rows, seen) for rows in both.values())
    other = load(tiny_gpt2_pair[1])
    other.card["task"] = "austen"  # type: ignore[index]
    fewer = find_seen_rows(a, other)["lm_head.weight"]
    assert int(fewer.sum()) < int(seen.sum()) and not (fewer & ~seen).any()
