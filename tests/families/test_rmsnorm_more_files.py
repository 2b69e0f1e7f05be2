"""Further decoders with RMSNorm: configurations as people have them, published sizes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from lmc_core.errors import BadCheckpoint
from lmc_core.models.families import FAMILIES
from lmc_core.models.load import load_folder
from lmc_core.models.model import Uninitialised, untied_state
from lmc_core.symmetry.check import relative_difference
from tests.networks import CONFIGURATIONS, random_inputs, random_model

# example -> what its config.json says otherwise; transformers' own reading is the reference
OLDER: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma, as first published": ("gemma", {"hidden_act": "gelu", "hidden_activation": None, "rope_theta": 500.0}),
}


@pytest.mark.parametrize("name", OLDER)
def test_a_configuration_is_read_as_transformers_reads_it(name: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    example, changes = OLDER[name]
    family_name, base = CONFIGURATIONS[example]
    raw = {**base, **changes}
    family = FAMILIES[family_name]
    torch.manual_seed(0)
    state = {n: t + 0.3 * torch.randn_like(t) for n, t in untied_state(family.build(family.config(raw))).items()}
    (tmp_path / "config.json").write_text(json.dumps(raw))
    save_file({n: t.contiguous() for n, t in state.items()}, tmp_path / "model.safetensors", {"format": "pt"})
    model = load_folder(tmp_path)
    inputs = random_inputs(model)
    with torch.no_grad():
        expected = AutoModelForCausalLM.from_pretrained(tmp_path).eval()(inputs).logits
    assert relative_difference(expected, family.outputs(model.module(), inputs)) < 1e-5
    plain = random_model(example).with_state(model.state)
    if name not in SAME:  # what is said otherwise matters
        assert relative_difference(expected, family.outputs(plain.module(), inputs)) > 1e-4


SAME: tuple[str, ...] = ()

# sizes as published; what is left out is transformers' default
PUBLISHED: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma-2b": (
        "gemma",
        {
            "hidden_size": 2048,
            "intermediate_size": 16384,
            "num_hidden_layers": 18,
            "num_attention_heads": 8,
            "num_key_value_heads": 1,
        },
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes_have_the_parameters_of_transformers_own_class(name: str) -> None:
    kind, sizes = PUBLISHED[name]
    family = FAMILIES[kind]
    config = family.config({"model_type": kind, **sizes})
    with torch.device("meta"), Uninitialised():
        module = family.build(config)
    tied = bool(config.get("tie_word_embeddings"))
    state = {n: t for n, t in module.state_dict().items() if not (tied and n == "lm_head.weight")}
    family.layout(config).check(state)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("gemma", {"use_bidirectional_attention": True}, "predicts no next token"),
    ("gemma", {"head_dim": 7}, "heads of even size"),
    ("gemma", {"hidden_act": "softmax"}, "activation 'softmax' is not supported"),
    ("gemma", {"attention_bias": "no"}, "'attention_bias' as true or false"),
]


@pytest.mark.parametrize(("name", "changes", "sentence"), REFUSED)
def test_refused_configurations(name: str, changes: dict[str, Any], sentence: str) -> None:
    family_name, raw = CONFIGURATIONS[name]
    with pytest.raises(BadCheckpoint, match=sentence):
        FAMILIES[family_name].config({**raw, **changes})
