"""The dimension that a layout predicts is the nullity of the Jacobian of all outputs; each family's
tests add their own.
"""

from __future__ import annotations

from typing import Any

import pytest

from lmc_core.models.describe import dimension
from lmc_core.symmetry.dimension import symmetry_dimension
from tests.symmetry.nullity import nullity, small_model

GPT2 = {
    "vocab_size": 11, "n_positions": 6, "n_embd": 6, "n_layer": 2, "n_head": 2, "tie_word_embeddings": False, "n_inner": 6,
}  # fmt: skip
ARGS = {
    "img_size": 6,
    "patch_size": 3,
    "in_chans": 1,
    "embed_dim": 6,
    "depth": 2,
    "num_heads": 2,
    "mlp_ratio": 1.0,
}
VIT = {"architecture": "vit_tiny_patch16_224", "num_classes": 5, "model_args": ARGS}


@pytest.mark.parametrize(
    ("family", "raw", "count", "seed"),
    [
        ("gpt2", GPT2, 60, 0),
        ("gpt2", GPT2 | {"activation_function": "relu"}, 60, 2),
        ("vit", VIT, 240, 0),
        (
            "vit",
            VIT
            | {"model_args": ARGS | {"init_values": 0.1, "reg_tokens": 1, "global_pool": "avg"}},
            240,
            0,
        ),
    ],
)
def test_predicted_dimension_is_the_nullity(
    family: str, raw: dict[str, Any], count: int, seed: int
) -> None:
    model = small_model(family, raw, seed)  # a seed at which no ReLU is always on or always off
    found, gap = nullity(model, count)
    counts = symmetry_dimension(model.layout, model.family.rewrite(model.config))
    assert found == sum(counts.values()), counts
    assert gap > 1e4  # nothing lies between what is zero and what is not


def test_the_formula_for_llama() -> None:
    """d(d-1)/2 + 1 + (2L+1) d + L G (d_h + d_h^2) + L F."""
    width, depth, groups, head, units = 12, 3, 2, 4, 10
    raw = {
        "model_type": "llama", "vocab_size": 9, "hidden_size": width, "intermediate_size": units, "num_hidden_layers": depth,
        "num_attention_heads": 4, "num_key_value_heads": groups, "head_dim": head, "max_position_embeddings": 8,
    }  # fmt: skip
    expected = (
        width * (width - 1) // 2
        + 1
        + (2 * depth + 1) * width
        + depth * groups * (head + head**2)
        + depth * units
    )
    assert sum(dimension(small_model("llama", raw)).values()) == expected


def test_a_tied_head_is_counted_as_its_own() -> None:
    tied, untied = (
        dimension(small_model("gpt2", GPT2 | {"tie_word_embeddings": tie})) for tie in (True, False)
    )
    assert tied == untied
