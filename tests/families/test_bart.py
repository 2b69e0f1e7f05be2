"""BART: what its layout says, counted and tried, and configurations that are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lmc_core.errors import BadCheckpoint
from lmc_core.models.families import FAMILIES
from lmc_core.symmetry.dimension import symmetry_dimension
from tests.families.mixtures import Edit, error_after, rolled, scaled
from tests.networks import random_model
from tests.symmetry.nullity import nullity, small_model

SIZES = {"layers": 1, "attention_heads": 2, "ffn_dim": 4}
TINY: dict[str, Any] = {
    "model_type": "bart",
    "vocab_size": 11,
    "max_position_embeddings": 6,
    "d_model": 8,
}
TINY |= {f"{stack}_{size}": n for stack in ("encoder", "decoder") for size, n in SIZES.items()}


def whole(module: nn.Module, inputs: Tensor) -> Tensor:
    """Outputs with all positions of both stacks read."""
    found = module(input_ids=inputs, decoder_input_ids=inputs.flip(1), use_cache=False)
    return (
        found.logits
        if "logits" in found
        else torch.cat([found.encoder_last_hidden_state, found.last_hidden_state], 1)
    )


@pytest.mark.parametrize("cls", ["BartForConditionalGeneration", "BartModel"])
def test_the_dimension_is_the_nullity_of_the_jacobian(cls: str) -> None:
    model = small_model("bart", TINY | {"architectures": [cls]})

    def build(config: Any) -> nn.Module:
        module = model.family.build(config)
        # a buffer in the class, and counted
        if "final_logits_bias" in dict(module.named_buffers()):
            bias = module.final_logits_bias
            del module.final_logits_bias
            module.final_logits_bias = nn.Parameter(bias.clone())  # type: ignore[operator]  (a tensor)
        for part in module.modules():
            if isinstance(part, nn.Embedding):
                part.padding_idx = None
        return module

    seen = replace(model, family=replace(model.family, build=build, outputs=whole))
    found, gap = nullity(seen, 30)
    assert found == sum(
        symmetry_dimension(model.layout, model.family.rewrite(model.config)).values()
    )
    assert gap > 1e4


WRONG: dict[str, tuple[str, Edit]] = {
    "the encoder's stream alone": ("bart", rolled("encoder.norm.gain", "encoder.norm.offset")),
    "keys across without queries": ("bart", rolled("blocks.decoder.0.across.key.weight")),
    "a negative scale before ReLU": ("bart", scaled("blocks.encoder.0.up.weight")),
    "the encoder's last gain, not its readers": (
        "bart-scaled",
        scaled("blocks.encoder.0.last.gain"),
    ),
    "the bias of the head": ("bart", rolled("head.bias")),
    "positions moved by one": ("bart-features", rolled("decoder.position.table")),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_edits_change_the_function(name: str) -> None:
    example, edit = WRONG[name]
    assert error_after(random_model(example), edit) > 1e-3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tie_word_embeddings": False}, "do not share one token table"),
        ({"normalize_before": True}, "norms after each layer"),
        ({"encoder_attention_heads": 5}, "should divide d_model"),
        ({"decoder_ffn_dim": 0}, "positive integer"),
        ({"activation_function": "softmax"}, "activation 'softmax'"),
        ({"decoder_start_token_id": None}, "one of the tokens"),
        ({"architectures": ["BartForQuestionAnswering"], "num_labels": 3}, "are 2 labels"),
        (
            {"architectures": ["BartForCausalLM"]},
            "BartForCausalLM.*supported are BartForConditionalGeneration",
        ),
    ],
)
def test_refused_configurations(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadCheckpoint, match=words):
        FAMILIES["bart"].config({**FAMILIES["bart"].examples["bart"], **changes})
