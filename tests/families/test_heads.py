"""Base models and heads: every class of every family keeps its outputs, is written as itself, and is counted right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from lmc_core.matching.audit import audit
from lmc_core.models.families import FAMILIES
from lmc_core.models.load import load_folder
from lmc_core.models.model import Model, untied_state
from lmc_core.models.probe import random_inputs
from lmc_core.symmetry.check import function_error
from tests.families.mixtures import nullity_and_dimension, round_trip

LABELS = {"num_labels": 3, "pad_token_id": 0}
ALIASES = {"LLaMAForCausalLM", "T5WithLMHeadModel"}


def configuration(family: str, cls: str) -> dict[str, Any]:
    """A small configuration of a class: the family's first example of it, or the first of all with another class."""
    examples = [dict(raw) for raw in FAMILIES[family].examples.values()]
    own = [raw for raw in examples if raw.get("architectures", [None])[0] == cls]
    return own[0] if own else examples[0] | LABELS | {"architectures": [cls]}


def random_model(family: str, cls: str, dtype: torch.dtype = torch.float64) -> Model:
    chosen = FAMILIES[family]
    config = chosen.config(configuration(family, cls))
    torch.manual_seed(0)
    state = {name: tensor.double() for name, tensor in untied_state(chosen.build(config)).items()}
    state = {name: (tensor + 0.3 * torch.randn_like(tensor)).to(dtype) for name, tensor in state.items()}
    return Model("random", chosen, config, state).check()


CLASSES = [
    (family.name, cls)
    for family in FAMILIES.values()
    for cls in family.classes
    if cls not in ALIASES and hasattr(transformers, cls)
]


@pytest.mark.parametrize(("family", "cls"), CLASSES)
def test_a_moved_model_of_every_class_computes_the_same(family: str, cls: str) -> None:
    model = random_model(family, cls)
    found = audit(model, random_inputs(model, dtype=torch.float64))
    assert found.double < 1e-10
    assert found.single < 1e-4
    assert found.recovered < 1e-5
    assert found.control > 1e-6 or cls == "BertForPreTraining"  # one of its heads is not among the outputs here


@pytest.mark.parametrize(("family", "cls"), CLASSES)
def test_every_class_is_written_as_itself(family: str, cls: str, tmp_path: Path) -> None:
    model = random_model(family, cls, torch.float32)
    module = model.module()
    assert type(module).__name__ == cls
    round_trip(model, tmp_path, cls)
    assert load_folder(tmp_path / "original").digest == model.digest


@pytest.mark.parametrize(("family", "cls"), [pair for pair in CLASSES if pair[1].endswith("Model")])
def test_of_a_base_model_the_stream_is_an_output_and_does_not_move(family: str, cls: str) -> None:
    model = random_model(family, cls)
    if FAMILIES[family].predicts(model.config) != "features":
        pytest.skip("a language model whose class is called so")
    for name, space in model.layout.spaces.items():
        if space.kind == "residual" and name == "residual":
            assert space.largest.value == "none"


@pytest.mark.parametrize("family", [name for name, family in FAMILIES.items() if family.classes])
def test_what_a_class_computes_is_what_transformers_computes(family: str) -> None:
    """The outputs are those of the class itself, text by text, not of a head that lies beside it."""
    for cls in FAMILIES[family].classes:
        if (family, cls) not in CLASSES or FAMILIES[family].takes != "text":
            continue
        model = random_model(family, cls, torch.float32)
        tokens = random_inputs(model)
        predicts, module = FAMILIES[family].predicts(model.config), model.module()
        found = FAMILIES[family].outputs(module, tokens)
        if predicts == "span":
            expected = [module(text) for text in tokens.split(1)]
            assert torch.allclose(found, torch.cat([spans(each) for each in expected]), rtol=1e-4, atol=1e-5)
        if predicts in ("label", "token-label"):
            logits = torch.cat([module(text).logits for text in tokens.split(1)])
            assert found.shape[-1] == model.config["num_labels"]
            assert torch.allclose(found, logits, rtol=1e-4, atol=1e-5)


def spans(found: Any) -> Tensor:
    return torch.stack([found.start_logits, found.end_logits], -1)


TINY: dict[str, Any] = {
    "vocab_size": 17,
    "hidden_size": 8,
    "intermediate_size": 5,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 8,
    "num_labels": 3,  # no padding token: of its row an embedding has no derivative
}
GEMMA = {"head_dim": 4, "sliding_window": 3}
COUNTED: dict[str, tuple[str, dict[str, Any]]] = {
    "llama, features": ("llama", TINY | {"architectures": ["LlamaModel"]}),
    "llama, tokens": ("llama", TINY | {"architectures": ["LlamaForTokenClassification"]}),
    "llama, texts": ("llama", TINY | {"architectures": ["LlamaForSequenceClassification"]}),
    "llama, spans": ("llama", TINY | {"architectures": ["LlamaForQuestionAnswering"]}),
    "olmo, features": ("olmo", TINY | {"architectures": ["OlmoModel"]}),
    "olmo, texts": ("olmo", TINY | {"architectures": ["OlmoForSequenceClassification"]}),
    "olmo2, features": ("olmo2", TINY | {"architectures": ["Olmo2Model"]}),
    "gemma2, features": ("gemma2", TINY | GEMMA | {"architectures": ["Gemma2Model"]}),
    "gemma2, tokens": ("gemma2", TINY | GEMMA | {"architectures": ["Gemma2ForTokenClassification"]}),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    count = 200 if "texts" in name else 30
    found, expected = nullity_and_dimension(*COUNTED[name], count=count)
    assert found == expected


def test_a_stream_that_is_an_output_may_not_be_rotated() -> None:
    model = random_model("llama", "LlamaModel")
    rotation = torch.linalg.qr(torch.randn(24, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))[0]
    state = {name: tensor.clone() for name, tensor in model.state.items()}
    for block in model.layout.blocks:
        for axis, word in enumerate(block.pattern.split()):
            if word in ("+residual", "-residual") and len(block.pattern.split()) == 2:
                tensor = state[block.parameter]
                state[block.parameter] = tensor @ rotation.T if axis else rotation @ tensor
    assert function_error(model, model.with_state(state), random_inputs(model), torch.float64) > 1e-2
