"""Base models and heads: every class of every family keeps its outputs, is written as itself, and
is counted right.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from lmc_core.matching.pair import canonical
from lmc_core.models.families import FAMILIES
from lmc_core.models.forward import function_error, random_inputs
from lmc_core.models.model import Model, untied_state
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import choose_classes
from scripts.compatibility import raw_configuration
from tests.families.mixtures import nullity_and_dimension

ALIASES = {"LLaMAForCausalLM", "T5WithLMHeadModel"}


def random_model(family: str, cls: str, dtype: torch.dtype = torch.float64) -> Model:
    chosen = FAMILIES[family]
    config = chosen.config(raw_configuration(chosen, cls))
    torch.manual_seed(0)
    state = {name: tensor.double() for name, tensor in untied_state(chosen.build(config)).items()}
    state = {
        name: (tensor + 0.3 * torch.randn_like(tensor)).to(dtype) for name, tensor in state.items()
    }
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
    inputs = random_inputs(model, dtype=torch.float64)
    classes = choose_classes(model.layout.spaces)
    form = canonical(model, classes)
    element = Alignment.random(form.layout.spaces, classes, torch.Generator().manual_seed(0))
    moved = element.apply(form.layout, form.state)
    assert function_error(model, form.with_state(moved), inputs, torch.float64) < 1e-10
    if cls in (
        "BertForPreTraining",
        "AlbertForPreTraining",
    ):  # what the head of its pooled state computes is not among the outputs here
        return
    still = any(
        s.name == "residual" and s.largest.value == "none" for s in model.layout.spaces.values()
    )
    for block in form.layout.blocks:  # a head that stays where it was while the stream moves
        if block.name == "head.weight" and not still:
            left = moved | {block.parameter: form.state[block.parameter]}
            assert function_error(model, form.with_state(left), inputs, torch.float64) > 1e-6


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
    """The outputs are those of the class itself, text by text, not of a head that lies beside
    it.
    """
    for cls in FAMILIES[family].classes:
        if (family, cls) not in CLASSES or FAMILIES[family].takes != "text":
            continue
        model = random_model(family, cls, torch.float32)
        tokens = random_inputs(model)
        predicts, module = FAMILIES[family].predicts(model.config), model.module()
        found = FAMILIES[family].outputs(module, tokens)
        if predicts == "span":
            expected = [module(text) for text in tokens.split(1)]
            assert torch.allclose(
                found, torch.cat([spans(each) for each in expected]), rtol=1e-4, atol=1e-5
            )
        if predicts in ("label", "token-label"):
            end = {"T5": 1, "MT5": 1, "Bart": 2}.get(
                cls.removesuffix("ForSequenceClassification").removeprefix("M").removeprefix("U")
            )
            ended = tokens  # some classes read a text at the token that ends it
            if end is not None:
                ended = torch.nn.functional.pad(
                    tokens[:, 1:] if end == 2 else tokens, (0, 1), value=end
                )
            logits = torch.cat([module(text).logits for text in ended.split(1)])
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
    "gemma2, tokens": (
        "gemma2",
        TINY | GEMMA | {"architectures": ["Gemma2ForTokenClassification"]},
    ),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    count = 200 if "texts" in name else 30
    found, expected = nullity_and_dimension(*COUNTED[name], count=count)
    assert found == expected


def test_a_stream_that_is_an_output_may_not_be_rotated() -> None:
    model = random_model("llama", "LlamaModel")
    rotation = torch.linalg.qr(
        torch.randn(24, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    )[0]
    state = {name: tensor.clone() for name, tensor in model.state.items()}
    for block in model.layout.blocks:
        for axis, word in enumerate(block.pattern.split()):
            if word in ("+residual", "-residual") and len(block.pattern.split()) == 2:
                tensor = state[block.parameter]
                state[block.parameter] = tensor @ rotation.T if axis else rotation @ tensor
    assert (
        function_error(model, model.with_state(state), random_inputs(model), torch.float64) > 1e-2
    )
