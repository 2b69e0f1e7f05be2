"""Language models that expect a first token: their losses are those that transformers gives on its
own tokenizer's windows.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

from lmc_core.errors import BadInput
from lmc_core.figures.barrier import barrier_caption
from lmc_core.runs.kinds.barrier import compute, make_request
from tests.tasks.makers import text_of

LENGTH = 12
SIZES = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "head_dim": 8,
}


def gemma(folder: Path, seed: int) -> Path:
    """A tiny Gemma 2 as transformers writes it, with a tokenizer of characters that puts <bos>
    before a text.
    """
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(seed)
    settings = {
        "num_key_value_heads": 1,
        "max_position_embeddings": 32,
        "query_pre_attn_scalar": 8,
        "initializer_range": 0.3,
    }
    config = Gemma2Config(
        vocab_size=40, **SIZES, **settings, bos_token_id=1, eos_token_id=2, pad_token_id=0
    )
    Gemma2ForCausalLM(config).save_pretrained(folder)
    vocabulary = {
        name: number
        for number, name in enumerate(["<pad>", "<bos>", "<eos>", *"abcdefghijklmnopqrstuvwxyz "])
    }
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", 1)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    said = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "add_bos_token": True,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("gemma")
    return gemma(root / "a", 0), gemma(root / "b", 1)


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    (tmp_path / "letters.txt").write_text(text_of(300))
    return tmp_path / "letters.txt"


def loss_of(folder: Path, text: str) -> float:
    """Mean loss of the windows of a text, whole windows alone, by transformers' own tokenizer,
    model and loss.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = (
        AutoTokenizer.from_pretrained(folder),
        AutoModelForCausalLM.from_pretrained(folder).eval(),
    )
    parts = [text[at : at + LENGTH - 1] for at in range(0, len(text) - LENGTH + 2, LENGTH - 1)]
    windows = torch.tensor(tokenizer(parts)["input_ids"])
    assert windows.shape == (len(parts), LENGTH) and (windows[:, 0] == 1).all()
    with torch.no_grad():
        return float(model(windows, labels=windows).loss)


def test_the_losses_are_those_of_transformers(pair: tuple[Path, Path], letters: Path) -> None:
    request = make_request(
        *map(str, pair),
        task=f"text:{letters}",
        length=LENGTH,
        method="none",
        points=3,
        refine=0,
        device="cpu",
    )
    result, _ = compute(request)
    text = letters.read_text()
    test = text[int(0.9 * len(text)) :]
    expected = [loss_of(folder, test) for folder in pair]
    assert result["examples"] == len(test) // (LENGTH - 1)
    assert result["loss"][0] == pytest.approx(expected[0], rel=1e-5)
    assert result["loss"][-1] == pytest.approx(expected[1], rel=1e-5)
    assert abs(expected[0] - expected[1]) > 0.01
    note = (
        "Every window begins with '<bos>', as the tokenizer begins every text; the loss is of "
        "the tokens of text alone."
    )
    assert result["notes"] == [note] and note in barrier_caption([result])


def test_a_window_has_room_for_text(pair: tuple[Path, Path], letters: Path) -> None:
    with pytest.raises(BadInput, match="2 tokens or more"):
        make_request(*map(str, pair), task=f"text:{letters}", length=1, method="none", device="cpu")
